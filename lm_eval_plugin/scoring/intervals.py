"""Intervals of a mean over questions, and of a difference; every one within the range of what it is about.

The choices were made by simulation: `tests/benchmarks/coverage.py` holds coverage, width and size.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt

from scipy import special

from lm_eval_plugin.scoring.kinds import Kind
from lm_eval_plugin.scoring.spread import Spread

LEVEL = 0.95
"""The confidence level of every interval that says nothing else."""

POWER = 0.8
"""How often a detectable difference is detected."""

UNSEEN = 0.5
"""Questions that are added whole, in which everything went the other way: no spread in the data is not no uncertainty."""


@dataclass(frozen=True, slots=True)
class Pivot:
    """(centre - truth) / error follows Student's t: an interval at every level, and the test that is its inversion.

    Args:
        centre: The middle of the interval before its ends are kept in range.
        error: Its standard error, above 0.
        freedom: Degrees of freedom.
        least: The least value that there can be.
        greatest: The greatest.
    """

    centre: float
    error: float
    freedom: int
    least: float
    greatest: float

    def interval(self, tail: float = (1 - LEVEL) / 2) -> tuple[float, float]:
        """The interval that misses the truth with this probability at each end."""
        half = quantile(self.freedom, tail) * self.error
        return max(self.least, self.centre - half), min(self.greatest, self.centre + half)

    def p_of_none(self) -> float:
        """Two-sided: 1 less the level of the interval that ends at 0."""
        return min(1.0, 2 * float(special.stdtr(self.freedom, -abs(self.centre) / self.error)))

    def p_above(self, limit: float) -> float:
        """One-sided: the probability at each end of the interval whose lower end is the limit."""
        return float(special.stdtr(self.freedom, (limit - self.centre) / self.error))


def quantile(freedom: int, tail: float) -> float:
    """What Student's t exceeds with this probability."""
    return -float(special.stdtrit(freedom, tail))


def mean_interval(
    spread: Spread, kind: Kind, *, least: float | None = None, repeats: float = 1.0
) -> tuple[float, float]:
    """The 95 % interval of a mean of scores of a kind.

    Args:
        spread: Of the mean.
        kind: Of the scores.
        least: The least score that was seen, for a kind without an upper bound.
        repeats: How many scores a question has on average.
    """
    if kind is Kind.DIFFERENCE:
        return difference_pivot(spread, 1.0, Kind.SHARE).interval()
    if kind.reach < inf:
        return share_interval(spread, kind)
    return count_interval(spread, least or 0.0, 1 / repeats)


def share_interval(spread: Spread, kind: Kind = Kind.SHARE, *, unseen: float = UNSEEN) -> tuple[float, float]:
    """Wilson's score interval at the effective size n / d with Student's quantile, of scores scaled to lie from 0 to 1.

    d = (S + c) / (n p (1 - p) + c) is the design effect of a question against n single right-or-wrong scores: S the sum of
    squared deviations of the questions' means, p their mean, c = 1/2. For one right-or-wrong score a question d is 1; the
    less a question's mean scatters, the smaller. c lets d be 1 until some questions have gone the other way, since few of
    them say little of how alike a question's repeats are. A judge's score counts as a share of its range; its c is that of
    a step of one point.

    Source: Wilson, JASA 22 (1927); Korn and Graubard, Survey Methodology 24 (1998), the effective size; Dean and Pagano,
    J. Survey Statistics and Methodology 3 (2015), its use in Wilson's interval. Deviations: c; no factor on n for the degrees
    of freedom, Student's quantile for the normal one in Wilson's formula instead.

    Args:
        spread: Of the mean.
        kind: Of the scores.
        unseen: c.
    """
    least, _ = kind.bounds
    mean = min(1.0, max(0.0, (spread.mean - least) / kind.reach))
    step = unseen / kind.reach**2
    effect = (spread.squares / kind.reach**2 + step) / (spread.questions * mean * (1 - mean) + step)
    shrink = quantile(spread.freedom, (1 - LEVEL) / 2) ** 2 * effect / spread.questions
    centre = (mean + shrink / 2) / (1 + shrink)
    half = sqrt(shrink * (mean * (1 - mean) + shrink / 4)) / (1 + shrink)
    low, high = min(mean, max(0.0, centre - half)), max(mean, min(1.0, centre + half))
    return least + kind.reach * low, least + kind.reach * high


