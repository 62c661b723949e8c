"""Noticing logits that are no numbers, from which no text may come.

Half precision overflows to infinity and then to NaN, a broken checkpoint or a row that is masked as a whole gives NaN or minus
infinity everywhere. The likeliest of such logits is some token or other, so a text would look like any other text.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lm_eval.api.model import LM
from lm_eval.models.huggingface import HFLM
from transformers import LogitsProcessor

from lm_eval_plugin.errors import ModelError

_NEVER = torch.iinfo(torch.long).max


class FiniteLogits(LogitsProcessor):  # type: ignore[misc]
    """Notes at which width each row had no likeliest token; it changes nothing and waits for no device.

    One maximum over the vocabulary per row and token, as the choice of a greedy token needs it.

    Args:
        rows: How many there are.
        device: Where they are.

    Attributes:
        widths: Of shape [rows], how wide each row was then; the greatest number there is for one that has only numbers.
    """

    def __init__(self, rows: int, device: torch.device) -> None:
        self.widths = torch.full((rows,), _NEVER, device=device)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The scores as they are."""
        broken = ~_has_best(scores)
        self.widths = torch.where(broken, self.widths.clamp(max=input_ids.shape[1]), self.widths)
        return scores


def no_numbers(lm: LM, name: str) -> ModelError:
    """The error of a model whose logits are no numbers.

    Args:
        lm: The model.
        name: What to call it.
    """
    model = getattr(lm, "model", None)
    which, dtype = getattr(model, "name_or_path", ""), getattr(model, "dtype", None)
    own = f" ({which}, {str(dtype).removeprefix('torch.')})" if which else ""
    advice = (
        "the numbers of float16 end at 65504; load it in bfloat16 or float32 (dtype=... in its model_args)"
        if dtype is torch.float16
        else "load it in float32 (dtype=float32 in its model_args) and without quantization; if that does not help, the "
        "checkpoint is broken or incomplete"
    )
    return ModelError(
        f"{name}{own}: its logits are no numbers (NaN, or infinite), so that whatever it said would be chance; {advice}"
    )


@contextmanager
def finite(lm: LM, name: str) -> Iterator[None]:
    """Raise the error as soon as a model of the `hf` backend, which generates by itself meanwhile, has such logits.

    Args:
        lm: A backend; of others nothing is seen.
        name: What to call it.

    Raises:
        ModelError: The logits of a next token are no numbers.
    """
    if not isinstance(lm, HFLM) or not isinstance(lm.model, torch.nn.Module):
        yield
        return

    def check(_module: torch.nn.Module, _inputs: Any, output: Any) -> None:
        logits = getattr(output, "logits", None)
        # `generate` waits for every token's device by itself, so this wait costs next to nothing.
        if isinstance(logits, torch.Tensor) and not bool(_has_best(logits[:, -1]).all()):
            raise no_numbers(lm, name)

    # Below an adapter, `generate` calls the model that carries it.
    model: Any = lm.model
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    hook = inner.register_forward_hook(check)
    try:
        yield
    finally:
        hook.remove()


def _has_best(scores: torch.Tensor) -> torch.Tensor:
    """Of shape [rows], whether a row's greatest score is a number; a NaN among them is the greatest."""
    return torch.isfinite(scores.amax(dim=-1))
