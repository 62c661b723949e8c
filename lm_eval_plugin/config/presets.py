"""The simulators that have a name, and the policies that they are made of.

| preset | weights | window | licence |
|---|---|---|---|
| `chatbench-distilgpt2` | microsoft/chatbench-distilgpt2, tokenizer of distilgpt2 | 1024 | apache-2.0 |
| `chatbench-llama3-8b` | meta-llama/Meta-Llama-3-8B + LoRA microsoft/chatbench-llama3-8b | 8192 | llama3 (gated) |
| `chatbench-mistral-7b` | mistralai/Mistral-7B-v0.1 + LoRA microsoft/chatbench-mistral-7b | 2048 | apache-2.0 |
| `userlm-8b` | microsoft/UserLM-8b | 8192 | mit |
| `two_step`, `two_step_problem`, `two_step_help`, `iqa_eval` | the paper's gpt-4o, over OpenAI's API | the API's | |
| `demo` | the tiny base and LoRA adapter bundled here | 1024 | MIT |
| `scripted`, `sharded`, `human` | none | | |

Source: the model cards of the released simulators and of UserLM-8b; ChatBench, section on user simulation, for gpt-4o.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

BUNDLED = Path(__file__).parents[1] / "demo"
"""Where the bundled weights are."""

DEMO_ASSISTANT = BUNDLED / "assistant"
"""The demo's model under test, a base-style causal language model without a chat template."""

DEMO_SIMULATOR_BASE = BUNDLED / "simulator" / "base"
"""The base model of the demo's simulated user."""

DEMO_SIMULATOR_ADAPTER = BUNDLED / "simulator" / "adapter"
"""The LoRA adapter that makes the base play the user."""

PROMPTED_POLICIES = ("two_step", "two_step_problem", "two_step_help", "iqa_eval")
"""Policies that prompt a model which follows instructions."""

MODEL_POLICIES = ("chatbench", *PROMPTED_POLICIES, "userlm")
"""Policies whose user is a language model."""

POLICIES = (*MODEL_POLICIES, "scripted", "sharded", "human")

GENERATION: Mapping[str, Mapping[str, Any]] = {
    **{policy: {"temperature": 1.0, "max_tokens": 1000} for policy in PROMPTED_POLICIES},
    "userlm": {"temperature": 1.0, "max_tokens": 256, "gen_kwargs": {"top_p": 0.8}},
}
"""How a policy's source has its messages generated, where that is not the default of `SimulatorConfig`."""

_PAPERS_MODEL = {
    "backend": "openai-chat-completions",
    "model_args": {"model": "gpt-4o", "num_concurrent": 8},
    "quantization": "none",
}

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
    "userlm-8b": {
        "policy": "userlm",
        "model_args": {"pretrained": "microsoft/UserLM-8b", "max_length": 8192},
    },
    **{policy: {"policy": policy, **_PAPERS_MODEL} for policy in PROMPTED_POLICIES},
    "demo": {
        "policy": "chatbench",
        "temperature": 0.4,
        "max_tokens": 96,
        "model_args": {"pretrained": str(DEMO_SIMULATOR_BASE), "peft": str(DEMO_SIMULATOR_ADAPTER)},
    },
    "scripted": {"policy": "scripted", "quantization": "none"},
    "sharded": {"policy": "sharded", "quantization": "none"},
    "human": {"policy": "human", "quantization": "none"},
}
"""What each preset stands for, as the keys of a simulator mapping; local weights are loaded in 8 bit by default."""
