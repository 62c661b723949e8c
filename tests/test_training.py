"""Training as a whole, on tiny models: what it writes, that it goes on after being killed, that its folder is a simulator."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from releases import conversation, write_release
from safetensors.torch import load_file
from tiny_models import save_model

from lm_eval_plugin.chatbench_data.release import load_release
from lm_eval_plugin.chatbench_data.splits import split_questions
from lm_eval_plugin.cli.main import main
from lm_eval_plugin.config.simulator import read_simulator
from lm_eval_plugin.dialogue.transcript import StopReason
from lm_eval_plugin.errors import ConfigError, ModelError
from lm_eval_plugin.models.quantized import load_quantized, quantized_layers
from lm_eval_plugin.runner.simulation import simulate
from lm_eval_plugin.training.examples import examples
from lm_eval_plugin.training.fit import fit, load_base, make_trainer
from lm_eval_plugin.training.output import last_checkpoint
from lm_eval_plugin.training.recipe import read_recipe
from lm_eval_plugin.training.train import train

QUESTION = {"question": "What is 7 x 8?", "choices": ["54", "56", "58", "63"]}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Ten conversations, each of one short message; six are learnt from."""
    folder = tmp_path_factory.mktemp("data")
    release = load_release(str(write_release(folder)))
    held = [
        conversation(chat=[("You", "hi"), ("Bot", "56")], questionID=question_id, selectedAnswer="C")
        for question_id in release.questions
    ]
    return str(write_release(folder, conversations=held))


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    return {kind: str(save_model(folder / kind, kind, spread=0.05)) for kind in ("llama", "mistral", "gpt2")}


def trained(data, base, folder, **recipe):
    asked = {"base": base, "learning_rate": 1e-2, "epochs": 4.0, "batch_size": 2, "max_tokens": 16, **recipe}
    return train(load_release(data), read_recipe(asked, "test"), folder)


@pytest.mark.parametrize(
    ("kind", "recipe"),
    [("llama", {}), ("mistral", {"reading": "B"}), ("gpt2", {"loss": "all", "learning_rate": 1e-3})],
)
def test_a_tuned_folder_is_a_simulator_as_it_is_and_says_what_it_learnt(data, bases, tmp_path, kind, recipe):
    folder = tmp_path / "simulator"
    results = trained(data, bases[kind], folder, **recipe)
    assert results["after"][-1] < results["before"] / 2
    assert results["updates"] == 24
    assert (results["counts"]["train"], results["counts"]["held_out"]) == (12, 8)
    mapping = json.loads((folder / "simulator.json").read_text())
    config = read_simulator(mapping, "test")
    assert (config.reading, config.quantization) == (recipe.get("reading", "A"), "none" if kind == "gpt2" else "8bit")
    transcript = simulate(
        QUESTION, lambda messages: "It is 56.", {**mapping, "temperature": 0, "max_tokens": 16}, max_turns=2
    )
    assert transcript.stop_reason in set(StopReason) - {StopReason.MODEL_ERROR, StopReason.CONTEXT}
    assert transcript.messages
    card = (folder / "README.md").read_text()
    assert f"| base | {results['before']:.4f} |" in card
    assert f"| after epoch 4 | {results['after'][-1]:.4f} |" in card
    assert not (folder / "training_args.bin").exists()
    assert not (folder / "checkpoints").exists()


def test_the_base_of_an_adapter_is_in_8_bit_while_it_is_trained(bases):
    lm = load_base(read_recipe({"base": bases["llama"]}, "test"))
    assert quantized_layers(lm.model) == 14


def test_the_reported_perplexity_is_that_of_the_held_out_replies_alone(data, bases, tmp_path):
    results = trained(data, bases["llama"], tmp_path / "simulator", epochs=0.1, quantization="none")
    release = load_release(data)
    lm = load_quantized({"pretrained": bases["llama"]}, "none")
    losses = []
    for example in examples(release.conversations, release.questions, split_questions(release.questions, 0).held_out):
        shown, reply = lm.tok_encode(example.prompt), lm.tok_encode(example.completion, add_special_tokens=False)
        with torch.no_grad():
            logits = lm.model(torch.tensor([shown + reply])).logits[0, len(shown) - 1 : -1]
        losses += torch.nn.functional.cross_entropy(logits, torch.tensor(reply), reduction="none").tolist()
    assert results["before"] == pytest.approx(math.exp(sum(losses) / len(losses)), rel=1e-4)


def test_the_same_call_again_reads_what_is_finished_and_another_one_is_refused(data, bases, tmp_path):
    folder = tmp_path / "simulator"
    results = trained(data, bases["llama"], folder, epochs=0.1)
    written = (folder / "adapter_model.safetensors").stat().st_mtime_ns
    assert trained(data, bases["llama"], folder, epochs=0.1) == results
    with pytest.raises(
        ConfigError, match=r"another configuration \(recipe.seed: 0 there, 1 now\); give another folder"
    ):
        trained(data, bases["llama"], folder, epochs=0.1, seed=1)
    with pytest.raises(ConfigError, match=r"another configuration \(.*data.sha256:"):
        trained(str(write_release(tmp_path / "other")), bases["llama"], folder, epochs=0.1)
    assert (folder / "adapter_model.safetensors").stat().st_mtime_ns == written


