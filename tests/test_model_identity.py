"""Identities of models: the same for the same model, another as soon as it would say something else."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import pytest
import tiny_models
import torch
from lm_eval.models.huggingface import HFLM
from lm_eval.models.openai_completions import LocalChatCompletion, LocalCompletionsAPI
from test_conversations import TalkingLM
from transformers import AutoModelForCausalLM

from lm_eval_plugin.models.model_identity import model_identity
from lm_eval_plugin.models.quantized import load_quantized


def identity(folder, **options):
    return model_identity(HFLM(pretrained=str(folder), device="cpu", **options))


def differing(one, other):
    assert one.keys() == other.keys()
    return {key for key in one if one[key] != other[key]}


@pytest.fixture
def folder(llama, tmp_path):
    """A checkpoint that a test may overwrite."""
    return shutil.copytree(llama, tmp_path / "model")


def test_the_same_checkpoint_is_the_same_model_in_any_batch_size(folder):
    one = identity(folder, batch_size=1)
    assert one == identity(folder, batch_size=8) == json.loads(json.dumps(one))


def test_model_that_has_generated_is_the_same(folder):
    lm = HFLM(pretrained=str(folder), device="cpu")
    before = model_identity(lm)
    ids, mask = lm.tok_batch_encode(["one", "two and three"])
    lm._model_generate(ids, max_length=30, stop=["\n"], attention_mask=mask)
    assert model_identity(lm) == before


def test_checkpoint_that_was_overwritten_is_another_model(folder):
    before = identity(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.lm_head.weight[3, 5] += 1
    model.save_pretrained(folder)
    assert differing(before, identity(folder)) == {"weights"}


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"dtype": "bfloat16"}, {"weights", "dtype", "config"}),
        ({"add_bos_token": True}, {"settings", "tokenizer"}),
        ({"max_length": 512}, {"settings"}),
        ({"think_end_token": "</think>"}, {"settings"}),
        ({"enable_thinking": False}, {"settings"}),
        ({"chat_template_args": {"style": "plain"}}, {"settings"}),
    ],
)
def test_arguments_that_change_what_is_said_make_another_model(folder, options, what):
    assert differing(identity(folder), identity(folder, **options)) == what


@pytest.mark.parametrize(
    ("file", "change", "what"),
    [
        ("config.json", {"rms_norm_eps": 0.1}, "config"),
        ("generation_config.json", {"repetition_penalty": 2.0}, "generation_config"),
        ("tokenizer_config.json", {"chat_template": "{{ messages }}"}, "chat_template"),
    ],
)
def test_files_beside_the_weights_count(folder, file, change, what):
    before = identity(folder)
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert what in differing(before, identity(folder))


def test_vocabulary_counts(folder):
    before = identity(folder)
    path = folder / "tokenizer.json"
    written = json.loads(path.read_text())
    # Two tokens change places.
    vocabulary = written["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    path.write_text(json.dumps(written))
    assert differing(before, identity(folder)) == {"tokenizer"}


@pytest.fixture
def adapters(llama, tmp_path):
    """Two adapters of one shape with different weights."""
    return [
        tiny_models.save_adapter(
            AutoModelForCausalLM.from_pretrained(llama), tmp_path / str(seed), targets=["q_proj", "v_proj"], seed=seed
        )
        for seed in (1, 2)
    ]


def test_adapter_and_its_configuration_count(llama, adapters):
    def adapted(adapter):
        return model_identity(load_quantized({"pretrained": str(llama), "peft": str(adapter)}, "none"))

    bare = model_identity(load_quantized({"pretrained": str(llama)}, "none"))
    one, two = map(adapted, adapters)
    assert one == adapted(adapters[0])
    assert differing(one, two) == {"weights"}
    assert {"weights", "adapters"} <= differing(bare, one)
    path = adapters[0] / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "lora_alpha": 1}))
    assert differing(one, adapted(adapters[0])) == {"adapters", "adapter_settings"}


@pytest.mark.parametrize("quantization", ["8bit", "nf4"])
def test_quantization_counts(llama, quantization):
    whole, small, again = (
        model_identity(load_quantized({"pretrained": str(llama), "device": "cpu"}, kind))
        for kind in ("none", quantization, quantization)
    )
    assert small == again
    assert {"weights", "config"} <= differing(whole, small)


def test_hidden_threshold_of_8bit_counts(llama):
    one, two = (
        model_identity(load_quantized({"pretrained": str(llama), "device": "cpu", **options}, "8bit"))
        for options in ({}, {"llm_int8_threshold": 0.0})
    )
    assert "config" in differing(one, two)


def test_kind_of_its_own_does_not_tell_by_its_weights(llama):
    class Steered(HFLM):
        def _model_generate(self, *args, **kwargs):
            return super()._model_generate(*args, **kwargs)

    assert model_identity(Steered(pretrained=str(llama), device="cpu")) is None


def test_backend_that_tells_nothing_has_no_identity():
    assert model_identity(TalkingLM()) is None


# Servers and engines


def served(kind=LocalCompletionsAPI, **options):
    arguments = {"model": "m", "base_url": "http://127.0.0.1:1/v1/completions", "tokenizer_backend": None, **options}
    return model_identity(kind(**arguments))


def test_server_is_known_by_address_model_and_settings():
    others = [
        served(LocalChatCompletion),
        served(model="n"),
        served(base_url="http://127.0.0.1:2/v1/completions"),
        served(max_length=4096),
        served(eos_string="</s>"),
    ]
    assert len({json.dumps(each) for each in [served(), *others]}) == 6


def test_how_a_server_is_asked_does_not_count():
    assert served() == served(num_concurrent=8, timeout=7, max_retries=1)


def test_secrets_are_no_part_of_a_server():
    told = served(base_url="http://me:pass@127.0.0.1:1/v1/completions?key=1", header={"Authorization": "Bearer 1"})
    assert told == served()


class Engine(TalkingLM):
    """A stand-in for a backend over vLLM or SGLang, which keeps the arguments of its engine."""

    def __init__(self, adapter=None, **model_args):
        super().__init__()
        self.model_args = {"model": "org/m", "revision": None, "dtype": "auto", "quantization": None, **model_args}
        self.lora_request = None if adapter is None else SimpleNamespace(lora_path=str(adapter))


def test_engine_is_known_by_its_arguments():
    others = [
        {"model": "org/n"},
        {"revision": "abc"},
        {"dtype": "float16"},
        {"quantization": "awq"},
        {"hf_overrides": {"rope_theta": 1.0}},
        {"adapter": "somewhere"},
    ]
    assert len({json.dumps(model_identity(Engine(**options))) for options in [{}, *others]}) == 7


def test_what_an_engine_runs_on_does_not_count():
    elsewhere = {"tensor_parallel_size": 4, "gpu_memory_utilization": 0.5, "max_num_seqs": 3, "hf_token": "secret"}
    assert model_identity(Engine(**elsewhere)) == model_identity(Engine())
    sglang = {"model": None, "model_path": "org/m"}
    assert model_identity(Engine(**sglang, tp_size=2)) == model_identity(Engine(**sglang))


@pytest.mark.parametrize("place", ["model", "adapter"])
def test_folder_of_an_engine_that_was_overwritten_is_another_model(folder, place):
    before = model_identity(Engine(**{place: str(folder)}))
    assert model_identity(Engine(**{place: str(folder)})) == before
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes())
    assert model_identity(Engine(**{place: str(folder)})) != before
