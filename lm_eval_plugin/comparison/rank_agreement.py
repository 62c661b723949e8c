"""How far the simulators of a leaderboard agree on who is better: the models' ranks under each, and Kendall's tau.

    tau_b = (concordant - discordant) / sqrt((pairs - ties of one) (pairs - ties of the other))

It is taken over the models that both simulators have, on the questions that all of these have under both. Its 95 % interval is a
bootstrap of the questions within their tasks, the same draw for every model and both simulators: what other questions like
these would say of these models. It says nothing of other models.

Source: Kendall, "The treatment of ties in ranking problems", Biometrika 33 (1945), by `scipy.stats.kendalltau`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

import numpy as np
from scipy.stats import kendalltau

from lm_eval_plugin.comparison.standings import Entry, Ranking

LEAST_MODELS = 4
"""Models from which on a tau is told; of three it takes four values."""

_DRAWS = 1000
_LEVEL = 0.95

_Question = tuple[str, tuple[str, int]]
"""A task, and a question of it as `Entry` has it."""


@dataclass(frozen=True, slots=True)
class RankAgreement:
    """How far two simulators agree.

    Args:
        first: The label of the one.
        second: Of the other.
        models: How many both have.
        questions: How many all of these have under both.
        tau: Kendall's tau-b, from -1 to 1; None below `LEAST_MODELS`, or where all models are equal under one.
        low: Lower end of its 95 % interval; None without a tau.
        high: Upper end, likewise.
    """

    first: str
    second: str
    models: int
    questions: int
    tau: float | None = None
    low: float | None = None
    high: float | None = None


def ranks_by_simulator(rankings: Sequence[Ranking], metric: str) -> dict[str, dict[str, int]]:
    """The rank of each model under each simulator, by model and then label; of models that stand once in a ranking."""
    found: dict[str, dict[str, int]] = {}
    for ranking in rankings:
        counts = Counter(standing.model for standing in ranking.standings)
        for standing in ranking.standings:
            if counts[standing.model] == 1 and metric in standing.ranks and not ranking.apart:
                found.setdefault(standing.model, {})[ranking.simulator] = standing.ranks[metric]
    return found


def rank_agreements(entries: Sequence[Entry], metric: str) -> list[RankAgreement]:
    """The agreement of each two simulators that have two models or more in common.

    Args:
        entries: Of all runs, made for the metric.
        metric: What is ranked by.
    """
    by_label: dict[str, dict[str, list[Entry]]] = {}
    for entry in entries:
        by_label.setdefault(entry.simulator, {}).setdefault(entry.model, []).append(entry)
    # Of several runs of a model nobody knows which is meant.
    once = {
        label: {model: runs[0] for model, runs in models.items() if len(runs) == 1}
        for label, models in sorted(by_label.items())
    }
    found = [_agreement(one, other, once[one], once[other], metric) for one, other in combinations(once, 2)]
    return [each for each in found if each is not None]


def _agreement(
    first: str, second: str, ours: Mapping[str, Entry], theirs: Mapping[str, Entry], metric: str
) -> RankAgreement | None:
    models = sorted(ours.keys() & theirs.keys())
    sides = [[_scores(side[model], metric) for model in models] for side in (ours, theirs)]
    common = sorted(set.intersection(*(set(each) for side in sides for each in side))) if models else []
    if len(models) < 2 or not common:
        return None
    bare = RankAgreement(first, second, len(models), len(common))
    one, other = (np.array([[scores[each] for each in common] for scores in side]) for side in sides)
    tau = _tau(one.mean(axis=1), other.mean(axis=1))
    if len(models) < LEAST_MODELS or math.isnan(tau):
        return bare
    low, high = _interval(one, other, [task for task, _ in common])
    return RankAgreement(first, second, len(models), len(common), tau, low, high)


def _scores(entry: Entry, metric: str) -> dict[_Question, float]:
    return {
        (task, question): fmean(values)
        for task, questions in entry.scores[metric].items()
        for question, values in questions.items()
        if values
    }


def _tau(one: np.ndarray, other: np.ndarray) -> float:
    """NaN where all are equal on a side; rounded, since sums of the same scores in another order are no difference."""
    return float(kendalltau(np.round(one, 12), np.round(other, 12)).statistic)


def _interval(one: np.ndarray, other: np.ndarray, tasks: Sequence[str]) -> tuple[float | None, float | None]:
    """The middle 95 % of the taus of drawn questions; draws in which all models are equal under one simulator have none."""
    chance = np.random.default_rng(0)
    strata = [np.flatnonzero(np.array(tasks) == task) for task in dict.fromkeys(tasks)]
    taus = []
    for _ in range(_DRAWS):
        drawn = np.concatenate([chance.choice(indices, len(indices)) for indices in strata])
        taus.append(_tau(one[:, drawn].mean(axis=1), other[:, drawn].mean(axis=1)))
    told = [tau for tau in taus if not math.isnan(tau)]
    if not told:
        return None, None
    low, high = np.quantile(told, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)
