"""The ChatBench paper's own protocol: what a `dialogue:` block stands for where it says `protocol: paper`.

The protocol changes defaults and nothing else; a key that the block gives goes before it, and the label says so.

| | `paper` | `default` |
|---|---|---|
| simulator | `two_step` | `chatbench-distilgpt2` |
| user's temperature, tokens | 1.0, 1000 | the policy's |
| assistant's temperature, tokens | 0.7, 1000 | 0, 512 |
| repeats, max_turns | 10, 10 | 1, 10 |
| a message that no person would send | stays | is asked for again |
| reading of answers and messages | `simulators.paper_reading` | tolerant |
| static scores | letter_few_shot, letter, free_text, each at 0.7 | loglikelihood |

Source: ChatBench, sections on user simulation and AI alone; interactive-eval @ a90f773.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lm_eval_plugin.errors import ConfigError

if TYPE_CHECKING:
    from lm_eval_plugin.config.dialogue import DialogueConfig
    from lm_eval_plugin.config.simulator import SimulatorConfig

PAPER = "paper"
PAPER_POLICIES = ("two_step", "two_step_problem", "two_step_help", "iqa_eval")

_ASSISTANT: Mapping[str, Any] = {"temperature": 0.7, "max_tokens": 1000}
_BLOCK: Mapping[str, Any] = {
    "max_turns": 10,
    "repeats": 10,
    "static": ("letter_few_shot", "letter", "free_text"),
}
_SIMULATOR: Mapping[str, Any] = {"temperature": 1.0, "max_tokens": 1000, "reasks": 0}


def with_protocol(block: Mapping[str, Any]) -> dict[str, Any]:
    """A `dialogue:` block with the defaults of the protocol that it names under its own keys."""
    if block.get("protocol") != PAPER:
        return dict(block)
    assistant = block.get("assistant")
    simulator = block.get("simulator", PAPER_POLICIES[0])
    named = {"preset": simulator} if isinstance(simulator, str) else simulator
    return {
        **_BLOCK,
        "static": list(_BLOCK["static"]),
        **block,
        "assistant": {**_ASSISTANT, **assistant} if isinstance(assistant, Mapping) else assistant or dict(_ASSISTANT),
        "simulator": {**_SIMULATOR, **named} if isinstance(named, Mapping) else named,
    }


def check_policy_of_paper(simulator: SimulatorConfig, where: str) -> None:
    """Refuse a simulator under the paper's protocol whose policy is none of the paper's.

    Raises:
        ConfigError: It is none of the four.
    """
    if simulator.policy not in PAPER_POLICIES:
        raise ConfigError(
            f"{where}: protocol paper is for the policies {', '.join(PAPER_POLICIES)}, and the simulator's is "
            f"{simulator.policy!r}; name one of them, or leave protocol out"
        )


def protocol_label(config: DialogueConfig) -> str:
    """`paper`, or `paper, changed: KEYS` where the configuration differs from it; empty for the default protocol."""
    if config.protocol != PAPER:
        return ""
    own = config.model_dump()
    changed = [key for key, value in _BLOCK.items() if _plain(own[key]) != _plain(value)]
    changed += [f"assistant.{key}" for key, value in _ASSISTANT.items() if own["assistant"][key] != value]
    changed += [f"assistant.{key}" for key in ("until", "gen_kwargs") if own["assistant"][key]]
    changed += [f"simulator.{key}" for key, value in _SIMULATOR.items() if own["simulator"][key] != value]
    changed += ["simulator.gen_kwargs"] * bool(own["simulator"]["gen_kwargs"])
    changed += [key for key in ("persona", "chain_of_thought", "shuffle_choices") if own[key]]
    return f"{PAPER}, changed: {', '.join(changed)}" if changed else PAPER


def is_of_paper(label: str) -> bool:
    """Whether a simulator's label, as transcripts have it, tells of the paper's protocol."""
    return re.search(rf"\+{PAPER}(?:, changed: .*)?\Z", label) is not None


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
