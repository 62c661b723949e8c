import math
from dataclasses import astuple

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower, TTestPower
from statsmodels.stats.proportion import proportion_confint
from strategies import PROPERTY

from lm_eval_plugin.statistics import (
    DRAWS,
    Estimate,
    detectable_difference,
    holm,
    mean_estimate,
    paired_test,
    pooled_estimate,
)

# Right-or-wrong repeats of 60 questions, ragged on purpose, and the same questions asked once.
_RANDOM = np.random.default_rng(7)
_ACCURACIES = _RANDOM.beta(1.5, 0.8, size=60)
RAGGED = [_RANDOM.binomial(1, p, size=1 + i % 5).tolist() for i, p in enumerate(_ACCURACIES)]
REPEATED = [_RANDOM.binomial(1, p, size=4).tolist() for p in _ACCURACIES]
ONCE = [_RANDOM.binomial(1, p, size=1).tolist() for p in _ACCURACIES]
AGAIN = [_RANDOM.binomial(1, 0.7 * p, size=1).tolist() for p in _ACCURACIES]
REALS = [_RANDOM.normal(3, 1, size=3).tolist() for _ in range(60)]
OTHER_REALS = [_RANDOM.normal(3.2, 1, size=2).tolist() for _ in range(60)]

binary = st.lists(st.lists(st.integers(0, 1), max_size=4), min_size=1, max_size=12).filter(any)
reals = st.lists(st.lists(st.floats(-5, 5, width=16), max_size=4), min_size=1, max_size=12).filter(any)
scored = binary | reals
pairs = st.lists(
    st.tuples(st.lists(st.integers(0, 1), max_size=3), st.lists(st.integers(0, 1), max_size=3)), max_size=25
)
pairs = pairs.filter(lambda both: any(ours and theirs for ours, theirs in both))


def question_means(scores):
    return np.array([np.mean(repeats) for repeats in scores])


def right_or_wrong(*, gains, losses, right=0, wrong=0):
    first = [[1]] * gains + [[0]] * losses + [[1]] * right + [[0]] * wrong
    second = [[0]] * gains + [[1]] * losses + [[1]] * right + [[0]] * wrong
    return first, second


# mean_estimate


def test_mean_of_two_questions_by_hand():
    """Means 1 and 0, value 1/2, sd sqrt(1/2), SE 1/2, effective size (1/4) / (1/4) = 1, t(1) quantile 12.7062."""
    held = mean_estimate([[1], [0, 0, 0]])
    assert (held.value, held.questions, held.scores) == (0.5, 2, 4)
    assert held.standard_error == pytest.approx(0.5)
    half = 12.7062047 * math.sqrt(0.25 + 12.7062047**2 / 4) / (1 + 12.7062047**2)
    assert (held.low, held.high) == pytest.approx((0.5 - half, 0.5 + half))


def test_each_question_weighs_the_same_whatever_its_repeats():
    assert mean_estimate([[1, 1, 1, 1], [0], [0], [0]]).value == 0.25


@pytest.mark.parametrize("scores", [REPEATED, ONCE, REALS])
def test_standard_error_is_that_of_statsmodels_clustered_by_question(scores):
    """Its small-sample factor for a constant is Q / (Q - 1), which is our ddof 1."""
    flat = np.concatenate(scores)
    question = np.repeat(np.arange(len(scores)), [len(repeats) for repeats in scores])
    fit = sm.OLS(flat, np.ones_like(flat)).fit(cov_type="cluster", cov_kwds={"groups": question})
    held = mean_estimate(scores)
    assert (held.value, held.standard_error) == pytest.approx((fit.params[0], fit.bse[0]))


def test_ragged_standard_error_is_that_of_statsmodels_weighted_by_one_over_repeats():
    flat = np.concatenate(RAGGED).astype(float)
    lengths = [len(repeats) for repeats in RAGGED]
    question = np.repeat(np.arange(len(RAGGED)), lengths)
    weights = 1 / np.repeat(lengths, lengths)
    fit = sm.WLS(flat, np.ones_like(flat), weights).fit(cov_type="cluster", cov_kwds={"groups": question})
    held = mean_estimate(RAGGED)
    assert (held.value, held.standard_error) == pytest.approx((fit.params[0], fit.bse[0]))


