"""Whatever is wrong in a folder of runs is named, and nothing else comes of it."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re

import damage
import pytest

from lm_eval_plugin.cli.main import main


@pytest.fixture
def folder(tmp_path):
    damage.runs(tmp_path / "runs")
    (tmp_path / "out").mkdir()
    return tmp_path / "runs"


def samples(folder, run="one", task="virology"):
    (file,) = (folder / run).glob(f"samples_*{task}*.jsonl")
    return file


def results(folder, run="one"):
    (file,) = (folder / run).glob("results_*.json")
    return file


def change_line(file, change, number=0):
    lines = file.read_text().splitlines()
    lines[number] = change(lines[number])
    file.write_text("\n".join(lines) + "\n")


def in_sample(**fields):
    return lambda line: json.dumps({**json.loads(line), **fields})


def in_transcript(**fields):
    def change(line):
        sample = json.loads(line)
        sample["resps"][-1][0] = json.dumps({**json.loads(sample["resps"][-1][0]), **fields})
        return json.dumps(sample)

    return change


def report(folder, capsys):
    """The exit status of `report`, what it said and the page."""
    page = folder.parent / "out" / "page.html"
    status = main(["report", str(folder / "one"), str(folder / "two"), "-o", str(page)])
    return status, capsys.readouterr().err, page.read_text()


MESSAGE = {"role": "user", "content": None, "tokens": None, "seconds": None}
WRONG = {
    "acc_static": in_sample(acc_static="1"),
    "acc_static: ": in_sample(acc_static=float("nan")),
    "gold": in_sample(gold=[]),
    "answer": in_transcript(answer=["A"]),
    "simulator": in_transcript(simulator=None),
    "content": in_transcript(messages=[MESSAGE]),
    "seed": in_transcript(seed=float("inf")),
    "nested more than": lambda line: line[:-1] + ', "x": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "no JSON": lambda line: line[:-1] + ', "x": ' + "9" * 5_000 + "}",
    "cut off": lambda line: line[:50],
}


@pytest.mark.parametrize("key", WRONG)
def test_what_is_wrong_in_a_line_is_named_with_file_line_and_key_and_the_others_go_on(folder, key, capsys):
    file = samples(folder)
    change_line(file, WRONG[key], number=1)
    status, said, page = report(folder, capsys)
    assert status == 1
    assert f"{file}, line 2: " in said
    assert key.strip(": ") in said
    assert "3 of the 4 questions" in said
    assert "two" in page


@pytest.mark.parametrize(("key", "value"), [("chatbench", None), ("config", []), ("versions", 1), ("n-shot", "x")])
def test_what_is_wrong_in_the_results_is_named_and_other_runs_go_on(folder, key, value, capsys):
    file = results(folder)
    file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))
    status, said, page = report(folder, capsys)
    assert status == 1
    assert f"{file}: {key}" in said
    assert "two" in page


@pytest.mark.parametrize(("key", "value"), [("questions", 0), ("scores", 0), ("standard_error", -1), ("leasR", 0.5)])
def test_what_is_wrong_in_a_summed_up_metric_is_named_and_other_runs_go_on(folder, key, value, capsys):
    file = results(folder)
    logged = json.loads(file.read_text())
    logged["chatbench"]["tasks"]["chatbench_mmlu_virology"]["metrics"]["acc"][key] = value
    file.write_text(json.dumps(logged))
    status, said, page = report(folder, capsys)
    assert status == 1
    assert f"{file}: chatbench.tasks.chatbench_mmlu_virology.metrics.acc.{key}" in said
    assert "two" in page


@pytest.mark.parametrize("find", [samples, results])
def test_a_pipe_in_the_place_of_a_file_is_named_and_not_waited_for(folder, find, capsys):
    file = find(folder)
    file.unlink()
    os.mkfifo(file)
    status, said, _ = report(folder, capsys)
    assert status == 1
    assert str(file) in said


def test_what_a_model_takes_for_impossible_is_a_likelihood_and_the_page_is_strict_json(folder, capsys):
    def impossible(line):
        sample = json.loads(line)
        sample["resps"][0] = [["-inf", "False"]]
        return json.dumps(sample)

    change_line(samples(folder), impossible)
    status, said, page = report(folder, capsys)
    assert (status, "damaged" in said) == (0, False)
    packed = [block for block in re.findall(r"[A-Za-z0-9+/=]{200,}", page) if block.startswith("H4sI")]
    assert packed

    def refuse(constant):
        raise AssertionError(constant)

    read = [json.loads(gzip.decompress(base64.b64decode(block)), parse_constant=refuse) for block in packed]
    assert '"-inf"' in json.dumps(read)


def test_samples_that_were_cut_short_are_scored_with_a_word_and_a_status(folder, capsys):
    file = samples(folder)
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:2]))
    assert main(["score", str(folder / "one")]) == 1
    captured = capsys.readouterr()
    assert (
        f"{file}: 2 of the 4 questions that its results tell of can be read; the numbers are of these alone"
        in captured.err
    )
    assert "acc" in captured.out


def test_fifty_damaged_folders_end_in_a_status_and_a_sentence():
    damage.check_many(50, derandomize=True)
