"""The noise of a dtype: what its rounding alone does to a model's logits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def rounded_otherwise(model: torch.nn.Module, unit: float) -> Iterator[None]:
    """Have every layer's output rounded to other neighbours, by chance and the same each time.

    Another order of the same sums, as another batch or a kept key brings it, does just that: an output that lies between two
    numbers of the dtype becomes the other one. How much of it is left in the logits depends on the model's depth and weights.

    Args:
        model: The model.
        unit: How far the numbers of the dtype lie apart, in shares of the number.
    """
    chance = torch.Generator().manual_seed(0)

    def round_otherwise(_module: torch.nn.Module, _inputs: Any, output: Any) -> Any:
        if not isinstance(output, torch.Tensor) or not output.is_floating_point():
            return output
        shares = torch.rand(output.shape, generator=chance).to(output.device) - 0.5
        return (output.float() * (1 + unit * shares)).to(output.dtype)

    leaves = [part for part in model.modules() if not any(True for _ in part.children())]
    hooks = [part.register_forward_hook(round_otherwise) for part in leaves]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