def test_formula_of_the_paper_differs_by_the_small_sample_factor_alone():
    means = question_means(REPEATED)
    ddof_0 = means.std() / math.sqrt(60)
    assert mean_estimate(REPEATED).standard_error == pytest.approx(ddof_0 * math.sqrt(60 / 59))


def test_interval_of_real_scores_is_the_t_interval_of_scipy():
    held = mean_estimate(REALS)
    expected = stats.ttest_1samp(question_means(REALS), 0).confidence_interval(0.95)
    assert (held.low, held.high) == pytest.approx(tuple(expected))


@pytest.mark.parametrize("scores", [ONCE, REPEATED, RAGGED])
def test_interval_of_right_or_wrong_is_wilsons_at_the_effective_size(scores):
    held = mean_estimate(scores)
    size = held.value * (1 - held.value) / held.standard_error**2
    alpha = 2 * stats.norm.sf(stats.t.ppf(0.975, 59))
    expected = proportion_confint(held.value * size, size, alpha=alpha, method="wilson")
    assert (held.low, held.high) == pytest.approx(expected)


def test_effective_size_of_one_repeat_is_one_less_than_the_questions():
    held = mean_estimate(ONCE)
    assert held.value * (1 - held.value) / held.standard_error**2 == pytest.approx(59)


@pytest.mark.parametrize("score", [0, 1])
def test_all_right_or_all_wrong_still_has_an_interval_and_repeats_do_not_narrow_it(score):
    once, often = mean_estimate([[score]] * 50), mean_estimate([[score] * 10] * 50)
    assert (once.low, once.high) == (often.low, often.high)
    assert once.high - once.low == pytest.approx(0.0747, abs=1e-4)  # t^2 / (Q + t^2), t = 2.0096
    assert once.standard_error == 0.0


def test_effective_size_never_exceeds_the_scores():
    held = mean_estimate([[0, 1]] * 20)  # every mean is 1/2: their spread says nothing about the 40 draws
    expected = proportion_confint(20, 40, alpha=2 * stats.norm.sf(stats.t.ppf(0.975, 19)), method="wilson")
    assert (held.low, held.high) == pytest.approx(expected)


def test_single_question_has_no_standard_error_and_no_interval():
    assert mean_estimate([[1, 0], []]) == Estimate(0.5, None, None, None, 1, 2)


def test_questions_without_a_score_are_left_out_and_not_zero():
    assert mean_estimate([[], *ONCE, []]) == mean_estimate(ONCE)


@pytest.mark.parametrize("scores", [[], [[]], [[], []]])
def test_no_question_is_an_error_that_says_so(scores):
    with pytest.raises(ValueError, match="no question with a score"):
        mean_estimate(scores)


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_score_that_is_no_number_is_an_error(score):
    with pytest.raises(ValueError, match="not a finite number"):
        mean_estimate([[1], [score]])


@given(scored, st.randoms(use_true_random=False))
@PROPERTY
def test_order_of_questions_and_repeats_is_irrelevant_to_the_last_bit(scores, random):
    shuffled = [random.sample(repeats, len(repeats)) for repeats in random.sample(scores, len(scores))]
    assert mean_estimate(shuffled) == mean_estimate(scores)


@given(binary)
@PROPERTY
def test_interval_of_right_or_wrong_lies_in_zero_to_one_around_the_value(scores):
    held = mean_estimate(scores)
    assert held.low is None or 0 <= held.low <= held.value <= held.high <= 1


@given(scored)
@PROPERTY
def test_repeating_every_score_changes_neither_mean_nor_error(scores):
    once, twice = mean_estimate(scores), mean_estimate([repeats * 2 for repeats in scores])
    assert twice.value == pytest.approx(once.value)
    assert twice.standard_error == (None if once.standard_error is None else pytest.approx(once.standard_error))


