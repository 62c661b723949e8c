"""Every command of README and guide that can run offline is run, and prints what stands there.

Each block of commands is in one of the tables below: how it is run here, or why it is not. `CHATBENCH_GUIDE=all` runs the slow
ones, too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import sum_row, write_mmlu
from documented import Block, blocks, first_line_that_differs, same_line

from lm_eval_plugin.config.dialogue import read_dialogue_block
from lm_eval_plugin.config.presets import DEMO_ASSISTANT

RUN = (
    "pip install . && lm_eval --tasks chatbench_demo --model chatbench-demo",
    "lm_eval --tasks chatbench_demo --model chatbench-demo --log_samples --output_path results/demo",
    "chatbench simulate --task chatbench_demo --seed 4",
    "lm_eval --tasks chatbench_mmlu_conceptual_physics --model hf --model_args pretrained=MODEL \\",
    """lm_eval --tasks chatbench_demo --model chatbench-demo --device cpu --metadata '{"dialogue": {"user_alone": true}}'""",
    "lm_eval --tasks chatbench_demo --model chatbench-demo --device cpu --log_samples --output_path results/several \\",
    "chatbench report results/demo -o report.html",
    "chatbench leaderboard results/*",
    "chatbench score results",
)
"""The first lines of blocks that are run."""

SLOW = (
    'chatbench ablation --tasks chatbench_demo --limit 16 --dialogue \'{"simulator": "demo", "max_turns": 4}\'',
    "chatbench make-people few-people --people 36",
    "chatbench make-people people",
    "for who in base trained; do",
    "chatbench make-people small-study --people 12",
)
"""Those that take a minute or more together; they are run with `CHATBENCH_GUIDE=all`."""

NOT_RUN = {
    'pip install ".[test]" && pytest': "this is a part of it",
    'pip install -e ".[dev]"': "installs, and measures for minutes",
    "lm_eval --tasks chatbench_mmlu --model hf --model_args pretrained=MODEL --apply_chat_template --batch_size 16 \\": "the hub",
    "lm_eval --tasks chatbench_mmlu --model local-chat-completions --apply_chat_template \\": "a server",
    "lm_eval --tasks chatbench_mmlu --model hf --model_args pretrained=MODEL --apply_chat_template "
    "--use_cache cache/mmlu": "the hub",
    "lm_eval --tasks arc_easy_interactive --include_path FOLDER_OF_THE_YAML --model hf --model_args pretrained=MODEL": "the hub",
    "lm_eval --tasks chatbench_simulator_ppl --model hf --model_args pretrained=distilgpt2 --batch_size 8": "weights of the hub",
    "lm_eval --tasks chatbench_human --model hf --model_args pretrained=meta-llama/Llama-3.1-8B-Instruct --apply_chat_template "
    "--batch_size 16 \\": "weights of the hub",
    "chatbench first-prompts results/mistral --human microsoft/ChatBench": "data of the hub",
    "chatbench human results/mistral --human microsoft/ChatBench --model llama-3.1-8b": "data of the hub",
    "chatbench human results/new results/gpt-4o results/llama --human microsoft/ChatBench": "data of the hub",
    "chatbench collect questions.jsonl -o my-study --model hf --model-args pretrained=MODEL --chat-template": "a person; see "
    "the tests of collect",
    "chatbench train microsoft/ChatBench --base mistralai/Mistral-7B-v0.1 -o my-simulator": "weights of the hub",
    "chatbench export results/* --format openai -o chats.jsonl": "an extra and the hub; see the tests of export",
    "chatbench watch cache/mmlu": "goes on until it is stopped; see the tests of watch",
}
"""Why the others are not run."""

COMMANDS = [block for block in blocks("bash") if not block.code.startswith("--metadata")]


def test_every_block_of_commands_is_run_or_has_a_reason():
    known = {*RUN, *SLOW, *NOT_RUN}
    assert [f"{block.page}: {block.first}" for block in COMMANDS if block.first not in known] == []
    assert known - {block.first for block in COMMANDS} == set()


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder in which the documented commands find what they name: runs, data, a task's data set."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "path/to").mkdir(parents=True)
    data = write_mmlu(_made(folder / "path/to/folder"), [sum_row(a, a + 3) for a in range(4)], "conceptual_physics")
    assert data.is_dir()
    done = bash("chatbench make-people path/to/ChatBench --people 12", folder)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def logged(desk):
    """The desk once the README's run is on it, under every name that the pages use."""
    block = of_first("lm_eval --tasks chatbench_demo --model chatbench-demo --log_samples --output_path results/demo")
    done = bash(block.code, desk)
    assert done.returncode == 0, done.stderr[-2000:]
    for name in ("results/main", "results/new", "other_results", "baseline"):
        shutil.copytree(desk / "results/demo", desk / name)
    return done


@pytest.mark.parametrize("first", RUN)
def test_command_prints_what_stands_there(first, desk, request):
    documented = [block for block in COMMANDS if block.first == first]
    if "--output_path results/demo" in first:
        done = request.getfixturevalue("logged")
    else:
        if first.startswith("chatbench") and "simulate" not in first:
            request.getfixturevalue("logged")
        done = bash(documented[0].code, _folder_for(first, desk))
    assert done.returncode == 0, done.stderr[-3000:]
    for block in documented:
        assert first_line_that_differs(block.printed, done.stdout + done.stderr) is None, done.stdout + done.stderr


@pytest.mark.skipif(os.environ.get("CHATBENCH_GUIDE") != "all", reason="minutes; CHATBENCH_GUIDE=all runs them")
def test_slow_commands_print_what_stands_there(tmp_path):
    for first in SLOW:
        block = of_first(first)
        done = bash(block.code, tmp_path)
        assert done.returncode == 0, done.stderr[-3000:]
        assert first_line_that_differs(block.printed, done.stdout + done.stderr) is None, done.stdout + done.stderr


