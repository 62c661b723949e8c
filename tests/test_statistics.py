import math
from dataclasses import astuple, replace

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from strategies import PROPERTY

from lm_eval_plugin.scoring.kinds import Kind
from lm_eval_plugin.scoring.statistics import Estimate, holm, mean_estimate, paired_test, pooled_estimate

# Right-or-wrong repeats of 60 questions, ragged on purpose, and the same questions asked once.
_RANDOM = np.random.default_rng(7)
_ACCURACIES = _RANDOM.beta(1.5, 0.8, size=60)
RAGGED = [_RANDOM.binomial(1, p, size=1 + i % 5).tolist() for i, p in enumerate(_ACCURACIES)]
REPEATED = [_RANDOM.binomial(1, p, size=4).tolist() for p in _ACCURACIES]
ONCE = [_RANDOM.binomial(1, p, size=1).tolist() for p in _ACCURACIES]
REALS = [_RANDOM.normal(9, 1, size=3).tolist() for _ in range(60)]


@st.composite
def scored(draw):
    """Scores of questions, and their kind."""
    kind = draw(st.sampled_from(Kind))
    least, greatest = kind.bounds
    values = st.floats(least, min(greatest, 9), width=16) | st.integers(int(least), int(min(greatest, 9)))
    return draw(st.lists(st.lists(values, max_size=4), min_size=1, max_size=12).filter(any)), kind


def question_means(scores):
    return np.array([np.mean(repeats) for repeats in scores])


# mean_estimate


def test_mean_of_two_questions_by_hand():
    """Means 1 and 0, value 1/2, S = 1/2 = n p (1 - p), so the design effect is 1; Wilson at 2 with t(1) = 12.7062."""
    held = mean_estimate([[1], [0, 0, 0]], Kind.SHARE)
    assert (held.value, held.questions, held.scores) == (0.5, 2, 4)
    assert held.standard_error == pytest.approx(0.5)
    shrink = 12.7062047**2 / 2
    half = math.sqrt(shrink * (0.25 + shrink / 4)) / (1 + shrink)
    assert (held.low, held.high) == pytest.approx((0.5 - half, 0.5 + half))


def test_each_question_weighs_the_same_whatever_its_repeats():
    assert mean_estimate([[1, 1, 1, 1], [0], [0], [0]], Kind.SHARE).value == 0.25


@pytest.mark.parametrize(("scores", "kind"), [(REPEATED, Kind.SHARE), (ONCE, Kind.SHARE), (REALS, Kind.SECONDS)])
def test_standard_error_is_that_of_statsmodels_clustered_by_question(scores, kind):
    """Its small-sample factor for a constant is Q / (Q - 1), which is our ddof 1."""
    flat = np.concatenate(scores)
    question = np.repeat(np.arange(len(scores)), [len(repeats) for repeats in scores])
    fit = sm.OLS(flat, np.ones_like(flat)).fit(cov_type="cluster", cov_kwds={"groups": question})
    held = mean_estimate(scores, kind)
    assert (held.value, held.standard_error) == pytest.approx((fit.params[0], fit.bse[0]))


def test_ragged_standard_error_is_that_of_statsmodels_weighted_by_one_over_repeats():
    flat = np.concatenate(RAGGED).astype(float)
    lengths = [len(repeats) for repeats in RAGGED]
    question = np.repeat(np.arange(len(RAGGED)), lengths)
    weights = 1 / np.repeat(lengths, lengths)
    fit = sm.WLS(flat, np.ones_like(flat), weights).fit(cov_type="cluster", cov_kwds={"groups": question})
    held = mean_estimate(RAGGED, Kind.SHARE)
    assert (held.value, held.standard_error) == pytest.approx((fit.params[0], fit.bse[0]))


def test_formula_of_the_paper_differs_by_the_small_sample_factor_alone():
    ddof_0 = question_means(REPEATED).std() / math.sqrt(60)
    assert mean_estimate(REPEATED, Kind.SHARE).standard_error == pytest.approx(ddof_0 * math.sqrt(60 / 59))


@pytest.mark.parametrize("right", [0, 1, 30, 59, 60])
def test_interval_of_one_repeat_is_wilsons_of_statsmodels_with_students_quantile(right):
    alpha = 2 * stats.norm.sf(stats.t.ppf(0.975, 59))
    held = mean_estimate([[1]] * right + [[0]] * (60 - right), Kind.SHARE)
    assert (held.low, held.high) == pytest.approx(
        proportion_confint(right, 60, alpha=alpha, method="wilson"), abs=1e-12
    )


@pytest.mark.parametrize("scores", [REPEATED, RAGGED])
def test_interval_of_repeats_is_wilsons_at_the_size_that_the_spread_of_the_questions_leaves(scores):
    held, means = mean_estimate(scores, Kind.SHARE), question_means(scores)
    squares, full = ((means - means.mean()) ** 2).sum(), 60 * held.value * (1 - held.value)
    size = 60 * (full + 0.5) / (squares + 0.5)
    alpha = 2 * stats.norm.sf(stats.t.ppf(0.975, 59))
    expected = proportion_confint(held.value * size, size, alpha=alpha, method="wilson")
    assert size > 60
    assert (held.low, held.high) == pytest.approx(expected)


