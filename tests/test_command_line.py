"""The real commands, as a user types them; each indexes all tasks of the host, so there are few."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lm_eval_plugin.config.presets import DEMO_ASSISTANT

BIN = Path(sys.executable).parent


def run(*command, **environment):
    env = {**os.environ, "HF_HUB_OFFLINE": "1", **environment}
    return subprocess.run([BIN / command[0], *command[1:]], capture_output=True, text=True, env=env, check=False)


@pytest.fixture(scope="module")
def demo_run(tmp_path_factory):
    """The README's first command, with its samples logged."""
    folder = tmp_path_factory.mktemp("demo")
    done = run(
        *("lm_eval", "--tasks", "chatbench_demo", "--model", "chatbench-demo", "--batch_size", "16"),
        *("--output_path", str(folder), "--log_samples", "--write_out"),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done, folder


def test_the_demo_prints_interactive_and_static_accuracy_in_one_table(demo_run):
    done, _ = demo_run
    for metric in ("acc", "acc_static", "acc_gap", "answered", "user_turns"):
        assert re.search(rf"\|{metric} *\|", done.stdout)
    assert "document 0; context prompt" in done.stderr


def test_the_demo_shows_what_it_is_made_for(demo_run):
    _, folder = demo_run
    results = json.loads(next(folder.rglob("results_*.json")).read_text())["results"]["chatbench_demo"]
    assert results["sample_len"] == 48
    assert 0.2 < results["acc_static,none"] < 0.9
    assert results["answered,none"] > 0.6
    samples = [json.loads(line) for line in next(folder.rglob("samples_*.jsonl")).read_text().splitlines()]
    cells = {(sample["acc"], sample["acc_static"]) for sample in samples}
    assert {(1.0, 0.0), (0.0, 1.0)} <= cells


def test_logged_samples_hold_the_transcripts_as_json(demo_run):
    _, folder = demo_run
    sample = json.loads(next(folder.rglob("samples_*.jsonl")).read_text().splitlines()[0])
    transcript = json.loads(sample["resps"][-1][0])
    assert transcript["version"] == 1
    assert transcript["simulator"] == "demo"
    assert {"role", "content", "tokens", "seconds"} <= transcript["messages"][0].keys()


def test_the_configuration_of_the_run_is_saved_with_its_results(demo_run):
    _, folder = demo_run
    saved = json.loads(next(folder.rglob("results_*.json")).read_text())["configs"]["chatbench_demo"]
    assert saved["metadata"]["dialogue"]["simulator"]["quantization"] == "8bit"
    assert saved["metadata"]["dialogue"]["max_turns"] == 10


def test_ls_tasks_lists_ours_without_a_flag():
    listed = run("lm_eval", "ls", "tasks").stdout
    for name in ("chatbench_mmlu ", "chatbench_mmlu_all", "chatbench_demo", "chatbench_mmlu_moral_scenarios", "|mmlu "):
        assert name in listed


def test_validate_finds_our_tasks():
    assert "All tasks found" in run("lm_eval", "validate", "--tasks", "chatbench_mmlu,chatbench_demo").stdout


def test_a_wrong_key_in_metadata_is_said_before_the_model_is_looked_for():
    done = run(
        *("lm_eval", "--tasks", "chatbench_demo", "--model", "hf", "--model_args", "pretrained=/no/such/model"),
        *("--metadata", '{"dialogue": {"max_turn": 3}}'),
    )
    assert done.returncode != 0
    assert "did you mean 'max_turns'" in done.stderr


def test_everything_works_through_include_path_without_the_watcher():
    folder = run("chatbench", "path", "tasks").stdout.strip()
    done = run(
        *("lm_eval", "--tasks", "chatbench_demo", "--include_path", folder, "--limit", "2", "--model", "hf"),
        *("--model_args", f"pretrained={DEMO_ASSISTANT}", "--device", "cpu"),
        CHATBENCH_AUTOLOAD="0",
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "acc_static" in done.stdout


def test_accelerate_launch_finds_our_tasks(tmp_path):
    done = run(
        *("accelerate", "launch", "--cpu", "--num_processes", "1", "-m", "lm_eval", "--tasks", "chatbench_demo"),
        *("--model", "chatbench-demo", "--limit", "2"),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "acc_static" in done.stdout


def test_the_python_interface_finds_our_tasks():
    code = (
        "import lm_eval\n"
        "results = lm_eval.simple_evaluate('chatbench-demo', tasks=['chatbench_demo'], limit=2, bootstrap_iters=0)\n"
        "assert 'acc_static,none' in results['results']['chatbench_demo']\n"
    )
    done = run("python", "-c", code)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("what", ["tasks", "demo-assistant", "demo-simulator-base", "demo-simulator-adapter"])
def test_path_prints_a_folder_that_exists(what):
    assert Path(run("chatbench", "path", what).stdout.strip()).is_dir()
