"""Sampling in which every row of a batch has its own source of chance."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from transformers import LogitsProcessor

_STEPS = 2**32


def draws(seeds: Sequence[int], tokens: int, device: torch.device) -> torch.Tensor:
    """Uniform numbers from 0 to below 1, one row a seed and one column a token.

    They have 32 bits, so that no rounding brings a product with a total up to the total.
    """
    rows = [[die.getrandbits(32) for _ in range(tokens)] for die in map(random.Random, seeds)]
    return torch.tensor(rows, dtype=torch.float64, device=device) / _STEPS


class RowSampler(LogitsProcessor):  # type: ignore[misc]
    """Chooses the next token of each row and leaves no other possible.

    The choice inverts the cumulative sum of the row's distribution at the row's own number, so it depends on number and
    distribution alone: not on the other rows, on how many there are, or on the device's generator. It comes after the
    processors that shape the distribution (temperature, top-k, top-p), and samples from it exactly.

    Args:
        drawn: Of shape [rows, tokens], see `draws`.
        starts: Of shape [rows], how many columns each row has before the first token that is chosen for it.
    """

    def __init__(self, drawn: torch.Tensor, starts: torch.Tensor) -> None:
        self._drawn = drawn
        self._starts = starts

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores of shape [rows, vocabulary] with 0 for the chosen token and minus infinity elsewhere."""
        sums = torch.softmax(scores, dim=-1, dtype=torch.float64).cumsum(dim=-1)
        # A row that has ended may be asked for more than it has numbers for, while others go on.
        places = (input_ids.shape[1] - self._starts).clamp(max=self._drawn.shape[1] - 1)
        levels = self._drawn.gather(1, places[:, None]) * sums[:, -1:]
        # Where the sums are no numbers, the place found is behind the last token; `FiniteLogits` has noted it.
        chosen = torch.searchsorted(sums, levels, right=True).clamp(max=scores.shape[-1] - 1)
        return torch.full_like(scores, -torch.inf).scatter_(1, chosen, 0.0)
