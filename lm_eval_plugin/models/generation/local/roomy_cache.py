"""A key-value cache that writes each token into room kept for it, and whose rows can be taken out and put together.

transformers' dynamic cache copies all keys and values for every token; with long prompts and many rows that copy is most of
the time. Rows are put together behind each other's paddings, so between what a row brings and what follows there can be
columns that belong to nobody; the attention mask leaves them out, and positions follow the mask.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from transformers import Cache, DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

RowKeys = list[tuple[torch.Tensor, torch.Tensor]]
"""Keys and values of one row, one pair a layer, each of shape [heads, tokens, width]."""

_LEAST_ROOM = 64


class RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """A layer that grows by at least 64 tokens, or a quarter of its length, at a time."""

    keys: torch.Tensor
    values: torch.Tensor

    @classmethod
    def of(cls, rows: Sequence[tuple[torch.Tensor, torch.Tensor] | None], longest: int, new: int) -> RoomyLayer:
        """With what rows bring, each at the end of the longest's columns, and with room for so many tokens more."""
        layer = cls()
        like = next(row for row in rows if row is not None)
        layer.lazy_initialization(*like)
        keys, values = ([(row or like)[part][None, :, : None if row else 0] for row in rows] for part in (0, 1))
        layer._hold_together(keys, values, longest, _roomy(longest + new))
        return layer

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Begin without any token."""
        super().lazy_initialization(key_states, value_states)
        self._hold(key_states[..., :0, :], value_states[..., :0, :])

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Take in N tokens, of shape [rows, heads, N, width], and return all there are."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        before = self.keys.shape[-2]
        after = before + key_states.shape[-2]
        if after > self._room[0].shape[-2]:
            self._make_room(_roomy(after))
        for room, states in zip(self._room, (key_states, value_states), strict=True):
            room[..., before:after, :] = states
        self.keys, self.values = (room[..., :after, :] for room in self._room)
        return self.keys, self.values

    def get_seq_length(self) -> int:
        """How many columns there are; a layer without a row's width has none."""
        return int(self.keys.shape[-2]) if self.is_initialized else 0

    def select(self, rows: torch.Tensor, columns: torch.Tensor) -> None:
        """Keep some rows and some columns, given by their indices."""
        device = self.keys.device
        heads = torch.arange(self.keys.shape[1], device=device)
        # All at once, which copies what is kept once.
        wanted = rows.to(device)[:, None, None], heads[:, None], columns.to(device)
        self._hold(self.keys[wanted], self.values[wanted])

    def join(self, other: RoomyLayer) -> None:
        """Put the rows of another layer behind these, each at the end of the columns."""
        longest = max(self.get_seq_length(), other.get_seq_length())
        self._hold_together([self.keys, other.keys], [self.values, other.values], longest, _roomy(longest))

    def _hold_together(
        self, keys: Sequence[torch.Tensor], values: Sequence[torch.Tensor], longest: int, tokens: int
    ) -> None:
        """Hold the longest's columns of blocks of rows, in room for so many."""
        self._room = (_together(keys, longest, tokens), _together(values, longest, tokens))
        self.keys, self.values = (room[..., :longest, :] for room in self._room)

    def _hold(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        self._room = (keys, values)
        self.keys, self.values = keys, values

    def _make_room(self, tokens: int) -> None:
        self._room = (_with_room(self.keys, tokens), _with_room(self.values, tokens))


class RoomyCache(Cache):  # type: ignore[misc]
    """A cache of such layers for B rows.

    Args:
        rows: What each row brings, of one length or another; None for a row that brings nothing.
        new: How many tokens of each row come next.
    """

    def __init__(self, rows: Sequence[RowKeys | None], new: int) -> None:
        super().__init__(layer_class_to_replicate=RoomyLayer)
        brought = [row for row in rows if row is not None]
        if not brought:
            return
        longest = max(row[0][0].shape[-2] for row in brought)
        for layer in range(len(brought[0])):
            self.layers.append(RoomyLayer.of([None if row is None else row[layer] for row in rows], longest, new))

    def select(self, rows: torch.Tensor, columns: torch.Tensor) -> None:
        """Keep some rows and some columns, given by their indices."""
        for layer in self.layers:
            layer.select(rows, columns)

    def join(self, other: RoomyCache) -> None:
        """Put the rows of another cache behind these, each at the end of the columns; layer by layer, to need little room."""
        for layer, more in zip(self.layers, other.layers, strict=True):
            layer.join(more)
        other.layers.clear()

    def row(self, place: int, columns: torch.Tensor) -> RowKeys:
        """A copy of what one row holds in some columns, given by their indices in order."""
        runs = _runs(columns)

        def copied(states: torch.Tensor) -> torch.Tensor:
            return torch.cat([states[place, :, run] for run in runs], dim=1)

        return [(copied(layer.keys), copied(layer.values)) for layer in self.layers]

    def row_bytes(self, tokens: int) -> int:
        """How much memory so many tokens of one row take."""
        return sum(
            each.shape[1] * tokens * each.shape[3] * each.element_size()
            for layer in self.layers
            for each in (layer.keys, layer.values)
        )


def roomy_up_to(model: PreTrainedModel) -> float:
    """The longest row for which a model can use such a cache; 0 if it cannot at all.

    A sliding window counts columns, those that belong to nobody too, so rows must be shorter than it. Layers that keep a
    state instead of keys cannot go back, and a model that is not told positions would take the columns for them.
    """
    parameters = inspect.signature(
        model.get_base_model().forward if hasattr(model, "get_base_model") else model.forward
    )
    if "position_ids" not in parameters.parameters or model.is_remote_code():
        return 0
    layers = DynamicCache(config=model.config).layers
    if any(type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers):
        return 0
    return min((layer.sliding_window for layer in layers if layer.is_sliding), default=float("inf"))


def _roomy(tokens: int) -> int:
    return tokens + max(_LEAST_ROOM, tokens // 4)


def _runs(columns: torch.Tensor) -> list[slice]:
    """Columns as slices, of which a row's keys are copied twice as fast as one by one."""
    cuts = (columns.diff() > 1).nonzero().squeeze(-1) + 1
    parts = columns.tensor_split(cuts.tolist())
    return [slice(int(part[0]), int(part[-1]) + 1) for part in parts]


def _with_room(states: torch.Tensor, tokens: int) -> torch.Tensor:
    room = states.new_empty((*states.shape[:-2], tokens, states.shape[-1]))
    room[..., : states.shape[-2], :] = states
    return room


def _together(blocks: Sequence[torch.Tensor], longest: int, tokens: int) -> torch.Tensor:
    """Keys or values of blocks of rows, each at the end of the first `longest` of so many columns, zero before it."""
    _, heads, _, width = blocks[0].shape
    whole = blocks[0].new_empty((sum(len(block) for block in blocks), heads, tokens, width))
    place = 0
    for block in blocks:
        rows, begin = whole[place : place + len(block)], longest - block.shape[2]
        rows[:, :, :begin] = 0
        rows[:, :, begin:longest] = block
        place += len(block)
    return whole
