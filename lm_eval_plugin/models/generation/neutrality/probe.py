"""Whether rows that share a batch, and keys that are kept from earlier turns, change what a model says.

Each does in some models: where paddings get into a recurrent state, where virtual tokens stand before a row's paddings, where
positions are counted by columns. So before a model's first batch two short rows with given next tokens are shown to it, each
by itself and in every way in which it may be computed, and the logits of the next tokens are compared:

- In float32 the likeliest token must be the same, and no logit may differ by more than 0.001 of their spread.
- In any other dtype rounding alone changes more than that. There the root mean square of the difference may be 4 times that of
  the dtype's own noise, which is measured on the same model; see `noise`. In tiny models of 11 architectures with random
  weights (bfloat16, float16 and 8 bit on a CPU) it was at most 1.3 times the noise where nothing changes, and 4.8 to 570 times
  where something does and the change is not lost in the noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

import torch

from lm_eval_plugin.dialogue.engine import Conversation

FORWARD_PASSES = 12
"""How many the probe takes at most."""

LONG, SHORT = 30, 13
"""Tokens of the two rows; together in a batch, with one more each, they take 62."""

_SPREAD_SHARE = 1e-3
_NOISE_MULTIPLE = 4.0
_SHORTEST = 6


@dataclass(frozen=True, slots=True)
class Turn:
    """A prompt whose next tokens are given.

    Args:
        ids: The prompt, in tokens.
        then: The tokens behind it.
        conversation: Whose earlier turns it continues, as far as their tokens are its own; None for a prompt by itself.
    """

    ids: tuple[int, ...]
    then: tuple[int, ...]
    conversation: Conversation | None = None


class Forced(Protocol):
    """A way to generate that can be given the next tokens, by the very code that generates texts."""

    def next_logits(self, turns: Sequence[Turn], *, continuing: bool) -> torch.Tensor:
        """The logits of the next tokens of B turns in one batch, each behind the prompt and behind each given token.

        Args:
            turns: The turns; all have equally many given tokens.
            continuing: Whether keys may be kept and continued from.

        Returns:
            Of shape [turns, given tokens + 1, vocabulary].
        """
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What changes what a model says; a reason each, empty where it changes nothing.

    Args:
        batches: Why rows may not share a batch.
        keys: Why what an earlier turn left may not be continued from.
    """

    batches: str = ""
    keys: str = ""


@dataclass(frozen=True, slots=True)
class Noise:
    """How much a dtype's rounding changes.

    Args:
        added: Puts it on the model while it lasts.
        least: What it is at least, in standard deviations of the logits.
    """

    added: Callable[[], AbstractContextManager[None]]
    least: float


def probe(
    forced: Forced,
    rows: tuple[Sequence[int], Sequence[int]],
    *,
    longest: int = LONG,
    continuing: bool,
    noise: Noise | None,
) -> Verdict:
    """Find out in at most 12 forward passes, of at most 62 tokens each.

    Args:
        forced: The way to generate.
        rows: The beginnings of two texts in the model's tokens, at least two each.
        longest: How many tokens of the first are shown; fewer of the second.
        continuing: Whether keys may be continued from at all.
        noise: Of the model's dtype; None for float32.
    """
    if longest < _SHORTEST:
        return Verdict(*["its window is too short to tell"] * 2)
    longer, shorter = _turn(rows[0], longest), _turn(rows[1], longest * SHORT // LONG)
    try:
        expected = torch.cat([forced.next_logits([turn], continuing=False) for turn in (longer, shorter)])
        measured = None if noise is None else _measured(noise, forced, longer, expected[0, 0])
    except Exception as error:  # noqa: BLE001  # a model's own code may raise anything
        return Verdict(*[_failed(error)] * 2)
    if not bool(expected.isfinite().all()):
        return Verdict(*["its logits are no numbers"] * 2)

    def changes(got: torch.Tensor, alone: torch.Tensor) -> bool:
        return any(not is_same(*pair, measured) for pair in zip(got.flatten(0, -2), alone.flatten(0, -2), strict=True))

    dialogue = Conversation()
    keys = _tried(lambda: _keys_change(forced, longer, dialogue, expected[0], changes)) if continuing else ""
    continued = dialogue if continuing and not keys else None
    return Verdict(_tried(lambda: _batches_change(forced, (longer, shorter), continued, expected, changes)), keys)


def is_same(got: torch.Tensor, alone: torch.Tensor, noise: float | None) -> bool:
    """Whether logits of shape [vocabulary] are those of a row by itself, as far as the dtype can tell.

    Args:
        got: The logits; those that are no numbers are not the same.
        alone: Those of the row by itself.
        noise: Of the dtype, in standard deviations of the logits; None for float32.
    """
    if noise is not None:
        return relative(got, alone) <= _NOISE_MULTIPLE * noise
    spread = alone.max() - alone.min()
    return bool(got.argmax() == alone.argmax()) and bool((got - alone).abs().max() <= _SPREAD_SHARE * spread)


def relative(got: torch.Tensor, alone: torch.Tensor) -> float:
    """The root mean square of a difference of logits, in standard deviations of those of the row by itself."""
    return float((got - alone).square().mean().sqrt() / alone.std())


_Changes = Callable[[torch.Tensor, torch.Tensor], bool]


def _measured(noise: Noise, forced: Forced, turn: Turn, expected: torch.Tensor) -> float:
    with noise.added():
        again = forced.next_logits([replace(turn, then=())], continuing=False)
    return max(noise.least, relative(again[0, 0], expected))


def _keys_change(forced: Forced, turn: Turn, dialogue: Conversation, expected: torch.Tensor, changes: _Changes) -> bool:
    """Whether a row that goes on from its first two thirds says something else."""
    forced.next_logits([Turn(turn.ids[: len(turn.ids) * 2 // 3], (), dialogue)], continuing=True)
    (got,) = forced.next_logits([replace(turn, conversation=dialogue)], continuing=True)
    return changes(got, expected)


def _batches_change(
    forced: Forced,
    turns: tuple[Turn, Turn],
    dialogue: Conversation | None,
    expected: torch.Tensor,
    changes: _Changes,
) -> bool:
    """Whether rows say something else in one batch; with a dialogue, also where the longer one goes on from it."""
    longer, shorter = turns
    if changes(forced.next_logits(turns, continuing=dialogue is not None), expected):
        return True
    continued = replace(longer, conversation=dialogue)
    return dialogue is not None and changes(forced.next_logits([continued, shorter], continuing=True), expected)


def _tried(change: Callable[[], bool]) -> str:
    """Why something may not be done: it changes what the model says, or it fails, whatever of the model's code fails."""
    try:
        return "that changes what it says" if change() else ""
    except Exception as error:  # noqa: BLE001  # a model's own code may raise anything
        return _failed(error)


def _failed(error: Exception) -> str:
    said = str(error).strip().splitlines()
    return f"the probe failed ({type(error).__name__}: {said[0][:200] if said else 'no message'})"


def _turn(words: Sequence[int], count: int) -> Turn:
    shown = tuple(words[place % len(words)] for place in range(count + 1))
    return Turn(shown[:count], shown[count:])
