"""Loading quantized, LoRA-adapted simulators of every shape from disk."""

from __future__ import annotations

import pytest
import tiny_models
import torch
from transformers import AutoModelForCausalLM

from lm_eval_plugin.errors import ModelError, SimulatorError
from lm_eval_plugin.quantized import load_quantized, quantized_layers

KINDS = ("gpt2", "llama", "mistral")
TEXT = "What is 3 times 4?\nA. 12\nB. 7"


@pytest.fixture(scope="module")
def simulators(tmp_path_factory):
    """Base and adapter folders by the kind of architecture."""
    made = {}
    for kind in KINDS:
        base = tiny_models.save_model(tmp_path_factory.mktemp(kind), kind, spread=0.05)
        adapter = tmp_path_factory.mktemp(f"{kind}_adapter")
        targets = tiny_models.ADAPTER_TARGETS[kind]
        tiny_models.save_adapter(AutoModelForCausalLM.from_pretrained(base), adapter, targets=targets)
        made[kind] = (base, adapter)
    return made


def logits(lm):
    ids = torch.tensor([lm.tok_encode(TEXT)])
    with torch.no_grad():
        return lm.model(ids).logits[0].float()


def load(simulators, kind, quantization, **more):
    base, adapter = simulators[kind]
    return load_quantized({"pretrained": str(base), "peft": str(adapter), "device": "cpu", **more}, quantization)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("quantization", "bound"), [("8bit", 0.999), ("nf4", 0.97)])
def test_quantized_layers_exist_and_the_logits_stay_close(simulators, kind, quantization, bound):
    whole, small = load(simulators, kind, "none"), load(simulators, kind, quantization)
    assert quantized_layers(whole.model) == 0
    assert quantized_layers(small.model) >= 8
    similarity = torch.nn.functional.cosine_similarity(logits(whole), logits(small), dim=-1)
    assert similarity.min() > bound


@pytest.mark.parametrize("kind", KINDS)
def test_the_adapter_changes_what_the_base_says(simulators, kind):
    base = load_quantized({"pretrained": str(simulators[kind][0]), "device": "cpu"}, "none")
    assert not torch.allclose(logits(base), logits(load(simulators, kind, "none")), atol=1e-3)


def test_max_length_is_an_upper_bound_of_the_window(simulators):
    assert load(simulators, "llama", "none", max_length=100).max_length == 100
    assert load(simulators, "llama", "none", max_length=100_000).max_length == 1024


def test_pad_is_eos(simulators):
    lm = load(simulators, "llama", "none")
    assert lm.tokenizer.pad_token_id == lm.tokenizer.eos_token_id


def test_an_adapter_of_another_shape_is_an_error_that_names_its_base(simulators):
    with pytest.raises(SimulatorError, match=r"does not fit the base .*it was trained on"):
        load_quantized({"pretrained": str(simulators["llama"][0]), "peft": str(simulators["gpt2"][1])}, "none")


def test_an_adapter_with_tensors_that_the_base_lacks_is_an_error(tmp_path, simulators):
    deeper = tiny_models.save_model(tmp_path / "deeper", "llama", layers=3)
    adapter = tmp_path / "adapter"
    tiny_models.save_adapter(AutoModelForCausalLM.from_pretrained(deeper), adapter, targets=["q_proj", "v_proj"])
    with pytest.raises(SimulatorError, match="have no counterpart"):
        load_quantized({"pretrained": str(simulators["llama"][0]), "peft": str(adapter)}, "none")


def test_two_different_hub_names_are_two_different_bases(tmp_path, simulators):
    from lm_eval_plugin.quantized import _check_declared_base

    with pytest.raises(SimulatorError, match="was trained on 'meta-llama/Meta-Llama-3-8B'"):
        _check_declared_base("mistralai/Mistral-7B-v0.1", "an/adapter", "meta-llama/Meta-Llama-3-8B")
    _check_declared_base("somebody/mistral-7b-v0.1", "an/adapter", "mistralai/Mistral-7B-v0.1")
    _check_declared_base(str(simulators["llama"][0]), "an/adapter", "mistralai/Mistral-7B-v0.1")


def test_weights_that_cannot_be_had_say_what_to_do():
    with pytest.raises(ModelError, match="accept its licence on its page"):
        load_quantized({"pretrained": "meta-llama/Meta-Llama-3-8B"}, "8bit")


def test_weights_in_pickles_are_not_loaded(tmp_path, simulators):
    base = simulators["llama"][0]
    model = AutoModelForCausalLM.from_pretrained(base)
    model.config.save_pretrained(tmp_path)
    tiny_models.tokenizer().save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors"):
        load_quantized({"pretrained": str(tmp_path)}, "none")


def test_a_model_that_cannot_be_quantized_here_names_the_way_out(simulators, monkeypatch):
    import transformers.quantizers.quantizer_bnb_8bit as quantizer

    def refuses(self, *args, **kwargs):
        raise ImportError("bitsandbytes does not run on this machine")

    monkeypatch.setattr(quantizer.Bnb8BitHfQuantizer, "validate_environment", refuses)
    with pytest.raises(ModelError, match="quantization: none"):
        load(simulators, "llama", "8bit")
