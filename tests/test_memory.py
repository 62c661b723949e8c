"""Estimates against real models, limits of control groups, and where models are put, by numbers."""

from __future__ import annotations

import pytest
import tiny_models
import torch
from transformers import AutoConfig, GPT2Config, LlamaConfig, MistralConfig

from lm_eval_plugin.errors import ModelError
from lm_eval_plugin.models.footprint import PUBLISHED, Footprint, footprint
from lm_eval_plugin.models.memory import cgroup_free, free_memory
from lm_eval_plugin.models.placement import GIB, Placement, place
from lm_eval_plugin.models.quantized import load_quantized

LLAMA3_8B = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "tie_word_embeddings": False,
}


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("distilgpt2", GPT2Config(n_layer=6)),
        ("microsoft/chatbench-distilgpt2", GPT2Config(n_layer=6)),
        ("meta-llama/Meta-Llama-3-8B", LlamaConfig(**LLAMA3_8B, vocab_size=128_256)),
        ("microsoft/UserLM-8b", LlamaConfig(**LLAMA3_8B, vocab_size=128_257)),
        ("mistralai/Mistral-7B-v0.1", MistralConfig(**LLAMA3_8B, vocab_size=32_000)),
    ],
)
def test_the_table_of_published_models_is_what_their_configurations_give(name, config):
    assert footprint(config) == PUBLISHED[name].footprint


@pytest.fixture(scope="module", params=["llama", "mistral", "gpt2"])
def folder(request, tmp_path_factory):
    return tiny_models.save_model(tmp_path_factory.mktemp(request.param), request.param)


@pytest.mark.parametrize("quantization", ["8bit", "nf4", "none"])
def test_the_estimate_is_what_the_loaded_weights_take(folder, quantization):
    model = load_quantized({"pretrained": str(folder), "device": "cpu"}, quantization).model
    scales = 4 / 64 if quantization == "nf4" else 0.0
    size = footprint(AutoConfig.from_pretrained(folder))
    taken = sum(weights.nbytes for weights in model.parameters())
    assert size.weights(quantization, 4) == taken + int(size.quantizable * scales)


def test_the_cache_is_what_a_forward_pass_leaves(folder):
    lm = load_quantized({"pretrained": str(folder), "device": "cpu"}, "none")
    with torch.no_grad():
        cache = lm.model(torch.tensor([[0, 5, 6, 7, 8]]), use_cache=True).past_key_values
    values = sum(layer.keys.numel() + layer.values.numel() for layer in cache.layers)
    assert footprint(lm.model.config).cache_per_token == values / 5


def test_a_model_without_attention_heads_has_an_unknown_cache():
    size = Footprint(quantizable=10, other=10, cache_per_token=None)
    assert size.cache(1000, 2) is None
    assert Footprint(10, 10, 8).cache(1000, 2) == 16_000


def test_double_quantization_makes_the_scales_smaller():
    size = Footprint(quantizable=64 * 256, other=0, cache_per_token=1)
    assert size.weights("nf4", 2) == 64 * 256 // 2 + 256 * 4
    assert size.weights("nf4", 2, double_quant=True) == 64 * 256 // 2 + 256 + 4


def test_some_main_memory_is_free():
    assert free_memory("cpu") > 0


def limit(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(f"{text}\n")


def test_a_group_without_a_limit_sets_none(tmp_path):
    limit(tmp_path / "a", memory__max="max", memory__current=5)
    assert cgroup_free(tmp_path, "0::/a") is None


def test_the_tightest_of_nested_groups_counts_and_cached_files_are_free(tmp_path):
    limit(tmp_path / "a", memory__max=1000, memory__current=900, memory__stat="inactive_file 100\nactive_file 50")
    limit(tmp_path / "a/b", memory__max=5000, memory__current=800)
    assert cgroup_free(tmp_path, "0::/a/b") == 250


def test_inside_a_container_the_root_has_the_limit(tmp_path):
    limit(tmp_path, memory__max=1000, memory__current=400)
    assert cgroup_free(tmp_path, "0::/outer/name/of/the/container") == 600


def test_groups_of_version_1_have_other_names(tmp_path):
    limit(tmp_path / "memory/a", memory__limit_in_bytes=1000, memory__usage_in_bytes=400)
    limit(tmp_path / "memory/a", memory__stat="inactive_file 1\ntotal_inactive_file 30")
    assert cgroup_free(tmp_path, "4:memory:/a\n3:cpuset:/\n0::/") == 630


def test_a_group_beyond_its_limit_has_nothing_free(tmp_path):
    limit(tmp_path, memory__max=1000, memory__current=1400)
    assert cgroup_free(tmp_path, "0::/") == 0


def put(device, **numbers):
    return place("a/model", device, **{"gpu_free": 0, "cpu_free": 0, "unquantized": 0, **numbers})


def test_a_model_that_fits_with_its_margin_lies_on_the_gpu_as_a_whole():
    assert put("cuda:1", needed=10 * GIB, gpu_free=12 * GIB) == Placement({"": "cuda:1"})


def test_what_the_margin_does_not_leave_goes_to_main_memory():
    placement = put("cuda:1", needed=10 * GIB, unquantized=20 * GIB, gpu_free=12 * GIB - 1, cpu_free=64 * GIB)
    assert placement.device_map == "auto"
    assert placement.max_memory == {1: 10 * GIB - 1, "cpu": 64 * GIB}
    assert placement.on_cpu == pytest.approx(2 * GIB, rel=1e-6)


def test_layers_beside_a_gpu_take_their_unquantized_size():
    numbers = {"needed": 10 * GIB, "unquantized": 20 * GIB, "gpu_free": 7 * GIB}
    assert put("cuda:0", **numbers, cpu_free=12 * GIB).on_cpu == pytest.approx(11 * GIB)
    with pytest.raises(ModelError, match=r"11\.8 GB of main memory .* beside the 5\.4 GB that cuda:0 takes"):
        put("cuda:0", **numbers, cpu_free=10 * GIB)


def test_a_gpu_without_room_is_an_error_that_names_the_vllm_setting():
    with pytest.raises(ModelError, match="gpu_memory_utilization"):
        put("cuda:0", needed=10 * GIB, gpu_free=GIB, cpu_free=100 * GIB)


def test_without_a_gpu_nothing_is_shared_out():
    assert put("cpu", needed=10 * GIB, cpu_free=10 * GIB) == Placement({"": "cpu"})


def test_too_little_main_memory_says_what_is_needed_what_is_there_and_what_to_do():
    with pytest.raises(
        ModelError, match=r"needs 10\.7 GB of main memory .* 5\.4 GB is free; .*chatbench-distilgpt2.*nf4"
    ):
        put("cpu", needed=10 * GIB, cpu_free=5 * GIB)
