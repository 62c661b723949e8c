"""How a mean over questions scatters, from the questions of one task or of several.

The question is the unit: of its repeats only the mean enters, so repeats make a question surer and never count as further
questions. Sums are rounded once (`fsum`), so the order of questions and of tasks changes no bit of a result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, sqrt


@dataclass(frozen=True, slots=True)
class Stratum:
    """The questions of one task.

    Args:
        questions: How many have a score, from 1.
        mean: Of their means.
        squares: Sum of the squared deviations from it.
    """

    questions: int
    mean: float
    squares: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Stratum:
        """The stratum of the questions' means."""
        mean = fsum(values) / len(values)
        return cls(len(values), mean, fsum((value - mean) ** 2 for value in values))


@dataclass(frozen=True, slots=True)
class Spread:
    """How a mean over questions scatters.

    Args:
        mean: Over questions.
        error: Its standard error.
        questions: How many there are; under other weights than theirs, how many would scatter as much.
        freedom: Degrees of freedom of the standard error, from 1.
    """

    mean: float
    error: float
    questions: float
    freedom: int

    @property
    def squares(self) -> float:
        """Sum of squared deviations that a single task of as many questions with this standard error would have."""
        return self.error**2 * self.questions * (self.questions - 1)


def mean_of(strata: Sequence[Stratum], weights: Sequence[float]) -> float:
    """Mean = sum w_t mean_t."""
    return fsum(weight * each.mean for weight, each in zip(weights, strata, strict=True))


def by_questions(strata: Sequence[Stratum]) -> list[float]:
    """The weights under which every question counts the same, w_t = n_t / N."""
    questions = sum(each.questions for each in strata)
    return [each.questions / questions for each in strata]


def spread_of(strata: Sequence[Stratum], weights: Sequence[float]) -> Spread | None:
    """SE^2 = sum w_t^2 s_t^2 / n_t: tasks are fixed strata, so what differs between them is no error.

    s_t^2 has ddof 1. A task of one question says nothing about its spread; it is taken to scatter as all questions of all
    tasks together, which errs to the larger side by what differs between tasks. Degrees of freedom: questions less tasks,
    where the tasks of one question count as one.

    Source: Cochran, "Sampling Techniques" (1977), sections 5.4 and 5A.12 (strata of one unit are collapsed). Deviation:
    collapsed with all questions and not with a chosen neighbour, so that no order of the tasks matters.

    Args:
        strata: The tasks, at least one.
        weights: One a task, together 1.

    Returns:
        None for a single question, which says nothing about the spread.
    """
    questions = sum(each.questions for each in strata)
    lonely = any(each.questions == 1 for each in strata)
    freedom = questions - sum(each.questions > 1 for each in strata) - lonely
    if freedom < 1:
        return None
    together = _variance_together(strata, questions)
    parts = list(zip(weights, strata, strict=True))
    error = sqrt(fsum(weight**2 * _variance(each, together) / each.questions for weight, each in parts))
    as_many = 1 / fsum(weight**2 / each.questions for weight, each in parts)
    return Spread(mean_of(strata, weights), error, as_many, freedom)


def _variance(stratum: Stratum, together: float) -> float:
    return stratum.squares / (stratum.questions - 1) if stratum.questions > 1 else together


def _variance_together(strata: Sequence[Stratum], questions: int) -> float:
    """The variance of all questions as one pile, what differs between tasks included."""
    mean = mean_of(strata, by_questions(strata))
    squares = fsum(each.squares + each.questions * (each.mean - mean) ** 2 for each in strata)
    return squares / (questions - 1)
