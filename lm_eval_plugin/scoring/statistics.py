"""How sure a number is: standard errors, intervals and paired tests over questions.

The scores of a metric are Q questions x R repeats, one inner sequence a question; R may differ from question to
question. An unscored repeat is absent and a question without a score is left out: `questions` says how many counted.
The question is the unit of everything here: repeats of a question resemble each other, so they make its mean surer and
never count as further questions. Shuffling questions, or the repeats of a question, changes no bit of a result.

Which interval a mean gets follows from the kind of its scores, which is stated with the metric's name, never from what the
scores happen to be. A difference has one interval, and its p-value is that interval inverted: below 5 % where the 95 %
interval leaves out 0, and nowhere else. A group's interval and its test come from the same strata, its tasks.

Sources:
    Miller, "Adding Error Bars to Evals", arXiv 2411.00640 (2024): standard errors clustered by question, paired
    differences, the smallest difference that an evaluation can detect.
    `scoring.intervals` and `scoring.spread`: those of each interval, with what deviates.
    Holm, Scandinavian Journal of Statistics 6 (1979): the correction for several tests.
The choices among methods were made by simulation: `tests/benchmarks/coverage.py` holds the figures.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from math import fsum, isfinite, isinf, sqrt

from lm_eval_plugin.scoring.intervals import LEVEL, detectable, difference_pivot, flip_of, mean_interval
from lm_eval_plugin.scoring.kinds import Kind
from lm_eval_plugin.scoring.spread import Spread, Stratum, by_questions, mean_of, spread_of

Scores = Sequence[Sequence[float]]
"""One inner sequence a question: the scores of its repeats."""

_ROUNDING = 1e-6  # by how much a computed score may leave the bounds of its kind
_BINARY = {0.0, 1.0}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over questions and how sure it is.

    Attributes:
        value: The mean over questions of the question's mean.
        standard_error: In the units of the value; None where one question says nothing about the spread.
        low: Lower end of the 95 % interval; None where there is no standard error.
        high: Upper end, likewise.
        questions: How many questions had a score.
        scores: How many scores they had together.
        least: The least of the scores, for a kind without a greatest one; None for the other kinds.
    """

    value: float
    standard_error: float | None
    low: float | None
    high: float | None
    questions: int
    scores: int
    least: float | None = None


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Whether two runs differ on the same questions; a positive difference says that the first scored more.

    Attributes:
        difference: Mean over questions of first - second.
        low: Lower end of its 95 % interval; None for a single question.
        high: Upper end, likewise.
        p_value: Two-sided, of no difference: the interval inverted. None for a single question.
        method: "Agresti-Min" for shares and their differences, "paired t" for counts and scores.
        questions: How many questions had a score on both sides.
        gains: Questions that only the first got right; None unless every question is right or wrong on both sides.
        losses: Questions that only the second got right, likewise.
        detectable: The smallest true difference that as many such questions detect with 80 % power at alpha 0.05,
            two-sided; None where not even the greatest possible one would be.
    """

    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    method: str
    questions: int
    gains: int | None
    losses: int | None
    detectable: float | None


def mean_estimate(scores: Scores, kind: Kind) -> Estimate:
    """SE = sd of the question means (ddof 1) / sqrt(Q), around the mean of the question means.

    This is Miller's standard error clustered by question, for a mean in which each question weighs the same however
    many repeats it has: with R equal repeats his clustered formula, section 2.2, is sqrt(sum (mean_q - mean)^2) / Q, the
    same but for the small-sample factor sqrt(Q / (Q - 1)). The paper's code (interactive-eval) leaves that factor out too
    (ddof 0). With one repeat a question it is the usual standard error of a mean. The interval is that of the kind
    (`scoring.intervals.mean_interval`).

    Args:
        scores: Q questions, each with the scores of its repeats.
        kind: Of the scores.

    Raises:
        ValueError: No question has a score, or a score is not a finite number or out of the bounds of its kind.
    """
    held = [repeats for repeats in scores if len(repeats)]
    if not held:
        raise ValueError("There is no question with a score: nothing to estimate.")
    stratum = Stratum.of([_mean(repeats, kind) for repeats in held])
    error = sqrt(stratum.squares / (len(held) - 1) / len(held)) if len(held) > 1 else None
    least = min(map(min, held)) if isinf(kind.reach) else None
    bare = Estimate(stratum.mean, error, None, None, len(held), sum(map(len, held)), least)
    return pooled_estimate([bare], kind)


def pooled_estimate(parts: Sequence[Estimate], kind: Kind, *, tasks_alike: bool = False) -> Estimate:
    """The mean over all questions of a group whose tasks are strata, or the mean over its tasks.

    Every question weighs the same, so a task counts by its share of the questions; with `tasks_alike` every task does.
    Tasks are fixed strata: what differs between them is no error. A task of one question does not take the interval away
    (`scoring.spread.spread_of`). The interval is made as that of one task, and for one task it is that task's.

    Args:
        parts: One estimate a task; of their intervals nothing is used.
        kind: Of the scores.
        tasks_alike: Whether every task counts the same, however many questions it has.

    Returns:
        Without standard error and interval if there is a single question.

    Raises:
        ValueError: There is no part.
    """
    if not parts:
        raise ValueError("There is no task to pool.")
    strata = [_stratum(part) for part in parts]
    weights = [1 / len(parts)] * len(parts) if tasks_alike else by_questions(strata)
    known = [part.least for part in parts if part.least is not None]
    least = min(known) if len(known) == len(parts) else None
    questions, scores = sum(part.questions for part in parts), sum(part.scores for part in parts)
    whole = Estimate(mean_of(strata, weights), None, None, None, questions, scores, least)
    spread = spread_of(strata, weights)
    if spread is None:
        return whole
    low, high = mean_interval(spread, kind, least=least, repeats=scores / questions)
    return replace(whole, standard_error=spread.error, low=low, high=high)


def _stratum(part: Estimate) -> Stratum:
    error = part.standard_error or 0.0
    return Stratum(part.questions, part.value, error**2 * part.questions * (part.questions - 1))


def paired_test(first: Scores, second: Scores, kind: Kind, *, strata: Sequence[Hashable] | None = None) -> PairedTest:
    """Difference = mean over questions of (first's mean - second's mean), tested on the questions that both scored.

    The interval is that of `scoring.intervals.difference_pivot`: for shares that of Agresti and Min, carried over to
    repeats, for counts and scores Student's. The p-value is 1 less the level at which the interval ends at 0.

    Sign flips over questions are no alternative: without a true difference they take gains and losses to be alike, which a
    static answer less the mean of ten repeats is not (they reject 12.6 % instead of 5 % at 100 questions and 0.98); a plain
    t interval covers less still.

    Args:
        first: Q questions, each with the scores of its repeats.
        second: The same questions in the same order; a static score is a sequence of one.
        kind: Of the scores on both sides.
        strata: The task of each question, for several tasks; one task if None.

    Raises:
        ValueError: The sides differ in length, no question has a score on both, or a score is not a finite number or out of
            the bounds of its kind.
    """
    tasks = [None] * len(first) if strata is None else strata
    if not len(first) == len(second) == len(tasks):
        raise ValueError(f"The sides are not the same questions: {len(first)} against {len(second)}.")
    both = [each for each in zip(first, second, tasks, strict=True) if len(each[0]) and len(each[1])]
    if not both:
        raise ValueError("There is no question with a score on both sides: nothing to compare.")
    means = [(_mean(ours, kind), _mean(theirs, kind)) for ours, theirs, _ in both]
    spread = _spread([one - other for one, other in means], [task for _, _, task in both])
    right_or_wrong = _BINARY.issuperset(value for pair in means for value in pair)
    gained = [one - other for one, other in means if one != other]
    test = PairedTest(
        difference=fsum(gained) / len(both),
        low=None,
        high=None,
        p_value=None,
        method="Agresti-Min" if kind.of_shares else "paired t",
        questions=len(both),
        gains=sum(each > 0 for each in gained) if right_or_wrong else None,
        losses=sum(each < 0 for each in gained) if right_or_wrong else None,
        detectable=None,
    )
    if spread is None:
        return test
    flip = flip_of_sides([ours for ours, _, _ in both], [theirs for _, theirs, _ in both])
    pivot = difference_pivot(spread, flip, kind)
    low, high = pivot.interval()
    told = detectable(spread, flip, kind, (1 - LEVEL) / 2)
    return replace(test, low=low, high=high, p_value=pivot.p_of_none(), detectable=told)


def _spread(differences: Sequence[float], tasks: Sequence[Hashable]) -> Spread | None:
    """The spread of the questions' differences, each task a stratum."""
    by_task: dict[Hashable, list[float]] = {}
    for difference, task in zip(differences, tasks, strict=True):
        by_task.setdefault(task, []).append(difference)
    strata = [Stratum.of(values) for values in by_task.values()]
    return spread_of(strata, by_questions(strata))


