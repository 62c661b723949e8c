"""The interval of a difference on the same questions, and the test that is its inversion."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from strategies import PROPERTY

from lm_eval_plugin.scoring.intervals import LEVEL, Pivot, difference_pivot, flip_of
from lm_eval_plugin.scoring.kinds import Kind
from lm_eval_plugin.scoring.spread import Stratum, spread_of
from lm_eval_plugin.scoring.statistics import flip_of_sides, mean_estimate, paired_test, pooled_estimate

_RANDOM = np.random.default_rng(7)
_ACCURACIES = _RANDOM.beta(1.5, 0.8, size=60)
RAGGED = [_RANDOM.binomial(1, p, size=1 + i % 5).tolist() for i, p in enumerate(_ACCURACIES)]
REPEATED = [_RANDOM.binomial(1, p, size=4).tolist() for p in _ACCURACIES]
ONCE = [_RANDOM.binomial(1, p, size=1).tolist() for p in _ACCURACIES]
WORDS = [_RANDOM.normal(30, 9, size=3).tolist() for _ in range(60)]
OTHER_WORDS = [_RANDOM.normal(33, 9, size=2).tolist() for _ in range(60)]

pairs = st.lists(
    st.tuples(st.lists(st.integers(0, 1), max_size=3), st.lists(st.integers(0, 1), max_size=3)), max_size=25
)
pairs = pairs.filter(lambda both: any(ours and theirs for ours, theirs in both))


def right_or_wrong(*, gains, losses, right=0, wrong=0):
    first = [[1]] * gains + [[0]] * losses + [[1]] * right + [[0]] * wrong
    second = [[0]] * gains + [[1]] * losses + [[1]] * right + [[0]] * wrong
    return first, second


def compared(first, second, kind=Kind.SHARE, **options):
    return paired_test(first, second, kind, **options)


# The interval


def test_wald_2_of_agresti_and_min_is_that_of_the_r_package_propcis():
    """Its documentation prints -0.21601726, -0.03089632 for b = 40, c = 20, n = 160, as c - b and with z."""
    spread = spread_of([Stratum.of([-1.0] * 40 + [1.0] * 20 + [0.0] * 100)], [1.0])
    pivot = difference_pivot(spread, 1.0, Kind.SHARE)
    assert pivot.centre == pytest.approx(-0.1234568, abs=1e-7)
    z = stats.norm.ppf(0.975)
    ends = (pivot.centre - z * pivot.error, pivot.centre + z * pivot.error)
    assert ends == pytest.approx((-0.21601726, -0.03089632), abs=1e-8)


def test_five_gains_by_hand():
    """5/52 +- t(49) sqrt(6 - 25/52) / 52."""
    test = compared(*right_or_wrong(gains=5, losses=0, right=30, wrong=15))
    assert (test.method, test.questions, test.gains, test.losses, test.difference) == ("Agresti-Min", 50, 5, 0, 0.1)
    error = math.sqrt(6 - 25 / 52) / 52
    assert (test.low, test.high) == pytest.approx((5 / 52 - 2.009575 * error, 5 / 52 + 2.009575 * error), abs=1e-6)
    assert test.p_value == pytest.approx(2 * stats.t.sf(5 / 52 / error, 49))


def test_a_static_answer_less_the_mean_of_ten_scatters_with_half_a_whole_gain_and_loss():
    first = [[1] * 9 + [0]] * 3 + [[1] * 10] * 17
    test = compared(first, [[1]] * 20)
    error = math.sqrt(3 * 0.01 + 1 - 0.3**2 / 22) / 22
    assert (test.low, test.high) == pytest.approx((-0.3 / 22 - 2.093024 * error, -0.3 / 22 + 2.093024 * error))
    assert test.p_value > 0.7
    assert (test.gains, test.losses) == (None, None)


def test_difference_is_first_minus_second():
    assert compared([[1]] * 9, [[0]] * 9).difference == 1.0
    assert compared([[0]] * 9, [[1]] * 9).difference == -1.0


def test_equal_runs_have_an_interval_that_does_not_claim_certainty():
    test = compared(ONCE, ONCE)
    assert (test.difference, test.p_value, test.gains, test.losses) == (0.0, 1.0, 0, 0)
    assert (test.low, test.high) == pytest.approx((-2.000995 / 62, 2.000995 / 62))


def test_repeats_that_all_agree_are_single_answers():
    first, second = right_or_wrong(gains=6, losses=1, right=20, wrong=9)
    once, often = (
        compared(first, second),
        compared([repeats * 3 for repeats in first], [repeats * 3 for repeats in second]),
    )
    assert (often.low, often.high, often.p_value) == pytest.approx((once.low, once.high, once.p_value))


def test_interval_of_counts_is_near_the_paired_t_interval_of_scipy():
    means = [[np.mean(repeats) for repeats in side] for side in (WORDS, OTHER_WORDS)]
    test = compared(WORDS, OTHER_WORDS, Kind.COUNT)
    expected = stats.ttest_rel(*means)
    assert (test.low, test.high) == pytest.approx(tuple(expected.confidence_interval(0.95)), abs=0.01)
    assert test.p_value == pytest.approx(expected.pvalue, abs=0.001)
    assert test.method == "paired t"


def test_interval_of_many_questions_is_near_the_bootstrap_of_scipy():
    first, second = RAGGED, REPEATED
    differences = np.array([np.mean(one) - np.mean(other) for one, other in zip(first, second, strict=True)])
    expected = stats.bootstrap((differences,), np.mean, rng=np.random.default_rng(1)).confidence_interval
    assert (compared(first, second).low, compared(first, second).high) == pytest.approx(tuple(expected), abs=0.02)


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [(Kind.SHARE, 1, 0), (Kind.DIFFERENCE, 1, -1), (Kind.SCORE, 5, 1), (Kind.SHARE, 0, 1)],
)
@pytest.mark.parametrize("questions", [2, 3, 20])
def test_no_interval_leaves_the_range_of_a_difference(kind, first, second, questions):
    test = compared([[first]] * questions, [[second]] * questions, kind)
    assert -kind.reach <= test.low < test.high <= kind.reach


# Repeats on both sides


def test_unseen_flip_is_whole_if_a_side_was_asked_once_or_all_repeats_agree():
    assert flip_of_sides(REPEATED, ONCE) == 1.0
    assert flip_of_sides([[1, 1], [0, 0], [1, 1]], [[0, 0], [0, 0], [1, 1]]) == 1.0
    assert flip_of_sides([[1, 1]] * 9, [[1, 1]] * 9) == 1.0


def test_unseen_flip_by_hand_if_repeats_differ_by_themselves():
    """Means 1/2 on both sides of two questions: sum d^2 = 0, and half of the pairs of single answers differ."""
    assert flip_of_sides([[1, 0], [0, 1]], [[1, 0], [1, 0]]) == 0.5 / (1 + 0.5)
    assert flip_of(1.5, 3.5, once=False) == 0.5


# Tasks


def test_what_differs_between_tasks_is_no_error_of_a_groups_difference():
    easy, hard = right_or_wrong(gains=30, losses=0, right=10), right_or_wrong(gains=0, losses=30, wrong=10)
    first, second = [*easy[0], *hard[0]], [*easy[1], *hard[1]]
    pile, group = compared(first, second), compared(first, second, strata=[0] * 40 + [1] * 40)
    assert pile.difference == group.difference == 0
    assert group.high - group.low < 0.6 * (pile.high - pile.low)


def test_a_groups_test_rests_on_the_strata_of_its_interval():
    first, second = right_or_wrong(gains=5, losses=1, right=30, wrong=4)
    strata = [0] * 15 + [1] * 24 + [2]
    gaps = [[one[0] - other[0]] for one, other in zip(first, second, strict=True)]
    parts = [mean_estimate(gaps[:15], Kind.DIFFERENCE), mean_estimate(gaps[15:39], Kind.DIFFERENCE)]
    group = pooled_estimate([*parts, mean_estimate(gaps[39:], Kind.DIFFERENCE)], Kind.DIFFERENCE)
    test = compared(first, second, strata=strata)
    assert (test.low, test.high) == pytest.approx((group.low, group.high))


# The test


def test_p_of_one_if_nothing_differs_on_average():
    assert compared(*right_or_wrong(gains=8, losses=8, wrong=1)).p_value == 1.0


@given(pairs)
@PROPERTY
def test_p_and_interval_never_contradict_each_other(both):
    test = compared(*zip(*both, strict=True))
    if test.p_value is not None:
        assert (test.p_value < 1 - LEVEL) == (not test.low <= 0 <= test.high)


@given(st.floats(-1, 1), st.floats(0.01, 1), st.integers(1, 400), st.floats(0.001, 0.499))
@PROPERTY
def test_one_sided_p_is_the_tail_of_the_interval_that_ends_at_the_limit(centre, error, freedom, tail):
    pivot = Pivot(centre, error, freedom, -math.inf, math.inf)
    low, high = pivot.interval(tail)
    assert pivot.p_above(low) == pytest.approx(tail, rel=1e-6)
    assert 1 - pivot.p_above(high) == pytest.approx(tail, rel=1e-6)


def test_question_that_one_side_did_not_score_is_left_out():
    test = compared([[1, 0], *REPEATED], [[], *ONCE])
    assert test == compared(REPEATED, ONCE)
    assert test.questions == 60


@pytest.mark.parametrize("scores", [[[1]], [[0.25]]])
def test_single_question_says_nothing_beside_its_difference(scores):
    test = compared(scores, [[0]])
    assert (test.low, test.high, test.p_value, test.detectable) == (None, None, None, None)


def test_no_common_question_is_an_error_that_says_so():
    with pytest.raises(ValueError, match="no question with a score on both sides"):
        compared([[1], []], [[], [1]])


def test_sides_of_different_length_are_an_error():
    with pytest.raises(ValueError, match="2 against 1"):
        compared([[1], [0]], [[1]])


def test_fourteen_thousand_questions_fit_in_memory():
    random = np.random.default_rng(0)
    first, second = random.binomial(10, 0.7, size=(2, 14_000)) / 10
    test = compared(first[:, None].tolist(), second[:, None].tolist())
    assert test.high - test.low == pytest.approx(2 * 1.96 * math.sqrt(2 * 0.021 / 14_000), rel=0.03)


@given(pairs, st.randoms(use_true_random=False))
@PROPERTY
def test_order_of_paired_questions_and_repeats_is_irrelevant_to_the_last_bit(both, random):
    shuffled = [
        (random.sample(ours, len(ours)), random.sample(theirs, len(theirs)))
        for ours, theirs in random.sample(both, len(both))
    ]
    assert compared(*zip(*shuffled, strict=True)) == compared(*zip(*both, strict=True))


@given(pairs)
@PROPERTY
def test_swapping_the_sides_turns_the_difference_and_keeps_the_p_value(both):
    first, second = zip(*both, strict=True)
    there, back = compared(first, second), compared(second, first)
    assert (there.difference, there.p_value, there.gains) == (-back.difference, back.p_value, back.losses)
    assert there.low is None or (there.low, there.high) == (-back.high, -back.low)


# What can be detected


@pytest.mark.parametrize("questions", [2, 3, 4])
def test_where_not_even_all_against_none_is_told_apart_nothing_is_detectable(questions):
    greatest = compared([[1]] * questions, [[0]] * questions)
    assert greatest.p_value > 1 - LEVEL
    assert greatest.detectable is None


def test_detectable_is_no_more_than_the_range():
    found = [compared([[1]] * n, [[1]] * n).detectable for n in range(2, 60)]
    assert found[0] is None
    assert all(each is None or 0 < each <= 1 for each in found)
    told = [each for each in found if each is not None]
    assert told == sorted(told, reverse=True)


@pytest.mark.parametrize(("questions", "discordant"), [(50, 0), (100, 2), (400, 20), (400, 120)])
def test_the_detectable_difference_of_single_answers_is_found_with_about_80_percent_power(questions, discordant):
    """Of D as told, gains and losses have the probabilities that bring D and at least the discordant share that was seen."""
    seen = right_or_wrong(gains=discordant // 2, losses=discordant // 2, right=questions - discordant)
    told = compared(*seen).detectable
    share = max(told, discordant / questions)
    random = np.random.default_rng(questions + discordant)
    draws = random.multinomial(questions, [(share + told) / 2, (share - told) / 2, 1 - share], size=2_000)
    tests = [compared(*right_or_wrong(gains=up, losses=down, right=same)) for up, down, same in draws.tolist()]
    assert 0.75 < np.mean([test.p_value < 0.05 for test in tests]) < 0.95
