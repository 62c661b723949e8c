"""Rows share a batch, and kept keys are continued from, only in models of which neither changes what they say."""

from __future__ import annotations

import logging

import pytest
import tiny_models
import torch
import transformers
from lm_eval.models.huggingface import HFLM
from peft import PrefixTuningConfig, PromptTuningConfig, get_peft_model
from test_local_generation import GREEDY, SAMPLED, local, talked

from lm_eval_plugin.errors import ModelError
from lm_eval_plugin.models.generation import Prompted
from lm_eval_plugin.models.generation.local.roomy_cache import roomy_up_to
from lm_eval_plugin.models.generation.neutrality import exclusions as neutrality
from lm_eval_plugin.models.generation.neutrality.exclusions import verdict_of
from lm_eval_plugin.models.generation.neutrality.probe import FORWARD_PASSES, Verdict, is_same
from lm_eval_plugin.models.quantized import load_quantized

SHAPE = {"hidden_size": 64, "num_hidden_layers": 2, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 128}
LONG_ROPE = {
    "rope_type": "longrope",
    "rope_theta": 10_000.0,
    "long_factor": [4.0] * 8,
    "short_factor": [1.0] * 8,
    "original_max_position_embeddings": 32,
    "factor": 16.0,
}
ODD = {
    "dynamic NTK": lambda: transformers.LlamaConfig(
        **SHAPE,
        **HEADS,
        max_position_embeddings=64,
        rope_parameters={"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10_000.0},
    ),
    "LongRoPE": lambda: transformers.LlamaConfig(
        **SHAPE, **HEADS, max_position_embeddings=512, rope_parameters=LONG_ROPE
    ),
    "RWKV": lambda: transformers.RwkvConfig(
        **SHAPE, attention_hidden_size=64, intermediate_size=128, context_length=1024
    ),
    "RecurrentGemma": lambda: transformers.RecurrentGemmaConfig(
        **{**SHAPE, "num_hidden_layers": 3},
        **{**HEADS, "num_key_value_heads": 1},
        lru_width=64,
        attention_window_size=64,
    ),
    "linear attention": lambda: transformers.MiniMaxConfig(
        **SHAPE,
        **HEADS,
        num_local_experts=2,
        num_experts_per_tok=1,
        head_dim=16,
        block_size=16,
        layer_types=["linear_attention", "full_attention"],
    ),
}
VIRTUAL = {"prompt tuning": PromptTuningConfig, "prefix tuning": PrefixTuningConfig}

# Said by peft of every text that is generated behind virtual tokens.
pytestmark = pytest.mark.filterwarnings("ignore:Position ids are not supported for parameter efficient tuning")


def saved(folder, config):
    """A model with random weights of an odd architecture."""
    words = tiny_models.tokenizer()
    config.vocab_size = len(words)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config)
    tiny_models.spread_weights(model, 0.3)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def with_virtual_tokens(folder, adapter, kind):
    """An adapter that puts five trained tokens before every text."""
    torch.manual_seed(1)
    adapted = get_peft_model(
        transformers.AutoModelForCausalLM.from_pretrained(folder),
        VIRTUAL[kind](task_type="CAUSAL_LM", num_virtual_tokens=5),
    )
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.normal_(0, 0.3)
    adapted.save_pretrained(adapter)
    return adapter


@pytest.fixture(params=[*ODD, *VIRTUAL])
def odd(request, tmp_path):
    if request.param in ODD:
        return HFLM(pretrained=str(saved(tmp_path, ODD[request.param]())), device="cpu", dtype="float32", batch_size=4)
    return adapted(tmp_path, request.param)


def adapted(folder, kind):
    base = tiny_models.save_model(folder / "base")
    adapter = with_virtual_tokens(base, folder / "adapter", kind)
    return HFLM(pretrained=str(base), peft=str(adapter), device="cpu", dtype="float32", batch_size=4)


def found(lm):
    return verdict_of(lm, "the model", roomy_up_to(lm.model))


@pytest.mark.parametrize("settings", [GREEDY, SAMPLED])
def test_model_that_a_batch_or_kept_keys_would_change_says_what_it_says_alone(odd, settings):
    assert found(odd) != Verdict()
    batched = talked(local(odd), settings, dialogues=5)
    odd.batch_size_per_gpu = 1
    assert batched == talked(local(odd, budget=0), settings, dialogues=5)


