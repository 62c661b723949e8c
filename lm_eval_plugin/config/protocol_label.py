"""How the label of a simulator tells the protocol: written from a configuration, read from transcripts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lm_eval_plugin.config.condition import ANSWER_FIRST
from lm_eval_plugin.config.protocol import PAPER, PAPER_ASSISTANT, PAPER_BLOCK, PAPER_SIMULATOR

if TYPE_CHECKING:
    from lm_eval_plugin.config.dialogue import DialogueConfig


def protocol_label(config: DialogueConfig) -> str:
    """`paper`, or `paper, changed: KEYS` where the configuration differs from it; empty for the default protocol."""
    if config.protocol != PAPER:
        return ""
    own = config.model_dump()
    changed = [key for key, value in PAPER_BLOCK.items() if _plain(own[key]) != _plain(value)]
    changed += [f"assistant.{key}" for key, value in PAPER_ASSISTANT.items() if own["assistant"][key] != value]
    changed += [f"assistant.{key}" for key in ("until", "gen_kwargs") if own["assistant"][key]]
    changed += [f"simulator.{key}" for key, value in PAPER_SIMULATOR.items() if own["simulator"][key] != value]
    changed += ["simulator.gen_kwargs"] * bool(own["simulator"]["gen_kwargs"])
    changed += [key for key in ("persona", "chain_of_thought", "shuffle_choices") if own[key]]
    changed += ["condition"] * (config.condition == ANSWER_FIRST)
    return f"{PAPER}, changed: {', '.join(changed)}" if changed else PAPER


def is_of_paper(label: str) -> bool:
    """Whether a simulator's label, as transcripts have it, tells of the paper's protocol."""
    return re.search(rf"\+{PAPER}(?:, changed: .*)?\Z", label) is not None


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
