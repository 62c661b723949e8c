"""Whether paired scores show a drop beyond what is tolerated: the checks of a gate.

A question's drop is the mean over its pairs of baseline - candidate, the other way round for a metric of which less is
better. The mean drop has one interval, that of every other difference (`scoring.intervals.difference_pivot`), each end of
which errs with probability alpha. It alone decides:

    low > max_drop       fails: only a drop beyond the tolerated one explains the scores
    high <= max_drop     passes: no drop beyond the tolerated one does
    otherwise            cannot tell

The p-value is one-sided, of a drop of at most max_drop, and is the interval inverted: it is at most alpha where low is at
least max_drop. Of several checks the interval has the alpha that Holm's correction leaves it, so that `adjusted`, Holm's
p-value, is at most the gate's alpha where the check fails. If there are several tasks, half of alpha is for all tasks
together, each a stratum, and half for each task by itself.

    detectable           the smallest drop that is told from none with 80 % power
    fails_at             max_drop + detectable, the smallest true drop that fails with 80 % power

Sources: as `scoring.intervals`; Holm, Scandinavian Journal of Statistics 6 (1979); for the shifted test, Wellek, "Testing
Statistical Hypotheses of Equivalence and Noninferiority" (2010). Size and power are in `tests/benchmarks/gate.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from math import fsum, isfinite

from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.scoring.intervals import Pivot, detectable, difference_pivot
from lm_eval_plugin.scoring.metrics import METRICS
from lm_eval_plugin.scoring.spread import Stratum, by_questions, spread_of
from lm_eval_plugin.scoring.statistics import flip_of_sides, holm

POOLED = "all tasks"
"""Names the check of all tasks together, each question counting the same."""

Pair = tuple[float, float]
"""A score of the baseline and one of the candidate."""


class Verdict(Enum):
    """What a check says of the candidate."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    FAIL = "fail"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Limits:
    """What the gate tolerates.

    Args:
        max_drop: In the metric's units, from 0 up.
        alpha: How often a candidate whose drop is max_drop may fail; above 0 and below 0.5.
        max_unscored: The share of a task's dialogues that may lack a score, from 0 to 1.
    """

    max_drop: float = 0.02
    alpha: float = 0.05
    max_unscored: float = 0.05

    def __post_init__(self) -> None:
        if not (isfinite(self.max_drop) and self.max_drop >= 0):
            raise ConfigError(f"the largest drop is {self.max_drop}; give a number from 0 up")
        if not 0 < self.alpha < 0.5:
            raise ConfigError(f"alpha is {self.alpha}; give a number above 0 and below 0.5")
        if not 0 <= self.max_unscored <= 1:
            raise ConfigError(f"the largest unscored share is {self.max_unscored}; give a number from 0 to 1")


@dataclass(frozen=True, slots=True)
class Pairs:
    """The scores of a metric in one task, paired.

    Args:
        questions: Of each question with a pair, its pairs of baseline and candidate.
        unscored: As in `Check`.
    """

    questions: tuple[tuple[Pair, ...], ...]
    unscored: float = 0.0


@dataclass(frozen=True, slots=True)
class Check:
    """One metric of one task, or of all tasks.

    Attributes:
        metric: Its name.
        task: The task's name, or `POOLED`.
        questions: How many have a score on both sides.
        pairs: How many dialogues of theirs have one.
        unscored: Share of the dialogues without a score where one was due, on the side that has more of them.
        baseline: Mean over questions.
        candidate: Likewise.
        drop: What the candidate is worse by, in the metric's units; below 0 it is better.
        low: Lower end of the interval of the drop; None for a single question.
        high: Upper end, likewise.
        alpha: How often each end of the interval errs.
        p_value: One-sided, of a drop of at most max_drop; None for a single question.
        adjusted: The p-value after Holm's correction for several checks.
        detectable: The smallest drop that can be told from none with 80 % power; None where not even the greatest can.
        fails_at: The smallest true drop that fails with 80 % power, likewise.
        verdict: What follows from the interval.
    """

    metric: str
    task: str
    questions: int
    pairs: int
    unscored: float
    baseline: float
    candidate: float
    drop: float
    low: float | None = None
    high: float | None = None
    alpha: float | None = None
    p_value: float | None = None
    adjusted: float | None = None
    detectable: float | None = None
    fails_at: float | None = None
    verdict: Verdict = Verdict.CANNOT_TELL


def is_pooled(check: Check) -> bool:
    """Whether a check is of all tasks together, or of all of one simulator."""
    return check.task == POOLED or check.task.startswith(f"{POOLED}@")


