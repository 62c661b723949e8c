"""What people would reach with models of runs, also with a model that none of them has talked with.

What people reach with such a model is predicted from the models that have both people and a run:

    prediction = simulated accuracy + mean over those models of (people - simulated accuracy)

which extrapolates from models to models: it is right as far as the simulated users err with this model as they do with
the others. From three models on it has an interval, Student's for one more model, mean +- t_{k-1} s sqrt(1 + 1/k). The
error of each model's own prediction from the others stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

from lm_eval_plugin.comparison.human_claims import Claim, HumanStudy, RunAsked, Study, by_simulator
from lm_eval_plugin.comparison.same_question import question_key
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.results.runs import Run, differing_settings
from lm_eval_plugin.scoring.intervals import LEVEL, quantile

LEAST_MODELS = 2
"""Models with people and a run, below which nothing is predicted."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What people would reach with a model that none of them has talked with.

    Args:
        model: The model under test.
        simulator: The simulated user's label.
        value: The prediction, from 0 to 1.
        low: Lower end of its 95 % interval; None from two models.
        high: Upper end, likewise.
        simulated: The simulated accuracy, as it is.
        errors: By the name of each model that has people, its prediction from the others less what people reach.
        as_it_is: Likewise, the simulated accuracy less what people reach.
    """

    model: str
    simulator: str
    value: float
    low: float | None
    high: float | None
    simulated: float
    errors: Mapping[str, float]
    as_it_is: Mapping[str, float]


def claims(runs: Iterable[Run], study: Study) -> list[Claim | Prediction]:
    """What people would reach with the models of runs, in their order.

    Args:
        runs: Of one model each; those of models with people serve those without.
        study: The people.

    Raises:
        ConfigError: People answered none of a run's questions, or a model has no people and too few others have.
    """
    people = HumanStudy(study)
    asked = [each for run in runs for each in by_simulator(run)]
    found = [(each, people.claim(each)) for each in asked]
    known = [(each, claim) for each, claim in found if claim is not None]
    return [_predicted(each, known, people) if claim is None else claim for each, claim in found]


def _predicted(asked: RunAsked, known: Sequence[tuple[RunAsked, Claim]], people: HumanStudy) -> Prediction:
    alike = [(other, claim) for other, claim in known if other.simulator == asked.simulator]
    offsets = _offsets(asked, alike, people)
    simulated = fmean(asked.simulated)
    value = simulated + fmean(offsets.values())
    half = _half_width(list(offsets.values()))
    return Prediction(
        model=asked.model,
        simulator=asked.simulator,
        value=_share(value),
        low=None if half is None else _share(value - half),
        high=None if half is None else _share(value + half),
        simulated=simulated,
        errors={name: _mean_without(offsets, name) - offset for name, offset in offsets.items()},
        as_it_is={name: -offset for name, offset in offsets.items()},
    )


def _offsets(asked: RunAsked, known: Sequence[tuple[RunAsked, Claim]], people: HumanStudy) -> dict[str, float]:
    """People less simulated users, by model.

    Raises:
        ConfigError: There are too few models, two runs of one, or other questions or settings than the run's.
    """
    offsets: dict[str, float] = {}
    for other, claim in known:
        if claim.people_model in offsets:
            raise ConfigError(f"two runs are of {claim.people_model} with {claim.simulator}; give one")
        _check_alike(asked, other)
        offsets[claim.people_model] = claim.powered.estimate.value - claim.powered.simulated
    if len(offsets) < LEAST_MODELS:
        raise ConfigError(
            f"{people.source}: nobody talked with {asked.model}; people talked with {', '.join(people.models)}. Where one of these "
            f"is this model, say so with --model; else give runs of {LEAST_MODELS} of these or more with {asked.simulator} on "
            f"the same questions, to predict from ({len(offsets)} given)"
        )
    return offsets


def _check_alike(asked: RunAsked, other: RunAsked) -> None:
    if asked.tasks.keys() != other.tasks.keys() or _questions(asked) != _questions(other):
        raise ConfigError(
            f"the runs of {asked.model} and {other.model} are of other questions, so neither predicts the other"
        )
    for name, task in asked.tasks.items():
        if differing := differing_settings(task, other.tasks[name]):
            raise ConfigError(
                f"{name}: the runs of {asked.model} and {other.model} differ in {'; '.join(differing)}, so neither predicts "
                "the other"
            )


def _questions(asked: RunAsked) -> set[tuple[str, ...]]:
    return {question_key(record.question) for task in asked.tasks.values() for record in task.records}


def _mean_without(offsets: Mapping[str, float], name: str) -> float:
    return fmean(offset for other, offset in offsets.items() if other != name)


def _half_width(offsets: Sequence[float]) -> float | None:
    """Half of the interval for one more model; None from two, of which a spread cannot be told."""
    count = len(offsets)
    if count <= LEAST_MODELS:
        return None
    return quantile(count - 1, (1 - LEVEL) / 2) * stdev(offsets) * sqrt(1 + 1 / count)


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))
