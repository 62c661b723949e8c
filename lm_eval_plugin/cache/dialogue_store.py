"""Finished dialogues, kept in the sqlite file of the host's `--use_cache` beside its own responses.

A dialogue is there for good when `put` returns, so a run that was killed holds again only what was under way. The host
gives each process a file, `PATH_rank0.db` and so on; this package adds a table to it:

    CREATE TABLE dialogues (key TEXT PRIMARY KEY, transcript TEXT NOT NULL)

In a run that notes itself (`cache.run_table`), the same write says that the dialogue is one of its own.
A key (`dialogue_key`) holds all that decides what is said, both models included, so it never finds another run's dialogue.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import RLock
from typing import Protocol

from lm_eval_plugin.border.masking import masked
from lm_eval_plugin.cache.run_table import (
    make_run_tables,
    note_counts,
    note_dialogues,
    note_failure,
    noted_run,
    transaction,
)
from lm_eval_plugin.cache.sqlite_files import PATIENCE_S, connected, explained, of_other_processes
from lm_eval_plugin.config.condition import DIRECT
from lm_eval_plugin.config.request import DialogueRequest
from lm_eval_plugin.dialogue.transcript import VERSION
from lm_eval_plugin.models.model_identity import as_earlier, without_place

_MAKE_TABLE = "CREATE TABLE IF NOT EXISTS dialogues (key TEXT PRIMARY KEY, transcript TEXT NOT NULL)"

_FOUND_AT_ONCE = 1_000  # dialogues of an earlier run that are noted in one write

_NOT_SAID = {
    # Who judges and reads, how the model alone is scored, where the question came from, and what memory may be used.
    "judge",
    "reader",
    "static",
    "dataset",
    "stem",
    "choices",
    "shuffle_choices",
    "include",
    "kv_cache",
    "outage_s",
    # What the user answers apart from its dialogue.
    "user_alone",
    # What a share of errors means for the exit status, and which metrics the table shows.
    "max_model_errors",
    "metrics",
    # Each repeat has a key of its own, so that more of them find those that there are.
    "repeats",
}


class _Responses(Protocol):
    """lm_eval's cache of responses."""

    @property
    def filename(self) -> str: ...


class _CacheHook(Protocol):
    """What lm_eval hangs on a model for its cache; without one it has no responses."""

    @property
    def dbdict(self) -> _Responses | None: ...


class CachedModel(Protocol):
    """A model of lm_eval, as far as its cache goes."""

    @property
    def cache_hook(self) -> _CacheHook:
        """Its cache."""


class DialogueStore:
    """The finished dialogues in a cache file, for as long as it is open; every thread may use it.

    Files of other processes of the same run, or of an earlier one with more of them, are looked into but not written to.

    Args:
        path: The cache file of this process.
        files: Connections to all files that hold dialogues, this one among them.
    """

    def __init__(self, path: Path, files: Mapping[Path, sqlite3.Connection]) -> None:
        self.path = path
        self._files = files
        self._run = noted_run()
        self._found: list[str] = []
        self._writing = RLock()

    @classmethod
    @contextmanager
    def beside(cls, lm: CachedModel) -> Iterator[DialogueStore | None]:
        """The store in the host's cache of a model; None for a model without one.

        Raises:
            ConfigError: As `opened`.
        """
        responses = lm.cache_hook.dbdict
        if responses is None:
            yield None
            return
        with cls.opened(Path(responses.filename)) as store:
            yield store

    @classmethod
    @contextmanager
    def opened(cls, path: Path, patience_s: float = PATIENCE_S) -> Iterator[DialogueStore]:
        """The store in a cache file of the host, which is there already.

        Args:
            path: The file.
            patience_s: How long to wait, now and later, for another process that is using a file.

        Raises:
            ConfigError: It, or that of another process, is damaged, locked or cannot be written.
        """
        files = {}
        with ExitStack() as stack:
            for each in (path, *of_other_processes(path)):
                with explained(each):
                    file = stack.enter_context(closing(connected(each, patience_s)))
                    if each == path:
                        file.execute(_MAKE_TABLE)
                        if noted_run() is not None:
                            make_run_tables(file)
                        # Not lost when the power goes right after a commit, either.
                        file.execute("PRAGMA synchronous = EXTRA")
                    if _has_dialogues(file):
                        files[each] = file
            store = cls(path, files)
            try:
                yield store
            finally:
                store.note_found()

    def get(self, key: str) -> str | None:
        """The transcript of a finished dialogue as JSON, from this process's file or another's; None if it is in none.

        Raises:
            ConfigError: A file cannot be read.
        """
        for path, file in self._files.items():
            with explained(path):
                row = file.execute("SELECT transcript FROM dialogues WHERE key = ?", (key,)).fetchone()
            if row is not None:
                transcript: str = row[0]
                self._found.append(key)
                if len(self._found) == _FOUND_AT_ONCE:
                    self.note_found()
                return transcript
        return None

    def note_found(self) -> None:
        """Note the dialogues that were there already as the run's own.

        Raises:
            ConfigError: It cannot be written.
        """
        found, self._found = self._found, []
        if self._run is None or not found:
            return
        file = self._files[self.path]
        with self._writing, explained(self.path), transaction(file):
            note_dialogues(file, self._run, found)

    def count(self, keys: Iterable[str]) -> int:
        """Of how many of the keys a dialogue is kept, in this process's file or another's.

        Raises:
            ConfigError: A file cannot be read.
        """
        kept: set[str] = set()
        for path, file in self._files.items():
            with explained(path):
                kept.update(key for (key,) in file.execute("SELECT key FROM dialogues"))
        return sum(key in kept for key in keys)

    def put(self, key: str, transcript: str) -> None:
        """Keep the transcript of a finished dialogue, given as JSON.

        Raises:
            ConfigError: It cannot be written, for want of room for one.
        """
        file = self._files[self.path]
        self.note_found()
        with self._writing, explained(self.path), transaction(file):
            file.execute("REPLACE INTO dialogues VALUES (?, ?)", (key, transcript))
            if self._run is not None:
                note_dialogues(file, self._run, [key])
                note_counts(file, self._run, transcript)

    def note_failed(self, transcript: str) -> None:
        """Note a dialogue that a model error has ended, given as JSON; it is not kept, so that it is tried again.

        Raises:
            ConfigError: It cannot be written.
        """
        if self._run is None:
            return
        file = self._files[self.path]
        with self._writing, explained(self.path), transaction(file):
            note_failure(file, self._run, transcript)


