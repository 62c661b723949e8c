"""A checkpoint fails on evidence that it is worse than tolerated, and nobody is told more than the data can say."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import lm_eval
import pytest
from doubles import PRODUCT
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager
from test_judge import Parrot

from lm_eval_plugin.cli.gate import as_json, junit, markdown
from lm_eval_plugin.cli.main import main
from lm_eval_plugin.comparison.checks import POOLED, Limits, Pairs, Verdict, decided, holm_levels
from lm_eval_plugin.comparison.gate import gate
from lm_eval_plugin.dialogue.transcript import Message, Role, StopReason, Transcript
from lm_eval_plugin.dialogue.transcript import Verdict as Judgement
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.harness.tasks_folder import tasks_folder
from lm_eval_plugin.results.runs import Run, TaskRun
from lm_eval_plugin.scoring.metrics import QuestionRecord

HOSTILE = "a|b<script>]]>&\x00\x1b[31m\u202e\ud800\ufffe@you #1\n# x `"


def held(answer, repeat=0, *, turns=1, **changes):
    said = (Message(Role.USER, "7 x 8?"), Message(Role.ASSISTANT, "It is 56.")) * turns
    said = (*said, Message(Role.USER, f"Answer: {answer}"))
    return replace(Transcript("q", "demo", repeat, 0, said, answer, StopReason.ANSWERED), **changes)


def question(name, answers, **changes):
    transcripts = tuple(held(answer, place, **changes) for place, answer in enumerate(answers))
    return QuestionRecord(replace(PRODUCT, id=name), frozenset("B"), transcripts)


def task(*answers, settings=None, **changes):
    """A task run of one question for each text, whose letters are the answers of its repeats; B is right."""
    records = (question(f"q{place:04}", each, **changes) for place, each in enumerate(answers))
    return TaskRun(tuple(records), settings or {"simulator": "demo"})


def run_of(*tasks, model="m", **named):
    tasks = {**{f"t{place}": each for place, each in enumerate(tasks)}, **named}
    return Run(Path("results_x.json"), model, "2026-01-01", tasks)


GOOD = task(*["B"] * 300)
BAD = task(*["B"] * 200, *["C"] * 100)


def verdict_of(baseline, candidate, *metrics, **limits):
    return gate(run_of(baseline), run_of(candidate), metrics or ("acc",), Limits(**limits)).verdict


# The verdict


def test_a_large_drop_fails_and_its_numbers_are_those_of_the_paired_interval():
    (check,) = gate(run_of(GOOD), run_of(BAD)).checks
    assert (check.verdict, check.questions, check.pairs) == (Verdict.FAIL, 300, 300)
    assert (check.baseline, check.candidate) == (1.0, pytest.approx(2 / 3))
    # Centre 100/302, SE = sqrt(101 - 100^2 / 302) / 302 = 0.027283; t quantile of 299 at 0.95 = 1.64997.
    assert check.drop == pytest.approx(1 / 3)
    assert check.low == pytest.approx(100 / 302 - 1.64997 * 0.027283, abs=1e-5)
    assert check.high == pytest.approx(100 / 302 + 1.64997 * 0.027283, abs=1e-5)
    # 300 D = 2.49159 sqrt(101 - (300 D)^2 / 302).
    assert check.detectable == pytest.approx(2.49159 * (101 / (1 + 2.49159**2 / 302)) ** 0.5 / 300, abs=1e-4)
    assert check.fails_at == pytest.approx(check.detectable + 0.02)
    assert check.p_value == check.adjusted < 1e-20
    assert check.alpha == 0.05


def test_the_same_scores_pass_if_there_are_enough_of_them_and_otherwise_cannot_tell():
    assert verdict_of(GOOD, GOOD) is Verdict.PASS
    few = task(*["B"] * 48)
    assert verdict_of(few, few) is Verdict.CANNOT_TELL
    assert verdict_of(few, few, max_drop=0.1) is Verdict.PASS


def test_a_small_run_that_is_clearly_better_passes_although_it_would_miss_a_small_drop():
    (check,) = gate(run_of(task(*["C"] * 20, *["B"] * 20)), run_of(task(*["B"] * 40))).checks
    assert check.detectable > 0.02
    assert check.verdict is Verdict.PASS


def test_a_drop_within_the_tolerance_does_not_fail_however_sure_it_is():
    assert verdict_of(GOOD, BAD, max_drop=0.4) is Verdict.PASS


def test_a_drop_beyond_the_tolerance_without_evidence_does_not_fail():
    assert verdict_of(task(*"B" * 50), task(*"B" * 48, *"CC")) is Verdict.CANNOT_TELL


def test_one_question_says_nothing_about_the_spread():
    (check,) = gate(run_of(task("B")), run_of(task("C"))).checks
    assert (check.p_value, check.adjusted, check.low, check.detectable) == (None, None, None, None)
    assert check.verdict is Verdict.CANNOT_TELL


def test_more_of_what_is_better_low_is_a_drop():
    short, long = task(*["B"] * 100, turns=1), task(*["B"] * 100, turns=3)
    assert verdict_of(short, long, "user_turns") is Verdict.FAIL
    assert gate(run_of(short), run_of(long), ["user_turns"]).checks[0].drop == 2
    assert gate(run_of(long), run_of(short), ["user_turns"]).checks[0].drop == -2


def test_repeats_are_paired_and_a_pair_needs_both_sides():
    broken = replace(held("B", 1), stop_reason=StopReason.MODEL_ERROR, answer=None)
    one = question("q0", "BC")
    two = replace(question("q0", "BB"), transcripts=(held("B"), broken))
    pair = [TaskRun((record, question("q1", "BB")), {}) for record in (one, two)]
    (check,) = gate(run_of(pair[0]), run_of(pair[1]), limits=Limits(max_unscored=0.25)).checks
    # The repeat that is wrong in the baseline has no partner.
    assert (check.baseline, check.drop, check.questions, check.pairs, check.unscored) == (1.0, 0.0, 2, 3, 0.25)


def test_order_of_tasks_questions_and_repeats_is_irrelevant():
    answers = ["".join(random.Random(place).choices("BC", k=3)) for place in range(60)]
    first, second = task(*answers), task(*answers[::-1])
    shuffled = [replace(record, transcripts=record.transcripts[::-1]) for record in second.records]
    random.Random(1).shuffle(shuffled)
    mixed = replace(second, records=tuple(shuffled))
    metrics = ("acc", "user_turns")
    one = gate(run_of(a=first, b=second), run_of(a=second, b=first), metrics)
    assert gate(run_of(b=mixed, a=first), run_of(b=first, a=mixed), metrics) == one


# Several checks


def test_holms_correction_counts_the_metrics():
    limits = Limits(max_drop=0.0)
    drops = tuple((((1.0, 0.0),) if place < 4 else ((1.0, 1.0),)) for place in range(40))
    (alone,) = decided({"t": {"acc": Pairs(drops)}}, limits)
    same = tuple(((1.0, 1.0),) for _ in range(40))
    both = decided({"t": {"acc": Pairs(drops), "valid": Pairs(same)}}, limits)
    assert alone.verdict is Verdict.FAIL
    assert [check.p_value for check in both] == [alone.p_value, 0.5]
    assert [check.adjusted for check in both] == [pytest.approx(2 * alone.p_value), pytest.approx(0.5)]
    assert both[0].verdict is Verdict.CANNOT_TELL
    assert alone.low > 0 > both[0].low
    assert both[0].detectable > alone.detectable


def test_pooled_and_single_tasks_share_alpha():
    result = gate(run_of(GOOD, GOOD, GOOD), run_of(GOOD, GOOD, BAD))
    assert [check.task for check in result.checks] == [POOLED, "t0", "t1", "t2"]
    assert result.checks[0].questions == 900
    assert result.checks[0].adjusted == pytest.approx(2 * result.checks[0].p_value)
    assert result.checks[3].adjusted == pytest.approx(6 * result.checks[3].p_value)
    assert result.verdict is Verdict.FAIL


@pytest.mark.parametrize("seed", range(20))
def test_a_check_fails_where_its_interval_lies_above_the_tolerance_and_holms_p_says_the_same(seed):
    draws = random.Random(seed)
    held = {}
    for task_name in ("t", "u"):
        rates = [draws.uniform(0, 0.4) for _ in range(3)]
        held[task_name] = {
            metric: Pairs(tuple(((1.0, float(draws.random() > rate)),) for _ in range(60)))
            for metric, rate in zip(("acc", "valid", "answered"), rates, strict=True)
        }
    limits = Limits(max_drop=0.1)
    for check in decided(held, limits):
        expected = Verdict.FAIL if check.low > 0.1 else Verdict.PASS if check.high <= 0.1 else Verdict.CANNOT_TELL
        assert check.verdict is expected
        assert (check.verdict is Verdict.FAIL) == (check.adjusted <= limits.alpha)
        assert (check.verdict is Verdict.FAIL) == (check.p_value <= check.alpha)


def test_levels_of_holm_by_hand():
    """.01 <= .05 / 3 and .02 <= .05 / 2 are rejected, .06 > .05 is not."""
    assert holm_levels([0.02, 0.06, 0.01], 0.05) == pytest.approx([0.025, 0.05, 0.05 / 3])
    # .02 > .05 / 3 stops it: .021 is not tested at .05 / 2.
    assert holm_levels([0.021, 0.02, 0.9], 0.05) == pytest.approx([0.05 / 3] * 3)


def test_the_pooled_check_has_tasks_as_strata():
    first = [task(*["B"] * 50), task(*["C"] * 50)]
    second = [task(*["B"] * 10, *["C"] * 40), task(*["B"] * 40, *["C"] * 10)]
    (pooled, *_) = gate(run_of(*first), run_of(*second)).checks
    # Each task has S = 8 around its own mean; as one pile it is 80.
    assert pooled.drop == 0
    half = (16 * 50 / 49 * 99 / 100 + 1) ** 0.5 / 102
    assert pooled.high == pytest.approx(1.98447 * half, rel=1e-4)  # t(98) at 0.025, half of alpha


def test_a_task_of_one_question_does_not_take_the_pooled_verdict_away():
    result = gate(run_of(GOOD, task("B")), run_of(GOOD, task("B")))
    assert [check.verdict for check in result.checks] == [Verdict.PASS, Verdict.PASS, Verdict.CANNOT_TELL]
    assert result.verdict is Verdict.PASS


def test_where_no_drop_can_be_told_from_none_none_is_said_to_be():
    result = gate(run_of(task(*"BBB")), run_of(task(*"BBB")))
    assert (result.checks[0].detectable, result.checks[0].fails_at) == (None, None)
    assert "too few to tell any drop from none" in junit(result)
    assert "| none" in markdown(result)


def test_small_tasks_that_cannot_tell_leave_the_verdict_to_all_together():
    parts = [task(*["B"] * 100) for _ in range(5)]
    result = gate(run_of(*parts), run_of(*parts))
    assert {check.verdict for check in result.checks[1:]} == {Verdict.CANNOT_TELL}
    assert result.verdict is Verdict.PASS


# What cannot be asked


def changed(record, **changes):
    return replace(record, question=replace(record.question, **changes))


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        (run_of(task("B", "B", settings={"simulator": "scripted"})), "t0: simulator: demo and scripted"),
        (run_of(task("B", "B"), task("B")), "only one run has the task t1"),
        (run_of(task("B", "BC")), "1 dialogues stand in one run only, 2 in both"),
        (run_of(TaskRun((question("q0000", "B"), changed(question("q0001", "B"), stem="Other?")), {})), "another text"),
        (
            run_of(TaskRun((question("q0000", "B"), replace(question("q0001", "B"), gold=frozenset("C"))), {})),
            "or gold",
        ),
    ],
)
def test_runs_that_are_not_comparable_are_refused_unless_allowed(candidate, message):
    baseline = run_of(task("B", "B"))
    with pytest.raises(ConfigError, match=rf"not comparable: .*{message}.*--allow-differences"):
        gate(baseline, candidate)
    allowed = gate(baseline, candidate, allow_differences=True)
    assert message in " ".join(allowed.differences)
    assert allowed.checks[0].questions == 2


def test_runs_without_a_common_task_or_question_are_refused_even_if_differences_are_allowed():
    with pytest.raises(ConfigError, match="no task in common: a and b"):
        gate(run_of(a=GOOD), run_of(b=GOOD), allow_differences=True)
    other = TaskRun((question("other", "B"),), {})
    with pytest.raises(ConfigError, match="t0: the runs have no question in common"):
        gate(run_of(task("B")), run_of(other), allow_differences=True)


def test_a_question_that_stands_twice_is_refused():
    twice = TaskRun((question("q", "B"), question("q", "C")), {})
    with pytest.raises(ConfigError, match="question q, repeat 0 stands twice"):
        gate(run_of(twice), run_of(twice))


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (["accuracy"], "no metric 'accuracy'; did you mean"),
        ([], "no metric to check"),
        (["coherence"], "the baseline has no score of coherence"),
    ],
)
def test_a_metric_that_is_unknown_or_missing_is_refused(metrics, message):
    with pytest.raises(ConfigError, match=message):
        gate(run_of(GOOD), run_of(GOOD), metrics)


def test_a_metric_that_only_the_candidate_lacks_is_refused():
    judged = task("B", "B", verdicts={"coherence": Judgement(4, "Good.")})
    with pytest.raises(ConfigError, match="the candidate has no score of coherence"):
        gate(run_of(judged), run_of(task("B", "B")), ["coherence"])


def test_too_much_without_a_score_is_refused():
    broken = question("q0009", "B", stop_reason=StopReason.MODEL_ERROR)
    candidate = TaskRun((*task(*"B" * 9).records, broken), {"simulator": "demo"})
    with pytest.raises(ConfigError, match=r"10.0% of the candidate's dialogues have no score of acc"):
        gate(run_of(task(*"B" * 10)), run_of(candidate))
    assert gate(run_of(task(*"B" * 10)), run_of(candidate), limits=Limits(max_unscored=0.1)).checks[0].unscored == 0.1
    assert gate(run_of(task(*"B" * 10)), run_of(candidate), ["model_error"]).checks[0].drop == 0.1


@pytest.mark.parametrize("limits", [{"max_drop": -0.1}, {"max_drop": float("nan")}, {"alpha": 0}, {"max_unscored": 2}])
def test_limits_without_sense_are_refused(limits):
    with pytest.raises(ConfigError, match="give a number"):
        Limits(**limits)


# What is written


def test_junit_has_a_case_a_check_and_holds_hostile_names():
    hostile = {HOSTILE: GOOD, "t": BAD, "u": task("B", "B")}
    result = gate(run_of(model=HOSTILE, **hostile), run_of(model=HOSTILE, **{**hostile, "t": GOOD, HOSTILE: BAD}))
    suite = ET.fromstring(junit(result).encode())
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == ["acc"] * 4
    assert {name: suite.get(name) for name in ("tests", "errors")} == {"tests": "4", "errors": "0"}
    assert int(suite.get("failures")) == len(suite.findall("testcase/failure")) > 0
    assert int(suite.get("skipped")) == len(suite.findall("testcase/skipped")) > 0
    (named,) = [case.get("classname") for case in cases if case.get("classname").startswith("a|b")]
    assert named == r"a|b<script>]]>&\x00\x1b[31m\u202e\ud800\ufffe@you #1\n# x `"


def test_markdown_holds_hostile_names_in_their_cells():
    result = gate(run_of(model=HOSTILE, **{HOSTILE: BAD}), run_of(model=HOSTILE, **{HOSTILE: BAD}))
    text = markdown(result)
    text.encode()
    heading, about, *table = text.strip().split("\n\n")
    assert heading == "### chatbench gate: pass"
    assert "a&#124;b&#60;script&#62;" in about
    assert "which is the same run" in about
    assert "@you" not in text
    assert len(table) == 1
    for row in table[0].splitlines():
        assert row.count("|") == 12


def test_json_holds_every_number_and_the_verdicts_as_words():
    result = json.loads(json.dumps(as_json(gate(run_of(GOOD), run_of(BAD)))))
    assert result["verdict"] == result["checks"][0]["verdict"] == "fail"
    assert result["limits"] == {"max_drop": 0.02, "alpha": 0.05, "max_unscored": 0.05}


# On runs of the host


def logged(model, folder, **dialogue):
    dialogue = {"simulator": "scripted", "static": "none", **dialogue}
    manager = TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata={"dialogue": dialogue})
    options = {"tasks": ["chatbench_demo"], "task_manager": manager, "bootstrap_iters": 0}
    results = json.loads(json.dumps(lm_eval.simple_evaluate(model, **options), default=str))
    tracker = EvaluationTracker(output_path=str(folder))
    tracker.general_config_tracker.model_name_sanitized = "m"
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    tracker.save_results_samples(task_name="chatbench_demo", samples=samples["chatbench_demo"])
    return str(folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return {
        "good": logged("chatbench-demo", tmp_path_factory.mktemp("good")),
        "bad": logged(Parrot(), tmp_path_factory.mktemp("bad")),
        "other": logged(Parrot(), tmp_path_factory.mktemp("other"), max_turns=3),
    }


def asked(runs, baseline, candidate, *options):
    return main(["gate", "--baseline", runs[baseline], "--candidate", runs[candidate], *options])


def test_the_exit_code_is_1_for_a_checkpoint_that_got_worse_and_every_report_says_so(runs, tmp_path, capsys):
    xml, text = tmp_path / "gate.xml", tmp_path / "gate.md"
    assert asked(runs, "good", "bad", "--junit", str(xml), "--markdown", str(text)) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert "chatbench gate: fail" in shown
    assert "48 questions, 48 pairs tell a drop of" in shown
    assert ET.parse(xml).getroot().get("failures") == "1"
    assert "| fail |" in text.read_text()
    assert "the same run" not in shown
    assert "&#" not in text.read_text()
    headings, _, row = text.read_text().splitlines()[-3:]
    assert headings.index("| task ") == row.index("| chatbench_demo ")
    assert asked(runs, "good", "bad", "--json") == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "fail"


def test_the_exit_code_of_a_gate_that_cannot_tell_is_chosen(runs, capsys):
    assert asked(runs, "bad", "bad") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "chatbench gate: cannot tell" in shown
    assert "which is the same run" in shown
    assert [asked(runs, "bad", "bad", "--cannot-tell", code) for code in "012"] == [0, 1, 2]
    assert asked(runs, "bad", "good", "--cannot-tell", "1") == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--metric", "acc", "coherence"), "no score of coherence"),
        (("--alpha", "0.7"), "alpha is 0.7"),
        (("--junit", "/nowhere/at/all.xml"), "cannot be written"),
    ],
)
def test_the_exit_code_is_2_with_the_reason_if_the_gate_cannot_be_asked(runs, capsys, options, message):
    assert asked(runs, "bad", "bad", *options) == 2
    assert message in capsys.readouterr().err


def test_another_configuration_is_refused_and_can_be_allowed(runs, capsys):
    assert asked(runs, "bad", "other") == 2
    assert "max_turns: 10 and 3" in capsys.readouterr().err
    assert asked(runs, "bad", "other", "--allow-differences") == 0
    assert "Allowed although not comparable" in capsys.readouterr().out


def test_a_run_that_cannot_be_read_is_refused(runs, tmp_path, capsys):
    assert asked({**runs, "none": str(tmp_path)}, "bad", "none") == 2
    assert "holds no samples_" in capsys.readouterr().err


def test_what_two_simulators_say_of_a_question_is_never_pooled():
    from lm_eval_plugin.comparison.checks import Pairs, decided

    pairs = Pairs((((1.0, 0.0),), ((1.0, 1.0),), ((0.0, 0.0),)))
    groups = {name: {"acc": pairs} for name in ("a@x", "b@x", "a@y", "b@y")}
    checks = decided(groups, Limits(), {"x": ["a@x", "b@x"], "y": ["a@y", "b@y"]})
    pooled = {check.task: check.questions for check in checks if check.task.startswith("all tasks")}
    assert pooled == {"all tasks@x": 6, "all tasks@y": 6}
    one = decided(groups, Limits(), {"": list(groups)})
    assert next((check.task, check.questions) for check in one) == ("all tasks", 12)
    each = decided({"a@x": groups["a@x"], "a@y": groups["a@y"]}, Limits(), {"x": ["a@x"], "y": ["a@y"]})
    assert [check.task for check in each] == ["a@x", "a@y"]
