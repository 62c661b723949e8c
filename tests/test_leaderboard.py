"""Runs are ranked with their simulator's others, and neighbours are told apart on the questions that both have."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from doubles import PRODUCT
from sample_runs import Writer

from lm_eval_plugin.cli import leaderboard as command
from lm_eval_plugin.comparison.leaderboard import entries_of, rank, shown_metrics
from lm_eval_plugin.comparison.standings import Outcome
from lm_eval_plugin.dialogue.transcript import Message, Role, StopReason, Transcript
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.results.runs import Run, TaskRun
from lm_eval_plugin.scoring.kinds import Kind
from lm_eval_plugin.scoring.metrics import QuestionRecord
from lm_eval_plugin.scoring.statistics import paired_test
from lm_eval_plugin.scoring.summary import scores_of, summarize_group

HOSTILE = "=cmd|' /C calc'!A0 <script>alert(1)</script> [bold]x[/bold] {{ 7 }}\n|\x1b[31m\u202e\x00"


def record(name, answer, static=None):
    said = (Message(Role.USER, "7 x 8?"), Message(Role.ASSISTANT, "56."), Message(Role.USER, f"Answer: {answer}"))
    held = Transcript(name, "demo", 0, 0, said, answer, StopReason.ANSWERED)
    return QuestionRecord(replace(PRODUCT, id=name), frozenset("B"), (held,), static)


def task(answers, *, start=0, static=1.0, simulator="demo", **settings):
    records = tuple(record(f"q{place}", answer, static) for place, answer in enumerate(answers, start))
    return TaskRun(records, {"simulator": simulator, **settings})


def run_of(model, tasks, date="2026-01-01", where="runs"):
    return Run(Path(where) / f"results_{date}.json", model, date, tasks if isinstance(tasks, dict) else {"t": tasks})


def ranked(*runs, by="acc"):
    return rank([entry for run in runs for entry in entries_of(run, by)], by)


def names(ranking):
    return [standing.name for standing in ranking.standings]


def test_best_is_first_and_ranks_by_each_accuracy_stand_beside():
    (ranking,) = ranked(run_of("low", task("BBCC", static=1.0)), run_of("high", task("BBBC", static=0.5)))
    assert names(ranking) == ["high", "low"]
    assert [standing.ranks for standing in ranking.standings] == [
        {"acc": 1, "acc_static": 2},
        {"acc": 2, "acc_static": 1},
    ]


def test_simulators_are_never_ranked_together_even_within_one_run():
    both = run_of("a", {"t": task("BB", simulator="x"), "u": task("CC", simulator="y")})
    rankings = ranked(both, run_of("b", task("BC", simulator="x")))
    assert [(each.simulator, names(each)) for each in rankings] == [("x", ["a", "b"]), ("y", ["a"])]


def test_of_a_metric_of_which_less_is_better_the_least_is_first():
    (ranking,) = ranked(run_of("a", task("CB")), run_of("b", task("BB")), by="flip_loss")
    assert names(ranking) == ["b", "a"]
    assert ranking.standings[1].ranks == {"acc": 2, "acc_static": 1, "flip_loss": 2}


def test_equal_values_share_a_rank():
    (ranking,) = ranked(*(run_of(name, task(answers)) for name, answers in (("a", "BC"), ("b", "CB"), ("c", "CC"))))
    assert [standing.ranks["acc"] for standing in ranking.standings] == [1, 1, 3]


def test_tasks_are_pooled_as_in_a_group_of_the_summary():
    parts = {"t": task("BBBC"), "u": task("BCC", start=10)}
    (ranking,) = ranked(run_of("a", parts))
    estimate = ranking.standings[0].estimates["acc"]
    expected = summarize_group([part.records for part in parts.values()])["metrics"]["acc"]
    assert {name: getattr(estimate, name) for name in expected} == expected


def test_scores_are_those_of_the_summary_also_where_a_short_cut_is_taken():
    records = [record("a", "B", 1 / 3), record("b", "C", 0.7), record("c", "B")]
    (entry,) = entries_of(run_of("m", TaskRun(tuple(records), {"simulator": "demo"})), "flip_gain")
    for metric, tasks in entry.scores.items():
        assert list(tasks["t"].values()) == scores_of(records, metric)


def test_neighbours_are_told_apart_by_the_paired_test_of_the_common_questions():
    (ranking,) = ranked(
        run_of("a", task("B" * 20)), run_of("b", task("B" * 10 + "C" * 10)), run_of("c", task("C" * 12))
    )
    first, second, third = (standing.above for standing in ranking.standings)
    assert first is None
    assert (second.outcome, second.test) == (
        Outcome.WORSE,
        paired_test([[1]] * 20, [[1]] * 10 + [[0]] * 10, Kind.SHARE),
    )
    assert (third.outcome, third.test.questions) == (Outcome.WORSE, 12)


def test_what_the_common_questions_do_not_tell_apart_is_marked():
    (ranking,) = ranked(run_of("a", task("BBBC")), run_of("b", task("BBCC")))
    assert ranking.standings[1].above.outcome is Outcome.NOT_DISTINGUISHABLE


def test_better_on_the_common_questions_than_the_one_above_is_said():
    above, below = task("C" * 10 + "B" * 90), task("B" * 10 + "C" * 10)
    below = TaskRun((*below.records[:10], *(record(f"x{place}", "C") for place in range(10))), below.settings)
    (ranking,) = ranked(run_of("a", above), run_of("b", below))
    assert names(ranking) == ["a", "b"]
    assert ranking.standings[1].above.outcome is Outcome.BETTER


def test_runs_without_a_common_question_are_not_ranked_together():
    """b has questions in common with a and with c, which have none: no ranking holds both of these."""
    a, b, c = run_of("a", task("BB" + "C" * 8)), run_of("b", task("BC", start=9)), run_of("c", task("BBB", start=10))
    rankings = ranked(a, b, c)
    assert [(names(each), each.apart) for each in rankings] == [(["b", "a"], 1), (["c"], 2)]
    assert all("no common questions" in each.warnings[0] for each in rankings)
    assert all(standing.ranks["acc"] == place for each in rankings for place, standing in enumerate(each.standings, 1))
    assert ranked(c, b, a) == rankings


def test_a_common_question_that_one_run_has_not_scored_is_none():
    static = ranked(run_of("a", task("BB")), run_of("b", {"t": task("CC", static=0.0)}), by="acc_static")
    assert len(static) == 1
    unscored = {"t": TaskRun((*task("B", static=None).records, *task("B", start=7).records), {"simulator": "demo"})}
    assert len(ranked(run_of("a", task("BB")), run_of("b", unscored), by="acc_static")) == 2


def test_a_run_without_the_metric_stays_in_the_ranking_of_its_questions():
    (ranking,) = ranked(run_of("a", task("BB")), run_of("b", task("CC", static=None)), by="acc_static")
    assert names(ranking) == ["a", "b"]
    assert ranking.standings[1].above is None


def test_runs_that_have_one_question_in_common_have_no_p_value():
    (ranking,) = ranked(run_of("a", task("BBB")), run_of("b", task("CB", start=2)))
    above = ranking.standings[1].above
    assert (above.outcome, above.test.p_value, above.adjusted) == (Outcome.NOT_DISTINGUISHABLE, None, None)


def test_holms_p_of_the_neighbours_stands_beside_their_own():
    runs = [run_of(name, task("B" * right + "C" * (30 - right))) for name, right in (("a", 30), ("b", 24), ("c", 15))]
    (ranking,) = ranked(*runs)
    tests = [standing.above for standing in ranking.standings[1:]]
    first, second = (each.test.p_value for each in tests)
    assert first > second
    assert [each.adjusted for each in tests] == [pytest.approx(max(first, 2 * second)), pytest.approx(2 * second)]


def test_no_interval_of_a_gap_leaves_its_range():
    (ranking,) = ranked(run_of("a", task("BC", static=0.5)))
    gap = ranking.standings[0].estimates["acc_gap"]
    assert -1 <= gap.low < gap.high <= 1


def test_the_gap_of_several_tasks_has_the_interval_of_its_test():
    tasks = {"t": task("B" * 9 + "C" * 3), "u": task("BC" * 9, static=0.0), "v": task("B")}
    (ranking,) = ranked(run_of("a", tasks))
    gap = ranking.standings[0].estimates["acc_gap"]
    test = summarize_group([each.records for each in tasks.values()])["against_static"]
    assert (gap.value, gap.low, gap.high) == pytest.approx((test["difference"], test["low"], test["high"]))


def test_what_keeps_runs_from_being_compared_is_warned_of():
    (ranking,) = ranked(run_of("a", task("BB", limit=2)), run_of("b", {"t": task("BCC", limit=3), "u": task("C")}))
    settings, alone, questions = (
        next(text for text in ranking.warnings if part in text) for part in ("limit", "only b has u", "not the same")
    )
    assert settings == "b and a, t: limit: 3 and 2"
    assert alone
    assert questions.endswith("2 in common, 1 only in the one and 0 only in the other")


def test_what_differs_in_several_tasks_is_said_once():
    runs = [
        run_of(name, {"t": task("B", limit=each), "u": task("B", limit=each)}) for name, each in (("a", 1), ("b", 2))
    ]
    assert ranked(*runs)[0].warnings == ("b and a, t and 1 more: limit: 2 and 1",)


def test_a_run_without_the_metric_is_last_and_has_no_rank():
    (ranking,) = ranked(run_of("a", task("BB", static=None)), run_of("b", task("CC")), by="acc_static")
    assert names(ranking) == ["b", "a"]
    assert ranking.standings[1].ranks == {"acc": 1}
    assert ranking.standings[1].above is None


def test_a_metric_that_no_run_has_or_that_nobody_knows_is_an_error():
    with pytest.raises(ConfigError, match="no run has the metric 'coherence'"):
        ranked(run_of("a", task("BB")), by="coherence")
    with pytest.raises(ConfigError, match="did you mean 'acc'"):
        ranked(run_of("a", task("BB")), by="accc")


def test_runs_of_one_name_are_told_apart_by_date_and_folder():
    runs = [run_of("a", task("BB"), "d1", "x"), run_of("a", task("BC"), "d1", "y"), run_of("b", task("CC"))]
    (ranking,) = ranked(*runs)
    assert [name.split(" (")[1].startswith("d1, ") for name in names(ranking)[:2]] == [True, True]
    assert len(set(names(ranking))) == 3
    assert names(ranking)[2] == "b"


def test_order_of_runs_is_irrelevant():
    runs = [run_of(name, task(answers)) for name, answers in (("a", "BC"), ("b", "CB"), ("c", "CC"))]
    assert ranked(*runs) == ranked(*runs[::-1])


# As it is written


def written(form, *runs, output=None, by="acc"):
    chosen = argparse.Namespace(sort=by, output=output)
    return command._WRITERS[form](ranked(*runs, by=by), shown_metrics(by), chosen)


@pytest.fixture
def hostile():
    return [run_of(HOSTILE, task("BB")), run_of("b", task("BC", simulator="demo"))]


def test_a_hostile_name_is_text_in_the_terminal(hostile):
    shown = written("table", *hostile)
    assert not {"\x00", "\u202e"} & set(shown)
    assert "\x1b[31m" not in shown
    assert "[bold]x[/bold]" in "".join(shown.split())


def test_the_mark_and_every_number_stay_in_a_narrow_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = written("table", run_of("a", task("BBBC")), run_of("b", task("BBCC")), by="flip_loss")
    assert all(part in shown for part in ("acc_static", "acc_gap", "flip_loss", "0.500 #2", "above"))


def test_a_hostile_name_is_text_in_markdown(hostile):
    shown = written("markdown", *hostile)
    assert "<script>" not in shown
    table = [line for line in shown.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in table} == {table[0].count("|")}
    assert len(table) == 4


def test_a_hostile_name_is_no_formula_in_csv_and_a_negative_number_stays_one(hostile):
    rows = list(csv.DictReader(io.StringIO(written("csv", *hostile))))
    assert rows[0]["model"].startswith("'=cmd")
    assert (rows[1]["acc_gap"], rows[1]["against_above"]) == ("-0.5", "not distinguishable")


def test_missing_is_empty_in_csv_and_null_in_json():
    runs = [run_of("a", task("B", static=None))]
    (row,) = csv.DictReader(io.StringIO(written("csv", *runs)))
    assert (row["acc"], row["acc_low"], row["acc_static"], row["acc_static_rank"]) == ("1.0", "", "", "")
    (standing,) = json.loads(written("json", *runs))["rankings"][0]["standings"]
    assert standing["estimates"]["acc"]["low"] is None
    assert "acc_static" not in standing["estimates"]


def test_json_holds_the_name_as_it_is(hostile):
    standing = json.loads(written("json", *hostile))["rankings"][0]["standings"][0]
    assert (standing["model"], standing["ranks"]["acc"]) == (HOSTILE, 1)


# From files


def main(*arguments):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(each) for each in arguments]))


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    from test_judge import evaluate
    from test_summary import as_logged

    run = evaluate({"simulator": "scripted", "static": ["letter"]})
    return as_logged(json.loads(json.dumps(run, default=str)), tmp_path_factory.mktemp("run"))


def test_a_broken_run_is_said_by_file_and_line_and_the_rest_is_ranked(logged, tmp_path, capsys):
    (file,) = logged.rglob("samples_*.jsonl")
    (results,) = logged.rglob("results_*.json")
    (tmp_path / file.name).write_text(file.read_text()[:-100])
    (tmp_path / results.name).write_text(results.read_text())
    assert main(tmp_path, logged, "--format", "json") == 1
    out, err = capsys.readouterr()
    assert f"{file.name}, line 4: no JSON" in err
    (ranking,) = json.loads(out)["rankings"]
    assert sorted(standing["questions"] for standing in ranking["standings"]) == [3, 4]
    assert any("not the same questions" in warning for warning in ranking["warnings"])


def test_a_run_that_is_named_twice_counts_once(logged, tmp_path, capsys):
    assert main(logged, os.path.relpath(logged), "-o", tmp_path / "board.txt") == 0
    assert capsys.readouterr().out == ""
    shown = (tmp_path / "board.txt").read_text()
    assert "simulator: scripted" in shown
    assert "#  model" in shown


def test_the_exit_code_says_that_runs_are_ranked_apart(tmp_path, capsys):
    runs = [Writer(tmp_path).run(model, {task: 3}) for model, task in (("one", "t"), ("two", "t"), ("three", "u"))]
    assert main(*runs[:2]) == 0
    assert main(*runs) == 1
    out, err = capsys.readouterr()
    assert "ranking 1" in out
    assert "ranking 2" in out
    assert "no common questions" in " ".join(out.split())
    assert "runs without a common question are ranked apart" in err


def test_without_any_run_that_can_be_read_there_is_nothing_to_rank(tmp_path):
    with pytest.raises(ConfigError, match="none of the runs can be read"):
        main(tmp_path)
