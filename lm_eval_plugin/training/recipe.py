"""How a simulated user is trained: the recipe of the released simulators, and what of it can be changed.

| shape | tuning | base weights | window | batch on a device |
|---|---|---|---|---|
| GPT-2 | all weights | full precision | its own (1024) | 4 |
| Mistral | LoRA on `q_proj` and `v_proj` | 8 bit | 2048 | 1 |
| Llama, and any other that PEFT knows | LoRA on `q_proj` and `v_proj` (PEFT's choice) | 8 bit | its own | 1 |

Source: the model cards of microsoft/chatbench-distilgpt2, -llama3-8b and -mistral-7b: AdamW, learning rate 5e-5, 2 epochs,
LoRA of rank 8, alpha 32 and dropout 0.05. What they do not say is this project's choice: the loss is on the reply, the
rate falls linearly without a warm-up, there is no weight decay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field
from transformers import AutoConfig

from lm_eval_plugin.border.hub_errors import why_unavailable
from lm_eval_plugin.border.paths import check_local_path, local_or_hub
from lm_eval_plugin.config.strict import Strict, validated
from lm_eval_plugin.errors import ConfigError, ModelError
from lm_eval_plugin.models.revisions import revision_of
from lm_eval_plugin.simulators.chatbench import Reading

_FAMILIES: Mapping[str, Mapping[str, Any]] = {
    "gpt2": {"tuning": "full", "quantization": "none", "batch_size": 4},
    "mistral": {"window": 2048},
}
"""What a shape has that differs from the defaults below."""


class Recipe(Strict):
    """A recipe, resolved.

    Args:
        base: The model to start from: a folder, or a name of the hub.
        revision: Its commit on the hub.
        tuning: `lora` for an adapter on the frozen base, `full` for all weights.
        quantization: Of the frozen base: `8bit`, `nf4` or `none`.
        reading: Where the conversation stands in the prompt; see `simulators.chatbench.Reading`.
        loss: What is learnt: the `reply` with its end marker, or `all` of the text.
        epochs: Passes over the examples.
        learning_rate: At its peak.
        schedule: Its course, by the name that transformers has for it.
        warmup_steps: Updates until the peak.
        weight_decay: Of AdamW.
        batch_size: Examples on a device at a time.
        gradient_accumulation: Such batches an update.
        rank: Of the LoRA.
        alpha: Its scale, times the rank.
        dropout: On its input.
        targets: The layers that it is on; None for what PEFT has for the shape.
        window: Longest text in tokens; None for the base's own.
        max_tokens: Tokens that the prompt leaves to the reply, as the simulator is run.
        forced_share: Share of conversations whose answer is learnt as it is demanded when the turns are used up; 0 in the paper.
        split: Seed of the split of the questions.
        held_out_percent: How many of 100 questions are held out.
        seed: Of order, dropout and new weights.
        save_steps: Updates between checkpoints.
    """

    base: str
    revision: str | None = None
    tuning: Literal["lora", "full"] = "lora"
    quantization: Literal["8bit", "nf4", "none"] = "8bit"
    reading: Literal["A", "B"] = "A"
    loss: Literal["reply", "all"] = "reply"
    epochs: float = Field(2.0, gt=0.0)
    learning_rate: float = Field(5e-5, gt=0.0)
    schedule: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "linear"
    warmup_steps: int = Field(0, ge=0)
    weight_decay: float = Field(0.0, ge=0.0)
    batch_size: int = Field(1, ge=1)
    gradient_accumulation: int = Field(1, ge=1)
    rank: int = Field(8, ge=1)
    alpha: int = Field(32, ge=1)
    dropout: float = Field(0.05, ge=0.0, lt=1.0)
    targets: list[str] | None = None
    window: int | None = Field(None, ge=64)
    max_tokens: int = Field(256, ge=1)
    forced_share: float = Field(0.0, ge=0.0, le=1.0)
    split: int = Field(0, ge=0)
    held_out_percent: int = Field(40, ge=1, le=99)
    seed: int = Field(0, ge=0)
    save_steps: int = Field(500, ge=1)

    @property
    def prompt_reading(self) -> Reading:
        """The reading as the prompts take it."""
        return Reading(self.reading)


def read_recipe(given: Mapping[str, Any], where: str) -> Recipe:
    """The recipe for a base, with what was asked for over what is usual for its shape.

    Args:
        given: Fields of `Recipe`; those that are None count as not given.
        where: Names their source in errors.

    Raises:
        ConfigError: A value is of the wrong type or range, or two do not go together.
        ModelError: The base's configuration cannot be had.
    """
    asked = {key: entry for key, entry in given.items() if entry is not None}
    base = asked.get("base", "")
    check_local_path(base, f"{where}: base")
    usual = _FAMILIES.get(_model_type(base, asked.get("revision")), {})
    if asked.get("tuning", usual.get("tuning")) == "full":
        usual = {**usual, "quantization": "none"}
    recipe = validated(Recipe, {**usual, **asked}, where)
    if recipe.tuning == "full" and recipe.quantization != "none":
        raise ConfigError(f"{where}: quantized weights cannot all be tuned; use tuning: lora, or quantization: none")
    return recipe


def _model_type(base: str, revision: str | None) -> str:
    try:
        kind: str = AutoConfig.from_pretrained(local_or_hub(base), revision=revision or revision_of(base)).model_type
    except (OSError, ValueError) as error:
        raise ModelError(f"the base {base!r} cannot be loaded: {why_unavailable(base, error)}") from error
    return kind
