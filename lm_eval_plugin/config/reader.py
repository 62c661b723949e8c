"""Who reads which option an assistant's reply supports, as a task's `dialogue:` block names it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from lm_eval_plugin.config.judge import JudgeConfig
from lm_eval_plugin.config.strict import Strict


class ReaderConfig(Strict):
    """Who reads the replies.

    Args:
        by: `rules` for the rules of `answers`; `likelihood` for a model that is scored on the letters and on "none"; `judge`
            for a model that writes one strict verdict a reply.
        model: The model of the last two; by default the judge's.
        margin: The share of the likelihood, among the letters and "none", that the likeliest must have; below it nothing is
            read. For `likelihood`.
    """

    by: Literal["rules", "likelihood", "judge"] = "rules"
    model: JudgeConfig | None = None
    margin: float = Field(0.8, ge=0, le=1)


def as_reader(value: Any) -> Any:
    """A plain word as the reader by it."""
    return {"by": value} if isinstance(value, str) else value
