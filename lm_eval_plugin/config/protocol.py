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

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lm_eval_plugin.errors import ConfigError

if TYPE_CHECKING:
    from lm_eval_plugin.config.simulator import SimulatorConfig

PAPER = "paper"
PAPER_POLICIES = ("two_step", "two_step_problem", "two_step_help", "iqa_eval")

PAPER_ASSISTANT: Mapping[str, Any] = {"temperature": 0.7, "max_tokens": 1000}
PAPER_BLOCK: Mapping[str, Any] = {
    "max_turns": 10,
    "repeats": 10,
    "static": ("letter_few_shot", "letter", "free_text"),
}
PAPER_SIMULATOR: Mapping[str, Any] = {"temperature": 1.0, "max_tokens": 1000, "reasks": 0}


def with_protocol(block: Mapping[str, Any]) -> dict[str, Any]:
    """A `dialogue:` block with the defaults of the protocol that it names under its own keys."""
    if block.get("protocol") != PAPER:
        return dict(block)
    assistant = block.get("assistant")
    simulator = block.get("simulator", PAPER_POLICIES[0])
    named = {"preset": simulator} if isinstance(simulator, str) else simulator
    return {
        **PAPER_BLOCK,
        "static": list(PAPER_BLOCK["static"]),
        **block,
        "assistant": {**PAPER_ASSISTANT, **assistant}
        if isinstance(assistant, Mapping)
        else assistant or dict(PAPER_ASSISTANT),
        "simulator": {**PAPER_SIMULATOR, **named} if isinstance(named, Mapping) else named,
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
