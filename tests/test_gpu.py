"""Loading and talking on a GPU; what is here is skipped on a machine without one."""

from __future__ import annotations

import pytest
import tiny_models
import torch
from lm_eval.models.huggingface import HFLM
from transformers import AutoModelForCausalLM

from lm_eval_plugin.config.dialogue import read_dialogue_block
from lm_eval_plugin.config.request import DialogueRequest
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.doctor import Status, diagnose
from lm_eval_plugin.models.quantized import load_quantized, quantized_layers
from lm_eval_plugin.runner.run_dialogues import hold

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that PyTorch can use")

QUESTION = Question("product", "arithmetic", "What is 7 x 8?", ("54", "56", "58", "63"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A base of 8 layers and an adapter for it."""
    base = tiny_models.save_model(tmp_path_factory.mktemp("base"), "llama", layers=8, spread=0.05)
    adapter = tmp_path_factory.mktemp("adapter")
    tiny_models.save_adapter(AutoModelForCausalLM.from_pretrained(base), adapter, targets=["q_proj", "v_proj"])
    return {"pretrained": str(base), "peft": str(adapter)}


def logits(lm, device="cuda"):
    ids = torch.tensor([lm.tok_encode("What is 3 times 4?")], device=device)
    with torch.no_grad():
        return lm.model(ids).logits[0].float().cpu()


def devices(lm):
    return {str(parameter.device) for parameter in lm.model.parameters()}


@pytest.mark.parametrize("quantization", ["8bit", "nf4", "none"])
def test_a_model_that_fits_lies_on_the_gpu_as_a_whole(folders, quantization):
    lm = load_quantized(folders, quantization)
    assert devices(lm) == {"cuda:0"}
    assert bool(quantized_layers(lm.model)) == (quantization != "none")


def test_8bit_on_the_gpu_says_what_the_whole_model_says(folders):
    whole, small = load_quantized({**folders, "device": "cpu"}, "none"), load_quantized(folders, "8bit")
    similarity = torch.nn.functional.cosine_similarity(logits(whole, "cpu"), logits(small), dim=-1)
    assert similarity.min() > 0.99


@pytest.mark.parametrize("quantization", ["8bit", "nf4"])
def test_max_memory_puts_what_does_not_fit_into_main_memory(folders, quantization):
    limits = {"0": "600KiB", "cpu": "4GiB"}
    lm = load_quantized({**folders, "max_memory": limits}, quantization)
    assert {"cpu", "0"} <= {str(device) for device in lm.model.hf_device_map.values()}
    assert quantized_layers(lm.model) > 0
    whole = load_quantized({**folders, "device": "cpu"}, "none")
    similarity = torch.nn.functional.cosine_similarity(logits(whole, "cpu"), logits(lm), dim=-1)
    assert similarity.min() > 0.97


@pytest.mark.parametrize("quantization", ["8bit", "nf4"])
def test_an_assistant_and_its_simulated_user_talk_on_one_gpu(folders, quantization):
    assistant = HFLM(pretrained=folders["pretrained"], device="cuda:0", dtype="float32")
    block = {
        "simulator": {"policy": "chatbench", "model_args": folders, "quantization": quantization, "max_tokens": 16},
        "assistant": {"max_tokens": 16},
        "max_turns": 2,
    }
    request = DialogueRequest(question=QUESTION, dialogue=read_dialogue_block(block, "test"))
    transcripts = hold(assistant, [(request, 0), (request, 1)])
    assert len(transcripts) == 2
    assert all(transcript.messages for transcript in transcripts)


def test_the_doctor_finds_the_gpu_and_bitsandbytes_on_it():
    found = {check.name: check for check in diagnose({}).fundamentals}
    assert "compute capability" in found["cuda:0"].text
    assert found["bitsandbytes on cuda:0"].status is Status.OK