KEY_VERSION = 2
"""Version of the keys: it changes when what is said to the same settings does, or when something else decides it."""

_EARLIER_RELEASE = "0.1.0"
"""The release whose keys had no version."""

_REWORDED = ("two_step_problem", "two_step_help", "iqa_eval")
"""Policies that say something else than in that release."""


@dataclass(frozen=True, slots=True)
class DialogueKey:
    """Under which a dialogue is kept, and under which an earlier release kept it.

    Args:
        key: 64 hex digits that differ as soon as anything differs that decides what is said.
        earlier: The key without a version, which held paths and labels, too; None where that release said something else.
    """

    key: str
    earlier: str | None = None


def dialogue_key(
    request: DialogueRequest, repeat: int, assistant: Mapping[str, object], user: Mapping[str, object]
) -> DialogueKey:
    """The key of a dialogue. Where a model lies, what it is called, and what is secret are no part of it.

    Args:
        request: The request that it is of.
        repeat: Which of the request's dialogues it is, from 0.
        assistant: Identity of the model under test; see `model_identity`.
        user: Identity of the simulated user's model; empty for a user without one.
    """
    dialogue = request.dialogue.model_dump(mode="json", exclude=_NOT_SAID)
    # The model's identity says what they amount to; others of them, such as a number of retries, decide nothing.
    del dialogue["simulator"]["model_args"]
    # There was no other condition, and it was not named.
    if dialogue["condition"] == DIRECT:
        del dialogue["condition"]
    decisive = {
        "transcript": VERSION,
        "question": asdict(request.question),
        "system": request.system,
        "chat_template": request.chat_template,
        "seed": request.seed,
        "repeat": repeat,
    }
    simulator = {key: entry for key, entry in dialogue["simulator"].items() if key != "label"}
    own = {"assistant": without_place(assistant), "user": without_place(user)}
    key = _digest({"version": KEY_VERSION, **decisive, **own, "dialogue": masked({**dialogue, "simulator": simulator})})
    # There was no other protocol either, and it was not named.
    if (
        dialogue.pop("protocol") != "default"
        or "condition" in dialogue
        or request.dialogue.simulator.policy in _REWORDED
    ):
        return DialogueKey(key)
    earlier = {
        "release": _EARLIER_RELEASE,
        "assistant": as_earlier(assistant),
        "user": as_earlier(user),
        "dialogue": dialogue,
    }
    return DialogueKey(key, _digest({**decisive, **earlier}))


def _digest(decisive: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _has_dialogues(file: sqlite3.Connection) -> bool:
    return file.execute("SELECT 1 FROM sqlite_master WHERE name = 'dialogues'").fetchone() is not None
