"""A fingerprint of a model's weights: what they are, not where they come from.

Of every tensor it takes name, shape, dtype and a sum over its content, read as whole numbers w_0, w_1, ... of 8 bytes:

    sum of (2 i + 1) w_i modulo 2^64 over each piece of 1 MiB, and the sums of the pieces put together likewise

Whole numbers add up to the same in any order, so a fingerprint is the same on a GPU, a CPU and another machine. A factor
is odd, so a change of a single number always shows; it differs from place to place, so an exchange of two does, too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import torch
from accelerate.utils import align_module_device

_PIECE = 2**17
"""Words in 1 MiB."""


def weights_fingerprint(model: torch.nn.Module) -> str:
    """SHA-256 over all that a model has learnt, quantized or not, wherever it lies.

    Of a tensor that is spread over several processes, each of them puts together the whole, one at a time; all must ask.
    """
    contents = {name: [list(tensor.shape), str(tensor.dtype), _content(tensor)] for name, tensor in _tensors(model)}
    return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()


def _tensors(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """What the model's parts hold; what accelerate keeps elsewhere is brought in part by part."""
    for path, part in model.named_modules():
        state: dict[str, Any] = {}
        with align_module_device(part):
            if hasattr(getattr(part, "weight", None), "quant_state"):
                state = _in_4_bits(part)
            else:
                part._save_to_state_dict(state, "", keep_vars=False)  # noqa: SLF001  # state_dict() takes in the parts of a part
            yield from ((f"{path}.{name}", entry) for name, entry in state.items() if isinstance(entry, torch.Tensor))


def _in_4_bits(part: torch.nn.Module) -> dict[str, Any]:
    """How often each of the 16 levels occurs, and the scales in bfloat16 by size.

    On some CPUs the first use puts the levels into another order and rounds the scales, and asking the part for its state
    then would spoil it (bitsandbytes 0.50). Scales that are quantized themselves are left out.
    """
    weight: Any = part.weight
    counts = sum(
        torch.bincount(piece & 15, minlength=16) + torch.bincount(piece >> 4, minlength=16)
        for piece in torch.split(weight.data.view(-1).view(torch.uint8), _PIECE)
    )
    state = {"weight.levels": counts, "bias": part.bias}
    scales = weight.quant_state
    if not getattr(scales, "original_nested", scales.nested):
        state["weight.scales"] = scales.absmax.to(torch.bfloat16).view(-1).sort().values
    return state


def _content(tensor: torch.Tensor) -> int:
    if hasattr(tensor, "full_tensor"):
        tensor = tensor.full_tensor()
    content = tensor.detach().contiguous().view(-1).view(torch.uint8)
    if len(content) % 8 or content.storage_offset() % 8:
        content = torch.nn.functional.pad(content, (0, -len(content) % 8))
    words = content.view(torch.int64)
    factors = torch.arange(1, 2 * min(len(words), _PIECE) + 1, 2, device=words.device)
    sums = (int((piece * factors[: len(piece)]).sum()) for piece in torch.split(words, _PIECE))
    return sum((2 * place + 1) * each for place, each in enumerate(sums)) % 2**64
