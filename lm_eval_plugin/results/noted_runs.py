"""Reading what runs have noted of themselves in the files of `--use_cache` (`run_table`), while they go on; nothing is written."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lm_eval_plugin.cache.run_table import QuestionNote
from lm_eval_plugin.cache.sqlite_files import connected, explained, rank_files
from lm_eval_plugin.dialogue.transcript import Transcript
from lm_eval_plugin.errors import ConfigError

_PATIENCE_S = 5.0
_RANK = re.compile(r"(?P<prefix>.+)_rank\d+\.db")

HOW = (
    "a run is shown while it goes on only if it keeps its dialogues: add --use_cache FOLDER/NAME to the lm_eval command, and give "
    "FOLDER/NAME here"
)
"""How to have what is shown."""


@dataclass(frozen=True, slots=True)
class NotedRun:
    """A run as its processes have noted it.

    Args:
        run: Its id.
        ranks: How many processes have noted it.
        started: When the first of them started, in seconds since 1970.
        ended: When the last of them ended; None while one goes on, or where one was killed.
        outcome: `finished`, or what ended the processes that did not finish; None while all that is known goes on.
        model: The model under test.
        tasks: The settings of each task with dialogues.
        configuration: What else it was started with.
    """

    run: str
    ranks: int
    started: float
    ended: float | None
    outcome: str | None
    model: str
    tasks: Mapping[str, Mapping[str, Any]]
    configuration: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ended:
    """A dialogue of a run that has ended.

    Args:
        at: When that was noted, in seconds since 1970.
        transcript: What was said.
    """

    at: float
    transcript: Transcript


@dataclass(frozen=True, slots=True)
class SideCounts:
    """What one side of a run's dialogues has done in this run; what was kept by an earlier one is not in it.

    Args:
        replies: How many messages it has written in dialogues that ended.
        tokens: Their tokens, as far as they are known.
        errors: How many dialogues it has ended by an error.
    """

    replies: int = 0
    tokens: int = 0
    errors: int = 0


def cache_files(cache: Path) -> list[Path]:
    """The files of a cache.

    Args:
        cache: The path that `--use_cache` was given, or one of the files that lm_eval made of it.

    Raises:
        ConfigError: There is none.
    """
    match = _RANK.fullmatch(cache.name)
    files = rank_files(cache.with_name(match["prefix"]) if match else cache)
    if not files:
        raise ConfigError(f"there is no cache at {cache}; {HOW}")
    return files


def noted_runs(files: Sequence[Path]) -> list[NotedRun]:
    """The runs that are noted in the files of a cache, the latest last; those of one id are one.

    Raises:
        ConfigError: A file cannot be read.
    """
    rows: dict[str, list[sqlite3.Row]] = {}
    for path in files:
        with _reading(path) as file:
            for row in _rows(file, "runs", "SELECT * FROM runs"):
                rows.setdefault(row["run"], []).append(row)
    return sorted((_noted(each) for each in rows.values()), key=lambda run: run.started)


def chosen_run(files: Sequence[Path], run: str | None) -> NotedRun:
    """A run by its id, or the latest one.

    Raises:
        ConfigError: There is none, or none of that id.
    """
    runs = noted_runs(files)
    if not runs:
        raise ConfigError(
            f"{files[0]} notes no run; it was written by an earlier release, or by a run without dialogues"
        )
    if run is None:
        return runs[-1]
    found = [each for each in runs if each.run == run]
    if not found:
        raise ConfigError(f"{files[0]} notes no run {run!r}; there are {', '.join(each.run for each in runs)}")
    return found[0]


def _noted(rows: Sequence[sqlite3.Row]) -> NotedRun:
    """The run of its processes' rows."""
    latest = max(rows, key=lambda row: len(row["tasks"]))
    ends = [row["ended"] for row in rows]
    outcomes = {row["outcome"] for row in rows} - {None}
    failed = sorted(outcomes - {"finished"})
    return NotedRun(
        run=latest["run"],
        ranks=len(rows),
        started=min(row["started"] for row in rows),
        ended=None if None in ends else max(ends),
        outcome="; ".join(failed) or ("finished" if None not in ends else None),
        model=latest["model"],
        tasks=json.loads(latest["tasks"]),
        configuration=json.loads(latest["configuration"]),
    )


