"""What a leaderboard is made of and what it says: entries of runs, and rankings of standings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from lm_eval_plugin.results.runs import TaskRun
from lm_eval_plugin.scoring.statistics import Estimate, PairedTest


class Outcome(str, Enum):
    """What the paired test says of a run and the one above it.

    WORSE: on the common questions it is worse than the one above, as the ranking has it.
    NOT_DISTINGUISHABLE: the common questions do not tell the two apart.
    BETTER: on the common questions it is better than the one above, against the ranking, which rests on all questions.
    """

    WORSE = "worse"
    NOT_DISTINGUISHABLE = "not distinguishable"
    BETTER = "better on the common questions"


@dataclass(frozen=True, slots=True)
class Entry:
    """What of a run enters the ranking of one simulator; its dialogues are left behind.

    Args:
        model: The model's name, as the run has it.
        date: When the run was.
        folder: Where it is.
        simulator: The label of the simulated user.
        dialogues: How many dialogues it has.
        unscored: How many of them ended by a model error.
        settings: Its tasks, with their settings alone.
        scores: For each metric and task the scores of each question; none for a question that has no score. A question
            is its id and how many of that id stand before it.
    """

    model: str
    date: str
    folder: str
    simulator: str
    dialogues: int
    unscored: int
    settings: Mapping[str, TaskRun]
    scores: Mapping[str, Mapping[str, Mapping[tuple[str, int], Sequence[float]]]]


@dataclass(frozen=True, slots=True)
class AgainstAbove:
    """How a run compares with the one above it.

    Args:
        outcome: In a word.
        test: The paired test; its difference is the one above - this one.
        adjusted: Its p-value by Holm's correction for the tests of the ranking; None for a single common question.
    """

    outcome: Outcome
    test: PairedTest
    adjusted: float | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """One line of a ranking.

    Args:
        name: The model's name, with date and folder where several runs have that name.
        model: The model's name alone.
        date: When the run was.
        folder: Where it is.
        questions: How many questions it has.
        dialogues: How many dialogues.
        unscored: How many of them ended by a model error.
        estimates: The metrics that can be told, with their 95 % intervals.
        ranks: The rank by each of acc, acc_static and the metric of the ranking, from 1; equal values share one.
        above: The test against the one above; None for the first, and where the metric is missing.
    """

    name: str
    model: str
    date: str
    folder: str
    questions: int
    dialogues: int
    unscored: int
    estimates: Mapping[str, Estimate]
    ranks: Mapping[str, int]
    above: AgainstAbove | None


@dataclass(frozen=True, slots=True)
class Ranking:
    """Runs with one simulator, each of which has questions in common with each other one; best first.

    Those without the metric stand last.

    Args:
        simulator: The simulator's label.
        standings: One a run.
        warnings: Where its runs are not comparable, each against the first.
        apart: Which of the label's rankings it is, from 1, if there are several because runs have no common question; else 0.
    """

    simulator: str
    standings: tuple[Standing, ...]
    warnings: tuple[str, ...]
    apart: int = 0
