"""What a run notes of itself in the file of `--use_cache`, for whoever looks on; nobody who takes part reads it.

Beside the dialogues, which several runs may share, each process keeps in its own file:

    runs           one row a run and process: when it started and ended, the model, its tasks with their settings as JSON, the
                   rest of its configuration as JSON; secrets are masked
    run_questions  what it asks, with the right letters, which no simulated user or model is ever shown, and the static score
    run_dialogues  which of the dialogues in the file are its own, and when each was there
    run_failures   the dialogues that ended by a model error, which are not kept, since they are tried again
    run_counts     replies, tokens and errors of each side

The processes of a run share its id.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lm_eval_plugin.border.masking import masked, masked_text
from lm_eval_plugin.cache.sqlite_files import PATIENCE_S, connected, explained
from lm_eval_plugin.dialogue.transcript import Role

_TABLES = (
    """CREATE TABLE IF NOT EXISTS runs (run TEXT, rank INTEGER, started REAL NOT NULL, ended REAL, outcome TEXT,
    model TEXT NOT NULL, tasks TEXT NOT NULL, configuration TEXT NOT NULL, PRIMARY KEY (run, rank))""",
    """CREATE TABLE IF NOT EXISTS run_questions (run TEXT, task TEXT, place INTEGER, question_id TEXT NOT NULL,
    subject TEXT NOT NULL, stem TEXT NOT NULL, choices TEXT NOT NULL, gold TEXT NOT NULL, acc_static REAL,
    PRIMARY KEY (run, task, place))""",
    "CREATE TABLE IF NOT EXISTS run_dialogues (run TEXT, key TEXT, at REAL NOT NULL, PRIMARY KEY (run, key))",
    "CREATE TABLE IF NOT EXISTS run_failures (run TEXT, transcript TEXT NOT NULL, at REAL NOT NULL)",
    """CREATE TABLE IF NOT EXISTS run_counts (run TEXT, side TEXT, replies INTEGER NOT NULL, tokens INTEGER NOT NULL,
    errors INTEGER NOT NULL, PRIMARY KEY (run, side))""",
)

_NOTED: ContextVar[str | None] = ContextVar("run whose dialogues are noted", default=None)


@dataclass(frozen=True, slots=True)
class RunNote:
    """What a process of a run notes when it starts.

    Args:
        run: The run's id, which its processes share.
        rank: The number of the process.
        started: When the process started, in seconds since 1970.
        model: The model under test, as lm_eval names it.
        tasks: The settings of each task with dialogues.
        configuration: What else the run was started with.
    """

    run: str
    rank: int
    started: float
    model: str
    tasks: Mapping[str, Mapping[str, Any]]
    configuration: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class QuestionNote:
    """A question of a run.

    Args:
        task: The task that asks it.
        place: Its index in the task, over all processes.
        question_id: Its id.
        subject: Its subject.
        stem: The question without its options.
        choices: Its options, as the dialogues show them.
        gold: The right letters.
        acc_static: The static score; None where there is none yet, or none at all.
    """

    task: str
    place: int
    question_id: str
    subject: str
    stem: str
    choices: Sequence[str]
    gold: Sequence[str]
    acc_static: float | None


def make_run_tables(file: sqlite3.Connection) -> None:
    """Make the tables of runs in a cache file that lacks them."""
    for statement in _TABLES:
        file.execute(statement)


def note_start(path: Path, note: RunNote) -> None:
    """Note that a process of a run has started, and again as soon as more of it is known.

    Raises:
        ConfigError: The cache file cannot be written.
    """
    tasks, configuration = (json.dumps(masked(dict(each)), default=str) for each in (note.tasks, note.configuration))
    with _opened(path) as file:
        make_run_tables(file)
        file.execute(
            "REPLACE INTO runs VALUES (?, ?, ?, NULL, NULL, ?, ?, ?)",
            (note.run, note.rank, note.started, masked_text(note.model), tasks, configuration),
        )
        sides = [(note.run, role.value) for role in Role]
        file.executemany("INSERT OR IGNORE INTO run_counts VALUES (?, ?, 0, 0, 0)", sides)


def note_questions(path: Path, run: str, questions: Iterable[QuestionNote]) -> None:
    """Note what a run asks, and again as soon as more of it is known.

    Raises:
        ConfigError: The cache file cannot be written.
    """
    rows = [
        (
            run,
            each.task,
            each.place,
            each.question_id,
            each.subject,
            each.stem,
            json.dumps(list(each.choices)),
            json.dumps(sorted(each.gold)),
            each.acc_static,
        )
        for each in questions
    ]
    with _opened(path) as file, transaction(file):
        file.executemany("REPLACE INTO run_questions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def note_end(path: Path, run: str, rank: int, outcome: str) -> None:
    """Note how a process of a run has ended.

    Args:
        path: Its cache file.
        run: The run's id.
        rank: The number of the process.
        outcome: `finished`, or the error that ended it.

    Raises:
        ConfigError: The cache file cannot be written.
    """
    with _opened(path) as file:
        file.execute(
            "UPDATE runs SET ended = ?, outcome = ? WHERE run = ? AND rank = ?",
            (time.time(), masked_text(outcome), run, rank),
        )


@contextmanager
def noting(run: str) -> Iterator[None]:
    """Have the dialogues that end meanwhile in this context noted as a run's own."""
    token = _NOTED.set(run)
    try:
        yield
    finally:
        _NOTED.reset(token)


def noted_run() -> str | None:
    """The run whose dialogues are to be noted; None for none."""
    return _NOTED.get()


def note_dialogues(file: sqlite3.Connection, run: str, keys: Iterable[str]) -> None:
    """Note that dialogues are a run's own; the caller commits."""
    at = time.time()
    file.executemany("INSERT OR IGNORE INTO run_dialogues VALUES (?, ?, ?)", [(run, key, at) for key in keys])


def note_counts(file: sqlite3.Connection, run: str, transcript: str) -> None:
    """Add what was said in a dialogue that has just ended to the counts of a run; the caller commits."""
    messages = json.loads(transcript)["messages"]
    for role in Role:
        own = [message for message in messages if message["role"] == role.value]
        tokens = sum(message["tokens"] or 0 for message in own)
        file.execute(
            "UPDATE run_counts SET replies = replies + ?, tokens = tokens + ? WHERE run = ? AND side = ?",
            (len(own), tokens, run, role.value),
        )


def note_failure(file: sqlite3.Connection, run: str, transcript: str) -> None:
    """Note a dialogue that a model error has ended; the caller commits."""
    messages = json.loads(transcript)["messages"]
    failed = Role.ASSISTANT if messages and messages[-1]["role"] == Role.USER.value else Role.USER
    file.execute("INSERT INTO run_failures VALUES (?, ?, ?)", (run, transcript, time.time()))
    file.execute("UPDATE run_counts SET errors = errors + 1 WHERE run = ? AND side = ?", (run, failed.value))


@contextmanager
def transaction(file: sqlite3.Connection) -> Iterator[None]:
    """Commit what is written meanwhile at once, or nothing of it."""
    file.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        file.execute("ROLLBACK")
        raise
    file.execute("COMMIT")


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with explained(path), closing(connected(path, PATIENCE_S)) as file:
        yield file
