"""How sure a number is: standard errors, intervals and paired tests over questions.

The scores of a metric are Q questions x R repeats, one inner sequence a question; R may differ from question to
question. An unscored repeat is absent and a question without a score is left out: `questions` says how many counted.
The question is the unit of everything here: repeats of a question resemble each other, so they make its mean surer and
never count as further questions. Shuffling questions, or the repeats of a question, changes no bit of a result.

Sources:
    Miller, "Adding Error Bars to Evals", arXiv 2411.00640 (2024): standard errors clustered by question, paired
    differences, the smallest difference that an evaluation can detect.
    Wilson, JASA 22 (1927); Korn and Graubard, Survey Methodology 24 (1998); Dean and Pagano, J. Survey Statistics and
    Methodology 3 (2015): the score interval for clustered 0/1 data by an effective sample size.
    Newcombe, Statistics in Medicine 17 (1998), 2635-2650; Zou and Donner, Statistics in Medicine 27 (2008): the interval
    of a sum or difference from the intervals of its parts (square and add).
    Agresti and Min, Statistics in Medicine 24 (2005): the interval of a difference of matched 0/1 scores.
    Fagerland, Lydersen and Laake, BMC Medical Research Methodology 13:91 (2013): the McNemar mid-p test.
    Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010): why a Monte Carlo p-value adds one.
The choices among methods were made by simulation: `tests/benchmarks/coverage.py` holds the figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, isfinite, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy import special

Scores = Sequence[Sequence[float]]
"""One inner sequence a question: the scores of its repeats."""

LEVEL = 0.95
"""The confidence level of every interval here."""

DRAWS = 9_999
"""Sign patterns that a Monte Carlo permutation test draws; the smallest p-value that it can state is 1 / 10,000."""

_BINARY = {0.0, 1.0}
_SAME = 1e-9  # what differs by less, relative to its size, differs by rounding alone


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
    """

    value: float
    standard_error: float | None
    low: float | None
    high: float | None
    questions: int
    scores: int


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Whether two runs differ on the same questions; a positive difference says that the first scored more.

    Attributes:
        difference: Mean over questions of first - second.
        low: Lower end of its 95 % interval; None for a single question.
        high: Upper end, likewise.
        p_value: Two-sided, above 0 and at most 1.
        method: "McNemar mid-p" or "permutation".
        questions: How many questions had a score on both sides.
        gains: Questions that only the first got right; None unless every question is right or wrong on both sides.
        losses: Questions that only the second got right, likewise.
        detectable: The smallest true difference that as many such questions detect with 80 % power at alpha 0.05,
            two-sided; None where the differences show no spread to tell it from. More than the scores' range: none.
    """

    difference: float
    low: float | None
    high: float | None
    p_value: float
    method: str
    questions: int
    gains: int | None
    losses: int | None
    detectable: float | None


def mean_estimate(scores: Scores) -> Estimate:
    """SE = sd of the question means (ddof 1) / sqrt(Q), around the mean of the question means.

    This is Miller's standard error clustered by question, for a mean in which each question weighs the same however
    many repeats it has: with R equal repeats his clustered formula, section 2.2, is sqrt(sum (mean_q - mean)^2) / Q, the
    same but for the small-sample factor sqrt(Q / (Q - 1)). The paper's code (interactive-eval) leaves that factor out too
    (ddof 0). With one repeat a question it is the usual standard error of a mean.

    The interval is Wilson's score interval if all scores are 0 or 1, with value (1 - value) / SE^2 as the sample size (Q
    if all scores are equal; never more than there are scores) and Student's t with Q - 1 degrees of freedom as the
    quantile, because the t interval covers as little as 88 % near 0 and 1. For any other score it is the t interval,
    which has no width if all questions have the same mean.

    Args:
        scores: Q questions, each with the scores of its repeats.

    Raises:
        ValueError: No question has a score, or a score is not a finite number.
    """
    means = np.array(sorted(_mean(repeats) for repeats in scores if len(repeats)))
    if not len(means):
        raise ValueError("There is no question with a score: nothing to estimate.")
    questions, held, value = len(means), sum(map(len, scores)), fsum(means) / len(means)
    if questions == 1:
        return Estimate(value, None, None, None, questions, held)
    error = float(means.std(ddof=1)) / sqrt(questions)
    critical = _t_quantile(questions - 1)
    if all(score in _BINARY for repeats in scores for score in repeats):
        low, high = _score_interval(value, _effective(value, error, questions, held), critical)
    else:
        low, high = value - critical * error, value + critical * error
    return Estimate(value, error, low, high, questions, held)


def pooled_estimate(parts: Sequence[Estimate]) -> Estimate:
    """SE^2 = sum (n_t / N)^2 SE_t^2: the mean over all questions of a group whose tasks are strata.

    Every question weighs the same, so a task counts by its share n_t / N of the questions. Tasks are fixed strata: what
    differs between them is no error, so the SE is at most about that of one pile of all questions. The interval squares and
    adds the distances from each task's value to its limits (Zou and Donner), so it stays between 0 and 1 where theirs do;
    for one task it is that task's.

    Args:
        parts: One estimate a task.

    Returns:
        Standard error and interval are None as soon as one task has none: unknown is not zero.

    Raises:
        ValueError: There is no part.
    """
    if not parts:
        raise ValueError("There is no task to pool.")
    questions = sum(part.questions for part in parts)
    weights = [part.questions / questions for part in parts]
    value = fsum(weight * part.value for weight, part in zip(weights, parts, strict=True))
    variance, below, above = 0.0, 0.0, 0.0
    for weight, part in zip(weights, parts, strict=True):
        if part.standard_error is None or part.low is None or part.high is None:
            return Estimate(value, None, None, None, questions, sum(each.scores for each in parts))
        variance += (weight * part.standard_error) ** 2
        below += (weight * (part.value - part.low)) ** 2
        above += (weight * (part.high - part.value)) ** 2
    low, high = value - sqrt(below), value + sqrt(above)
    return Estimate(value, sqrt(variance), low, high, questions, sum(part.scores for part in parts))


def paired_test(first: Scores, second: Scores, *, seed: int = 0) -> PairedTest:
    """Difference = mean over questions of (first's mean - second's mean), tested on the questions that both scored.

    Right or wrong on both sides (one 0/1 score a question, or repeats that all agree): the McNemar mid-p test and the
    interval of Agresti and Min. Mid-p and not the exact test, because with few discordant questions that one rejects
    1 to 3 % where 5 % was asked for, and has the less power; mid-p rejects 4 to 6 %, less below ten discordant questions.

    Everything else: a sign-flip permutation test over questions, exact for few questions and by seeded draws for many,
    and Newcombe's square-and-add interval from the two sides' intervals and the correlation of their question means. For
    scores other than 0/1 that is the paired t interval; for 0/1 repeats it covers 94 to 96 %, where the t interval drops
    to 92 % and the bootstrap's percentiles to 89 % (near 1, or with unequal repeats). Sign flips assume that without a
    true difference gains and losses are alike: with 10 repeats against 1 at 0.95 and 50 questions the test rejects 8 to
    10 %; the interval errs in 6 %, so trust the interval there.

    With no difference on any question p is 1. The interval then is that of Agresti and Min, about +-2 / (Q + 2), if the
    questions are right or wrong; otherwise it is what the two sides' own intervals leave.

    Args:
        first: Q questions, each with the scores of its repeats.
        second: The same questions in the same order; a static score is a sequence of one.
        seed: Of the permutation test's draws.

    Raises:
        ValueError: The sides differ in length, no question has a score on both, or a score is not a finite number.
    """
    if len(first) != len(second):
        raise ValueError(f"The sides are not the same questions: {len(first)} against {len(second)}.")
    both = [(ours, theirs) for ours, theirs in zip(first, second, strict=True) if len(ours) and len(theirs)]
    if not both:
        raise ValueError("There is no question with a score on both sides: nothing to compare.")
    means = np.array(sorted((_mean(ours), _mean(theirs)) for ours, theirs in both))
    differences = means[:, 0] - means[:, 1]
    if _BINARY.issuperset(means.flat):
        return _mcnemar(int((differences > 0).sum()), int((differences < 0).sum()), len(both))
    low, high = _difference_interval([ours for ours, _ in both], [theirs for _, theirs in both], means)
    spread = float(differences.std(ddof=1)) if len(both) > 1 else 0.0
    return PairedTest(
        difference=fsum(differences) / len(both),
        low=low,
        high=high,
        p_value=_sign_flip_p(differences, seed),
        method="permutation",
        questions=len(both),
        gains=None,
        losses=None,
        detectable=detectable_difference(spread, len(both)) if spread > _SAME else None,
    )


def detectable_difference(sd: float, questions: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Detectable = (z_{1 - alpha/2} + z_{power}) sd / sqrt(Q), the smallest true difference found with that power.

    Source: Miller 2024, section 5, solved for the difference. For right-or-wrong questions sd^2 is the discordant share
    (gains + losses) / Q, the variance of the differences where there is no true difference (Connor, Biometrics 43, 1987,
    keeps the slightly smaller variance under the difference for z_{power}; this errs to the larger difference).

    Args:
        sd: Standard deviation of the questions' differences.
        questions: How many.
        alpha: Of the two-sided test.
        power: The share of repetitions that shall find the difference.
    """
    normal = NormalDist()
    return (normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)) * sd / sqrt(questions)


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


