"""Tiny models of the architectures that matter here, made on the spot: random weights, real classes, real files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.simulators.chatbench import prompt_text

TEXTS = [
    prompt_text(Question("q", "maths", f"What is {a} times {b}?", (f"{a * b}", f"{a + b}", "7", "x")), (), forced=False)
    for a in range(12)
    for b in range(12)
] + [
    "User: The answer is A. B. C. D. [END]\n\nAssistant: I think that it is right.",
    "The following are multiple choice questions",
]

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
NO_SYSTEM_TEMPLATE = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + CHAT_TEMPLATE
)


def tokenizer(
    *, chat_template: str | None = None, add_bos: bool = True, markers: Sequence[str] = ()
) -> PreTrainedTokenizerFast:
    """A byte-level BPE of about 500 tokens, which puts a BOS token in front of a text."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(TEXTS, trainer)
    if add_bos:
        bpe.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    made = PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<s>", eos_token="</s>")
    made.add_special_tokens({"additional_special_tokens": list(markers)})
    made.chat_template = chat_template
    return made


def save_model(
    folder: Path, kind: str = "llama", *, window: int = 1024, layers: int = 2, spread: float = 0.3, **options
) -> Path:
    """Save a model and its tokenizer.

    Args:
        folder: Where to.
        kind: `llama` (with grouped queries), `mistral` (with a sliding window too) or `gpt2`.
        window: Longest input, in tokens.
        layers: How many.
        spread: Standard deviation of the weights; the larger it is, the further greedy choices are from a tie.
        options: Go to `tokenizer`.
    """
    words = tokenizer(**options)
    torch.manual_seed(0)
    model = _model(kind, len(words), window, layers)
    spread_weights(model, spread)
    model.generation_config.eos_token_id = words.eos_token_id
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def spread_weights(model: torch.nn.Module, spread: float) -> None:
    """Give a model random weights, of torch's own chance."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, spread)


def save_adapter(base: PreTrainedModel, folder: Path, *, targets: list[str], seed: int = 1) -> Path:
    """Save a LoRA adapter with the published shape (r 8, alpha 32, dropout 0.05) and weights that matter."""
    torch.manual_seed(seed)
    published = LoraConfig(
        r=8,
        lora_alpha=32,
        lora_dropout=0.05,
        target_modules=targets,
        task_type="CAUSAL_LM",
        fan_in_fan_out=targets == ADAPTER_TARGETS["gpt2"],
    )
    adapted = get_peft_model(base, published)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.02)
    adapted.save_pretrained(folder)
    return folder


ADAPTER_TARGETS = {"llama": ["q_proj", "v_proj"], "mistral": ["q_proj", "v_proj"], "gpt2": ["c_attn"]}


def _model(kind: str, vocabulary: int, window: int, layers: int) -> PreTrainedModel:
    common = {"vocab_size": vocabulary, "bos_token_id": 0, "eos_token_id": 1}
    shape = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": window,
    }
    if kind == "llama":
        return LlamaForCausalLM(LlamaConfig(**common, **shape))
    if kind == "mistral":
        return MistralForCausalLM(MistralConfig(**common, **shape, sliding_window=64))
    return GPT2LMHeadModel(GPT2Config(**common, n_embd=64, n_layer=layers, n_head=4, n_positions=window))
