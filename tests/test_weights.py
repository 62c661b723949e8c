"""Fingerprints of weights: the same for the same content wherever it lies, another for any other."""

from __future__ import annotations

import pytest
import tiny_models
import torch
from accelerate import cpu_offload
from torch import nn
from transformers import AutoModelForCausalLM

from lm_eval_plugin.models import weights_fingerprint as weights
from lm_eval_plugin.models.quantized import load_quantized
from lm_eval_plugin.models.weights_fingerprint import weights_fingerprint


class Held(nn.Module):
    """A model that is one tensor."""

    def __init__(self, tensor):
        super().__init__()
        self.register_buffer("held", tensor)


def of(tensor):
    return weights_fingerprint(Held(tensor))


def test_content_of_a_tensor_is_the_sum_of_its_words_by_place():
    words = torch.tensor([5, -3, 2**62], dtype=torch.int64)
    assert weights._content(words) == (1 * 5 - 3 * 3 + 5 * 2**62) % 2**64
    assert weights._content(torch.tensor([1, 2, 3], dtype=torch.uint8)) == 1 + 2 * 2**8 + 3 * 2**16
    assert weights._content(torch.empty(0)) == 0


def test_pieces_are_weighed_by_their_place():
    words = torch.zeros(2**17 + 1, dtype=torch.int64)
    words[0], words[-1] = 7, 11
    assert weights._content(words) == 7 + 3 * 11


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.bfloat16, torch.float16, torch.int8, torch.bool, torch.complex64]
)
@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (8, 16)])
def test_any_shape_and_type_can_be_told(shape, dtype):
    tensor = torch.ones(shape).to(dtype)
    assert of(tensor) == of(tensor.clone())
    assert of(tensor) != of(torch.zeros_like(tensor))


def test_any_bit_exchange_shape_type_or_name_makes_another():
    tensor = torch.arange(12, dtype=torch.float32)
    touched, exchanged = tensor.clone(), tensor[[1, 0, *range(2, 12)]]
    touched[7] = torch.nextafter(touched[7], torch.tensor(99.0))
    named = Held(tensor)
    named.register_buffer("another", torch.empty(0))
    others = [
        of(touched),
        of(exchanged),
        of(tensor.view(3, 4)),
        of(tensor.view(torch.int32)),
        weights_fingerprint(named),
    ]
    assert len({of(tensor), *others}) == 6


def test_neither_place_in_memory_nor_layout_counts():
    tensor = torch.arange(24, dtype=torch.int8).view(4, 6)
    beside = torch.cat([torch.zeros(3, dtype=torch.int8), tensor.view(-1)])[3:].view(4, 6)
    transposed = tensor.t().contiguous().t()
    assert beside.storage_offset() == 3
    assert not transposed.is_contiguous()
    assert of(tensor) == of(beside) == of(transposed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_models.save_model(tmp_path_factory.mktemp("model"), "llama")


def test_model_is_the_same_however_it_is_loaded(folder):
    one, two = (AutoModelForCausalLM.from_pretrained(folder) for _ in range(2))
    assert weights_fingerprint(one) == weights_fingerprint(two)


def test_weights_that_accelerate_keeps_elsewhere_count(folder):
    whole, offloaded = (AutoModelForCausalLM.from_pretrained(folder) for _ in range(2))
    cpu_offload(offloaded, torch.device("cpu"))
    assert {parameter.device.type for parameter in offloaded.parameters()} == {"meta"}
    assert weights_fingerprint(offloaded) == weights_fingerprint(whole)
    assert {parameter.device.type for parameter in offloaded.parameters()} == {"meta"}


@pytest.mark.parametrize("quantization", ["8bit", "nf4"])
def test_quantized_model_is_itself_before_and_after_it_has_run(folder, quantization):
    lm = load_quantized({"pretrained": str(folder), "device": "cpu"}, quantization)
    before = weights_fingerprint(lm.model)
    with torch.no_grad():
        lm.model(torch.tensor([[1, 2, 3]]))
    assert weights_fingerprint(lm.model) == before
    again = load_quantized({"pretrained": str(folder), "device": "cpu"}, quantization)
    assert weights_fingerprint(again.model) == before


@pytest.mark.parametrize("quantization", ["8bit", "nf4"])
def test_scales_of_quantized_weights_count(folder, tmp_path, quantization):
    doubled = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        # The rounded numbers are those of the original, their scales are not.
        doubled.model.layers[0].mlp.up_proj.weight.mul_(2)
    doubled.save_pretrained(tmp_path)
    tiny_models.tokenizer().save_pretrained(tmp_path)
    prints = {
        weights_fingerprint(load_quantized({"pretrained": str(path), "device": "cpu"}, quantization).model)
        for path in (folder, tmp_path)
    }
    assert len(prints) == 2


def test_tensor_that_is_spread_over_processes_counts_as_a_whole():
    from torch.distributed.tensor import Shard, distribute_tensor, init_device_mesh

    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        tensor = torch.arange(12, dtype=torch.float32)
        spread = distribute_tensor(tensor, init_device_mesh("cpu", (1,)), [Shard(0)])
        assert weights._content(spread) == weights._content(tensor)
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that PyTorch can use")
def test_gpu_gives_the_same(folder):
    model = AutoModelForCausalLM.from_pretrained(folder)
    on_cpu = weights_fingerprint(model)
    assert weights_fingerprint(model.to("cuda")) == on_cpu