# pooled_estimate


def test_pooled_by_hand():
    """Shares 3/4 and 1/4: value .75 x .8 + .25 x .4 = .7, SE^2 = (.75 x .04)^2 + (.25 x .08)^2 = .0013."""
    held = pooled_estimate([Estimate(0.8, 0.04, 0.7, 0.86, 75, 75), Estimate(0.4, 0.08, 0.24, 0.56, 25, 250)])
    assert (held.value, held.questions, held.scores) == (pytest.approx(0.7), 100, 325)
    assert held.standard_error == pytest.approx(math.sqrt(0.0013))
    assert held.low == pytest.approx(0.7 - math.hypot(0.75 * 0.1, 0.25 * 0.16))
    assert held.high == pytest.approx(0.7 + math.hypot(0.75 * 0.06, 0.25 * 0.16))


def test_pooled_value_is_the_mean_over_all_questions():
    held = pooled_estimate([mean_estimate(RAGGED[:20]), mean_estimate(RAGGED[20:])])
    assert held.value == pytest.approx(mean_estimate(RAGGED).value)


def test_pool_of_one_task_is_that_task():
    held = mean_estimate(RAGGED)
    assert astuple(pooled_estimate([held])) == pytest.approx(astuple(held))


def test_task_of_one_question_leaves_the_pool_without_error_and_not_with_a_smaller_one():
    held = pooled_estimate([mean_estimate(ONCE), mean_estimate([[1]])])
    assert (held.standard_error, held.low, held.high, held.questions) == (None, None, None, 61)


def test_pool_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="no task"):
        pooled_estimate([])


# paired_test with questions that are right or wrong


def test_five_gains_by_hand():
    """Doubled mid-p of 5 out of 5: 2 x (1/2)(1/32) = 1/32. Agresti-Min: 5/52 +- 1.95996 sqrt(6 - 25/52) / 52."""
    test = paired_test(*right_or_wrong(gains=5, losses=0, right=30, wrong=15))
    assert (test.method, test.questions, test.gains, test.losses) == ("McNemar mid-p", 50, 5, 0)
    assert (test.difference, test.p_value) == (0.1, 1 / 32)
    half = 1.959963985 * math.sqrt(6 - 25 / 52) / 52
    assert (test.low, test.high) == pytest.approx((5 / 52 - half, 5 / 52 + half))
    assert test.detectable == pytest.approx((1.959963985 + 0.841621234) * math.sqrt(7 / 52) / math.sqrt(50))


def test_difference_is_first_minus_second():
    assert paired_test([[1]] * 9, [[0]] * 9).difference == 1.0
    assert paired_test([[0]] * 9, [[1]] * 9).difference == -1.0


@pytest.mark.parametrize(("gains", "losses"), [(0, 1), (7, 2), (3, 14), (40, 61), (900, 800)])
def test_mid_p_is_the_exact_p_of_statsmodels_and_scipy_less_the_probability_of_the_observed(gains, losses):
    test = paired_test(*right_or_wrong(gains=gains, losses=losses, right=9))
    exact = mcnemar([[9, gains], [losses, 0]], exact=True).pvalue
    observed = stats.binom.pmf(gains, gains + losses, 0.5)
    assert exact == pytest.approx(stats.binomtest(gains, gains + losses).pvalue)
    assert test.p_value == pytest.approx(exact - observed)


@pytest.mark.parametrize("count", [0, 1, 8])
def test_as_many_gains_as_losses_is_p_of_one(count):
    assert paired_test(*right_or_wrong(gains=count, losses=count, wrong=1)).p_value == 1.0


def test_equal_runs_have_difference_zero_and_an_interval_that_does_not_claim_certainty():
    test = paired_test(ONCE, ONCE)
    assert (test.difference, test.p_value, test.gains, test.losses) == (0.0, 1.0, 0, 0)
    assert (test.low, test.high) == pytest.approx((-1.959963985 / 62, 1.959963985 / 62))
    assert test.detectable > 0