@pytest.mark.parametrize("score", [0, 1])
def test_all_right_or_all_wrong_still_has_an_interval_and_repeats_do_not_narrow_it(score):
    once, often = (mean_estimate([[score] * repeats] * 50, Kind.SHARE) for repeats in (1, 10))
    assert (once.low, once.high) == (often.low, often.high)
    assert once.high - once.low == pytest.approx(0.0747, abs=1e-4)  # t^2 / (Q + t^2), t = 2.0096
    assert once.standard_error == 0.0


def test_a_gap_has_the_interval_of_a_difference_even_if_no_question_lost():
    """One gain among 100 ties, which as a share was 0.0017 to 0.0558 and so left out 0."""
    gap = mean_estimate([[1.0]] + [[0.0]] * 99, Kind.DIFFERENCE)
    test = paired_test([[1]] + [[0]] * 99, [[0]] * 100, Kind.SHARE)
    assert (gap.low, gap.high) == pytest.approx((test.low, test.high))
    assert (gap.low, gap.high) == pytest.approx((-0.0176, 0.0372), abs=1e-4)
    assert test.p_value == pytest.approx(0.48, abs=0.01)


@pytest.mark.parametrize("repeats", [1, 10])
def test_a_count_that_is_one_everywhere_lies_from_one_up(repeats):
    held = mean_estimate([[1] * repeats] * 50, Kind.COUNT)
    assert (held.value, held.low) == (1.0, 1.0)
    assert 1.0 < held.high < 1.05


def test_the_lower_end_of_a_count_is_no_less_than_its_least():
    """13 dialogues of one turn and 3 of two: the t interval begins at 0.973 turns."""
    held = mean_estimate([[1]] * 13 + [[2]] * 3, Kind.COUNT)
    t = stats.ttest_1samp([1] * 13 + [2] * 3, 0).confidence_interval(0.95)
    assert t.low == pytest.approx(0.9727, abs=1e-4)
    assert (held.low, held.least) == (1, 1)
    assert held.high > t.high


@pytest.mark.parametrize(("score", "end"), [(1, "low"), (5, "high")])
def test_a_judges_score_that_is_the_same_everywhere_stays_from_one_to_five(score, end):
    held = mean_estimate([[score]] * 48, Kind.SCORE)
    assert getattr(held, end) == score
    assert 1 <= held.low < held.high <= 5
    assert held.high - held.low == pytest.approx(4 * 0.0778, abs=1e-3)


def test_interval_of_many_scores_of_a_judge_is_near_the_t_interval():
    scores = np.random.default_rng(3).integers(2, 6, size=400)
    held = mean_estimate(scores[:, None].tolist(), Kind.SCORE)
    t = stats.ttest_1samp(scores, 0).confidence_interval(0.95)
    assert (held.low, held.high) == pytest.approx(tuple(t), abs=0.01)


def test_interval_of_seconds_is_near_the_t_interval_of_scipy():
    held = mean_estimate(REALS, Kind.SECONDS)
    expected = stats.ttest_1samp(question_means(REALS), 0).confidence_interval(0.95)
    assert (held.low, held.high) == pytest.approx(tuple(expected), abs=0.002)


@pytest.mark.parametrize(("score", "kind"), [(-0.1, Kind.SHARE), (1.1, Kind.SHARE), (0, Kind.SCORE), (-1, Kind.COUNT)])
def test_a_score_that_its_kind_cannot_have_is_an_error(score, kind):
    with pytest.raises(ValueError, match=f"no {kind.value}"):
        mean_estimate([[score], [1]], kind)


def test_single_question_has_no_standard_error_and_no_interval():
    assert mean_estimate([[1, 0], []], Kind.SHARE) == Estimate(0.5, None, None, None, 1, 2)


def test_questions_without_a_score_are_left_out_and_not_zero():
    assert mean_estimate([[], *ONCE, []], Kind.SHARE) == mean_estimate(ONCE, Kind.SHARE)


@pytest.mark.parametrize("scores", [[], [[]], [[], []]])
def test_no_question_is_an_error_that_says_so(scores):
    with pytest.raises(ValueError, match="no question with a score"):
        mean_estimate(scores, Kind.SHARE)


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_score_that_is_no_number_is_an_error(score):
    with pytest.raises(ValueError, match="not a finite number"):
        mean_estimate([[1], [score]], Kind.COUNT)


@given(scored(), st.randoms(use_true_random=False))
@PROPERTY
def test_order_of_questions_and_repeats_is_irrelevant_to_the_last_bit(held, random):
    scores, kind = held
    shuffled = [random.sample(repeats, len(repeats)) for repeats in random.sample(scores, len(scores))]
    assert mean_estimate(shuffled, kind) == mean_estimate(scores, kind)


