"""Parting the questions of a release into those to train on and those to measure with; no question is ever on both sides.

Source: ChatBench, section on user simulation: 237 of 396 questions to train on, 159 to measure with, ten such splits.
Deviation: which questions these are is not published, so they are drawn here, one split for each seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from lm_eval_plugin.errors import ConfigError

HELD_OUT_PERCENT = 40


@dataclass(frozen=True, slots=True)
class Split:
    """The two sides of a split.

    Args:
        seed: What it was drawn from.
        train: Ids of the questions to train on.
        held_out: Ids of those to measure with.
    """

    seed: int
    train: frozenset[str]
    held_out: frozenset[str]


def split_questions(question_ids: Iterable[str], seed: int, held_out_percent: int = HELD_OUT_PERCENT) -> Split:
    """The split of a seed; the order of the ids is irrelevant.

    Args:
        question_ids: All questions.
        seed: Which split.
        held_out_percent: How many of 100 questions are held out, rounded up.

    Raises:
        ConfigError: One side would be empty.
    """
    ids = sorted(set(question_ids))
    held_out = -(-len(ids) * held_out_percent // 100)
    if not 0 < held_out < len(ids):
        raise ConfigError(
            f"{len(ids)} questions with {held_out_percent} % held out leave one side of the split empty; give more "
            "questions, or another share from 1 to 99"
        )
    random.Random(seed).shuffle(ids)
    return Split(seed, frozenset(ids[held_out:]), frozenset(ids[:held_out]))
