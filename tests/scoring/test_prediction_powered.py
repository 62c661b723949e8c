"""People's accuracy with the help of simulated users: what it must be by hand, and where the simulation must not matter."""

from __future__ import annotations

import numpy as np
import pytest

from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.scoring.prediction_powered import powered_estimate
from lm_eval_plugin.scoring.stratified_sample import Answers, pooled_strata

ONE_TASK = ["maths"] * 40


def answers_of(shares, *, index=None, people=10, shared=False):
    """So many people on each question, the first of them right; by default nobody answers two questions."""
    asked = list(range(len(shares))) if index is None else list(index)
    rows = [
        (question, person if shared else question * people + person, float(person < round(share * people)))
        for question, share in zip(asked, shares, strict=True)
        for person in range(people)
    ]
    question, person, right = (np.array(column) for column in zip(*rows, strict=True))
    return Answers(question, person, right)


def shares(count=20, seed=0):
    return np.random.default_rng(seed).integers(1, 10, count) / 10


def test_a_simulator_that_says_what_people_reach_gives_its_mean_over_all_questions():
    reached = shares(40)
    found = powered_estimate(reached, ONE_TASK, answers_of(reached[:20]))
    assert found.weight == pytest.approx(1)
    assert found.estimate.value == pytest.approx(reached.mean())
    assert found.people_alone.value == pytest.approx(reached[:20].mean())
    assert found.variance_ratio > 2


@pytest.mark.parametrize("off", [-0.3, 0.2])
def test_a_simulator_that_is_wrong_by_a_constant_is_as_good_as_a_right_one(off):
    reached = shares(40)
    right, wrong = (powered_estimate(each, ONE_TASK, answers_of(reached[:20])) for each in (reached, reached + off))
    assert wrong.estimate.value == pytest.approx(right.estimate.value)
    assert wrong.estimate.standard_error == pytest.approx(right.estimate.standard_error)
    assert wrong.simulated == pytest.approx(right.simulated + off)


@pytest.mark.parametrize("predicted", [np.full(40, 0.5), 1 - shares(40)], ids=["constant", "upside down"])
def test_a_simulator_that_cannot_help_leaves_people_alone(predicted):
    found = powered_estimate(predicted, ONE_TASK, answers_of(shares(40)[:20]))
    assert found.weight == 0
    assert found.estimate == found.people_alone
    assert found.variance_ratio == 1


def test_the_weight_is_never_above_one():
    predicted = 0.5 + (shares(40) - 0.5) / 4
    assert powered_estimate(predicted, ONE_TASK, answers_of(shares(40)[:20])).weight == 1


def test_the_error_of_people_alone_is_that_of_two_stages_by_hand():
    reached, n, of, people = shares(20), 20, 40, 10
    noise = np.mean(reached * (1 - reached) / (people - 1))
    drawn = (1 - n / of) * reached.var(ddof=1) / n
    finite = powered_estimate(np.full(of, 0.5), ONE_TASK, answers_of(reached))
    population = powered_estimate(np.full(of, 0.5), ONE_TASK, answers_of(reached), population=True)
    assert finite.estimate.standard_error**2 == pytest.approx(drawn + noise / of)
    assert population.estimate.standard_error**2 == pytest.approx(drawn + reached.var(ddof=1) / of)
    assert population.estimate.standard_error**2 == pytest.approx(reached.var(ddof=1) / n)


def test_with_people_on_every_question_only_their_own_noise_is_left():
    reached = shares(40)
    found = powered_estimate(1 - shares(40, seed=1), ONE_TASK, answers_of(reached))
    assert found.estimate == found.people_alone
    assert found.estimate.standard_error**2 == pytest.approx(np.mean(reached * (1 - reached) / 9) / 40)


def test_people_who_answer_several_questions_make_it_less_sure():
    reached = np.full(20, 0.5)
    alone = powered_estimate(shares(40), ONE_TASK, answers_of(reached))
    shared = powered_estimate(shares(40), ONE_TASK, answers_of(reached, shared=True))
    # The same ten people everywhere, five always right: their mean is as sure as ten answers.
    assert alone.shared_people == 0
    assert (alone.people, shared.people) == (200, 10)
    assert shared.estimate.standard_error**2 == pytest.approx(0.25 / 9, rel=0.1)