@dataclass(slots=True)
class Follower:
    """Reads a run's dialogues as they end, each once, from the files of all its processes.

    Args:
        files: The files of the cache.
        run: The run's id.
    """

    files: Sequence[Path]
    run: str
    _seen: dict[tuple[Path, str], int] = field(default_factory=dict)

    def questions(self) -> list[QuestionNote]:
        """What the run asks, in the order of its tasks and of their documents.

        Raises:
            ConfigError: A file cannot be read.
        """
        found = []
        for path in self.files:
            with _reading(path) as file:
                rows = _rows(file, "run_questions", "SELECT * FROM run_questions WHERE run = ?", self.run)
                found += [_question(row) for row in rows]
        return sorted(found, key=lambda each: (each.task, each.place))

    def new(self) -> list[Ended]:
        """The dialogues that have ended since it was asked last, in the order in which they ended.

        Raises:
            ConfigError: A file cannot be read.
        """
        ended = [each for path in self.files for each in self._new_in(path)]
        return sorted(ended, key=lambda each: each.at)

    def counts(self) -> dict[str, SideCounts]:
        """What each side has done, by role.

        Raises:
            ConfigError: A file cannot be read.
        """
        total: dict[str, SideCounts] = {}
        for path in self.files:
            with _reading(path) as file:
                for row in _rows(file, "run_counts", "SELECT * FROM run_counts WHERE run = ?", self.run):
                    before = total.get(row["side"], SideCounts())
                    total[row["side"]] = SideCounts(
                        before.replies + row["replies"], before.tokens + row["tokens"], before.errors + row["errors"]
                    )
        return total

    def _new_in(self, path: Path) -> Iterator[Ended]:
        with _reading(path) as file:
            keys = self._rows_since(file, path, "run_dialogues", "rowid, key, at")
            failures = self._rows_since(file, path, "run_failures", "rowid, transcript, at")
            kept = [(row["at"], self._kept(file, row["key"], path)) for row in keys]
        for at, text in [*kept, *((row["at"], row["transcript"]) for row in failures)]:
            if text is not None and (transcript := _transcript(text)) is not None:
                yield Ended(at, transcript)

    def _rows_since(self, file: sqlite3.Connection, path: Path, table: str, columns: str) -> list[sqlite3.Row]:
        since = self._seen.get((path, table), 0)
        query = f"SELECT {columns} FROM {table} WHERE run = ? AND rowid > ? ORDER BY rowid"  # noqa: S608  # names of ours
        rows = _rows(file, table, query, self.run, since)
        if rows:
            self._seen[path, table] = rows[-1]["rowid"]
        return rows

    def _kept(self, file: sqlite3.Connection, key: str, path: Path) -> str | None:
        """The text of a dialogue; one that an earlier run with more processes has kept is in another file."""
        query = "SELECT transcript FROM dialogues WHERE key = ?"
        if found := _rows(file, "dialogues", query, key):
            text: str = found[0]["transcript"]
            return text
        for other in self.files:
            if other != path:
                with _reading(other) as elsewhere:
                    if found := _rows(elsewhere, "dialogues", query, key):
                        return str(found[0]["transcript"])
        return None


def _transcript(text: str) -> Transcript | None:
    """A kept transcript; None where it is damaged, of which the run itself warns, and runs the dialogue again."""
    try:
        return Transcript.from_json(text)
    except (ValueError, TypeError):
        return None


def _question(row: sqlite3.Row) -> QuestionNote:
    return QuestionNote(
        task=row["task"],
        place=row["place"],
        question_id=row["question_id"],
        subject=row["subject"],
        stem=row["stem"],
        choices=tuple(json.loads(row["choices"])),
        gold=tuple(json.loads(row["gold"])),
        acc_static=row["acc_static"],
    )


def _rows(file: sqlite3.Connection, table: str, query: str, *values: object) -> list[sqlite3.Row]:
    """The rows of a query; none from a file without the table."""
    if file.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is None:
        return []
    return file.execute(query, values).fetchall()


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that only reads; a file in which a killed run has left something half written is taken back first."""
    with explained(path):
        try:
            file = _connected_to_read(path)
        except sqlite3.OperationalError:
            # Only whoever may write can take back what is half written.
            connected(path, _PATIENCE_S).execute("SELECT 1 FROM sqlite_master LIMIT 1").connection.close()
            file = _connected_to_read(path)
        with closing(file):
            yield file


def _connected_to_read(path: Path) -> sqlite3.Connection:
    file = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE_S)
    file.row_factory = sqlite3.Row
    file.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    return file