def test_a_folder_of_something_else_is_not_written_to(data, bases, tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(ConfigError, match="holds something else"):
        trained(data, bases["llama"], tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("folder", ["/proc/simulator", "/dev/null"])
def test_a_folder_that_cannot_be_made_is_an_error_before_the_base_is_loaded(data, bases, folder):
    with pytest.raises(ConfigError, match=f"{folder} cannot be written"):
        trained(data, bases["llama"], Path(folder))


def test_a_training_that_was_killed_goes_on_to_the_same_weights(data, bases, tmp_path):
    options = [
        "--epochs",
        "8",
        "--max-tokens",
        "16",
        "--learning-rate",
        "1e-3",
        "--quantization",
        "none",
        "--save-steps",
        "20",
    ]
    command = ["train", data, "--base", bases["llama"], *options, "-o"]
    killed = tmp_path / "killed"
    code = "import sys; from lm_eval_plugin.cli.main import main; sys.exit(main(sys.argv[1:]))"
    running = subprocess.Popen([sys.executable, "-c", code, *command, str(killed)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while last_checkpoint(killed) is None:
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    reached = last_checkpoint(killed)
    assert not (killed / "results.json").exists()
    # Half a checkpoint is what a kill leaves behind while one is written.
    half = killed / "checkpoints" / "checkpoint-59"
    half.mkdir()
    (half / "trainer_state.json").write_text('{"global_step": 2')
    assert last_checkpoint(killed) == reached
    assert main([*command, str(killed)]) == 0
    assert main([*command, str(tmp_path / "whole")]) == 0
    one, other = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("killed", "whole"))
    assert one.keys() == other.keys()
    assert all(torch.allclose(one[name], other[name], atol=1e-6) for name in one)
    assert any(tensor.abs().max() > 0 for name, tensor in one.items() if "lora_B" in name)
    results = [json.loads((tmp_path / name / "results.json").read_text()) for name in ("killed", "whole")]
    assert results[0]["after"] == pytest.approx(results[1]["after"], rel=1e-5)


def test_a_training_that_ends_between_its_last_checkpoint_and_its_measurement_measures_when_it_goes_on(bases, tmp_path):
    recipe = read_recipe({"base": bases["llama"], "epochs": 2.0, "learning_rate": 1e-2, "quantization": "none"}, "test")
    row = {"input_ids": [5, 6, 7, 8], "attention_mask": [1] * 4, "labels": [-100, 6, 7, 8]}
    first, again = (
        fit(make_trainer(load_base(recipe), recipe, [row] * 2, [row], tmp_path), tmp_path) for _ in range(2)
    )
    assert (first.updates, again.updates) == (4, 4)
    assert len(first.after) == 2
    assert again.before == first.before
    assert again.after[-1] == pytest.approx(first.after[-1], rel=1e-5)


def test_the_command_says_what_came_of_it_and_how_to_use_it(data, bases, tmp_path, capsys):
    folder = tmp_path / "simulator"
    options = ["--epochs", "1", "--max-tokens", "16", "--batch-size", "4"]
    assert main(["train", data, "--base", bases["llama"], "-o", str(folder), *options]) == 0
    shown = capsys.readouterr().out
    assert "12 examples of 6 questions learnt in 3 updates; 8 of 4 held out" in shown
    assert "perplexity of the held-out replies: base" in shown
    mapping = json.loads(shown.rpartition("--metadata '")[2].strip().strip("'"))
    assert mapping["dialogue"]["simulator"] == json.loads((folder / "simulator.json").read_text())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tuning", "full", "--quantization", "8bit"], "quantized weights cannot all be tuned"),
        (["--epochs", "0"], "epochs is 0.0"),
        (["--held-out-percent", "100"], "held_out_percent is 100"),
        (["--targets", "nonsense"], "name its layers with --targets"),
        (["--window", "64"], "no example of the training questions fits into the window of 64 tokens"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(data, bases, tmp_path, capsys, options, message):
    assert main(["train", data, "--base", bases["llama"], "-o", str(tmp_path / "out"), *options]) == 2
    assert message in capsys.readouterr().err


def test_a_base_that_is_not_there_is_an_error_before_anything_is_written(data, tmp_path):
    with pytest.raises(ConfigError, match="nothing is there"):
        trained(data, "/nowhere/at/all", tmp_path / "out")
    with pytest.raises(ModelError, match="the base 'no/model' cannot be loaded"):
        trained(data, "no/model", tmp_path / "out")
    assert not (tmp_path / "out").exists()


# What is usual for a shape


@pytest.mark.parametrize(
    ("kind", "usual"),
    [("llama", ("lora", "8bit", 1, None)), ("mistral", ("lora", "8bit", 1, 2048)), ("gpt2", ("full", "none", 4, None))],
)
def test_the_released_recipe_is_the_default(bases, kind, usual):
    recipe = read_recipe({"base": bases[kind]}, "test")
    assert (recipe.tuning, recipe.quantization, recipe.batch_size, recipe.window) == usual
    assert (recipe.epochs, recipe.learning_rate, recipe.rank, recipe.alpha, recipe.dropout) == (2, 5e-5, 8, 32, 0.05)


def test_what_is_asked_for_goes_over_what_is_usual(bases):
    recipe = read_recipe({"base": bases["gpt2"], "tuning": "lora", "quantization": "8bit", "batch_size": None}, "test")
    assert (recipe.tuning, recipe.quantization, recipe.batch_size) == ("lora", "8bit", 4)
    assert read_recipe({"base": bases["llama"], "tuning": "full"}, "test").quantization == "none"