def test_repeats_that_all_agree_are_right_or_wrong():
    first, second = right_or_wrong(gains=6, losses=1, right=20, wrong=9)
    assert paired_test([repeats * 3 for repeats in first], second) == paired_test(first, second)


# paired_test with repeats and other scores


@pytest.mark.parametrize("kept", [4, 8, 12])
def test_few_questions_have_the_exact_permutation_p_of_scipy(kept):
    first, second = REALS[:kept], OTHER_REALS[:kept]
    expected = stats.permutation_test(
        (question_means(first), question_means(second)),
        lambda ours, theirs, axis: np.mean(ours - theirs, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    )
    test = paired_test(first, second)
    assert test.method == "permutation"
    assert test.p_value == pytest.approx(expected.pvalue)


def test_ties_of_repeated_scores_are_counted_as_scipy_counts_them():
    first, second = REPEATED[:11], RAGGED[:11]
    differences = question_means(first) - question_means(second)
    expected = stats.permutation_test((differences,), np.sum, permutation_type="samples", n_resamples=np.inf)
    assert paired_test(first, second).p_value == pytest.approx(expected.pvalue)


@pytest.mark.parametrize(("first", "second"), [(REALS, OTHER_REALS), (REPEATED, RAGGED), (REPEATED, AGAIN)])
def test_many_questions_have_the_permutation_p_of_scipy_up_to_the_draws(first, second):
    differences = question_means(first) - question_means(second)
    expected = stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=20_000, rng=np.random.default_rng(1)
    )
    noise = math.sqrt(expected.pvalue * (1 - expected.pvalue) * (1 / DRAWS + 1 / 20_000))
    assert paired_test(first, second).p_value == pytest.approx(expected.pvalue, abs=4 * noise + 1e-4)


def test_monte_carlo_p_is_never_zero():
    assert paired_test([[2.5]] * 40, [[1.0]] * 40).p_value == 1 / (DRAWS + 1)


def test_seed_alone_decides_the_draws():
    assert paired_test(REALS, OTHER_REALS, seed=3) == paired_test(REALS, OTHER_REALS, seed=3)
    assert paired_test(REALS, OTHER_REALS, seed=3).p_value != paired_test(REALS, OTHER_REALS, seed=4).p_value


def test_interval_of_real_scores_is_the_paired_t_interval_of_scipy():
    expected = stats.ttest_rel(question_means(REALS), question_means(OTHER_REALS)).confidence_interval(0.95)
    test = paired_test(REALS, OTHER_REALS)
    assert (test.low, test.high) == pytest.approx(tuple(expected))


def test_interval_of_repeats_squares_and_adds_the_sides_distances():
    first, second = mean_estimate(REPEATED), mean_estimate(AGAIN)
    r = stats.pearsonr(question_means(REPEATED), question_means(AGAIN)).statistic
    below, above = first.value - first.low, second.high - second.value
    test = paired_test(REPEATED, AGAIN)
    assert test.difference - test.low == pytest.approx(math.sqrt(below**2 + above**2 - 2 * r * below * above))


@pytest.mark.parametrize(("first", "second"), [(REPEATED, RAGGED), (REPEATED, AGAIN)])
def test_interval_of_many_questions_is_near_the_bootstrap_of_scipy(first, second):
    differences = question_means(first) - question_means(second)
    expected = stats.bootstrap((differences,), np.mean, rng=np.random.default_rng(1)).confidence_interval
    test = paired_test(first, second)
    assert (test.low, test.high) == pytest.approx(tuple(expected), abs=0.02)


def test_equal_repeats_have_p_of_one_and_no_detectable_difference():
    test = paired_test(REPEATED, REPEATED)
    assert (test.difference, test.p_value, test.detectable) == (0.0, 1.0, None)
    assert test.low == pytest.approx(-test.high, abs=0.1)
    assert test.low <= 0 <= test.high


