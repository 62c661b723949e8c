"""The whole turn of the wheel: people's conversations, a simulator trained on them, and how well it foretells people."""

from __future__ import annotations

import json
from pathlib import Path

import lm_eval
import pytest
from human_runs import TASK, evaluate, logged
from lm_eval.tasks import TaskManager

from lm_eval_plugin.cli.main import main
from lm_eval_plugin.config.presets import DEMO_SIMULATOR_BASE
from lm_eval_plugin.harness.registration import register_models
from lm_eval_plugin.harness.tasks_folder import tasks_folder
from lm_eval_plugin.training.demo.people import DEMO, write_release

LEARNT_FROM, HELD_AGAINST = 28, 160
"""People: so few teach the simulator, and so many others say what is reached on the questions that it was not taught."""

# The recipe of the bundled simulator's scale; the cards' suits models a thousand times as large.
SMALL = ("--learning-rate", "2e-3", "--epochs", "1", "--batch-size", "4", "--quantization", "none")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A folder with `people`, the `trained` simulator, and `others` to hold it against."""
    folder = tmp_path_factory.mktemp("wheel")
    write_release(folder / "people", LEARNT_FROM, seed=3)
    write_release(folder / "others", HELD_AGAINST, seed=5)
    trained = [
        "train",
        str(folder / "people"),
        "--base",
        str(DEMO_SIMULATOR_BASE),
        "-o",
        str(folder / "trained"),
        *SMALL,
    ]
    assert main(trained) == 0
    return folder


def simulator(wheel: Path, *, trained: bool) -> dict:
    mapping = json.loads((wheel / "trained" / "simulator.json").read_text())
    kept = {key: entry for key, entry in mapping.items() if trained or key != "adapter"}
    # So small a model loses the thread at the full temperature.
    return {**kept, "temperature": 0.4, "max_tokens": 64}


def perplexities(wheel: Path, model_args: str) -> dict:
    metadata = {"examples": {"dataset": str(wheel / "people"), "split": 0}}
    manager = TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata=metadata)
    task = "chatbench_simulator_ppl"
    options = {"task_manager": manager, "batch_size": 16, "bootstrap_iters": 0, "device": "cpu"}
    return lm_eval.simple_evaluate("hf", model_args=model_args, tasks=[task], **options)["results"][task]


def test_perplexity_on_held_out_people_falls_at_least_by_half(wheel):
    before = perplexities(wheel, f"pretrained={DEMO_SIMULATOR_BASE}")
    after = perplexities(wheel, f"pretrained={DEMO_SIMULATOR_BASE},peft={wheel / 'trained'}")
    assert after["reply_perplexity,none"] <= before["reply_perplexity,none"] / 2
    assert after["string_perplexity,none"] < before["string_perplexity,none"]
    assert after["answer_named,none"] > before["answer_named,none"]
    results = json.loads((wheel / "trained" / "results.json").read_text())
    # Those of the training, which takes all of the held-out replies, are near.
    assert after["reply_perplexity,none"] == pytest.approx(results["after"][-1], rel=0.1)


@pytest.fixture(scope="module")
def runs(wheel) -> dict[str, Path]:
    """A run with the base as the simulated user, and one with the trained simulator."""
    register_models()
    found = {}
    for name in ("base", "trained"):
        dialogue = {
            "simulator": simulator(wheel, trained=name == "trained"),
            "max_turns": 3,
            "repeats": 2,
            "assistant": {"max_tokens": 48},
        }
        results = evaluate("chatbench-demo", wheel / "others", dialogue=dialogue, model=DEMO, split=0)
        found[name] = logged(results, wheel / name, name)
    return found


def test_a_trained_simulator_foretells_people_better_than_the_model_alone_and_its_base_foretells_nothing(runs, capsys):
    assert main(["human", *map(str, runs.values()), "--json"]) == 0
    base, trained = json.loads(capsys.readouterr().out)["runs"]
    simulated, static = trained["foretold_by"]["simulated"], trained["foretold_by"]["static"]
    assert simulated["error"]["value"] < static["error"]["value"]
    assert simulated["pearson"]["value"] > static["pearson"]["value"]
    # The base answers nothing, so that it foretells nothing.
    assert base["answer_given"] == 0
    assert "simulated" not in base["foretold_by"]


def test_the_questions_of_the_run_are_those_that_the_training_held_out(wheel, runs):
    (samples,) = runs["trained"].rglob(f"samples_{TASK}_*.jsonl")
    asked = {json.loads(line)["doc"]["question_id"] for line in samples.read_text().splitlines()}
    counts = json.loads((wheel / "trained" / "results.json").read_text())["counts"]
    assert len(asked) == counts["held_out_questions"]


def test_its_first_prompts_can_be_held_against_those_of_people(wheel, runs, capsys):
    assert main(["first-prompts", str(runs["trained"]), "--human", str(wheel / "people"), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["runs"].values()
    assert 0 < found["simulated"]["rouge_1"]["value"] <= 1
    assert found["among_people"]["rouge_1"]["questions"] <= found["simulated"]["rouge_1"]["questions"]