def test_the_python_of_the_readme_prints_the_accuracy_of_its_table(desk):
    (block,) = [block for block in blocks("python") if block.page == "README"]
    done = subprocess.run(
        [sys.executable, "-c", block.code], capture_output=True, text=True, cwd=desk, env=environment(), check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    accuracy = float(done.stdout.splitlines()[-1])
    table = of_first("pip install . && lm_eval --tasks chatbench_demo --model chatbench-demo").printed
    assert any(
        same_line(f"|chatbench_demo| 1|none | 0|acc |↑ |{accuracy:.4f}|± |0.0688|", line) for line in table.splitlines()
    )


def test_the_workflow_passes_for_an_equal_checkpoint_and_writes_its_reports(logged, desk):
    (block,) = [block for block in blocks("yaml") if "jobs:" in block.code]
    (job,) = yaml.safe_load(block.code)["jobs"].values()
    steps = [step["run"] for step in job["steps"] if "run" in step]
    assert steps[0] == "pip install ."
    for step in steps[1:]:
        done = bash(step, desk, GITHUB_STEP_SUMMARY=str(desk / "summary.md"))
        assert done.returncode == 0, f"{step}\n{done.stdout}\n{done.stderr[-2000:]}"
    assert "<testsuite" in (desk / "gate.xml").read_text()
    assert (desk / "summary.md").read_text() == (desk / "gate.md").read_text() != ""


def test_the_workflow_stops_a_checkpoint_that_got_worse(logged, desk, tmp_path):
    (block,) = [block for block in blocks("yaml") if "jobs:" in block.code]
    (gate,) = [line.partition("run: ")[2] for line in block.code.splitlines() if "run: chatbench gate" in line]
    shutil.copytree(desk / "baseline", tmp_path / "baseline")
    shutil.copytree(desk / "baseline", tmp_path / "results/candidate")
    (samples,) = (tmp_path / "results/candidate").rglob("samples_*.jsonl")
    rows = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        transcript = json.loads(row["resps"][-1][0])
        row["resps"][-1][0] = json.dumps({**transcript, "answer": _wrong(row["gold"])})
    samples.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert bash(gate, tmp_path).returncode == 1


def test_every_setting_that_is_shown_as_an_argument_is_one():
    shown = [block for block in blocks("bash") if block.code.startswith("--metadata")]
    assert {block.page for block in shown} >= {"own-simulator", "numbers"}
    for block in shown:
        for argument in block.code.split("--metadata '")[1:]:
            metadata = json.loads(argument.rstrip().removesuffix("'"))
            read_dialogue_block({"simulator": "scripted", **metadata["dialogue"]}, block.page)


def test_every_task_that_is_shown_as_yaml_is_one():
    import lm_eval

    tasks = Path(lm_eval.__file__).parent / "tasks"
    shown = [block for block in blocks("yaml") if block.page == "own-questions"]
    assert len(shown) >= 3
    for block in shown:
        config = yaml.load(block.code, _Loader)  # a SafeLoader with one more tag
        for entry in [config, *(each for each in config["task"] if isinstance(each, dict))]:
            if dialogue := entry.get("dialogue"):
                read_dialogue_block({"simulator": "scripted", **dialogue}, block.page)
                assert (tasks / dialogue.get("include", "")).exists()


@pytest.mark.parametrize(
    ("documented", "printed", "same"),
    [
        ("|acc  |↑  |0.6667|±", "|acc|↑|0.6712|±", True),
        ("|acc  |↑  |0.6667|±", "|acc|↑|0.7100|±", False),
        ("|acc  |↑  |0.6667|±", "|acc_gap|↑|0.6667|±", False),
        ("|acc|↑|-0.1|", "|acc|↑|0.1|", False),
        ("kept in /.../x", "kept in /tmp/a/x", True),
        ("1,878 questions", "1878 questions", True),
        ("answer: B", "answer: C", False),
    ],
)
def test_lines_are_compared_word_by_word_and_number_by_number(documented, printed, same):
    assert same_line(documented, printed) is same


def test_lines_must_come_in_the_order_that_is_shown():
    assert first_line_that_differs("one\n...\ntwo", "one\nthree\ntwo\n") is None
    assert first_line_that_differs("two\none", "one\ntwo") == "one"


class _Loader(yaml.SafeLoader):
    """Reads `!function` as a plain text."""


_Loader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))


def of_first(first) -> Block:
    return next(block for block in COMMANDS if block.first == first)


def environment(**more):
    python = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": python, "HF_HUB_OFFLINE": "1", "COLUMNS": "200", **more}


def bash(code, folder, **more):
    """Run commands as they stand there, but for an installation, the model's name and a simulator that is to be downloaded."""
    code = code.replace("pip install . && ", "").replace("pretrained=MODEL", f"pretrained={DEMO_ASSISTANT}")
    code = code.replace('{"dataset": "path/to/folder"', '{"simulator": "scripted", "dataset": "path/to/folder"')
    return subprocess.run(
        ["bash", "-e", "-c", code],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(**more),
        check=False,
        timeout=600,
    )


def _folder_for(first, desk):
    """Where a block is run: `results` is a folder of runs for most, and a run for `score`."""
    if not first.startswith("chatbench score"):
        return desk
    folder = _made(desk / "of_one_run")
    for name, place in (("results", "results/demo"), ("other_results", "other_results"), ("path", "path")):
        (folder / name).symlink_to(desk / place)
    return folder


def _made(folder):
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _wrong(gold):
    return next(letter for letter in "ABCD" if letter not in gold)
