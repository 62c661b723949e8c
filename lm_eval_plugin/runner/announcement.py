"""What a run says of itself before its first dialogue, and, once some have ended, how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.config.dialogue import DialogueConfig
from lm_eval_plugin.config.request import DialogueRequest
from lm_eval_plugin.config.simulator import SimulatorConfig
from lm_eval_plugin.dialogue.transcript import Message, Role, Transcript
from lm_eval_plugin.runner.participants import label_of

logger = logger_of(__name__)

ENOUGH = 20
"""Dialogues after which the rest is estimated."""

WORTH_SAYING_S = 60.0
"""What takes less than this needs no estimate."""


def announce(requests: Sequence[DialogueRequest], kept_in: Path | None, processes: int = 1) -> None:
    """Say in one line a simulator what will be run, what of it is kept, and what it will cost.

    Args:
        requests: All that this process runs, each question once.
        kept_in: The file that keeps dialogues as they end; None if nothing does.
        processes: How many processes share the questions.
    """
    kinds: dict[str, list[DialogueRequest]] = {}
    for request in requests:
        kinds.setdefault(_kind(request.dialogue), []).append(request)
    for kind, asked in kinds.items():
        dialogue = asked[0].dialogue
        least = len(asked) * dialogue.repeats
        share = f" (this process, one of {processes})" if processes > 1 else ""
        logger.info(
            "%s%s, %s each, at most %s: %s to %s replies of the model under test; %s; %s.",
            _count(len(asked), "question"),
            share,
            _count(dialogue.repeats, "dialogue"),
            _count(dialogue.max_turns, "turn"),
            f"{least:,}",
            f"{least * dialogue.max_turns:,}",
            kind,
            f"each dialogue is kept in {kept_in} as it ends" if kept_in else "nothing is kept (--use_cache PATH would)",
        )


def _kind(dialogue: DialogueConfig) -> str:
    """Simulator, format, policy and static scores in words; equal for requests that one line tells of."""
    static = ", ".join(dialogue.static)
    return f"simulator {label_of(dialogue)} ({_policy(dialogue.simulator)}); static score: {static}"


def _policy(simulator: SimulatorConfig) -> str:
    reading = f", reading {simulator.reading}" if simulator.policy == "chatbench" else ""
    return f"policy {simulator.policy}{reading}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


@dataclass(slots=True)
class Pace:
    """How fast the dialogues of a run go; it says once how long the rest will take.

    So that many short ones at the start mislead nobody, it waits until as many have ended as are under way. The rest is taken to
    have as many replies to a dialogue as there were so far for each that has ended, the unfinished ones included.

    Args:
        total: Dialogues that are to be run.
        max_turns: Most replies of the model under test in one.
        now: The clock, in seconds.
    """

    total: int
    max_turns: int
    now: Callable[[], float] = time.monotonic
    _begun: set[int] = field(default_factory=set)
    _ended: int = 0
    _replies: int = 0
    _start: float = 0.0
    _said: bool = False

    def __post_init__(self) -> None:
        """Start the clock."""
        self._start = self.now()

    def heard(self, index: int, message: Message) -> None:
        """Count a message of the dialogue with this index."""
        self._begun.add(index)
        self._replies += message.role is Role.ASSISTANT

    def ended(self, _index: int, _transcript: Transcript) -> None:
        """Count a dialogue as ended, and say how long the rest will take when enough have."""
        self._ended += 1
        under_way = len(self._begun) - self._ended
        if self._said or self._ended < max(ENOUGH, under_way):
            return
        self._said = True
        for sentence in self._estimate():
            logger.info("%s", sentence)

    def _estimate(self) -> Iterator[str]:
        of_each = min(self._replies / self._ended, self.max_turns)
        rest = self.total * of_each - self._replies
        seconds = (self.now() - self._start) * rest / max(self._replies, 1)
        if seconds >= WORTH_SAYING_S:
            yield (
                f"{self._ended} of {self.total:,} dialogues have ended, with {self._replies:,} replies of the model under test so "
                f"far: about {self.total * of_each:,.0f} replies in all, and {_duration(seconds)} for the rest."
            )


def _duration(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} hours"
