"""What stands beside the host's table: intervals, paired tests, times; and the same again from the logged samples."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from doubles import PRODUCT
from test_judge import evaluate

from lm_eval_plugin.cli.main import main
from lm_eval_plugin.dialogue.transcript import Message, Role, StopReason, Transcript, Verdict
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.harness.results_json import add_summary
from lm_eval_plugin.results.jsonl import json_lines
from lm_eval_plugin.results.runs import differing_settings, load_run, read_run
from lm_eval_plugin.results.samples import read_records
from lm_eval_plugin.scoring.kinds import Kind
from lm_eval_plugin.scoring.metrics import QuestionRecord, supported
from lm_eval_plugin.scoring.statistics import holm, mean_estimate, paired_test
from lm_eval_plugin.scoring.summary import compare, summarize, summarize_group, summarize_run, user_language


def held(answer, *, repeat=0, seconds=None, batch=None, tokens=None):
    said = (
        Message(Role.USER, "what is 7 x 8?", tokens, seconds, "", batch),
        Message(Role.ASSISTANT, "It is 56.", tokens, seconds, "", batch),
        Message(Role.USER, f"Answer: {answer}"),
    )
    return Transcript(PRODUCT.id, "demo", repeat, 0, said, answer, StopReason.ANSWERED)


def question(name, answers, static=None):
    transcripts = tuple(held(answer, repeat=place) for place, answer in enumerate(answers))
    return QuestionRecord(replace(PRODUCT, id=name), frozenset("B"), transcripts, static)


RECORDS = [question("a", "BB", 1.0), question("b", "BC", 0.0), question("c", "CC", 1.0), question("d", "BB", 0.0)]
ACC = [[1.0, 1.0], [1.0, 0.0], [0.0, 0.0], [1.0, 1.0]]


def test_values_are_means_over_questions_with_errors_over_questions():
    estimate, expected = summarize(RECORDS)["metrics"]["acc"], mean_estimate(ACC, Kind.SHARE)
    assert estimate["value"] == 0.625
    assert estimate == {name: getattr(expected, name) for name in estimate}


def test_interactive_is_tested_against_static_question_by_question():
    test, expected = summarize(RECORDS)["against_static"], paired_test(ACC, [[1.0], [0.0], [1.0], [0.0]], Kind.SHARE)
    assert test["difference"] == 0.125
    assert test == {name: getattr(expected, name) for name in test}


def test_without_a_static_score_there_is_no_test():
    assert "against_static" not in summarize([question("a", "BB")])


def test_order_of_questions_and_repeats_is_irrelevant():
    shuffled = [replace(record, transcripts=record.transcripts[::-1]) for record in RECORDS]
    random.Random(1).shuffle(shuffled)
    assert summarize(shuffled) == summarize(RECORDS)


def test_what_was_not_scored_is_counted_and_in_no_metric():
    broken = replace(held("B"), stop_reason=StopReason.MODEL_ERROR, answer=None)
    summary = summarize([*RECORDS, QuestionRecord(replace(PRODUCT, id="e"), frozenset("B"), (broken,), 1.0)])
    assert (summary["questions"], summary["dialogues"], summary["unscored"]) == (5, 9, 1)
    assert summary["metrics"]["acc"]["questions"] == 4
    assert summary["metrics"]["model_error"]["value"] == 0.2


def test_waiting_is_the_time_of_the_call_and_throughput_shares_it_by_the_batch():
    timed = [held("B", seconds=seconds, batch=2, tokens=10) for seconds in (1.0, 2.0, 3.0, 4.0)]
    waiting = summarize([QuestionRecord(PRODUCT, frozenset("B"), tuple(timed))])["waiting"]["assistant"]
    # 4 messages bear (1 + 2 + 3 + 4) / 2 = 5 s of calls for 40 tokens; the 95th percentile of 1..4 is 1 + 0.95 x 3.
    assert waiting == {"median_s": 2.5, "p95_s": pytest.approx(3.85), "batch": 2.0, "tokens_per_second": 8.0}


def test_without_times_nothing_is_said_of_waiting():
    assert summarize(RECORDS)["waiting"] == {"user": None, "assistant": None}


def test_language_of_users_leaves_out_the_answer():
    language = summarize(RECORDS)["user_language"]
    assert language == {"messages": 8, "words_per_message": 5.0}


def test_vocabulary_does_not_grow_with_the_size_of_the_run():
    small = user_language(["a b c d e f g h i j"] * 10)
    large = user_language(["a b c d e f g h i j"] * 1000)
    assert small["distinct_in_100_words"] == 10
    assert large["distinct_in_100_words"] == pytest.approx(10, abs=0.01)
    assert user_language([]) is None


def test_a_group_counts_every_question_the_same():
    summary = summarize_run({"one": RECORDS, "two": RECORDS[:1]}, {"all": ["one", "two"], "none": ["other"]})
    assert list(summary["groups"]) == ["all"]
    assert summary["groups"]["all"]["metrics"]["acc"]["value"] == (2.5 + 1) / 5
    assert summary["groups"]["all"]["questions"] == 5


def test_a_groups_test_has_the_tasks_of_its_interval_as_strata():
    tasks = [RECORDS, [question("e", "BB", 0.0)], [question(f"f{place}", "BC", 1.0) for place in range(5)]]
    group = summarize_group(tasks)
    gap, test = group["metrics"]["acc_gap"], group["against_static"]
    assert (gap["value"], gap["low"], gap["high"]) == pytest.approx((test["difference"], test["low"], test["high"]))
    assert test != summarize([record for records in tasks for record in records])["against_static"]


def test_a_tasks_gap_has_the_interval_of_its_test():
    summary = summarize(RECORDS)
    gap, test = summary["metrics"]["acc_gap"], summary["against_static"]
    assert (gap["low"], gap["high"]) == pytest.approx((test["low"], test["high"]))


def of_subject(subject, name, answers):
    record = question(name, answers)
    return replace(record, question=replace(record.question, subject=subject))


def test_subjects_count_the_same_in_acc_subjects_and_the_composition_says_how_many_questions_each_has():
    """Three of four right in moral scenarios, one of two in physics: 4/6 over questions, (3/4 + 1/2) / 2 over subjects."""
    moral = [of_subject("moral_scenarios", f"m{place}", answer) for place, answer in enumerate("BBBC")]
    physics = [of_subject("physics", f"p{place}", answer) for place, answer in enumerate("BC")]
    group = summarize_group([moral, physics])
    metrics = group["metrics"]
    assert list(metrics)[:2] == ["acc", "acc_subjects"]
    assert (metrics["acc"]["value"], metrics["acc_subjects"]["value"]) == (pytest.approx(4 / 6), 0.625)
    assert 0 <= metrics["acc_subjects"]["low"] < 0.625 < metrics["acc_subjects"]["high"] <= 1
    assert group["composition"] == {"moral_scenarios": 4, "physics": 2}
    assert summarize_group([moral[:2], [*moral[2:], *physics]])["metrics"]["acc_subjects"] == metrics["acc_subjects"]


def test_a_group_of_one_subject_has_no_mean_over_subjects():
    assert "acc_subjects" not in summarize_group([RECORDS[:2], RECORDS[2:]])["metrics"]


def test_a_group_keeps_the_interval_of_a_measure_that_one_task_has_for_a_single_question():
    judged = [
        replace(question(f"j{place}", "B"), transcripts=(judged_as(score),)) for place, score in enumerate([3, 4, 5, 4])
    ]
    coherence = summarize_group([judged[:3], judged[3:]])["metrics"]["coherence"]
    assert coherence["value"] == 4
    assert 1 <= coherence["low"] < 4 < coherence["high"] <= 5


def judged_as(score):
    return replace(held("B"), verdicts={"coherence": Verdict(score, "so")})


def test_two_runs_are_paired_by_question():
    other = [question("d", "CC"), question("a", "BB"), question("x", "BB")]
    test = compare(RECORDS, other, "runs")
    assert (test["questions"], test["difference"]) == (2, 0.5)
    with pytest.raises(ConfigError, match="no question in common"):
        compare(RECORDS, other[2:], "runs")
    assert compare(RECORDS, other, "runs", "coherence") is None


# In a run of the host


@pytest.fixture(scope="module")
def run():
    return evaluate({"simulator": "scripted", "static": ["letter", "free_text"], "repeats": 2}, bootstrap_iters=100)


def test_a_run_carries_its_summary_and_the_right_letters(run):
    summary = run["chatbench"]["tasks"]["chatbench_demo"]
    row = run["results"]["chatbench_demo"]
    assert {name: entry["value"] for name, entry in summary["metrics"].items()} == {
        name: pytest.approx(row[f"{name},none"]) for name in summary["metrics"]
    }
    assert summary["metrics"]["acc"]["standard_error"] == pytest.approx(row["acc_stderr,none"])
    assert all(sample["gold"] == ["ABCD"[sample["doc"]["answer"]]] for sample in run["samples"]["chatbench_demo"])


def test_samples_that_are_not_asked_for_are_not_kept_but_the_summary_is():
    results = evaluate({"simulator": "scripted", "static": "none"}, log_samples=False)
    assert "samples" not in results
    assert results["chatbench"]["tasks"]["chatbench_demo"]["questions"] == 4


def test_predictions_alone_have_no_summary():
    results = evaluate({"simulator": "scripted", "static": "none"}, predict_only=True)
    assert "chatbench" not in results


def as_logged(run, tmp_path):
    """The samples as the host's tracker writes them."""
    from lm_eval.loggers import EvaluationTracker

    tracker = EvaluationTracker(output_path=str(tmp_path))
    samples = run["samples"]
    tracker.general_config_tracker.model_name_sanitized = "parrot"
    tracker.save_results_aggregated(results={**run}, samples=samples)
    tracker.save_results_samples(task_name="chatbench_demo", samples=samples["chatbench_demo"])
    return tmp_path


