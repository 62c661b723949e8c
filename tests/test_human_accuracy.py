"""What people reached is read per chatbot and condition, and held against other accuracies as scipy would."""

from __future__ import annotations

import math

import numpy as np
import pytest
from releases import QUESTIONS, answer, conversation, write_release
from scipy import stats

from lm_eval_plugin.chatbench_data.release import load_release
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.scoring.agreement import (
    RESAMPLES,
    HumanAccuracy,
    People,
    agreement,
    complete,
    human_accuracies,
    mean_absolute_error,
    pearson,
)

FIRST, SECOND = QUESTIONS[0], QUESTIONS[1]


def reached(folder, answers, **people):
    write_release(folder, answers=answers)
    return human_accuracies(load_release(str(folder)), People(**{"model": "gpt-4o", **people}), "task t")


# What people reached


def test_accuracy_is_the_share_of_right_answers_that_were_given_with_the_chatbot(tmp_path):
    answers = [
        answer(FIRST, correct="1"),
        answer(FIRST, correct="0", selected_answer="C"),
        answer(FIRST, correct="0", selected_answer="C", condition="direct-to-AI"),
        answer(FIRST, correct="1", answer_type="user-alone"),
        answer(FIRST, correct="1", model="llama-3.1-8b"),
        answer(SECOND, correct="1"),
    ]
    first, second = FIRST["question_id"], SECOND["question_id"]
    assert reached(tmp_path, answers) == {first: HumanAccuracy(1 / 3, 3), second: HumanAccuracy(1.0, 1)}
    assert reached(tmp_path, answers, condition="answer-first")[first] == HumanAccuracy(0.5, 2)
    assert reached(tmp_path, answers, condition="direct-to-AI") == {first: HumanAccuracy(0.0, 1)}
    assert reached(tmp_path, answers, model="llama-3.1-8b") == {first: HumanAccuracy(1.0, 1)}


@pytest.mark.parametrize(
    ("people", "message"),
    [
        (
            {"model": "gpt-4"},
            "human.model is 'gpt-4', which nobody has in the data; did you mean 'gpt-4o'. Known: gpt-4o",
        ),
        (
            {"model": None},
            r"human.model is not set; name whom people talked with, one of gpt-4o: --metadata '{\"human\"",
        ),
        ({"condition": "alone"}, "human.condition is 'alone', .* Known: answer-first"),
    ],
)
def test_people_that_nobody_has_seen_are_refused_with_those_in_the_data(tmp_path, people, message):
    with pytest.raises(ConfigError, match=message):
        reached(tmp_path, [answer(FIRST)], **people)


def test_answers_that_do_not_say_how_they_came_about_give_way_to_those_of_conversations(tmp_path, caplog):
    held = [conversation(FIRST), conversation(FIRST, selectedAnswer="C")]
    write_release(tmp_path, answers=[answer(FIRST, answer_type=...)], conversations=held)
    found = human_accuracies(load_release(str(tmp_path)), People(model="gpt-4o"), "task t")
    assert found == {FIRST["question_id"]: HumanAccuracy(0.5, 2)}
    assert "do not say which were given with a chatbot" in caplog.text


# How well it is foretold


@pytest.fixture(scope="module")
def sides():
    rng = np.random.default_rng(3)
    people = rng.beta(3, 2, 60)
    return np.clip(people + rng.normal(0, 0.2, 60), 0, 1), people


def test_figures_and_intervals_are_those_of_scipy(sides):
    said, people = sides
    found = agreement(list(said), list(people))
    assert found.questions == 60
    assert found.accuracy == pytest.approx(said.mean())
    assert found.pearson.value == pytest.approx(stats.pearsonr(said, people).statistic, abs=1e-12)
    assert found.error.value == pytest.approx(np.abs(said - people).mean(), abs=1e-12)
    statistics = {
        "pearson": lambda one, other: stats.pearsonr(one, other).statistic,
        "error": lambda one, other: np.abs(one - other).mean(),
    }
    for name, statistic in statistics.items():
        plain = stats.bootstrap(
            (said, people),
            statistic,
            paired=True,
            vectorized=False,
            n_resamples=RESAMPLES,
            rng=np.random.default_rng(0),
        ).confidence_interval
        assert (getattr(found, name).low, getattr(found, name).high) == pytest.approx((plain.low, plain.high), abs=1e-9)


def test_correlation_with_a_constant_is_undefined_and_said_to_be(caplog):
    assert math.isnan(pearson([0.1, 0.1, 0.1], [0.2, 0.5, 0.9]))
    assert "undefined" in caplog.text
    found = agreement([0.1, 0.1, 0.1], [0.2, 0.5, 0.9])
    assert (found.pearson.value, found.pearson.low, found.pearson.high) == (None, None, None)
    assert found.error.value == pytest.approx((0.1 + 0.4 + 0.8) / 3)


def test_a_correlation_that_some_resample_has_not_gets_no_interval():
    found = agreement([0.0, 1.0, 1.0, 1.0], [0.1, 0.9, 0.8, 0.7])
    assert found.pearson.value > 0.9
    assert (found.pearson.low, found.pearson.high) == (None, None)


def test_an_error_that_is_the_same_on_every_question_gets_no_interval():
    assert agreement([0.5, 0.75, 0.25], [0.25, 0.5, 0.0]).error.low is None


def test_one_question_has_an_error_and_no_interval(caplog):
    found = agreement([0.5], [0.75])
    assert (found.error.value, found.error.low, found.pearson.value) == (0.25, None, None)
    assert "over 1 questions" in caplog.text


def test_nothing_to_compare_is_undefined(caplog):
    assert math.isnan(mean_absolute_error([], []))
    assert math.isnan(pearson([], []))


def test_pairs_with_one_side_are_left_out():
    assert complete([(0.5, None), (None, 1.0), (0.25, 0.75)]) == ([0.25], [0.75])