def count_interval(spread: Spread, least: float, flip: float) -> tuple[float, float]:
    """Student's t interval with one step more in the spread; its lower end is at least the least score that was seen.

    SE^2 = (S + f) / (n (n - 1)). Where every score is the same, the interval reaches from it to what one step on one
    question would have made of it.

    Args:
        spread: Of the mean.
        least: The least score that was seen.
        flip: f, the square by which a step changes a question's mean.
    """
    error = sqrt((spread.squares + flip) / (spread.questions * (spread.questions - 1)))
    low, high = Pivot(spread.mean, error, spread.freedom, -inf, inf).interval()
    return min(spread.mean, max(least, low)), high


def difference_pivot(spread: Spread, flip: float, kind: Kind) -> Pivot:
    """The pivot of a mean difference D of scores of a kind, with unseen gains and losses in its spread.

    Of shares: centre = n D / (n + 2) and SE^2 = (sum d^2 + f - n^2 D^2 / (n + 2)) / (n + 2)^2, with Student's quantile. For
    scores that are right or wrong on both sides this is the interval of Agresti and Min, who add half a question to each of
    the four cells: together half a gain and half a loss, so f = 1, and two questions. d may be any difference of means: a
    static answer less the mean of ten repeats scatters in whole steps on the one side and in tenths on the other, and half
    a whole gain and loss covers what neither side has shown yet.

    Of counts and scores: D and SE^2 = (S + f) / (n (n - 1)), without shrinking, as there is no greatest difference that
    many would come near.

    Source: Agresti and Min, Statistics in Medicine 24 (2005), the interval "Wald + 2", where sum d^2 is n_12 + n_21 and f = 1.
    Deviations: Student's quantile for the normal one, d other than -1, 0 and 1, f below 1 (`flip_of`), tasks as strata.

    Args:
        spread: Of the questions' differences.
        flip: f.
        kind: Of the scores that were subtracted.
    """
    n, mean = spread.questions, spread.mean
    if not kind.of_shares:
        error = sqrt((spread.squares + flip) / (n * (n - 1)))
        return Pivot(mean, error, spread.freedom, -kind.reach, kind.reach)
    # sum d^2 - n^2 D^2 / (n + 2) = S + 2 n D^2 / (n + 2), which does not cancel.
    error = sqrt(spread.squares + flip + 2 * n * mean**2 / (n + 2)) / (n + 2)
    return Pivot(n * mean / (n + 2), error, spread.freedom, -kind.reach, kind.reach)


def flip_of(squares: float, apart: float, *, once: bool) -> float:
    """F = (sum d^2 + c) / (U + c), the square of an unseen gain or loss of one question; 1 if a side was asked once.

    U is the sum over questions of the mean squared difference of a score of the one side and one of the other. If repeats
    differ by themselves alone, a question of R repeats on both sides gains or loses in steps whose squares are 1/R of
    those of single answers; if all repeats of a question agree, in whole ones, and F is 1. c = 1/2, as for shares, so that
    F is 1 where nothing differs.

    Args:
        squares: Sum of the squared differences of the questions' means.
        apart: U.
        once: Whether one side has a single score on every question.
    """
    return 1.0 if once else (squares + UNSEEN) / (apart + UNSEEN)


def detectable(spread: Spread, flip: float, kind: Kind, tail: float) -> float | None:
    """The smallest true difference that as many such questions tell from none with 80 % power.

    The difference D whose pivot's centre lies t_{1 - tail} + z_{0.8} of its errors from 0. Of shares, sum d^2 is what was
    seen, as if there were no difference, but at least what D itself brings in steps of sqrt(f): n D sqrt(f). Without that
    a run of ties would claim to detect what it cannot.

    Source: Miller, arXiv 2411.00640 (2024), section 5, solved for the difference; the error is that of `difference_pivot`.

    Args:
        spread: Of the questions' differences.
        flip: As in `difference_pivot`.
        kind: Of the scores that were subtracted.
        tail: The probability with which the test errs to one side.

    Returns:
        None if there is no such difference: not even the greatest would be told from none.
    """
    n, reach = spread.questions, quantile(spread.freedom, tail) + float(special.ndtri(POWER))
    if not kind.of_shares:
        least = reach * sqrt((spread.squares + flip) / (n * (n - 1)))
        return least if least <= kind.reach else None
    # n D = reach sqrt(sum d^2 + f - n^2 D^2 / (n + 2)), for sum d^2 as seen and for n D sqrt(f).
    scale = n**2 * (1 + reach**2 / (n + 2))
    seen = reach * sqrt((spread.squares + n * spread.mean**2 + flip) / scale)
    steps = reach**2 * n * sqrt(flip)
    alone = (steps + sqrt(steps**2 + 4 * scale * reach**2 * flip)) / (2 * scale)
    least = max(seen, alone)
    return least if least <= kind.reach else None