@pytest.fixture(scope="module")
def logged(run, tmp_path_factory):
    return as_logged(json.loads(json.dumps(run, default=str)), tmp_path_factory.mktemp("run"))


def test_scoring_the_logged_samples_gives_the_numbers_of_the_run_exactly(run, logged, capsys):
    assert main(["score", str(logged), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["tasks"] == json.loads(json.dumps(run["chatbench"]["tasks"]))


def test_a_score_is_shown_with_its_interval_and_its_tests(logged, capsys):
    assert main(["score", str(logged), "--baseline", str(logged)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "95 % interval" in shown
    assert "acc - acc_static:" in shown
    assert "acc - acc of the baseline: +0.0000" in shown
    assert "p = 1.0000" in shown


def test_peoples_language_stands_beside_if_it_is_at_hand(logged, tmp_path, capsys):
    chat = [{"role": "You", "content": "what is 7 x 8"}, {"role": "Bot", "content": "56"}]
    (tmp_path / "conversations.json").write_text(json.dumps([{"chatHistory": chat}, {"conversation": chat}]))
    assert main(["score", str(logged), "--human", str(tmp_path)]) == 0
    assert "people's language in ChatBench: 5.0 words a message, 2 messages" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("samples_t_2026-01-01T00-00-00.jsonl", '{"doc_id": 0', "line 1: no JSON"),
        ("samples_t_2026-01-01T00-00-00.jsonl", "[]", "is no JSON object"),
        ("samples_t_2026-01-01T00-00-00.jsonl", "", "holds nothing"),
        ("samples_t_2026-01-01T00-00-00.jsonl", '{"filter": "none"}', "line 1: not a sample of a dialogue"),
        ("other.jsonl", "{}", "holds no samples_"),
    ],
)
def test_what_is_no_run_is_said_with_file_and_line(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_run([tmp_path])


def test_of_several_runs_in_a_folder_the_latest_counts(logged, tmp_path):
    (file,) = logged.rglob("samples_*.jsonl")
    older = tmp_path / "samples_chatbench_demo_2020-01-01T00-00-00.000000.jsonl"
    older.write_text("broken")
    (tmp_path / file.name).write_text(file.read_text())
    assert len(read_run([tmp_path])["chatbench_demo"]) == 4


def test_one_task_twice_is_an_error(logged):
    (file,) = logged.rglob("samples_*.jsonl")
    with pytest.raises(ConfigError, match="a second file of the task"):
        read_run([file, file])


def test_two_processes_give_the_results_of_one(run):
    """Of several processes a question reports None for what does not apply; settled, nothing of it is left."""
    names = run["chatbench"]["tasks"]["chatbench_demo"]["metrics"]
    shared = json.loads(json.dumps({key: run[key] for key in ("results", "samples", "group_subtasks")}, default=str))
    row = shared["results"]["chatbench_demo"]
    row |= {"recovered,none": float("nan"), "recovered_stderr,none": "N/A", "acc,none": 0.0}
    for place, sample in enumerate(shared["samples"]["chatbench_demo"]):
        sample["recovered"] = None
        sample["metrics"].append("recovered")
        if place == 0:
            sample["acc"] = None

    class Task:
        settled_metrics = ("recovered", "acc")

        def gold_letters(self, doc):
            return frozenset("ABCD"[doc["answer"]])

    add_summary(shared, {"chatbench_demo": Task()})
    assert "recovered,none" not in row
    known = [sample["acc"] for sample in shared["samples"]["chatbench_demo"][1:]]
    assert row["acc,none"] == sum(known) / 3
    assert names


def test_records_of_memory_and_of_files_are_the_same(run, logged):
    (file,) = logged.rglob("samples_*.jsonl")
    assert read_records(json_lines(file), "file") == read_records(run["samples"]["chatbench_demo"], "memory")


def test_what_each_reply_supports_is_logged_and_read_back_as_the_measures_read_it(logged):
    (task,) = load_run(logged).tasks.values()
    assert len(task.readings) == len(task.records) > 0
    for record, logged_readings in zip(task.records, task.readings, strict=True):
        assert [len(each) for each in logged_readings] == [len(held.messages) // 2 for held in record.transcripts]
        for held, each in zip(record.transcripts, logged_readings, strict=True):
            assert [letter for letter in each if len(letter) == 1] == supported(held, record.question)


def test_the_ablation_is_one_table(tmp_path, capsys):
    out = tmp_path / "ablation.json"
    arguments = [
        "--tasks",
        "chatbench_demo",
        "--limit",
        "2",
        "--dialogue",
        '{"simulator": "demo", "max_turns": 2, "static": "none"}',
    ]
    assert main(["ablation", *arguments, "--output", str(out)]) == 0
    rows = json.loads(out.read_text())
    assert list(rows) == ["neither", "persona", "chain_of_thought", "both"]
    assert all("acc" in row["metrics"] for row in rows.values())
    assert rows["neither"]["against_neither"] == {}
    assert rows["both"]["against_neither"]["acc"]["questions"] == 2
    tests = [test for row in rows.values() for test in row["against_neither"].values()]
    assert [test["adjusted"] for test in tests] == holm([test["p_value"] for test in tests])
    assert all(row["metrics"]["user_turns"]["low"] >= 1 for row in rows.values())
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("neither", "persona", "chain_of_thought", "both"))
    assert "adjusted" in shown
    assert max(map(len, shown.splitlines())) <= 80


# Runs with their results


def test_a_run_knows_its_model_and_what_it_was_made_with(logged):
    loaded = load_run(logged)
    assert list(loaded.tasks) == ["chatbench_demo"]
    task = loaded.tasks["chatbench_demo"]
    assert len(task.records) == 4
    assert (task.settings["simulator"], task.settings["repeats"], task.settings["limit"]) == ("scripted", 2, 4)
    assert load_run(loaded.where) == loaded


def test_runs_of_several_models_are_not_mixed(logged, tmp_path):
    (file,) = logged.rglob("samples_*.jsonl")
    for model in ("one", "two"):
        (tmp_path / model).mkdir()
        (tmp_path / model / file.name).write_text(file.read_text())
    with pytest.raises(ConfigError, match=r"runs in several folders; name one of .*one, .*two"):
        read_run([tmp_path])


def test_an_earlier_run_of_other_tasks_is_not_mixed_in(logged, tmp_path):
    (file,) = logged.rglob("samples_*.jsonl")
    (tmp_path / file.name).write_text(file.read_text())
    (tmp_path / "samples_other_2020-01-01T00-00-00.jsonl").write_text(file.read_text())
    assert list(read_run([tmp_path])) == ["chatbench_demo"]


def test_a_run_without_its_results_is_an_error(logged, tmp_path):
    (file,) = logged.rglob("samples_*.jsonl")
    (tmp_path / file.name).write_text(file.read_text())
    with pytest.raises(ConfigError, match=r"results_.* is missing"):
        load_run(tmp_path)


def test_settings_that_differ_are_named(logged):
    task = load_run(logged).tasks["chatbench_demo"]
    other = replace(task, settings={**task.settings, "simulator": "demo", "max_turns": 3})
    assert differing_settings(task, task) == []
    assert differing_settings(task, other) == ["max_turns: 10 and 3", "simulator: scripted and demo"]
