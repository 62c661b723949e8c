"""What the charts show beside their bars and points: intervals, and labels that do not lie on each other."""

from __future__ import annotations

import itertools

import pytest
from test_report import parts_of, ranking_of, run_of

from lm_eval_plugin.report import charts
from lm_eval_plugin.report.data import run_facts


@pytest.mark.parametrize("values", [[0.4, 0.52, 0.53, 0.64], [0.5] * 5, [0.9, 0.1], [0.7]])
def test_labels_keep_their_order_and_distance_and_those_alone_stay(values):
    placed = charts._apart(values, 0.05)
    order = sorted(range(len(values)), key=lambda place: values[place])
    gaps = [placed[high] - placed[low] for low, high in itertools.pairwise(order)]
    assert all(gap >= 0.05 - 1e-9 for gap in gaps)
    assert sum(placed) == pytest.approx(sum(values))
    if values[0] == 0.4:
        assert placed[0] == 0.4
        assert placed[3] == 0.64


def lines(drawn):
    """How many lines are drawn alone, as intervals are."""
    return drawn.count('stroke-width="1.1"')


def test_every_bar_and_every_point_has_its_interval():
    assert lines(charts.turns_chart(parts_of("BBC"), "x")) == 1
    facts = run_facts(run_of("a", "BBCC"))
    assert lines(charts.stops_chart(facts.stops, "x")) == len(facts.stops)
    assert lines(charts.subject_chart(facts.subjects, "x")) == 2 * len(facts.subjects)
    ranking = ranking_of(run_of("a", "BBCC"), run_of("b", "BCCC"), run_of("c", "CCCC"))
    assert lines(charts.slope_chart(ranking, "x")) == 2 * 3
    assert lines(charts.gap_chart(ranking, "x")) == 3


def test_one_question_has_points_without_intervals():
    ranking = ranking_of(run_of("a", "B"), run_of("b", "C"))
    assert lines(charts.slope_chart(ranking, "x")) == 0
    assert lines(charts.gap_chart(ranking, "x")) == 0


def test_a_model_is_called_by_the_end_of_its_name_where_that_tells_it_apart():
    different = ranking_of(run_of("org/Model-1", "BC"), run_of("org/Model-2", "CC"))
    assert "org/Model" not in charts.slope_chart(different, "x")
    same = ranking_of(run_of("one/Model", "BC"), run_of("two/Model", "CC"))
    drawn = charts.gap_chart(same, "x")
    assert "one/Model" in drawn
    assert "two/Model" in drawn
