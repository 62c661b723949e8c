"""Adapters with tokens of their own, on the base that they were trained on."""

from __future__ import annotations

import pytest
import tiny_models
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from lm_eval_plugin.errors import SimulatorError
from lm_eval_plugin.models.quantized import load_quantized, quantized_layers
from lm_eval_plugin.runner.simulation import simulate

MARKERS = ["[END]", "[USER]"]
PROMPT = "[USER] What is 3 times 4? [END]"
EMBEDDINGS = {"llama": ["embed_tokens", "lm_head"], "gpt2": ["wte"]}


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def base(tmp_path_factory, kind):
    return tiny_models.save_model(tmp_path_factory.mktemp("base"), kind, spread=0.1)


def trained(base, folder, kind, *, tokens=MARKERS, save=True, own_tokenizer=True, **lora):
    """An adapter with tokens of its own, and what it says of a prompt as it was trained."""
    words = AutoTokenizer.from_pretrained(base)
    words.add_special_tokens({"additional_special_tokens": tokens})
    model = AutoModelForCausalLM.from_pretrained(base)
    torch.manual_seed(3)
    model.resize_token_embeddings(len(words), mean_resizing=False)
    if save:
        with torch.no_grad():
            for layer in {model.get_input_embeddings(), model.get_output_embeddings()}:
                layer.weight[-len(tokens) :].normal_(0, 0.1)
    config = LoraConfig(
        r=4,
        task_type="CAUSAL_LM",
        target_modules=tiny_models.ADAPTER_TARGETS[kind],
        fan_in_fan_out=kind == "gpt2",
        **lora,
    )
    adapted = get_peft_model(model, config)
    tiny_models.spread_weights(_LoraB(adapted), 0.05)
    adapted.save_pretrained(folder, save_embedding_layers=save)
    if own_tokenizer:
        words.save_pretrained(folder)
    return logits(adapted.eval(), words)


class _LoraB(torch.nn.Module):
    """The part of an adapter that is nought before training."""

    def __init__(self, adapted):
        super().__init__()
        self.parts = torch.nn.ParameterList(part for name, part in adapted.named_parameters() if "lora_B" in name)


def logits(model, words):
    with torch.no_grad():
        return model(torch.tensor([words.encode(PROMPT)])).logits[0].float()


def loaded(base, adapter, quantization="none", **more):
    return load_quantized({"pretrained": str(base), "peft": str(adapter), "device": "cpu", **more}, quantization)


@pytest.mark.parametrize("quantization", ["none", "8bit", "nf4"])
def test_it_loads_with_its_tokens_and_says_what_it_was_trained_to(base, kind, tmp_path, quantization):
    expected = trained(base, tmp_path, kind)
    lm = loaded(base, tmp_path, quantization)
    assert len(lm.tok_encode("[END]", add_special_tokens=False)) == 1
    assert bool(quantized_layers(lm.model)) == (quantization != "none")
    assert len(lm.model.get_input_embeddings().weight) == len(lm.tokenizer)
    got = logits(lm.model, lm.tokenizer)
    if quantization == "none":
        torch.testing.assert_close(got, expected)
    assert torch.nn.functional.cosine_similarity(got, expected, dim=-1).min() > (0.9 if quantization == "nf4" else 0.99)


def test_embeddings_that_were_trained_as_a_whole_are_the_adapters(base, kind, tmp_path):
    expected = trained(base, tmp_path, kind, modules_to_save=EMBEDDINGS[kind])
    lm = loaded(base, tmp_path)
    torch.testing.assert_close(logits(lm.model, lm.tokenizer), expected)


def test_single_tokens_that_were_trained_are_the_adapters(tmp_path):
    base = tiny_models.save_model(tmp_path / "base", "llama", spread=0.1)
    known = len(AutoTokenizer.from_pretrained(base))
    tokens = {layer: [known, known + 1] for layer in EMBEDDINGS["llama"]}
    expected = trained(base, tmp_path / "adapter", "llama", save=False, trainable_token_indices=tokens)
    lm = loaded(base, tmp_path / "adapter")
    torch.testing.assert_close(logits(lm.model, lm.tokenizer), expected)


def test_it_talks_as_a_simulated_user(base, kind, tmp_path):
    trained(base, tmp_path, kind)
    simulator = {"policy": "chatbench", "base": str(base), "adapter": str(tmp_path), "quantization": "none"}
    question = {"question": "What is 7 x 8?", "choices": ["54", "56"]}
    transcript = simulate(question, lambda messages: "It is 56.", {**simulator, "max_tokens": 8}, max_turns=2)
    assert transcript.messages


def test_tokens_without_embeddings_are_an_error_that_says_what_is_missing(base, kind, tmp_path):
    trained(base, tmp_path, kind, save=False)
    with pytest.raises(SimulatorError, match=r"brings none: it was saved without them"):
        loaded(base, tmp_path)


def test_a_token_for_paddings_alone_changes_nothing(base, kind, tmp_path):
    tiny_models.save_adapter(
        AutoModelForCausalLM.from_pretrained(base), tmp_path, targets=tiny_models.ADAPTER_TARGETS[kind]
    )
    words = AutoTokenizer.from_pretrained(base)
    known = len(words)
    words.add_special_tokens({"pad_token": "[PAD]"})
    words.save_pretrained(tmp_path)
    lm = loaded(base, tmp_path)
    assert len(lm.tokenizer) == len(lm.model.get_input_embeddings().weight) == known


def test_the_tokenizer_that_is_named_is_used(base, kind, tmp_path):
    expected = trained(base, tmp_path / "adapter", kind, own_tokenizer=False)
    words = AutoTokenizer.from_pretrained(base)
    words.add_special_tokens({"additional_special_tokens": MARKERS})
    words.save_pretrained(tmp_path / "words")
    lm = loaded(base, tmp_path / "adapter", tokenizer=str(tmp_path / "words"))
    torch.testing.assert_close(logits(lm.model, lm.tokenizer), expected)
