"""The device that a model is to go to: checked before anything is loaded, and the CPU where no GPU was asked for."""

from __future__ import annotations

import pytest
import torch

from lm_eval_plugin.cli.main import main
from lm_eval_plugin.config.devices import check_devices, is_there, present
from lm_eval_plugin.config.dialogue import check_override
from lm_eval_plugin.errors import ConfigError, ModelError
from lm_eval_plugin.models.loading import load_assistant, load_model
from lm_eval_plugin.runner.runner import check_simulator
from lm_eval_plugin.runner.simulation import dialogue_config

GPUS = torch.cuda.device_count()
ABSENT = f"cuda:{GPUS + 1}"
NOWHERE = {"pretrained": "nobody/no-such-model", "device": ABSENT}


def test_what_there_is():
    assert present()[0] == "cpu"
    assert len([name for name in present() if name.startswith("cuda")]) == GPUS
    assert is_there("cpu")
    assert is_there("cuda") == is_there(0) == is_there("cuda:0") == (GPUS > 0)


@pytest.mark.parametrize("device", [ABSENT, GPUS + 1, "hpu:7", "gpu", "cuda:x", "", "meta"])
def test_what_there_is_not(device):
    with pytest.raises(ModelError, match=rf"simulator s: its device {device!r} is not on this machine, which has cpu"):
        check_devices({"device": device}, "simulator s")


def test_a_map_of_layers_names_devices_too():
    check_devices({"device_map": {"a": "cpu", "b": "disk"}}, "s")
    check_devices({"device_map": "auto"}, "s")
    with pytest.raises(ModelError, match=ABSENT):
        check_devices({"device_map": {"a": "cpu", "b": ABSENT}}, "s")


def test_the_simulators_device_is_looked_for_before_its_model_or_the_judges():
    """The model is nowhere either; loading it would be another error."""
    block = {"policy": "two_step", "quantization": "none", "model_args": NOWHERE}
    with pytest.raises(ModelError, match=rf"simulator two_step.*its device '{ABSENT}'"):
        load_model("hf", NOWHERE, "none", "simulator two_step")
    with pytest.raises(ModelError, match=rf"simulator two_step.*its device '{ABSENT}'"):
        check_simulator(dialogue_config(block, {}), [])
    with pytest.raises(ModelError, match=rf"simulator two_step.*its device '{ABSENT}'"):
        check_override({"simulator": block, "judge": {"model_args": {"pretrained": "nobody/no-such-judge"}}})
    with pytest.raises(ModelError, match=rf"the judge: its device '{ABSENT}'"):
        check_override({"judge": {"model_args": NOWHERE}})


@pytest.mark.skipif(GPUS > 0, reason="is about machines without a GPU")
def test_a_model_under_test_goes_to_the_cpu_where_there_is_no_gpu(llama):
    assert load_assistant("hf", f"pretrained={llama}").device == torch.device("cpu")


def test_a_model_under_test_goes_where_it_is_told(llama):
    assert load_assistant("hf", f"pretrained={llama}", device="cpu").device == torch.device("cpu")
    assert load_assistant("hf", f"pretrained={llama},device=cpu").device == torch.device("cpu")
    with pytest.raises(ModelError, match=rf"the model under test: its device '{ABSENT}'"):
        load_assistant("hf", f"pretrained={llama}", device=ABSENT)
    with pytest.raises(ConfigError, match=r"given twice, as 'cpu' .* and 'cuda'"):
        load_assistant("hf", f"pretrained={llama},device=cpu", device="cuda")


def test_the_commands_run_a_model_under_test_without_being_told_a_device(llama, capsys):
    question = ["What is 7 x 8?", "--choice", "54", "--choice", "56", "--user", "scripted", "--json"]
    settings = ["--dialogue", '{"max_turns": 1, "assistant": {"max_tokens": 4}}']
    assert main(["simulate", *question, *settings, "--assistant", "hf", "--assistant_args", f"pretrained={llama}"]) == 0
    assert '"stop_reason"' in capsys.readouterr().out
    chosen = ["--assistant", "hf", "--assistant_args", f"pretrained={llama}", "--device", ABSENT]
    assert main(["simulate", *question, *settings, *chosen]) == 2
    assert ABSENT in capsys.readouterr().err
    model = ["--model", "hf", "--model_args", f"pretrained={llama}", "--device", ABSENT]
    assert main(["ablation", "--tasks", "chatbench_demo", *model]) == 2
    assert ABSENT in capsys.readouterr().err
