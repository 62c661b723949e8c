"""A run that Weights & Biases watches logs a table of its conversations there, and any other run nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
from test_judge import evaluate

from lm_eval_plugin.harness.wandb_table import COLUMNS, NAME, log_conversations


@pytest.fixture
def opened(monkeypatch):
    """A stand-in for the library with an open run, and what is logged there."""
    logged = []
    table = SimpleNamespace
    library = SimpleNamespace(
        run=SimpleNamespace(log=logged.append), Table=lambda columns, data: table(columns=columns, data=data)
    )
    monkeypatch.setitem(sys.modules, "wandb", library)
    return logged


def test_a_run_logs_every_conversation_with_question_answer_and_text(opened):
    results = evaluate({"simulator": "scripted", "repeats": 2})
    (logged,) = opened
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in logged[NAME].data]
    assert logged[NAME].columns == list(COLUMNS)
    assert len(rows) == 8
    assert {row["task"] for row in rows} == {"chatbench_demo"}
    sample = results["samples"]["chatbench_demo"][0]
    transcript = json.loads(sample["resps"][-1][0])
    assert rows[0]["question_id"] == transcript["question_id"]
    assert rows[0]["gold"] == "".join(sample["gold"])
    assert rows[0]["right"] == (rows[0]["answer"] in sample["gold"])
    assert "assistant: It is B." in rows[0]["conversation"]
    assert rows[0]["options"].startswith("A: ")


def test_without_an_open_run_nothing_is_logged(opened, monkeypatch):
    monkeypatch.setattr(sys.modules["wandb"], "run", None)
    evaluate({"simulator": "scripted"})
    assert opened == []
    monkeypatch.delitem(sys.modules, "wandb")
    assert log_conversations({}) == 0


def test_a_table_has_an_end_and_it_is_said(opened, caplog):
    samples = evaluate({"simulator": "scripted"})["samples"]
    assert log_conversations(samples, most=3) == 3
    assert [len(each[NAME].data) for each in opened] == [4, 3]
    assert "holds the first 3 of 4 conversations" in caplog.text


def test_weights_and_biases_itself_takes_the_table_offline(tmp_path):
    pytest.importorskip("wandb", reason="Weights & Biases is not installed")
    command = [
        sys.executable,
        "-m",
        "lm_eval",
        "--tasks",
        "chatbench_demo",
        "--model",
        "chatbench-demo",
        "--limit",
        "3",
    ]
    done = subprocess.run(
        [*command, "--wandb_args", f"mode=offline,dir={tmp_path},project=p"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (table,) = tmp_path.rglob("media/table/chatbench/conversations*.json")
    assert len(json.loads(table.read_text())["data"]) == 3
