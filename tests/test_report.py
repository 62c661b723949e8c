"""The page holds what the runs say and nothing that can run; how it behaves in a browser is in `test_report_in_browser`."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from doubles import PRODUCT
from sample_runs import DATE, Writer
from test_leaderboard import task

from lm_eval_plugin.cli.main import main
from lm_eval_plugin.comparison.leaderboard import entries_of, rank
from lm_eval_plugin.dialogue.transcript import Message, Role, StopReason, Transcript
from lm_eval_plugin.report import charts
from lm_eval_plugin.report.data import comparability, outcome, run_facts, static_outcome
from lm_eval_plugin.report.measures import FIDELITY, OUTCOMES, interval_of, value_of
from lm_eval_plugin.report.page import report
from lm_eval_plugin.report.transcripts import BLOCK, TranscriptStore
from lm_eval_plugin.results.runs import Run, TaskRun, load_run
from lm_eval_plugin.scoring.kinds import Kind
from lm_eval_plugin.scoring.metrics import HIGHER_IS_BETTER, QuestionRecord
from lm_eval_plugin.scoring.statistics import mean_estimate
from lm_eval_plugin.scoring.summary import estimates

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 * 7 }} $x^2$ **b** \x00\u202e\ud800"


def run_of(model, *answers, static=1.0, **changes):
    return Run(Path("runs") / f"results_{model}.json", model, "2026", {"t": task(*answers, static=static)}, **changes)


def unpacked(text):
    return json.loads(gzip.decompress(base64.b64decode(text)))


class Elements(HTMLParser):
    """The elements of a page, and what stands in scripts and style sheets."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.inside, self._open = [], {}, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._open = dict(attrs).get("id", tag) if tag in {"script", "style"} else None

    def handle_data(self, data):
        if self._open:
            self.inside[self._open] = self.inside.get(self._open, "") + data
            self._open = None


# What it says


def test_the_four_cells_hold_every_dialogue_and_what_is_not_scored_is_neither():
    broken = replace(task("B").records[0].transcripts[0], stop_reason=StopReason.MODEL_ERROR, answer=None)
    records = (*task("BBC", static=1.0).records, *task("BC", static=0.0).records, *task("B", static=None).records)
    records += (QuestionRecord(PRODUCT, frozenset("B"), (broken,), 1.0), *task("B", static=0.5).records)
    facts = run_facts(Run(Path("r"), "m", "2026", {"t": TaskRun(records, {"simulator": "demo"})}))
    assert facts.cells == {
        ("right", "right"): 2,
        ("right", "wrong"): 1,
        ("wrong", "right"): 1,
        ("wrong", "wrong"): 1,
        ("unknown", "right"): 2,
        ("right", "unknown"): 1,
    }
    assert (facts.questions, facts.dialogues, facts.unscored) == (8, 8, 1)


def test_an_answer_is_right_wrong_or_unknown():
    (record,) = task("B", static=1.0).records
    assert (static_outcome(record), outcome(record.transcripts[0], record)) == ("right", "right")
    assert static_outcome(replace(record, acc_static=None)) == "unknown"


def test_metrics_are_those_of_the_runs_own_summary_and_without_one_are_computed():
    told = mean_estimate([[0.25]] * 4, Kind.SHARE)
    summary = {"t": {"questions": 4, "metrics": {"acc": asdict(told)}}}
    assert run_facts(run_of("m", "BBCC", summaries=summary)).metrics == {"acc": told}
    computed = estimates(run_of("m", "BBCC").tasks["t"].records)
    assert run_facts(run_of("m", "BBCC")).metrics == computed


