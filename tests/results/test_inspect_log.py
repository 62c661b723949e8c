"""A run as a log of Inspect is what Inspect's own reader reads, with every dialogue and score."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import pytest
from doubles import PRODUCT
from sample_runs import Writer
from test_export import HOSTILE, RUNS

from lm_eval_plugin.cli.main import main
from lm_eval_plugin.dialogue.transcript import Role
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.results.inspect_log import write_inspect_logs
from lm_eval_plugin.results.runs import load_run
from lm_eval_plugin.scoring.summary import estimates

HAS_INSPECT = importlib.util.find_spec("inspect_ai") is not None
needs_inspect = pytest.mark.skipif(not HAS_INSPECT, reason="the extra `inspect` brings Inspect's library")


def read(folder):
    log = importlib.import_module("inspect_ai.log")
    return [log.read_eval_log(str(file)) for file in sorted(folder.glob("*.eval"))]


@needs_inspect
def test_every_dialogue_is_a_sample_with_its_scores_as_inspect_reads_them(tmp_path):
    assert write_inspect_logs(RUNS[:1], tmp_path / "logs") == 4
    (log,) = read(tmp_path / "logs")
    assert (log.status, log.eval.task, log.eval.model) == ("success", "u", "a")
    samples = {(each.id, each.epoch): each for each in log.samples}
    name = PRODUCT.id
    # A question that is there twice is two.
    assert samples.keys() == {(name, 1), (name, 2), (name, 3), (f"{name}#2", 2)}
    full, plain, broken = (samples[name, epoch] for epoch in (1, 2, 3))
    assert (full.target, samples[f"{name}#2", 2].target) == (["B", "C"], ["B"])
    assert [message.role for message in full.messages] == ["user", "assistant", "user"]
    assert full.messages[0].text == HOSTILE
    assert full.messages[1].text == "It is 56, so B."
    assert full.output.completion == "It is 56, so B."
    assert [(full.scores["acc"].value, full.scores["acc"].answer), plain.scores["acc"].value] == [(1.0, "B"), 1.0]
    assert full.scores["acc_static"].value == pytest.approx(1 / 3)
    assert full.metadata["events"] == {"repeat": 2}
    assert full.metadata["verdicts"]["coherence"]["score"] == 4
    assert broken.error is not None
    assert "acc" not in broken.scores


@needs_inspect
def test_a_log_has_the_numbers_of_the_run(tmp_path):
    run = load_run(Writer(tmp_path, texts=["A sentence."]).run("m", {"t": 12, "u": 5}))
    assert main(["export", str(tmp_path / "m"), "--format", "inspect", "-o", str(tmp_path / "logs")]) == 0
    for log in read(tmp_path / "logs"):
        told = estimates(run.tasks[log.eval.task].records)
        scores = {each.name: each.metrics["mean"].value for each in log.results.scores}
        assert scores == {name: told[name].value for name in ("acc", "acc_static")}
        assert log.results.total_samples == len(run.tasks[log.eval.task].records)


@needs_inspect
def test_half_of_a_surrogate_pair_is_replaced_and_no_secret_is_in_a_log(tmp_path):
    record = RUNS[0].tasks["u"].records[0]
    said = replace(record.transcripts[0].messages[0], content="\ud83d", role=Role.USER)
    transcript = replace(record.transcripts[0], messages=(said,))
    task = replace(RUNS[0].tasks["u"], records=(replace(record, transcripts=(transcript,)),))
    write_inspect_logs([replace(RUNS[0], tasks={"u": task})], tmp_path)
    (log,) = read(tmp_path)
    assert log.samples[0].messages[0].text == "\ufffd"


@pytest.mark.skipif(HAS_INSPECT, reason="Inspect's library is there")
def test_without_inspect_the_extra_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"pip install 'chatbench-lm-eval\[inspect\]'"):
        write_inspect_logs(RUNS, tmp_path)
