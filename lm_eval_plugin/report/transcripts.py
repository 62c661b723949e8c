"""The dialogues in the page: an index to list and filter them by, and compressed blocks that are opened when needed.

The index is one object of columns, with an entry for each dialogue, in which `model`, `subject`, `stop` and `events` are
places in the lists of `names`; a block is a list of dialogues, `BLOCK` of them, in the same order:

    {"size": 64, "names": {"model": ["m"], "subject": ["virology"], "stop": ["answered"], "event": ["echo"]},
     "columns": {"model": [0], "subject": [0], "question": ["What is ..."], "static": ["right"], "outcome": ["wrong"],
                 "stop": [0], "events": [[0]], "turns": [2]}}
    [{"id": "virology-3", "question": "What is ...?", "choices": ["54", "56"], "gold": ["B"], "messages": [...],
      "readings": ["AC", "B"], ...}]

Texts are as they were said, whatever they hold: JSON in ASCII, gzip, base64.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lm_eval_plugin.dialogue.transcript import Transcript
from lm_eval_plugin.report.data import outcome, static_outcome
from lm_eval_plugin.results.runs import Run, TaskRun
from lm_eval_plugin.results.samples import Readings, StaticResponse
from lm_eval_plugin.scoring.metrics import QuestionRecord, readings, user_turns

BLOCK = 64
"""Dialogues in one block."""

READ_NOW = 1_000
"""Replies of a page that are read where their run has not logged what they support; reading one takes milliseconds."""

_SHOWN = 160  # characters of a question in the list
_LEVEL = 6  # of compression; higher ones take twice the time for 1 %


@dataclass(slots=True)
class TranscriptStore:
    """Takes the dialogues of one run after the other and packs them.

    Attributes:
        blocks: The full blocks, packed.
    """

    blocks: list[str] = field(default_factory=list)
    _runs: int = 0
    _may_read: int = READ_NOW
    _names: dict[str, dict[str, int]] = field(default_factory=lambda: {"subject": {}, "stop": {}, "event": {}})
    _columns: dict[str, list[object]] = field(default_factory=dict)
    _open: list[dict[str, object]] = field(default_factory=list)

    def add(self, run: Run) -> None:
        """Add the dialogues of a run; its place among the runs is its place in the index's models."""
        unread = _unread(run)
        read = unread <= self._may_read
        self._may_read -= unread if read else 0
        for task in run.tasks.values():
            for record, static, known in _with_logged(task, read=read):
                for transcript, letters in zip(record.transcripts, known, strict=True):
                    self.add_dialogue(listed(record, transcript), dialogue_shown(record, transcript, static, letters))
        self._runs += 1

    def add_dialogue(self, entry: Mapping[str, Any], shown: dict[str, Any]) -> None:
        """Add one dialogue of the run whose turn it is.

        Args:
            entry: Its entry in the list, as `listed` makes it.
            shown: The dialogue, as `dialogue_shown` makes it.
        """
        row = {
            **entry,
            "model": self._runs,
            "subject": self._place("subject", entry["subject"]),
            "stop": self._place("stop", entry["stop"]),
            "events": [self._place("event", event) for event in entry["events"]],
        }
        for name, value in row.items():
            self._columns.setdefault(name, []).append(value)
        self._open.append(shown)
        if len(self._open) == BLOCK:
            self._close()

    def index(self, models: Iterable[str]) -> str:
        """The packed index, and with it the last block.

        Args:
            models: What to call each run.
        """
        if self._open:
            self._close()
        names = {**{name: list(places) for name, places in self._names.items()}, "model": list(models)}
        return packed({"size": BLOCK, "names": names, "columns": self._columns})

    def _close(self) -> None:
        self.blocks.append(packed(self._open))
        self._open = []

    def _place(self, kind: str, name: str) -> int:
        return self._names[kind].setdefault(name, len(self._names[kind]))


def listed(record: QuestionRecord, transcript: Transcript) -> dict[str, object]:
    """A dialogue's entry in the list, with names in full."""
    return {
        "subject": record.question.subject,
        "question": _start(record.question.stem),
        "static": static_outcome(record),
        "outcome": outcome(transcript, record),
        "stop": transcript.stop_reason.value,
        "events": [event.value for event in transcript.events or ()],
        "turns": int(user_turns(transcript)),
    }


def packed(value: object) -> str:
    """A value as JSON, compressed, in letters that mean nothing to HTML."""
    compressed = gzip.compress(json.dumps(value, separators=(",", ":"), allow_nan=False).encode(), _LEVEL, mtime=0)
    return base64.b64encode(compressed).decode()


def _finite(value: float | None) -> float | str | None:
    """A number as JSON can hold it; that of what a model takes for impossible is a text."""
    return value if value is None or math.isfinite(value) else str(value)


def _start(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _with_logged(
    task: TaskRun, *, read: bool
) -> Iterable[tuple[QuestionRecord, tuple[StaticResponse, ...], list[Sequence[str] | None]]]:
    """The questions, each with what was said without a dialogue and the readings of each dialogue's replies."""
    none = len(task.records)
    asked = zip(task.records, task.static or ((),) * none, task.readings or (None,) * none, strict=True)
    for record, static, logged in asked:
        yield record, static, _readings(record, logged, read=read)


def _unread(run: Run) -> int:
    """How many replies of a run have no logged reading."""
    return sum(
        len(held.messages) // 2
        for task in run.tasks.values()
        for record, logged in zip(task.records, task.readings or (None,) * len(task.records), strict=True)
        if logged is None
        for held in record.transcripts
    )


def _readings(record: QuestionRecord, logged: Readings | None, *, read: bool) -> list[Sequence[str] | None]:
    """The readings of each dialogue; None where the run has not logged those of its replies, and they are too many to read."""
    given: Sequence[Sequence[str] | None] = logged or (None,) * len(record.transcripts)
    known = dict(enumerate(given))
    found: list[Sequence[str] | None] = []
    for place, held in enumerate(record.transcripts):
        one = known.get(place)
        if one is None and read:
            one = ["".join(sorted(letters)) for letters in readings(held, record.question)]
        found.append(one)
    return found


def dialogue_shown(
    record: QuestionRecord, transcript: Transcript, static: Iterable[StaticResponse], read: Sequence[str] | None
) -> dict[str, object]:
    """A dialogue as the page's script takes it.

    Args:
        record: Its question.
        transcript: What was said.
        static: What the model said of the question without a dialogue.
        read: Which options its replies support; None where that is not known.
    """
    return {
        **json.loads(transcript.to_json()),
        "question": record.question.stem,
        "choices": record.question.choices,
        "gold": sorted(record.gold),
        "acc_static": record.acc_static,
        "static": [{**response._asdict(), "log_likelihood": _finite(response.log_likelihood)} for response in static],
        "readings": read,
    }
