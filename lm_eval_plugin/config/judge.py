"""The model that judges finished dialogues, as a task's `dialogue:` block names it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from lm_eval_plugin.config.strict import GenKwargs, Strict


class JudgeConfig(Strict):
    """The model that judges finished dialogues.

    Args:
        backend: Model type of lm_eval that runs it.
        model_args: Its arguments, as lm_eval spells them.
        quantization: Of the weights, for the `hf` backend: `8bit`, `nf4` or `none`.
        temperature: 0 for greedy decoding.
        max_tokens: Longest verdict, in tokens.
        gen_kwargs: Whatever else the backend's `generate_until` takes.
        chat_template: Whether it is asked through its chat template; by default if it has one.
        reads_free_text: Whether it, and not the deterministic reader, reads the answers of `static: free_text`.
    """

    backend: str = "hf"
    model_args: dict[str, Any] = Field(default_factory=dict)
    quantization: Literal["8bit", "nf4", "none"] = "none"
    temperature: float = Field(0.0, ge=0.0)
    max_tokens: int = Field(256, ge=1)
    gen_kwargs: GenKwargs = Field(default_factory=dict)
    chat_template: bool | None = None
    reads_free_text: bool = False

    @model_validator(mode="after")
    def _names_a_model(self) -> JudgeConfig:
        if self.backend == "hf" and not isinstance(self.model_args.get("pretrained"), str):
            raise ValueError("the judge needs model_args.pretrained, a model's name or folder, or another backend")
        if self.backend != "hf" and self.quantization != "none":
            raise ValueError(f"quantization is for the hf backend; ask {self.backend!r} for it in its own model_args")
        return self