def test_side_without_spread_has_no_correlation():
    test = paired_test(REPEATED, [[1]] * 60)
    ours, theirs = mean_estimate(REPEATED), mean_estimate([[1]] * 60)
    assert test.high - test.difference == pytest.approx(math.hypot(ours.high - ours.value, 1 - theirs.low))


def test_question_that_one_side_did_not_score_is_left_out():
    test = paired_test([[1, 0], *REPEATED], [[], *AGAIN])
    assert test == paired_test(REPEATED, AGAIN)
    assert test.questions == 60


@pytest.mark.parametrize("scores", [[[1]], [[0.25]]])
def test_single_question_has_no_interval_and_nothing_detectable(scores):
    test = paired_test(scores, [[0]])
    assert (test.low, test.high, test.detectable) == (None, None, None)
    assert test.p_value >= 0.5


def test_no_common_question_is_an_error_that_says_so():
    with pytest.raises(ValueError, match="no question with a score on both sides"):
        paired_test([[1], []], [[], [1]])


def test_sides_of_different_length_are_an_error():
    with pytest.raises(ValueError, match="2 against 1"):
        paired_test([[1], [0]], [[1]])


def test_fourteen_thousand_questions_fit_in_memory():
    random = np.random.default_rng(0)
    first, second = random.binomial(10, 0.7, size=(2, 14_000)) / 10
    test = paired_test(first[:, None].tolist(), second[:, None].tolist())
    assert test.high - test.low == pytest.approx(2 * 1.96 * math.sqrt(2 * 0.021 / 14_000), rel=0.03)


@given(pairs, st.randoms(use_true_random=False))
@PROPERTY
def test_order_of_paired_questions_and_repeats_is_irrelevant_to_the_last_bit(both, random):
    shuffled = [
        (random.sample(ours, len(ours)), random.sample(theirs, len(theirs)))
        for ours, theirs in random.sample(both, len(both))
    ]
    assert paired_test(*zip(*shuffled, strict=True)) == paired_test(*zip(*both, strict=True))


@given(pairs)
@PROPERTY
def test_paired_ranges(both):
    test = paired_test(*zip(*both, strict=True))
    assert 0 < test.p_value <= 1
    assert test.low is None or -1 - 1e-9 <= test.low <= test.high <= 1 + 1e-9
    assert test.detectable is None or test.detectable > 0


@given(pairs)
@PROPERTY
def test_swapping_the_sides_turns_the_difference_and_keeps_the_p_value(both):
    first, second = zip(*both, strict=True)
    there, back = paired_test(first, second), paired_test(second, first)
    assert (there.difference, there.p_value, there.gains) == (-back.difference, back.p_value, back.losses)
    assert there.low is None or (there.low, there.high) == pytest.approx((-back.high, -back.low))


# detectable_difference and holm


@pytest.mark.parametrize(("alpha", "power"), [(0.05, 0.8), (0.01, 0.9)])
def test_detectable_difference_has_the_power_that_statsmodels_computes(alpha, power):
    effect = detectable_difference(0.4, 300, alpha=alpha, power=power) / 0.4
    # ratio=0: one sample. It counts the wrong tail too, which is below 1e-6 here.
    assert NormalIndPower().power(effect, 300, alpha, ratio=0) == pytest.approx(power, abs=1e-5)
    assert TTestPower().power(effect, 300, alpha) == pytest.approx(power, abs=0.005)


def test_detectable_difference_by_hand():
    assert detectable_difference(0.5, 400) == pytest.approx((1.959963985 + 0.841621234) / 40)


def test_holm_by_hand():
    """Sorted .01, .02, .03 become .03, .04 and max(.04, .03)."""
    assert holm([0.02, 0.01, 0.03]) == pytest.approx([0.04, 0.03, 0.04])


@pytest.mark.parametrize("tests", [1, 2, 5, 20])
def test_holm_is_that_of_statsmodels(tests):
    p_values = (np.random.default_rng(tests).random(tests) ** 3).round(2).tolist()
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_holm_of_no_test_is_empty():
    assert holm([]) == []