def test_a_run_of_an_earlier_release_has_the_intervals_of_this_one():
    """Its gap had a share's interval and its turns no range; a count is taken again, since its least was not noted."""
    run = run_of("m", "BBCC", static=1.0)
    now = estimates(run.tasks["t"].records)
    earlier = {
        name: {key: value for key, value in asdict(each).items() if key != "least"} for name, each in now.items()
    }
    earlier["acc_gap"] |= {"low": -1.768, "high": 1.101}
    earlier["user_turns"] |= {"value": 1.5, "low": 0.973, "high": 2.0}
    old = replace(run, summaries={"t": {"questions": 4, "metrics": earlier}})
    assert run_facts(old).metrics == now
    assert (run_facts(old).metrics["acc_gap"].low, run_facts(old).metrics["acc_gap"].high) != (-1.768, 1.101)


def test_of_several_tasks_the_page_shows_the_mean_over_subjects_and_how_many_questions_each_has():
    parts = {name: task(answers) for name, answers in (("t", "BBBC"), ("u", "BC"))}
    named = {
        name: TaskRun(
            tuple(replace(each, question=replace(each.question, subject=name)) for each in part.records), part.settings
        )
        for name, part in parts.items()
    }
    facts = run_facts(Run(Path("r"), "m", "2026", named))
    assert facts.metrics["acc_subjects"].value == 0.625
    assert [(each.subject, each.questions) for each in facts.subjects] == [("t", 4), ("u", 2)]
    page = report([Run(Path("r"), "m", "2026", named)], [])
    assert "mean over subjects" in page
    assert {"66.7 %", "33.3 %"} <= set(re.findall(r"[\d.]+ %", page))
    assert "mean over subjects" not in report([run_of("m", "BC")], [])


def test_a_summary_of_more_questions_than_can_be_read_is_not_taken():
    summary = {"t": {"questions": 5, "metrics": {}}}
    assert run_facts(run_of("m", "BBCC", summaries=summary)).metrics["acc"].value == 0.5


def test_every_metric_has_its_place_in_the_page():
    assert OUTCOMES.keys() | FIDELITY.keys() == HIGHER_IS_BETTER.keys()
    assert not OUTCOMES.keys() & FIDELITY.keys()


def test_values_are_percentages_or_numbers_and_missing_is_no_zero():
    estimate = mean_estimate([[0.0], [1.0]] * 8, Kind.SHARE)
    assert value_of("acc", estimate) == "50.0\u202f%"
    assert interval_of("acc", replace(estimate, low=0.25, high=0.75)) == "25.0 to 75.0\u202f%"
    assert value_of("acc_gap", replace(estimate, value=-0.25)) == "\u221225.0\u00a0points"
    assert value_of("user_turns", replace(estimate, value=1.5)) == "1.50"
    assert (value_of("acc", None), interval_of("acc", replace(estimate, low=None, high=None))) == ("–", "")


def test_a_setting_that_differs_between_tasks_names_them():
    parts = {"t": task("B", limit=3, seed={"a": 1}), "u": task("B", limit=4, seed={"a": 1})}
    rows = dict(run_facts(Run(Path("r"), "m", "2026", parts, {"model_args": {"dtype": "auto"}})).configuration)
    assert (rows["limit of t"], rows["limit of u"], rows["seed.a"], rows["model_args.dtype"]) == ("3", "4", "1", "auto")


@pytest.mark.parametrize(
    "change", [{"limit": 3}, {"version": 2}, {"num_fewshot": 5}, {"max_turns": 3}, {"simulator": "other"}]
)
def test_what_keeps_runs_from_being_compared_is_warned_of(change):
    settings = {"simulator": "demo", "limit": None, "version": 1, "num_fewshot": 0, "max_turns": 10}
    runs = [
        Run(Path(name), name, "2026", {"t": task("BC", **each)})
        for name, each in (("a", settings), ("b", settings | change))
    ]
    warnings = comparability(rank([entry for run in runs for entry in entries_of(run, "acc")]))
    expected = "2 different simulated users (demo, other)" if "simulator" in change else f"{next(iter(change))}: "
    assert len(warnings) == 1
    assert expected in warnings[0]


def test_another_question_set_is_warned_of():
    runs = [run_of("a", "BC"), run_of("b", "BCC")]
    assert "not the same questions" in comparability(rank([e for run in runs for e in entries_of(run, "acc")]))[0]


