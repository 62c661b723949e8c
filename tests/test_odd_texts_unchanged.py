"""Texts that look broken and are none go through everything that keeps or shows a dialogue as they were said."""

from __future__ import annotations

import json

import lm_eval
import pytest
from human_runs import logged
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

from lm_eval_plugin.cli.main import main
from lm_eval_plugin.dialogue.transcript import Role
from lm_eval_plugin.harness.tasks_folder import tasks_folder
from lm_eval_plugin.results.export import read_export
from lm_eval_plugin.results.runs import read_run

ODD = "NUL \0 BOM \ufeff bidi \u202e\u2066x\u2069 mark \u0301 replaced \ufffd non \uffff far \U0010ffff line \u2028 esc \x1b[31m"
REPLY = f"It is B. {ODD}"


class Odd(LM):
    """Says the same odd text to everything."""

    tokenizer = None
    loglikelihood = loglikelihood_rolling = None

    def generate_until(self, requests, disable_tqdm=False):
        return [REPLY] * len(requests)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run in which the assistant says it, made with a cache."""
    folder = tmp_path_factory.mktemp("odd")
    dialogue = {"simulator": "scripted", "static": "none"}
    manager = TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata={"dialogue": dialogue})
    results = lm_eval.simple_evaluate(
        Odd(),
        tasks=["chatbench_demo"],
        task_manager=manager,
        bootstrap_iters=0,
        limit=3,
        use_cache=str(folder / "cache"),
    )
    return logged(results, folder / "results")


def said_by(transcripts):
    return {message.content for held in transcripts for message in held.messages if message.role is Role.ASSISTANT}


def test_samples_hold_it_as_it_was_said(run):
    (records,) = read_run([run]).values()
    assert said_by(held for record in records for held in record.transcripts) == {REPLY}


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_an_export_holds_it_as_it_was_said(run, tmp_path, kind):
    out = tmp_path / f"out.{kind}"
    assert main(["export", str(run), "-o", str(out)]) == 0
    (again,) = read_export(out)
    (task,) = again.tasks.values()
    assert said_by(held for record in task.records for held in record.transcripts) == {REPLY}


def test_the_page_is_made_of_it(run, tmp_path):
    assert main(["report", str(run), "-o", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_bytes()
    assert b"\0" not in page
    assert b"\x1b" not in page


def test_simulate_prints_it_as_json_that_is_read_back_as_it_was_said(tmp_path, capsys):
    file = tmp_path / "q.json"
    file.write_text(json.dumps({"question": f"What is 7 x 8? {ODD}", "choices": ["54", "56"]}), encoding="utf-8")
    arguments = ["simulate", "--file", str(file), "--user", "scripted", "--assistant", "dummy", "--json"]
    assert main(arguments) == 0
    line, rest = capsys.readouterr().out.split("\n")
    assert ODD in json.loads(line)["messages"][0]["content"]
    assert not rest