def decided(
    groups: Mapping[str, Mapping[str, Pairs]], limits: Limits, simulators: Mapping[str, Sequence[str]] | None = None
) -> tuple[Check, ...]:
    """The checks of paired scores, corrected for how many they are.

    Args:
        groups: For each task, the pairs of every metric.
        limits: What is tolerated.
        simulators: The tasks of each simulator, where there are several; what they say of a question is never pooled.
    """
    families = [[(task, metric, [pairs]) for task, held in groups.items() for metric, pairs in held.items()]]
    several = simulators if simulators and len(simulators) > 1 else {"": list(groups)}
    pools = {f"{POOLED}@{name}" if name else POOLED: tasks for name, tasks in several.items() if len(tasks) > 1}
    if pools:
        metrics = next(iter(groups.values()))
        together = [
            (pool, name, [groups[task][name] for task in tasks]) for pool, tasks in pools.items() for name in metrics
        ]
        families.insert(0, together)
    return tuple(check for family in families for check in _family(family, limits, limits.alpha / len(families)))


def _family(family: Sequence[tuple[str, str, Sequence[Pairs]]], limits: Limits, alpha: float) -> list[Check]:
    """The checks that share one alpha."""
    least = alpha / len(family)
    found = [_check(metric, task, tasks, limits, least) for task, metric, tasks in family]
    p_values = [1.0 if check.p_value is None else check.p_value for check, _ in found]
    adjusted = [min(1.0, limits.alpha / alpha * p) for p in holm(p_values)]
    each = zip(found, adjusted, holm_levels(p_values, alpha), strict=True)
    return [_judged(check, pivot, p, level, limits.max_drop) for (check, pivot), p, level in each]


def holm_levels(p_values: Sequence[float], alpha: float) -> list[float]:
    """The level at which Holm's correction tests each hypothesis: alpha / (m - i + 1) for the i-th smallest p-value.

    From the first that is not rejected on, all have its level: none of them is rejected. So a p-value is at most its level
    where Holm's adjusted one is at most alpha, and nowhere else.
    """
    levels = [0.0] * len(p_values)
    level, rejected = alpha / len(p_values), True
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if rejected:
            level = alpha / (len(p_values) - rank)
        rejected = rejected and p_values[index] <= level
        levels[index] = level
    return levels


def _check(metric: str, task: str, tasks: Sequence[Pairs], limits: Limits, least: float) -> tuple[Check, Pivot | None]:
    """The check before the correction; `least` is the alpha that the correction leaves it at the least."""
    sides = [[tuple(zip(*pairs, strict=True)) for pairs in held.questions] for held in tasks]
    means = [[(_mean(ours), _mean(theirs)) for ours, theirs in questions] for questions in sides]
    sign = 1 if METRICS[metric].higher_is_better else -1
    strata = [Stratum.of([sign * (ours - theirs) for ours, theirs in questions]) for questions in means]
    together = [pair for questions in means for pair in questions]
    pairs = sum(len(each) for held in tasks for each in held.questions)
    check = Check(
        metric,
        task,
        len(together),
        pairs,
        max(held.unscored for held in tasks),
        _mean([pair[0] for pair in together]),
        _mean([pair[1] for pair in together]),
        drop=_mean([sign * (ours - theirs) for ours, theirs in together]),
    )
    spread, kind = spread_of(strata, by_questions(strata)), METRICS[metric].kind
    if spread is None:
        return check, None
    both = [question for questions in sides for question in questions]
    flip = flip_of_sides([ours for ours, _ in both], [theirs for _, theirs in both])
    pivot, told = difference_pivot(spread, flip, kind), detectable(spread, flip, kind, least)
    fails_at = None if told is None or limits.max_drop + told > kind.reach else limits.max_drop + told
    return replace(check, p_value=pivot.p_above(limits.max_drop), detectable=told, fails_at=fails_at), pivot


def _mean(values: Sequence[float]) -> float:
    return fsum(values) / len(values)


def _judged(check: Check, pivot: Pivot | None, adjusted: float, alpha: float, max_drop: float) -> Check:
    """The check with the interval that the correction leaves it, and what follows from that."""
    if pivot is None:
        return check
    low, high = pivot.interval(alpha)
    verdict = Verdict.FAIL if low > max_drop else Verdict.PASS if high <= max_drop else Verdict.CANNOT_TELL
    return replace(check, low=low, high=high, alpha=alpha, adjusted=adjusted, verdict=verdict)