# The conversations


def test_index_and_blocks_hold_every_dialogue_in_order():
    store = TranscriptStore()
    runs = [run_of("a", "B" * BLOCK + "C"), run_of("b", "BC", static=None)]
    for run in runs:
        store.add(run)
    index = unpacked(store.index(["a", "b"]))
    dialogues = [dialogue for block in store.blocks for dialogue in unpacked(block)]
    assert [len(unpacked(block)) for block in store.blocks] == [BLOCK, 3]
    assert len(dialogues) == BLOCK + 3 == len(index["columns"]["turns"])
    assert index["columns"]["model"][-3:] == [0, 1, 1]
    assert index["columns"]["static"][-3:] == ["right", "unknown", "unknown"]
    assert index["columns"]["outcome"][-3:] == ["wrong", "right", "wrong"]
    assert (dialogues[-1]["answer"], dialogues[-1]["gold"], dialogues[-1]["acc_static"]) == ("C", ["B"], None)


def test_a_dialogue_is_packed_as_it_was_said():
    held = Transcript("q", "demo", 0, 0, (Message(Role.USER, HOSTILE),), None, StopReason.NO_ANSWER)
    store = TranscriptStore()
    store.add(Run(Path("r"), "m", "2026", {"t": TaskRun((QuestionRecord(PRODUCT, frozenset("B"), (held,)),), {})}))
    store.index(["m"])
    assert unpacked(store.blocks[0])[0]["messages"][0]["content"] == HOSTILE


# Charts


def ranking_of(*runs):
    (ranking,) = rank([entry for run in runs for entry in entries_of(run, "acc")])
    return ranking


def parts_of(answers):
    return run_facts(run_of("a", answers)).turns


def test_a_chart_has_no_style_of_its_own_and_says_what_it_is():
    drawn = charts.slope_chart(ranking_of(run_of("a", "BC"), run_of("b", "CC")), "slope")
    assert "style" not in drawn
    assert '<title id="slope-title">' in drawn
    assert "#0000" not in drawn
    assert 'class="fill-ink"' in drawn


def test_names_in_a_chart_are_text_whatever_they_hold():
    drawn = charts.slope_chart(ranking_of(run_of(HOSTILE, "BC"), run_of("模型 🙂", "CC")), "slope")
    assert "<img" not in drawn
    assert "script&gt;&lt;img" in drawn
    assert "模型 🙂" in drawn


def test_ids_of_two_charts_in_a_page_differ():
    found = [re.findall(r' id="([^"]+)"', charts.turns_chart(parts_of("BBC"), name)) for name in ("one", "two")]
    assert found[0]
    assert not set(found[0]) & set(found[1])


def test_without_two_models_there_is_no_slope_and_without_static_scores_no_pairs():
    assert charts.slope_chart(ranking_of(run_of("a", "BC")), "x") is None
    assert charts.subject_chart(run_facts(run_of("a", "BC", static=None)).subjects, "x") is None


# The file


@pytest.fixture(scope="module")
def page():
    return report([run_of("a", "BBC"), run_of(HOSTILE, "BCC")], ["samples_x.jsonl, line 3: cut off"])


def test_the_policy_allows_the_one_script_and_style_sheet_and_nothing_else(page):
    found = Elements(page)
    (policy,) = [
        attributes["content"]
        for tag, attributes in found.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(found.inside[part].encode()).digest()).decode()}'"
        for part in ("script", "style")
    ]
    assert policy == (
        f"default-src 'none'; script-src {hashes[0]}; style-src {hashes[1]}; base-uri 'none'; form-action 'none'"
    )


def test_nothing_is_loaded_and_nothing_in_the_markup_runs(page):
    for tag, attributes in Elements(page).elements:
        assert not {"src", "srcset", "style"} & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")]
        assert attributes.get("href", "#").startswith("#") or tag == "use"
        assert tag != "script" or attributes in ({}, {"type": "application/gzip", "id": attributes.get("id")})
    assert page.count("<script>") == 1


