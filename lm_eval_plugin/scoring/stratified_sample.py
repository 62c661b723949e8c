"""A stratified sample of questions that people answered: its strata, and what every stratum has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LEAST_IN_STRATUM = 8
"""Answered questions below which a stratum is pooled with others."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers of people, one entry each.

    Args:
        question: The index of the question.
        person: A number for the person.
        right: Whether it is right, 1 or 0.
    """

    question: Integers
    person: Integers
    right: Floats


@dataclass(frozen=True, slots=True)
class Sample:
    """The answered questions.

    Args:
        index: Of each, among all questions.
        stratum: Of each.
        share: y, the share of right answers.
        noise: The sampling variance of y; NaN where no question has two answers.
        people: How many people answered.
    """

    index: Integers
    stratum: Integers
    share: Floats
    noise: Floats
    people: Integers


def pooled_strata(strata: Sequence[str], answered: Integers) -> tuple[tuple[tuple[str, ...], ...], Integers]:
    """The strata with those of too few answered questions made one, and the stratum of each question.

    If what was pooled is still too small, the stratum with the fewest answered questions joins it.
    """
    names, codes = np.unique(np.asarray(strata, dtype=object).astype(str), return_inverse=True)
    counts = np.bincount(codes[answered], minlength=len(names))
    small = counts < LEAST_IN_STRATUM
    while small.any() and counts[small].sum() < LEAST_IN_STRATUM and not small.all():
        small[min(np.flatnonzero(~small), key=lambda place: (counts[place], names[place]))] = True
    kept = np.flatnonzero(~small)
    number = np.full(len(names), len(kept))
    number[kept] = np.arange(len(kept))
    groups: list[tuple[str, ...]] = [(str(names[place]),) for place in kept]
    groups += [tuple(str(name) for name in names[small])] if small.any() else []
    return tuple(groups), number[codes]


def sample_of(answers: Answers, strata: Integers) -> Sample:
    """The answered questions of a sample, from all answers and the stratum of every question."""
    index, place = np.unique(answers.question, return_inverse=True)
    people = np.bincount(place)
    share = np.bincount(place, weights=answers.right) / people
    one = share * (1 - share) * people / np.where(people > 1, people - 1, np.nan)
    # What single answers scatter is told from the questions with several.
    known = one[~np.isnan(one)]
    noise = np.where(people > 1, one, known.mean() if len(known) else np.nan) / people
    return Sample(index, strata[index], share, noise, people)


@dataclass(frozen=True, slots=True)
class Strata:
    """What the strata amount to; one entry a stratum.

    Args:
        all: Stratum of every question.
        questions: N_h.
        answered: n_h.
        weight: W_h.
    """

    all: Integers
    questions: Floats
    answered: Floats
    weight: Floats

    @classmethod
    def of(cls, strata: Integers, sample: Sample) -> Strata:
        """Count the questions and the answered questions of each stratum."""
        questions = np.bincount(strata).astype(float)
        answered = np.bincount(sample.stratum, minlength=len(questions)).astype(float)
        return cls(strata, questions, answered, questions / questions.sum())

    def means(self, values: Floats, sample: Sample) -> Floats:
        """The mean over the answered questions of each stratum."""
        return np.bincount(sample.stratum, weights=values, minlength=len(self.weight)) / self.answered

    def variances(self, values: Floats, sample: Sample) -> Floats:
        """Their variance, ddof 1."""
        squares = (values - self.means(values, sample)[sample.stratum]) ** 2
        return np.bincount(sample.stratum, weights=squares, minlength=len(self.weight)) / (self.answered - 1)

    @property
    def unanswered(self) -> Floats:
        """1 - n_h / N_h."""
        return 1 - self.answered / self.questions