def _mean(repeats: Sequence[float]) -> float:
    """The mean of a question's repeats; exactly rounded, so their order cannot matter."""
    if not all(map(isfinite, repeats)):
        raise ValueError(f"A score is not a finite number: {list(repeats)}. Leave out what was not scored.")
    return fsum(repeats) / len(repeats)


def _t_quantile(freedom: int) -> float:
    """The t quantile of the 95 % interval."""
    return float(special.stdtrit(freedom, (1 + LEVEL) / 2))


def _effective(value: float, error: float, questions: int, scores: int) -> float:
    """The number of independent 0/1 scores that would have this standard error."""
    variance = value * (1 - value)
    if variance == 0:
        return questions
    return min(scores, variance / error**2) if error else scores


def _score_interval(value: float, effective: float, critical: float) -> tuple[float, float]:
    """Wilson's interval, from 0 to 1, for a share among so many independent scores."""
    shrink = critical**2 / effective
    centre = (value + shrink / 2) / (1 + shrink)
    half = critical * sqrt(value * (1 - value) / effective + shrink / (4 * effective)) / (1 + shrink)
    return min(value, max(0.0, centre - half)), max(value, min(1.0, centre + half))


def _mcnemar(gains: int, losses: int, questions: int) -> PairedTest:
    """P = P(X <= k) + P(X <= k - 1), k the fewer of gains and losses, X binomial(gains + losses, 1/2): mid-p, doubled.

    Interval: gains and losses each + 1/2 and Q + 2 in the usual normal interval (Agresti and Min). The detectable
    difference takes the discordant share with one more gain and one more loss, as no discordant question is not no spread.
    Deviation from Fagerland et al.: with gains = losses p is 1, as doubling gives, not 1 - P(X = k) / 2.
    """
    discordant, fewer = gains + losses, min(gains, losses)
    p_value = float(special.bdtr(fewer, discordant, 0.5)) + (
        float(special.bdtr(fewer - 1, discordant, 0.5)) if fewer else 0.0
    )
    centre = (gains - losses) / (questions + 2)
    variance = (discordant + 1 - (gains - losses) ** 2 / (questions + 2)) / (questions + 2) ** 2
    half = NormalDist().inv_cdf((1 + LEVEL) / 2) * sqrt(variance)
    several = questions > 1
    return PairedTest(
        difference=(gains - losses) / questions,
        low=max(-1.0, centre - half) if several else None,
        high=min(1.0, centre + half) if several else None,
        p_value=min(1.0, p_value),
        method="McNemar mid-p",
        questions=questions,
        gains=gains,
        losses=losses,
        detectable=detectable_difference(sqrt((discordant + 2) / (questions + 2)), questions) if several else None,
    )