def test_a_hostile_name_is_text(page):
    assert "{{ 7 * 7 }}" in page
    assert "onerror=alert(1)&gt;" in page
    assert "\x00" not in page
    page.encode()


def test_what_could_not_be_read_and_what_is_not_comparable_stand_on_top(page):
    assert "samples_x.jsonl, line 3: cut off" in page
    one = report([run_of("a", "BC"), run_of("b", "BCC")], [])
    assert "not the same questions" in one
    assert "Could not be read" not in one
    assert "Before you compare" not in report([run_of("a", "BC")], [])


def test_a_run_in_which_nothing_was_scored_has_a_page_too():
    (record,) = task("B", static=None).records
    broken = replace(record.transcripts[0], stop_reason=StopReason.MODEL_ERROR, answer=None)
    parts = {"t": TaskRun((replace(record, transcripts=(broken,)),), {"simulator": "demo"})}
    assert "1 of 1 dialogues not scored" in report([Run(Path("r"), "m", "2026", parts)], [])


def test_a_page_of_one_model_ranks_nobody(page):
    one = report([run_of("a", "BBC")], [])
    for ranked in ("Against the one above", "Static rank", 'href="#models"'):
        assert ranked in page
        assert ranked not in one


def test_measures_that_are_0_are_folded_and_cards_say_over_how_many_questions():
    one = report([run_of("a", "BBC")], [])
    folded = re.search(r"<summary>(\d+) that are 0: ([^<]+)</summary>", one)
    assert "event_echo" not in folded[2]
    assert "flip_gain" in one[one.index("What came of the dialogues, in numbers") :]
    tiles = one[one.index('<dl class="tiles">') : one.index('<div class="cards">')]
    assert tiles.count("3 questions") == tiles.count("<dt>")
    assert "points" in tiles


def test_what_is_the_same_for_all_dialogues_is_a_sentence_and_no_chart():
    one = report([run_of("a", "BBC")], [])
    assert "All have 1 user turn." in one
    assert "All ended with the stop reason answered." in one
    assert "<svg" not in one


def test_the_same_runs_give_the_same_page():
    pages = [report([run_of("a", "BBC"), run_of("b", "BCC")], []) for _ in range(2)]
    assert pages[0] == pages[1]


def test_two_runs_of_one_name_are_told_apart(tmp_path):
    writer = Writer(tmp_path, texts=["A sentence."])
    one = writer.run("m", {"t": 3})
    shutil.copytree(one, tmp_path / "again")
    shown = report([load_run(one), load_run(tmp_path / "again")], [])
    assert f"m ({DATE}, {one})" in shown
    assert f"m ({DATE}, {tmp_path / 'again'})" in shown


# The command


def test_a_broken_run_is_said_and_the_rest_is_in_the_page(tmp_path, capsys):
    writer = Writer(tmp_path, texts=["A sentence."])
    whole, half = writer.run("whole", {"t": 4}), writer.run("half", {"t": 4, "u": 2})
    samples = half / f"samples_t_{DATE}.jsonl"
    samples.write_text(samples.read_text()[:-50])
    out = tmp_path / "report.html"
    assert main(["report", str(whole), str(half), str(tmp_path / "none"), "-o", str(out)]) == 1
    said = capsys.readouterr().err
    shown = out.read_text()
    for message in (f"{samples}, line 4: no JSON", "does not exist"):
        assert message in said
        assert message in shown
    assert len(unpacked(Elements(shown).inside["index"])["columns"]["turns"]) == 4 + 3 + 2


def test_without_any_run_or_a_place_to_write_there_is_no_page(tmp_path, capsys):
    out = tmp_path / "report.html"
    assert main(["report", str(tmp_path), "-o", str(out)]) == 2
    assert not out.exists()
    run = Writer(tmp_path, texts=["A sentence."]).run("m", {"t": 2})
    assert main(["report", str(run), "-o", str(tmp_path / "no" / "report.html")]) == 2
    assert "is no folder" in capsys.readouterr().err
