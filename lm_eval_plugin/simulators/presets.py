"""The simulators that have a name, and the policies that they are made of.

| preset | weights | window | licence |
|---|---|---|---|
| `chatbench-distilgpt2` | microsoft/chatbench-distilgpt2, tokenizer of distilgpt2 | 1024 | apache-2.0 |
| `chatbench-llama3-8b` | meta-llama/Meta-Llama-3-8B + LoRA microsoft/chatbench-llama3-8b | 8192 | llama3 (gated) |
| `chatbench-mistral-7b` | mistralai/Mistral-7B-v0.1 + LoRA microsoft/chatbench-mistral-7b | 2048 | apache-2.0 |
| `demo` | the tiny base and LoRA adapter bundled here | 1024 | MIT |
| `scripted` | none | | |

Source: the model cards of the three released simulators.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lm_eval_plugin.demo import SIMULATOR_ADAPTER, SIMULATOR_BASE

MODEL_POLICIES = ("chatbench",)
"""Policies whose user is a language model."""

POLICIES = (*MODEL_POLICIES, "scripted")


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "chatbench-distilgpt2": {
        "policy": "chatbench",
        "model_args": {"pretrained": "microsoft/chatbench-distilgpt2", "tokenizer": "distilgpt2", "max_length": 1024},
    },
    "chatbench-llama3-8b": {
        "policy": "chatbench",
        "model_args": {
            "pretrained": "meta-llama/Meta-Llama-3-8B",
            "peft": "microsoft/chatbench-llama3-8b",
            "max_length": 8192,
        },
    },
    "chatbench-mistral-7b": {
        "policy": "chatbench",
        "model_args": {
            "pretrained": "mistralai/Mistral-7B-v0.1",
            "peft": "microsoft/chatbench-mistral-7b",
            "max_length": 2048,
        },
    },
    "demo": {
        "policy": "chatbench",
        "temperature": 0.4,
        "max_tokens": 96,
        "model_args": {"pretrained": str(SIMULATOR_BASE), "peft": str(SIMULATOR_ADAPTER)},
    },
    "scripted": {"policy": "scripted", "quantization": "none"},
}
"""What each preset stands for, as the keys of a simulator mapping; the weights are loaded in 8 bit by default."""
