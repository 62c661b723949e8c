"""A run as it goes on, read from its cache again and again: what has ended, how accurate it is so far and how fast it goes."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lm_eval_plugin.cache.run_table import QuestionNote
from lm_eval_plugin.dialogue.transcript import Role, StopReason, Transcript
from lm_eval_plugin.results.cached_runs import run_so_far
from lm_eval_plugin.results.noted_runs import Ended, Follower, NotedRun, SideCounts, chosen_run
from lm_eval_plugin.results.runs import Run
from lm_eval_plugin.scoring.kinds import Kind
from lm_eval_plugin.scoring.metrics import accuracy
from lm_eval_plugin.scoring.statistics import Estimate, mean_estimate

WINDOW_S = 60.0
"""Over how long speeds are taken."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast one side goes.

    Args:
        replies: Messages a second, in dialogues that have ended.
        tokens: Tokens a second, likewise.
    """

    replies: float
    tokens: float


@dataclass(slots=True)
class Watched:
    """A run that is looked at again and again.

    Args:
        files: The files of its cache.
        noted: What it has noted of itself, as last read.
    """

    files: Sequence[Path]
    noted: NotedRun
    ended: list[Ended] = field(default_factory=list)
    questions: dict[str, QuestionNote] = field(default_factory=dict)
    counts: Mapping[str, SideCounts] = field(default_factory=dict)
    _follower: Follower = field(init=False)
    _asked: list[QuestionNote] = field(default_factory=list)
    _history: deque[tuple[float, Mapping[str, SideCounts]]] = field(default_factory=deque)
    _scores: dict[tuple[str, int], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._follower = Follower(self.files, self.noted.run)

    def look(self) -> list[Ended]:
        """Read what is new.

        Returns:
            The dialogues that have ended since the last look, in the order in which they ended.

        Raises:
            ConfigError: A file cannot be read.
        """
        self.noted = chosen_run(self.files, self.noted.run)
        new = self._follower.new()
        if not self._asked or any(each.transcript.question_id not in self.questions for each in new):
            self._asked = self._follower.questions()
            self.questions = {each.question_id: each for each in self._asked}
        self.counts = self._follower.counts()
        now = self.noted.ended or time.time()
        self._history.append((now, self.counts))
        while len(self._history) > 1 and now - self._history[0][0] > WINDOW_S:
            self._history.popleft()
        fresh = [each for each in new if self._takes(each.transcript)]
        self.ended += fresh
        return fresh

    def is_right(self, transcript: Transcript) -> bool | None:
        """Whether a dialogue ended with a right answer; None where a model failed, or its question is not known."""
        question = self.questions.get(transcript.question_id)
        if question is None or transcript.stop_reason is StopReason.MODEL_ERROR:
            return None
        return bool(accuracy(transcript, question.gold))

    def accuracy(self) -> Estimate | None:
        """The accuracy so far, with its interval over questions; None before the first dialogue."""
        by_question: dict[str, list[float]] = {}
        for (question_id, _), score in self._scores.items():
            by_question.setdefault(question_id, []).append(score)
        return mean_estimate(list(by_question.values()), Kind.SHARE) if by_question else None

    def static_accuracy(self) -> Estimate | None:
        """The static accuracy on the questions of which a dialogue has ended; None where none is known."""
        seen = {question_id for question_id, _ in self._scores}
        known = [[each.acc_static] for each in self.questions.values() if each.question_id in seen]
        scores = [[score] for (score,) in known if score is not None]
        return mean_estimate(scores, Kind.SHARE) if scores else None

    def done(self) -> int:
        """How many dialogues have ended with a score."""
        return len(self._scores)

    def of(self) -> int:
        """How many dialogues the run asks for, as far as its processes have said so."""
        return sum(int(self.noted.tasks[each.task].get("repeats", 1)) for each in self._asked)

    def events(self) -> Counter[str]:
        """In how many dialogues each event happened."""
        return Counter(event.value for each in self.ended for event in each.transcript.events or ())

    def stops(self) -> Counter[str]:
        """How many dialogues ended for each reason."""
        return Counter(each.transcript.stop_reason.value for each in self.ended)

    def speeds(self) -> dict[str, Speed]:
        """How fast each side went in the last minute; of a run that has ended, and at the first look, since its start."""
        last, counts = self._history[-1]
        first, before = self._history[0]
        if self.noted.ended is not None or len(self._history) == 1:
            first, before = self.noted.started, {}
        seconds = max(last - first, 1e-9)
        found = {}
        for role in Role:
            now, then = counts.get(role.value, SideCounts()), before.get(role.value, SideCounts())
            found[role.value] = Speed((now.replies - then.replies) / seconds, (now.tokens - then.tokens) / seconds)
        return found

    def run(self) -> Run:
        """What there is of the run, as finished ones are read."""
        return run_so_far(self.files[0], self.noted, self._asked, self.ended)

    def _takes(self, transcript: Transcript) -> bool:
        """Score a dialogue; False for one of another question, or that is there a second time, under an earlier release's key."""
        key = (transcript.question_id, transcript.repeat)
        if transcript.question_id not in self.questions or key in self._scores:
            return False
        if (right := self.is_right(transcript)) is not None:
            self._scores[key] = float(right)
        return True
