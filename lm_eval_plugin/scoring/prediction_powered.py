"""What people would reach, from the simulated accuracy of every question and people's answers to some of them.

For question q of N, f_q is the simulated accuracy; for n of them y_q is the share of right answers of m_q people. With
the questions in strata h (tasks), W_h = N_h / N, and F_h the mean of f over all questions of a stratum,

    estimate = sum_h W_h mean_h(d_q),    d_q = y_q - w_q (f_q - F_h)

The weight w_q is the one that makes the estimate vary least, from all answered questions but q, kept in [0, 1]: a
simulator that says nothing about people gets a weight near 0 and costs next to nothing, one that is wrong by a
constant is corrected by it.

Two targets. `finite`: what people would reach on exactly these N questions. `population`: on questions like these.

    variance(finite)     = sum_h W_h^2 [(1 - n_h / N_h) s_d^2 / n_h + v_h / N_h] + C
    variance(population) = sum_h W_h^2 [(1 - n_h / N_h) s_d^2 / n_h + s_y^2 / N_h] + C

with v_h the mean over questions of the sampling variance of y_q, and C what is added by people who answer several questions each,

    C = sum_p [(sum_q u_pq)^2 - sum_q u_pq^2],    u_pq = W_h / n_h  e_pq / (m_q - 1),    at least 0

where e_pq is the answer less y_q. The answered questions are taken as a random sample of each stratum.

Source: Angelopoulos, Bates, Fannjiang, Jordan and Zrnic, "Prediction-powered inference", Science 382 (2023); Angelopoulos,
Duchi and Zrnic, "PPI++", arXiv 2311.01453 (2023), the weight; Zrnic and Candes, PNAS 121 (2024), cross-fitting; Cochran, "Sampling
Techniques" (1977), chapters 7 (the same estimator as regression) and 10 (two stages: questions, then people); Cameron,
Gelbach and Miller, J. Business & Economic Statistics 29 (2011), clusters two ways. Deviations: the weight is fitted leaving
one question out, so no draw decides; the answered questions are among the N; strata; Student's quantile in Wilson's
interval at the effective size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.scoring.intervals import share_interval
from lm_eval_plugin.scoring.spread import Spread
from lm_eval_plugin.scoring.stratified_sample import Answers, Floats, Sample, Strata, pooled_strata, sample_of

_ROUNDING = 1e-12

_UNSEEN = 0.1
"""As `intervals.UNSEEN`, of shares of several answers: by simulation (`tests/benchmarks/human_estimate.py`)."""


@dataclass(frozen=True, slots=True)
class HumanEstimate:
    """An accuracy of people, from 0 to 1, with its 95 % interval."""

    value: float
    standard_error: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Powered:
    """What people would reach, with the help of simulated users.

    Args:
        estimate: From people and simulated users.
        people_alone: From people alone, of the same questions and for the same target.
        simulated: Mean simulated accuracy of all questions.
        weight: Mean weight of the simulated accuracy, from 0 to 1.
        variance_ratio: Variance of people alone over that of the estimate: above 1 where the simulation helped.
        questions: How many questions the estimate is of.
        answered: How many of them people answered.
        answers: How many answers there are.
        people: How many people gave them.
        shared_people: Share of the variance that comes from people who answered several questions.
        strata: The strata after pooling, each the names that it was made of.
    """

    estimate: HumanEstimate
    people_alone: HumanEstimate
    simulated: float
    weight: float
    variance_ratio: float
    questions: int
    answered: int
    answers: int
    people: int
    shared_people: float
    strata: tuple[tuple[str, ...], ...]


def powered_estimate(
    predicted: Floats, strata: Sequence[str], answers: Answers, *, population: bool = False
) -> Powered:
    """Estimate the accuracy of people over the questions.

    Args:
        predicted: f, the simulated accuracy of each of N questions.
        strata: The stratum (task) of each question.
        answers: Of people, of two people and two questions at least.
        population: Whether the target is questions like these instead of these.

    Raises:
        ConfigError: Fewer than two questions were answered, or all answers are of one person: neither has an interval.
    """
    people = len(np.unique(answers.person))
    answered = np.unique(answers.question)
    if len(answered) < 2 or people < 2:
        raise ConfigError(
            f"people's answers are of {people} people on {len(answered)} of the run's questions; an interval needs two of both"
        )
    names, pooled = pooled_strata(strata, answered)
    sample = sample_of(answers, pooled)
    scale = Strata.of(pooled, sample)
    weights = _weights(predicted, sample, scale)
    together = _variance_of_shared(answers, sample, scale)
    freedom = max(1, min(len(answered) - len(names), people - 1))
    rest = _rest(sample, scale, population=population)

    def estimate(weights: Floats) -> HumanEstimate:
        value, drawn = _corrected(predicted, weights, sample, scale)
        error = sqrt(float((scale.weight**2 * (drawn + rest / scale.questions)).sum()) + together)
        return _with_interval(value, error, len(answered), freedom)

    with_help, alone = estimate(weights), estimate(np.zeros_like(weights))
    return Powered(
        estimate=with_help,
        people_alone=alone,
        simulated=float(predicted.mean()),
        weight=float(weights.mean()),
        variance_ratio=_ratio(alone, with_help),
        questions=len(predicted),
        answered=len(answered),
        answers=len(answers.right),
        people=people,
        shared_people=together / with_help.standard_error**2 if with_help.standard_error else 0.0,
        strata=names,
    )


def _ratio(alone: HumanEstimate, with_help: HumanEstimate) -> float:
    if not with_help.standard_error:
        return 1.0
    return (alone.standard_error / with_help.standard_error) ** 2


def _weights(predicted: Floats, sample: Sample, scale: Strata) -> Floats:
    """The weight of each answered question, from all others; 0 where the simulated accuracy is the same on all others."""
    stratum, count = sample.stratum, scale.answered[sample.stratum]
    simulated = predicted[sample.index]
    off_simulated = simulated - scale.means(simulated, sample)[stratum]
    off_share = sample.share - scale.means(sample.share, sample)[stratum]
    # Without question q the sums of a stratum lose its product times n / (n - 1).
    factor = (scale.weight**2 * scale.unanswered / scale.answered / np.maximum(scale.answered - 1, 1))[stratum]
    both, alone = factor * off_simulated * off_share, factor * off_simulated**2
    lost = count / np.maximum(count - 1, 1)
    left_both, left_alone = both.sum() - lost * both, alone.sum() - lost * alone
    told = left_alone > _ROUNDING * alone.sum()
    weights: Floats = np.divide(left_both, left_alone, out=np.zeros_like(both), where=told)
    return weights.clip(0.0, 1.0)


def _corrected(predicted: Floats, weights: Floats, sample: Sample, scale: Strata) -> tuple[float, Floats]:
    """The estimate, and of each stratum the variance that comes from which questions were answered."""
    centre = np.bincount(scale.all, weights=predicted) / scale.questions
    corrected = sample.share - weights * (predicted[sample.index] - centre[sample.stratum])
    value = float(scale.weight @ scale.means(corrected, sample))
    return value, scale.unanswered * scale.variances(corrected, sample) / scale.answered


def _with_interval(value: float, error: float, questions: int, freedom: int) -> HumanEstimate:
    held = min(1.0, max(0.0, value))
    low, high = share_interval(Spread(held, error, questions, freedom), unseen=_UNSEEN)
    return HumanEstimate(held, error, low, high)


def _rest(sample: Sample, scale: Strata, *, population: bool) -> Floats:
    """What of a stratum's variance falls with the number of all its questions.

    The noise of people's answers, or for the population all that differs between questions, which is also the most that the
    noise can be where no question has two answers.
    """
    if population or np.isnan(sample.noise).any():
        return scale.variances(sample.share, sample)
    return scale.means(sample.noise, sample)


def _variance_of_shared(answers: Answers, sample: Sample, scale: Strata) -> float:
    """C, what people who answer several questions add."""
    place = np.searchsorted(sample.index, answers.question)
    count = sample.people[place]
    stratum = sample.stratum[place]
    own = scale.means(sample.share, sample)[stratum]
    # A single answer has no other to be held against but those of the stratum.
    off = np.where(count > 1, (answers.right - sample.share[place]) / np.maximum(count - 1, 1), answers.right - own)
    parts = off * (scale.weight / scale.answered)[stratum]
    _, person = np.unique(answers.person, return_inverse=True)
    pairs = person * len(sample.index) + place
    _, pair = np.unique(pairs, return_inverse=True)
    of_pair = np.bincount(pair, weights=parts)
    whole = np.bincount(person, weights=parts)
    return max(0.0, float((whole**2).sum() - (of_pair**2).sum()))