@pytest.mark.filterwarnings("ignore:`past_key_values` is deprecated")  # by peft, in a forward pass
def test_trained_prefix_is_used_in_texts_as_in_a_forward_pass(tmp_path):
    lm = adapted(tmp_path, "prefix tuning")
    (reply,) = local(lm).generate([Prompted("what is the answer", 0)], {**GREEDY, "until": ["\0"], "max_gen_toks": 4})
    ids = lm.tok_encode("what is the answer")
    for _ in range(4):
        with torch.no_grad():
            ids.append(int(next_logits(lm, ids).argmax()))
    assert reply.text == lm.tok_decode(ids[-4:])


def next_logits(lm, ids):
    seen = torch.tensor([ids])
    return lm.model(input_ids=seen, attention_mask=torch.ones_like(seen), use_cache=False).logits[0, -1]


def test_prefix_that_is_lost_is_an_error(tmp_path, monkeypatch):
    lm = adapted(tmp_path, "prefix tuning")
    plain = lm.model.get_base_model()
    monkeypatch.setattr(lm.model, "generate", plain.generate)
    with pytest.raises(ModelError, match="the prefix of its adapter is lost when texts are generated"):
        local(lm)


@pytest.mark.parametrize("kind", ["llama", "mistral", "gpt2"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "8bit", "nf4"])
@pytest.mark.parametrize("spread", [0.05, 0.3])
def test_plain_model_is_not_excluded_in_any_dtype(kind, dtype, spread, tmp_path):
    folder = str(tiny_models.save_model(tmp_path, kind, spread=spread))
    if dtype in ("8bit", "nf4"):
        lm = load_quantized({"pretrained": folder, "device": "cpu"}, dtype)
    else:
        lm = HFLM(pretrained=folder, device="cpu", dtype=dtype)
    assert found(lm) == Verdict()


def test_probe_takes_twelve_short_passes_at_most_and_none_for_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(neutrality, "_OF_WEIGHTS", {})
    folder = str(tiny_models.save_model(tmp_path))
    shown = []
    for dtype in ("bfloat16", "bfloat16", "float32"):
        lm = HFLM(pretrained=folder, device="cpu", dtype=dtype)
        passes = []
        lm.model.register_forward_pre_hook(
            lambda _module, _inputs, named, passes=passes: passes.append(named["input_ids"].numel()), with_kwargs=True
        )
        found(lm)
        shown.append(passes)
    assert 0 < len(shown[0]) <= FORWARD_PASSES
    assert max(shown[0]) <= 64
    assert shown[1] == []
    assert 0 < len(shown[2]) <= FORWARD_PASSES


def test_exclusion_is_said_once_and_says_what_follows(tmp_path, caplog):
    lm = HFLM(pretrained=str(saved(tmp_path, ODD["dynamic NTK"]())), device="cpu", dtype="float32")
    with caplog.at_level(logging.WARNING):
        found(lm)
        found(lm)
    said = [record.getMessage() for record in caplog.records if record.name == neutrality.__name__]
    assert len(said) == 1
    assert "position scheme (dynamic) switches with the length" in said[0]
    assert "one at a time" in said[0]


def test_model_whose_code_fails_in_the_probe_is_excluded_with_the_reason(tmp_path):
    lm = HFLM(pretrained=str(tiny_models.save_model(tmp_path, spread=0.2)), device="cpu", dtype="float32")

    def fail(_module, inputs, named):
        if len(named["input_ids"]) > 1:
            raise RuntimeError("one row at a time")

    lm.model.register_forward_pre_hook(fail, with_kwargs=True)
    verdict = found(lm)
    assert "one row at a time" in verdict.batches
    assert not verdict.keys


def test_logits_are_the_same_only_with_the_same_likeliest_token_and_within_a_thousandth_of_the_spread():
    alone = torch.tensor([0.0, 1.0, 10.0, 9.9999])
    assert is_same(alone, alone, None)
    assert is_same(alone + torch.tensor([0.009, 0, 0, 0]), alone, None)
    assert not is_same(alone + torch.tensor([0.011, 0, 0, 0]), alone, None)
    assert not is_same(alone + torch.tensor([0, 0, 0, 0.005]), alone, None)
    assert not is_same(alone * float("nan"), alone, None)
    assert not is_same(alone * float("nan"), alone, 1.0)