@given(scored())
@PROPERTY
def test_an_interval_lies_in_the_range_of_its_kind_around_the_value(held):
    scores, kind = held
    found = mean_estimate(scores, kind)
    least, greatest = kind.bounds
    if found.low is not None:
        assert least <= found.low <= found.value + 1e-9
        assert found.value - 1e-9 <= found.high <= greatest


@given(scored())
@PROPERTY
def test_repeating_every_score_changes_neither_mean_nor_error(held):
    scores, kind = held
    once, twice = mean_estimate(scores, kind), mean_estimate([repeats * 2 for repeats in scores], kind)
    assert twice.value == pytest.approx(once.value)
    assert twice.standard_error == (None if once.standard_error is None else pytest.approx(once.standard_error))


# pooled_estimate


def test_pooled_value_and_error_by_hand():
    """Shares 3/4 and 1/4: value .75 x .8 + .25 x .4 = .7, SE^2 = (.75 x .04)^2 + (.25 x .08)^2 = .0013."""
    parts = [Estimate(0.8, 0.04, None, None, 75, 75), Estimate(0.4, 0.08, None, None, 25, 250)]
    held = pooled_estimate(parts, Kind.SHARE)
    assert (held.value, held.questions, held.scores) == (pytest.approx(0.7), 100, 325)
    assert held.standard_error == pytest.approx(math.sqrt(0.0013))
    # S = .0013 x 100 x 99 = 12.87 of n p (1 - p) = 21; freedom 98.
    alpha, size = 2 * stats.norm.sf(stats.t.ppf(0.975, 98)), 100 * 21.5 / 13.37
    expected = proportion_confint(0.7 * size, size, alpha=alpha, method="wilson")
    assert (held.low, held.high) == pytest.approx(expected)


def test_pooled_value_is_the_mean_over_all_questions():
    parts = [mean_estimate(RAGGED[:20], Kind.SHARE), mean_estimate(RAGGED[20:], Kind.SHARE)]
    assert pooled_estimate(parts, Kind.SHARE).value == pytest.approx(mean_estimate(RAGGED, Kind.SHARE).value)


@pytest.mark.parametrize(("scores", "kind"), [(RAGGED, Kind.SHARE), (REALS, Kind.SECONDS)])
def test_pool_of_one_task_is_that_task_whoever_made_its_interval(scores, kind):
    held = mean_estimate(scores, kind)
    assert astuple(pooled_estimate([replace(held, low=0.0, high=0.1)], kind)) == pytest.approx(astuple(held))


@pytest.mark.parametrize("kind", [Kind.SHARE, Kind.DIFFERENCE, Kind.COUNT, Kind.SCORE])
def test_task_of_one_question_leaves_the_pool_with_its_interval(kind):
    large = mean_estimate([[1], [2]] * 30 if kind in (Kind.COUNT, Kind.SCORE) else ONCE, kind)
    held = pooled_estimate([large, mean_estimate([[1]], kind)], kind)
    assert held.questions == 61
    assert held.low < held.value < held.high
    assert held.standard_error == pytest.approx(large.standard_error, rel=0.05)


def test_tasks_of_one_question_each_are_one_pile():
    parts = [mean_estimate([scores], Kind.SHARE) for scores in ONCE]
    assert astuple(pooled_estimate(parts, Kind.SHARE)) == pytest.approx(astuple(mean_estimate(ONCE, Kind.SHARE)))


def test_the_only_question_of_all_tasks_has_no_interval():
    held = pooled_estimate([mean_estimate([[1]], Kind.SHARE)], Kind.SHARE)
    assert (held.standard_error, held.low, held.high) == (None, None, None)


def test_tasks_alike_by_hand():
    """Means .9 and .5 of 895 and 95 questions: value .7, SE^2 = (.02^2 + .06^2) / 4."""
    parts = [Estimate(0.9, 0.02, None, None, 895, 895), Estimate(0.5, 0.06, None, None, 95, 95)]
    held = pooled_estimate(parts, Kind.SHARE, tasks_alike=True)
    assert (held.value, held.questions) == (pytest.approx(0.7), 990)
    assert held.standard_error == pytest.approx(math.sqrt(0.0004 + 0.0036) / 2)
    assert (held.low, held.high) == pytest.approx((0.7 - 1.96 * 0.0316, 0.7 + 1.96 * 0.0316), abs=0.005)


def test_pool_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="no task"):
        pooled_estimate([], Kind.SHARE)


# holm


def test_holm_by_hand():
    """Sorted .01, .02, .03 become .03, .04 and max(.04, .03)."""
    assert holm([0.02, 0.01, 0.03]) == pytest.approx([0.04, 0.03, 0.04])


@pytest.mark.parametrize("tests", [1, 2, 5, 20])
def test_holm_is_that_of_statsmodels(tests):
    p_values = (np.random.default_rng(tests).random(tests) ** 3).round(2).tolist()
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_holm_of_no_test_is_empty():
    assert holm([]) == []
