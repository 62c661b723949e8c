"""What of a run is broken is said by file and line; strictly read, that is the end, otherwise the rest is there."""

from __future__ import annotations

import json

import pytest
from sample_runs import DATE, Writer

from lm_eval_plugin.cli.main import main
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.results.jsonl import json_lines
from lm_eval_plugin.results.runs import load_run, model_of
from lm_eval_plugin.results.samples import StaticResponse


@pytest.fixture
def run(tmp_path):
    return Writer(tmp_path, texts=["A sentence."]).run("m", {"good": 3, "other": 6})


@pytest.fixture
def samples(run):
    return run / f"samples_other_{DATE}.jsonl"


@pytest.fixture
def results(run):
    return run / f"results_{DATE}.json"


def leniently(run):
    """How many questions each task has, and what was said."""
    said = []
    loaded = load_run(run, said.append)
    return {name: len(task.records) for name, task in loaded.tasks.items()}, [str(error) for error in said]


def change(file, number, new):
    """Put something else into a line, from 1."""
    lines = file.read_bytes().splitlines(keepends=True)
    lines[number - 1] = new(lines[number - 1]) if callable(new) else new
    file.write_bytes(b"".join(lines))


def of_newer_format(line):
    return line.replace(rb"{\"version\": 1", rb"{\"version\": 2")


BROKEN = [
    (6, lambda line: line[:-40], "line 6: no JSON", 5),
    (2, b"[]\n", r"line 2: '\[\]' is no JSON object", 5),
    (2, b'{"filter": "none"}\n', "line 2: not a sample of a dialogue", 5),
    (2, of_newer_format, "line 2: not a sample of a dialogue.*not a transcript of version 1", 5),
    (2, lambda line: line.replace(b"A sentence", b"A sent\xff\xfe", 1), "line 2: no UTF-8", 6),
]


@pytest.mark.parametrize(("number", "new", "message", "left"), BROKEN)
def test_a_broken_line_is_an_error_when_read_strictly(run, samples, number, new, message, left):
    change(samples, number, new)
    with pytest.raises(ConfigError, match=message):
        load_run(run)


@pytest.mark.parametrize(("number", "new", "message", "left"), BROKEN)
def test_a_broken_line_is_said_and_the_other_questions_are_read(run, samples, number, new, message, left):
    change(samples, number, new)
    tasks, said = leniently(run)
    assert tasks == {"good": 3, "other": left}
    assert str(samples) in said[0]
    if left < 6:
        assert said[1] == f"{samples}: {left} of the 6 questions that its results tell of can be read"


def test_bytes_that_are_no_utf_8_are_shown_as_replaced(run, samples):
    change(samples, 2, lambda line: line.replace(b'\\"content\\": \\"A sent', b'\\"content\\": \\"A \xff', 1))
    task = load_run(run, [].append).tasks["other"]
    assert task.records[1].transcripts[0].messages[0].content.startswith("A \ufffdence.")


def test_a_file_that_was_cut_between_two_lines_is_noticed(run, samples):
    change(samples, 6, b"")
    with pytest.raises(ConfigError, match="5 of the 6 questions"):
        load_run(run)
    assert leniently(run)[0] == {"good": 3, "other": 5}


def test_a_task_of_which_nothing_can_be_read_is_said_in_a_few_words(run, samples):
    samples.write_text("{\n" * 500)
    tasks, said = leniently(run)
    assert tasks == {"good": 3}
    assert [text.rpartition(": ")[2] for text in said[3:]] == ["498 more such problems"]


def test_results_without_the_samples_of_a_task(run, samples):
    samples.unlink()
    with pytest.raises(ConfigError, match=f"tells of the task other, but there is no {samples.name}"):
        load_run(run)
    assert leniently(run)[0] == {"good": 3}


def test_results_without_any_samples(run):
    for file in run.glob("samples_*"):
        file.unlink()
    with pytest.raises(ConfigError, match=r"holds no samples_\*\.jsonl"):
        load_run(run, [].append)


def test_results_of_a_newer_format(run, results):
    told = json.loads(results.read_text())
    told["chatbench"]["version"] = 2
    results.write_text(json.dumps(told))
    with pytest.raises(ConfigError, match="version 2 of chatbench and not 1"):
        load_run(run, [].append)


def test_the_gate_does_not_pass_on_half_a_run(run, samples, tmp_path, capsys):
    whole = Writer(tmp_path, texts=["A sentence."]).run("whole", {"good": 3, "other": 6})
    asked = ["gate", "--baseline", str(whole), "--candidate", str(run), "--max-unscored", "1"]
    assert main(asked) != 2
    change(samples, 6, lambda line: line[:-40])
    assert main(asked) == 2
    assert f"{samples}, line 6" in capsys.readouterr().err


def test_a_run_has_its_configuration_and_what_the_model_said_without_a_dialogue(run):
    loaded = load_run(run)
    assert loaded.configuration["torch_seed"] == 1234
    assert loaded.tasks["good"].static[0][:2] == (StaticResponse("A", -0.5), StaticResponse("B", -1.5))


def test_samples_are_of_the_model_that_the_results_beside_them_name(samples, results):
    moved = samples.parent.rename(samples.parent.with_name("x7vq2k")) / samples.name
    assert model_of(moved) == "m"
    moved.with_name(results.name).unlink()
    assert model_of(moved) == "x7vq2k"


def test_what_it_generated_without_a_dialogue_is_kept_as_text(run, samples):
    def with_replies(line):
        logged = json.loads(line)
        arguments = list(logged["arguments"].values())
        (said,) = logged["resps"][-1]
        asked = [*arguments[:-1], {"arg_0": "letter?", "arg_1": {"until": []}}, arguments[-1], arguments[-1]]
        logged["arguments"] = {f"gen_args_{place}": each for place, each in enumerate(asked)}
        logged["resps"] = [*logged["resps"][:-1], ["C."], [said], [said]]
        return f"{json.dumps(logged)}\n".encode()

    change(samples, 1, with_replies)
    *_, letter, free = load_run(run).tasks["other"].static[0]
    assert letter == StaticResponse("letter", None, "C.")
    assert (free.asked, free.log_likelihood) == ("free text", None)
    assert free.text


def test_lines_are_read_one_at_a_time(tmp_path):
    file = tmp_path / "lines.jsonl"
    file.write_text('{"a": 1}\n\n{"a": 2}\nbroken')
    lines = json_lines(file)
    assert [next(lines), next(lines)] == [{"a": 1}, {"a": 2}]
    with pytest.raises(ConfigError, match="line 4: no JSON"):
        next(lines)


def test_score_shows_the_composition_of_several_tasks_and_the_gap_as_its_test_has_it(tmp_path, capsys):
    folder = Writer(tmp_path).run("m", {"chatbench_mmlu_moral_scenarios": 9, "chatbench_mmlu_virology": 3})
    assert main(["score", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "subjects: moral_scenarios 9 (75%), virology 3 (25%)" in shown
    assert "acc_subjects" in shown
    gaps = [line.split() for line in shown.splitlines() if line.startswith(" acc_gap")]
    tests = [line for line in shown.splitlines() if line.startswith("acc - acc_static")]
    assert len(gaps) == len(tests) == 3
    for (_, value, _, low, _, high, _), test in zip(gaps, tests, strict=True):
        assert f"{float(value):+.4f} ({float(low):+.4f} to {float(high):+.4f})" in test