def test_where_everybody_is_right_the_interval_is_not_empty():
    found = powered_estimate(np.full(40, 0.5), ONE_TASK, answers_of(np.ones(20)))
    assert found.estimate.value == found.estimate.high == 1
    assert found.estimate.low < 0.9


def test_single_answers_take_all_that_differs_as_their_noise():
    index, right = np.arange(20), np.arange(20) % 2.0
    found = powered_estimate(np.full(40, 0.5), ONE_TASK, Answers(index, index, right))
    assert found.estimate.standard_error**2 == pytest.approx(right.var(ddof=1) / 20)


def test_the_order_of_questions_and_answers_does_not_matter():
    rng = np.random.default_rng(3)
    predicted, reached = rng.random(40), shares(20)
    strata = np.array(["a", "b"] * 20)
    answers = answers_of(reached, shared=True)
    turned, mixed = rng.permutation(40), rng.permutation(len(answers.right))
    place = np.argsort(turned)
    other = Answers(place[answers.question][mixed], answers.person[mixed], answers.right[mixed])
    first = powered_estimate(predicted, list(strata), answers)
    second = powered_estimate(predicted[turned], list(strata[turned]), other)
    assert second.estimate.value == pytest.approx(first.estimate.value, abs=1e-12)
    assert second.estimate.standard_error == pytest.approx(first.estimate.standard_error, abs=1e-12)
    assert second.strata == first.strata


def test_every_stratum_weighs_as_in_the_run_and_not_as_among_those_answered():
    strata = ["a"] * 30 + ["b"] * 10
    answers = answers_of([0.2] * 8 + [0.8] * 8, index=[*range(8), *range(30, 38)])
    found = powered_estimate(np.full(40, 0.5), strata, answers)
    assert found.estimate.value == pytest.approx(0.75 * 0.2 + 0.25 * 0.8)
    # Within a stratum nothing differs but people's own answers.
    assert found.estimate.standard_error**2 == pytest.approx(0.16 / 9 / 40)


@pytest.mark.parametrize(
    ("counts", "groups"),
    [
        ({"a": 8, "b": 8}, (("a",), ("b",))),
        ({"a": 8, "b": 5, "c": 3}, (("a",), ("b", "c"))),
        ({"a": 8, "b": 9, "c": 7}, (("b",), ("a", "c"))),
        ({"a": 8, "b": 9, "c": 0}, (("b",), ("a", "c"))),
        ({"a": 7, "b": 3}, (("a", "b"),)),
        ({"a": 2, "b": 1}, (("a", "b"),)),
    ],
)
def test_strata_with_fewer_than_eight_answered_questions_are_pooled(counts, groups):
    strata = [name for name in counts for _ in range(10)]
    answered = [10 * place + number for place, count in enumerate(counts.values()) for number in range(count)]
    found, number = pooled_strata(strata, np.array(answered))
    assert found == groups
    assert [found[each] for each in number] == [next(group for group in groups if name in group) for name in strata]


@pytest.mark.parametrize(
    ("question", "person", "seen"), [([0, 1, 2], [0, 0, 0], "1 people on 3"), ([0, 0], [0, 1], "2 people on 1")]
)
def test_one_person_or_one_question_is_refused(question, person, seen):
    answers = Answers(np.array(question), np.array(person), np.ones(len(question)))
    with pytest.raises(ConfigError, match=seen):
        powered_estimate(np.full(40, 0.5), ONE_TASK, answers)


@pytest.mark.parametrize("kind", ["helps", "more than helps", "cannot help"])
def test_the_estimate_is_that_of_the_authors_own_package_at_the_same_weight(kind):
    ppi = pytest.importorskip("ppi_py", reason="ppi-python is not installed; the estimate by hand is tried above")
    rng = np.random.default_rng(4)
    reached = rng.integers(0, 11, 200) / 10
    predicted = {
        "helps": np.clip(reached + rng.normal(0, 0.3, 200), 0, 1),
        "more than helps": 0.5 + (reached - 0.5) / 4,
        "cannot help": 1 - reached,
    }[kind]
    found = powered_estimate(predicted, ["maths"] * 200, answers_of(reached[:80]))
    exact = ppi.ppi_mean_pointestimate(reached[:80], predicted[:80], predicted, lam=found.weight)
    assert found.estimate.value == pytest.approx(float(exact[0]), abs=2e-3 if kind == "helps" else 1e-9)
    assert (0 < found.weight < 1) == (kind == "helps")