def _difference_interval(
    first: Scores, second: Scores, means: NDArray[np.float64]
) -> tuple[float | None, float | None]:
    """Newcombe's interval: the sides' distances to their limits, squared and added less twice their correlated part."""
    ours, theirs = mean_estimate(first), mean_estimate(second)
    if ours.low is None or ours.high is None or theirs.low is None or theirs.high is None:
        return None, None
    centred = means - means.mean(axis=0)
    spreads = float(np.sqrt((centred**2).sum(axis=0)).prod())
    correlation = float(centred.prod(axis=1).sum()) / spreads if np.ptp(means, axis=0).all() else 0.0

    def distance(one: float, other: float) -> float:
        return sqrt(max(0.0, one**2 + other**2 - 2 * correlation * one * other))

    difference = fsum(means[:, 0] - means[:, 1]) / len(means)
    return (
        difference - distance(ours.value - ours.low, theirs.high - theirs.value),
        difference + distance(ours.high - ours.value, theirs.value - theirs.low),
    )


def _sign_flip_p(differences: NDArray[np.float64], seed: int) -> float:
    """P = share of the sign patterns whose |sum| reaches the observed one; of draws, (reached + 1) / (DRAWS + 1).

    Equal sizes are flipped together, by one binomial draw, so memory is bounded by DRAWS and the order is irrelevant.
    """
    sizes = np.abs(differences).round(12)
    sizes, counts = np.unique(sizes[sizes > 0], return_counts=True)
    reached = abs(fsum(differences)) - _SAME * float(sizes @ counts)
    if 2 ** int(counts.sum()) <= DRAWS:
        sums = np.zeros(1)
        for size in np.repeat(sizes, counts):
            sums = np.concatenate([sums - size, sums + size])
        return float(np.mean(np.abs(sums) >= reached))
    random = np.random.default_rng(seed)
    sums = np.zeros(DRAWS)
    for size, count in zip(sizes, counts, strict=True):
        sums += size * (2 * random.binomial(count, 0.5, size=DRAWS) - count)
    return float((np.sum(np.abs(sums) >= reached) + 1) / (DRAWS + 1))
