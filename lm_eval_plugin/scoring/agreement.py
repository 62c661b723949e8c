"""What people reached with the chatbots of the ChatBench study, and how well other accuracies foretell it.

A question's human accuracy is the share of right answers among those that people gave after talking with one chatbot.
Two figures say how well the accuracies of simulated users, or of the model alone, foretell those of people: Pearson's
correlation and the mean absolute error over questions, each with an interval from a bootstrap over questions.

Source: ChatBench, section on user simulation, whose table holds these two figures.
"""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field
from scipy import stats

from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.chatbench_data.columns import STUDY
from lm_eval_plugin.chatbench_data.release import AnswerType, HumanConversation, Release, UserAnswer
from lm_eval_plugin.chatbench_data.splits import HELD_OUT_PERCENT
from lm_eval_plugin.config.strict import Strict, nearest
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.scoring.intervals import LEVEL

logger = logger_of(__name__)

RESAMPLES = 9_999
"""Resamples of a bootstrap interval; the default of scipy."""

_SEED = 0

_LEAST = 3  # questions for an interval; with one of them left out, as BCa does, a correlation needs two


class People(Strict):
    """Which people a run is held against: the `human:` block of a task.

    Args:
        model: The chatbot that they talked with, as the data names it (`gpt-4o`, `llama-3.1-8b`).
        condition: `answer-first` or `direct-to-AI`, as the data names it; None for both.
        study: The folder of the study in the data set.
        filtered: Whether the answers are those of `user_answers_filtered.csv`, without the people whom the study left out.
        split: The seed of a split of the questions, of which only those held out are asked; None for all questions.
        held_out_percent: How many of 100 questions a split holds out.
    """

    model: str | None = None
    condition: str | None = None
    study: str = STUDY
    filtered: bool = False
    split: int | None = Field(None, ge=0)
    held_out_percent: int = Field(HELD_OUT_PERCENT, ge=1, le=99)


@dataclass(frozen=True, slots=True)
class HumanAccuracy:
    """What people reached on a question.

    Args:
        accuracy: The share of right answers, from 0 to 1.
        answers: How many answers there are.
    """

    accuracy: float
    answers: int


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its 95 % interval; None where it is undefined."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well accuracies foretell those of people, over the questions that have both.

    Args:
        questions: How many.
        accuracy: Mean of the accuracies that foretell.
        pearson: Correlation, from -1 to 1.
        error: Mean absolute error, from 0 to 1.
    """

    questions: int
    accuracy: float
    pearson: Figure
    error: Figure


def human_accuracies(release: Release, people: People, where: str) -> dict[str, HumanAccuracy]:
    """What people reached on each question that they were asked, by its id.

    Args:
        release: The data.
        people: Which of its people.
        where: Names the task in errors.

    Raises:
        ConfigError: No chatbot is named, or chatbot or condition are not in the data; the error lists those that are.
    """
    right = answers_with_ai(release)
    _check_named("model", people.model, [answer.model for answer, _ in right], where)
    if people.condition is not None:
        _check_named("condition", people.condition, [answer.condition for answer, _ in right], where)
    found: defaultdict[str, list[bool]] = defaultdict(list)
    for answer, correct in right:
        if answer.model == people.model and people.condition in {None, answer.condition}:
            found[answer.question_id].append(correct)
    return {each: HumanAccuracy(sum(correct) / len(correct), len(correct)) for each, correct in found.items()}


def answers_with_ai(release: Release) -> list[tuple[UserAnswer | HumanConversation, bool]]:
    """The answers that people gave after talking with a chatbot, and whether each is right.

    Where there is no file of answers, or it does not say which were given with a chatbot, those of the conversations count.
    """
    answers = release.user_answers if release.has_user_answers else ()
    if any(answer.answer_type is not None for answer in answers):
        return [(answer, answer.correct) for answer in answers if answer.answer_type is AnswerType.WITH_AI]
    if answers:
        logger.warning(
            "%s: the users' answers do not say which were given with a chatbot; those of the conversations are taken",
            release.source,
        )
    gold = {each.id: each.gold for each in release.questions.values()}
    return [(held, held.selected == gold[held.question_id]) for held in release.conversations]


def _check_named(key: str, name: str | None, seen: Iterable[str], where: str) -> None:
    known = sorted(set(seen))
    if name in known:
        return
    if name is None:
        raise ConfigError(
            f"{where}: human.{key} is not set; name whom people talked with, one of {', '.join(known)}: "
            f"""--metadata '{{"human": {{"{key}": "{known[0]}"}}}}'"""
        )
    raise ConfigError(f"{where}: human.{key} is {name!r}, which nobody has in the data{nearest(name, known)}")


def pearson(said: Sequence[float], people: Sequence[float]) -> float:
    """R = cov(said, people) / (sd(said) sd(people)) over questions; NaN, with a warning, where one of them is constant."""
    if len(said) < 2 or len(set(said)) < 2 or len(set(people)) < 2:
        logger.warning(
            "The correlation with people is undefined: over %d questions one side has a single value", len(said)
        )
        return math.nan
    return float(_pearson(np.array(said), np.array(people)))


def mean_absolute_error(said: Sequence[float], people: Sequence[float]) -> float:
    """MAE = mean over questions of abs(said - people); NaN, with a warning, without a question."""
    if not len(said):
        logger.warning("The error against people is undefined: no question has both")
        return math.nan
    return float(_error(np.array(said), np.array(people)))


def agreement(said: Sequence[float], people: Sequence[float]) -> Agreement:
    """Both figures with their intervals.

    The intervals are scipy's bias-corrected and accelerated bootstrap (BCa) over questions, from a fixed seed. Where a
    resample has no correlation because one side is constant in it, there is none.

    Args:
        said: Accuracies of Q questions, at least one.
        people: Those of people on the same questions.
    """
    return Agreement(
        questions=len(said),
        accuracy=math.fsum(said) / len(said),
        pearson=_figure(pearson(said, people), _pearson, said, people),
        error=_figure(mean_absolute_error(said, people), _error, said, people),
    )


def _figure(value: float, statistic: Callable[..., Any], said: Sequence[float], people: Sequence[float]) -> Figure:
    if math.isnan(value):
        return Figure(None, None, None)
    if len(said) < _LEAST:
        return Figure(value, None, None)
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        # A statistic that is the same in all resamples has no interval, which its NaN says.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            (np.array(said), np.array(people)),
            statistic,
            n_resamples=RESAMPLES,
            vectorized=True,
            paired=True,
            confidence_level=LEVEL,
            rng=np.random.default_rng(_SEED),
        ).confidence_interval
    if math.isnan(found.low) or math.isnan(found.high):
        return Figure(value, None, None)
    return Figure(value, float(found.low), float(found.high))


def _pearson(said: Any, people: Any, axis: int = -1) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        warnings.simplefilter("ignore", stats.NearConstantInputWarning)
        return stats.pearsonr(said, people, axis=axis).statistic


def _error(said: Any, people: Any, axis: int = -1) -> Any:
    return np.abs(said - people).mean(axis=axis)


def complete(pairs: Iterable[Sequence[float | None]]) -> tuple[list[float], list[float]]:
    """The two sides of the pairs that have both."""
    known = [(one, other) for one, other in pairs if one is not None and other is not None]
    return [one for one, _ in known], [other for _, other in known]


FIGURES: Mapping[str, Callable[[Sequence[float], Sequence[float]], float]] = {
    "human_pearson": pearson,
    "human_mae": mean_absolute_error,
}
"""The figures by the names that they have in the host's table; those of the static score end in `_static`."""
