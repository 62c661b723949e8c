"""Kendall's tau between the rankings under two simulators, and its interval."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kendalltau

from lm_eval_plugin.comparison.leaderboard import rank
from lm_eval_plugin.comparison.rank_agreement import rank_agreements, ranks_by_simulator
from lm_eval_plugin.comparison.standings import Entry
from lm_eval_plugin.results.runs import TaskRun


def entry(model, simulator, scores, *, task="t", date="1"):
    questions = {(f"q{place}", 0): [float(value)] for place, value in enumerate(scores)}
    return Entry(
        *(model, date, model, simulator, len(scores), 0, {task: TaskRun((), {})}),
        {name: {task: questions} for name in ("acc", "acc_static", "acc_gap")},
    )


def board(models, simulator, **options):
    """Models by the questions of ten that each has right, the first ones."""
    return [entry(name, simulator, [1] * right + [0] * (10 - right), **options) for name, right in models.items()]


FOUR = {"a": 9, "b": 7, "c": 5, "d": 2}
SWAPPED = {"a": 7, "b": 9, "c": 5, "d": 2}


def test_tau_is_that_of_the_models_by_hand():
    (found,) = rank_agreements(board(FOUR, "one") + board(SWAPPED, "two"), "acc")
    assert (found.first, found.second, found.models, found.questions) == ("one", "two", 4, 10)
    assert found.tau == pytest.approx((5 - 1) / 6)
    assert found.low <= found.tau <= found.high


def test_same_ranking_is_one_and_the_opposite_minus_one():
    reverse = {model: 10 - right for model, right in FOUR.items()}
    (same,) = rank_agreements(board(FOUR, "one") + board(FOUR, "two"), "acc")
    (opposite,) = rank_agreements(board(FOUR, "one") + board(reverse, "two"), "acc")
    assert (same.tau, opposite.tau) == (1, -1)
    assert same.high == 1


@pytest.mark.parametrize("models", [2, 3])
def test_below_four_models_there_is_no_tau(models):
    few = dict(list(FOUR.items())[:models])
    (found,) = rank_agreements(board(few, "one") + board(few, "two"), "acc")
    assert (found.models, found.tau, found.low) == (models, None, None)


def test_models_that_all_are_equal_tell_no_tau():
    (found,) = rank_agreements(board(dict.fromkeys(FOUR, 5), "one") + board(FOUR, "two"), "acc")
    assert (found.tau, found.low, found.high) == (None, None, None)


def test_only_models_and_questions_that_both_have_count():
    extra = [entry("e", "one", [1] * 10), *board(FOUR, "one")]
    fewer = [entry(model, "two", [1] * min(right, 6) + [0] * (6 - min(right, 6))) for model, right in FOUR.items()]
    (found,) = rank_agreements(extra + fewer, "acc")
    assert (found.models, found.questions) == (4, 6)
    assert found.tau == pytest.approx(kendalltau([6, 6, 5, 2], [6, 6, 5, 2]).statistic)


def test_model_with_two_runs_under_a_simulator_does_not_say_which_is_meant():
    twice = [*board(FOUR, "one"), replace(board({"a": 1}, "one")[0], date="2")]
    (found,) = rank_agreements(twice + board(FOUR, "two"), "acc")
    assert (found.models, found.tau) == (3, None)
    ranks = ranks_by_simulator(rank(twice + board(FOUR, "two")), "acc")
    assert ranks["a"] == {"two": 1}
    assert ranks["d"] == {"one": 4, "two": 4}


def test_every_two_simulators_are_held_against_each_other_in_any_order():
    entries = board(FOUR, "x") + board(SWAPPED, "y") + board(FOUR, "z")
    found = rank_agreements(entries, "acc")
    assert [(each.first, each.second) for each in found] == [("x", "y"), ("x", "z"), ("y", "z")]
    random.Random(0).shuffle(entries)
    assert rank_agreements(entries, "acc") == found


def test_one_simulator_has_nobody_to_agree_with():
    assert rank_agreements(board(FOUR, "one"), "acc") == []


def test_interval_narrows_with_more_questions_about_models_that_differ():
    def of(questions):
        chance = np.random.default_rng(1)
        entries = [
            entry(f"m{model}", simulator, (chance.random(questions) < 0.35 + 0.1 * model).astype(float))
            for simulator in ("one", "two")
            for model in range(5)
        ]
        (found,) = rank_agreements(entries, "acc")
        return found.high - found.low

    assert of(1000) < of(40)
