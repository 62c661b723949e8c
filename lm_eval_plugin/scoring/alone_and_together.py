"""The user by itself and with the model: what a dialogue says of both.

In the condition `answer_first` the user's own answer is the belief with which it goes into the dialogue; with `user_alone` it is
what it answered apart from it. Where a run has both, accuracy alone and the four cells are of the answer apart, and what becomes
of a belief is of the belief. A dialogue whose user named none of the letters alone is left out, and `valid_user_alone` says how
many were not; without a valid answer at its end it is wrong, as for `acc`.

Source: ChatBench, user study: the model repairs 54 % of the users' errors and misleads 10 % of those who were right. These are
people in the condition answer-first; `recovered` and `misled` go by what the assistant's replies support instead.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Protocol

from lm_eval_plugin.dialogue.transcript import AloneAnswer, Transcript
from lm_eval_plugin.scoring.kinds import Kind
from lm_eval_plugin.scoring.statistics import Estimate, Scores, mean_estimate, paired_test, pooled_estimate

PEOPLE_REPAIRED, PEOPLE_MISLED = 0.54, 0.10
"""The shares of people that the paper reports, for `alone_wrong_together_right` and `alone_right_together_wrong`."""

CELLS: Mapping[str, tuple[bool, bool]] = {
    "right_alone_right_together": (True, True),
    "right_alone_wrong_together": (True, False),
    "wrong_alone_right_together": (False, True),
    "wrong_alone_wrong_together": (False, False),
}
"""Whether the user is right alone, and together with the model."""


class Asked(Protocol):
    """A question about which there were dialogues, as far as it matters here."""

    @property
    def gold(self) -> Collection[str]:
        """Its right letter, or letters."""
        ...

    @property
    def scored(self) -> Sequence[Transcript]:
        """The dialogues that count."""
        ...


def is_right(letter: str | None, gold: Collection[str]) -> float:
    """1 if a letter is a right one, else 0; what is no letter is wrong."""
    return float(letter is not None and letter in gold)


def acc_user_alone(transcript: Transcript, asked: Asked) -> float | None:
    """acc_user_alone = 1 if the user's own answer is a right one, else 0; of the dialogues whose user has one."""
    return _known_right(transcript.alone or transcript.belief, asked)


def uplift(transcript: Transcript, asked: Asked) -> float | None:
    """Uplift = Acc - acc_user_alone, from -1 to 1; of the same dialogues."""
    alone = acc_user_alone(transcript, asked)
    return None if alone is None else is_right(transcript.answer, asked.gold) - alone


def valid_user_alone(transcript: Transcript) -> float | None:
    """valid_user_alone = 1 if what the user answered without help is one of the letters, each time that it was asked, else 0."""
    given = [answer for answer in (transcript.belief, transcript.alone) if answer is not None]
    return float(all(answer.letter is not None for answer in given)) if given else None


def alone_wrong_together_right(transcript: Transcript, asked: Asked) -> float | None:
    """alone_wrong_together_right = Acc, of the dialogues whose user was wrong before it had help."""
    before = _known_right(transcript.belief or transcript.alone, asked)
    return is_right(transcript.answer, asked.gold) if before == 0 else None


def alone_right_together_wrong(transcript: Transcript, asked: Asked) -> float | None:
    """alone_right_together_wrong = 1 - Acc, of the dialogues whose user was right before it had help."""
    before = _known_right(transcript.belief or transcript.alone, asked)
    return 1 - is_right(transcript.answer, asked.gold) if before == 1 else None


def _known_right(answer: AloneAnswer | None, asked: Asked) -> float | None:
    return None if answer is None or answer.letter is None else is_right(answer.letter, asked.gold)


def alone_and_together(tasks: Sequence[Sequence[Asked]]) -> dict[str, object] | None:
    """The four cells, and the paired test of `acc` against `acc_user_alone`.

    Args:
        tasks: The questions of each task; tasks are strata.

    Returns:
        `cells`, by the names of `CELLS` the shares of the dialogues whose user answered alone, each with its interval; and `test`.
        None where no user answered alone.
    """
    known = _known(tasks)
    if not known:
        return None
    cells = {name: asdict(_cell(known, which)) for name, which in CELLS.items()}
    return {"cells": cells, "test": _test(known)}


def cells_alone(tasks: Sequence[Sequence[Asked]]) -> dict[str, Estimate]:
    """The four cells of `alone_and_together` alone; empty where no user answered alone."""
    known = _known(tasks)
    return {name: _cell(known, which) for name, which in CELLS.items()} if known else {}


_Pairs = list[tuple[float, float]]  # of one question's dialogues: right alone, right together


def _known(tasks: Sequence[Sequence[Asked]]) -> list[list[_Pairs]]:
    """The questions of each task that have a pair, of those tasks that have such a question."""
    pairs = [[each for each in map(_pairs, questions) if each] for questions in tasks]
    return [questions for questions in pairs if questions]


def _pairs(asked: Asked) -> _Pairs:
    both = ((acc_user_alone(held, asked), is_right(held.answer, asked.gold)) for held in asked.scored)
    return [(alone, together) for alone, together in both if alone is not None]


def _cell(tasks: Sequence[Sequence[_Pairs]], which: tuple[bool, bool]) -> Estimate:
    scores: list[Scores] = [[[float(pair == which) for pair in pairs] for pairs in questions] for questions in tasks]
    return pooled_estimate([mean_estimate(each, Kind.SHARE) for each in scores], Kind.SHARE)


def _test(tasks: Sequence[Sequence[_Pairs]]) -> dict[str, object]:
    questions = [(pairs, task) for task, held in enumerate(tasks) for pairs in held]
    together = [[each for _, each in pairs] for pairs, _ in questions]
    alone = [[each for each, _ in pairs] for pairs, _ in questions]
    return asdict(paired_test(together, alone, Kind.SHARE, strata=[task for _, task in questions]))
