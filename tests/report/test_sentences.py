"""The one sentence of the page says what its intervals allow, and no more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_report import HOSTILE, ranking_of, run_of

from lm_eval_plugin.report.data import run_facts
from lm_eval_plugin.report.sentences import about_ranking, about_reading, about_run
from lm_eval_plugin.scoring.kinds import Kind
from lm_eval_plugin.scoring.statistics import mean_estimate


def facts_with(acc, **scores):
    """A run's facts with the metrics given as (value, low, high) over 400 questions."""
    made = {}
    for name, (value, low, high) in {"acc": acc, **scores}.items():
        kind = Kind.DIFFERENCE if name == "acc_gap" else Kind.SHARE
        made[name] = replace(mean_estimate([[0.0]] * 400, kind), value=value, low=low, high=high)
    return replace(run_facts(run_of("m", "BC")), metrics=made)


def test_scores_of_the_same_questions_are_not_counted_twice():
    told = about_run(run_facts(run_of("m", "BBCC")))
    assert "of the 4 questions" in told
    assert "on them" in told
    assert told.count("questions") == 1


@pytest.mark.parametrize(
    ("gap", "said"),
    [
        ((-0.082, -0.147, -0.016), "less often than alone: the gap is −8.2\xa0points (−14.7 to −1.6\xa0points)"),
        ((0.05, 0.01, 0.09), "more often than alone: the gap is +5.0\xa0points"),
        (
            (-0.02, -0.06, 0.02),
            "it is not told from the model alone: the gap is −2.0\xa0points (−6.0 to +2.0\xa0points)",
        ),
        ((-0.02, -0.02, 0.0), "it is not told from the model alone"),
    ],
)
def test_the_direction_is_said_only_where_the_interval_leaves_out_0(gap, said):
    told = about_run(facts_with((0.64, 0.59, 0.69), acc_static=(0.72, 0.67, 0.76), acc_gap=gap))
    assert said in told
    assert "64.0\u202f% (59.0 to 69.0\u202f%) of the 400 questions" in told


def test_without_a_static_score_or_any_score_nothing_is_compared():
    assert about_run(facts_with((0.64, 0.59, 0.69))).endswith("no static score was taken to compare it with.")
    assert "nothing can be said" in about_run(replace(facts_with((0.6, 0.5, 0.7)), metrics={}))


def test_one_question_says_nothing_of_the_gap():
    told = about_run(run_facts(run_of("m", "B")))
    assert "the one question" in told
    assert "cannot be told from the model alone" in told


def test_the_first_of_a_ranking_is_told_from_the_next_only_where_the_test_says_so():
    close = about_ranking(ranking_of(run_of("a", "BC"), run_of("b", "CC")))
    assert "a is right most often" in close
    assert "do not tell it from b" in close
    apart = about_ranking(ranking_of(run_of("a", "B" * 40), run_of("b", "C" * 40)))
    assert "tell it from b (0.0\u202f%)" in apart
    assert "not tell" not in apart
    assert "1 of 2 models is right less often than alone" in apart


def test_a_models_name_cannot_act_in_the_sentence():
    told = about_ranking(ranking_of(run_of(HOSTILE, "BB"), run_of("b", "CC")))
    assert "\x00" not in told
    assert "\u202e" not in told


@pytest.mark.parametrize(
    ("share", "said"), [(0.49, "In only 49.0\u202f% of the dialogues of m could"), (0.5, ""), (None, "")]
)
def test_that_replies_were_seldom_read_is_said_below_a_half(share, said):
    scores = {} if share is None else {"replies_read": (share, share, share)}
    told = about_reading(facts_with((0.64, 0.59, 0.69), **scores))
    assert said in told
    assert bool(told) == bool(said)