def flip_of_sides(first: Scores, second: Scores) -> float:
    """The square of an unseen gain or loss of one question (`scoring.intervals.flip_of`).

    Args:
        first: Questions, each with the scores of its repeats, of which there is at least one.
        second: The same questions.
    """
    once = any(all(len(repeats) == 1 for repeats in side) for side in (first, second))
    if once:
        return flip_of(0.0, 0.0, once=True)
    ours, theirs = [Stratum.of(repeats) for repeats in first], [Stratum.of(repeats) for repeats in second]
    squares = fsum((one.mean - other.mean) ** 2 for one, other in zip(ours, theirs, strict=True))
    within = fsum(each.squares / each.questions for each in (*ours, *theirs))
    return flip_of(squares, squares + within, once=False)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p_(i) = max over j <= i of (m - j + 1) p_(j), at most 1: Holm's correction for m tests, in their order.

    Source: Holm, Scandinavian Journal of Statistics 6 (1979).
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def _mean(repeats: Sequence[float], kind: Kind) -> float:
    """The mean of a question's repeats; rounded once, so their order cannot matter."""
    if not all(map(isfinite, repeats)):
        raise ValueError(f"A score is not a finite number: {list(repeats)}. Leave out what was not scored.")
    least, greatest = kind.bounds
    if min(repeats) < least - _ROUNDING or max(repeats) > greatest + _ROUNDING:
        raise ValueError(f"A score is no {kind.value}, which lies from {least:g} to {greatest:g}: {list(repeats)}.")
    return fsum(repeats) / len(repeats)
