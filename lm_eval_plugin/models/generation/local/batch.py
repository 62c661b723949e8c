"""Rows that are generated together, through transformers' `generate`, each until its own end.

Once a quarter of a batch has ended, the others go on without them, and beside rows that have waited for a place. So no row
waits long for one that says more.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from lm_eval_plugin.models.generation import Prompted
from lm_eval_plugin.models.generation.finite_logits import no_numbers
from lm_eval_plugin.models.generation.local.decoding import Decoding
from lm_eval_plugin.models.generation.local.kept_keys import Kept, KeptKeys
from lm_eval_plugin.models.generation.local.roomy_cache import RoomyCache, RowKeys
from lm_eval_plugin.models.generation.local.row_ends import CACHE_ARGUMENT, DecodingToRowEnds
from lm_eval_plugin.models.generation.local.row_sampling import RowSampler, draws
from lm_eval_plugin.models.generation.shared_time import Written
from lm_eval_plugin.models.generation.stop_strings import without_own_stop_strings


@dataclass
class Row:
    """One prompt on its way.

    Args:
        prompt: What was asked.
        ids: The prompt in tokens.
        seen: How many of them the dialogue's turn before has left in the kept keys; counted again when it begins.
    """

    prompt: Prompted
    ids: Sequence[int]
    seen: int = 0
    new: list[int] = field(default_factory=list, init=False)
    written: Written | None = field(default=None, init=False)
    _began: float = field(default=0.0, init=False)

    def begin(self, now: float, kept: KeptKeys) -> RowKeys | None:
        """Start, or start over; the keys and values of the tokens that are seen, which are not kept any more."""
        self._began = now
        self.new.clear()
        self.seen = kept.seen(self.prompt.conversation, self.ids)
        found = kept.take(self.prompt.conversation)
        return found.first(self.seen) if found and self.seen else None

    def end(self, now: float, text: str, reasoning: str) -> None:
        """Have got its text, and what was thought before it."""
        self.written = Written(text, self._began, now, reasoning)


def decode(rows: Sequence[Row], size: int, decoding: Decoding, *, roomy_up_to: float, kept: KeptKeys) -> None:
    """Generate for rows; each gets its text as it ends.

    Args:
        rows: At least one; they come in their order.
        size: How many of them fit into memory together.
        decoding: How to generate.
        roomy_up_to: The longest row for which the model can use a `RoomyCache`; longer ones bring nothing, keep nothing
            and stay together to the end.
        kept: Where what the rows have seen is kept for their dialogues' next turns.
    """
    waiting, batch = deque(rows), None
    while waiting:
        places = size - len(batch.rows) if batch else size
        if batch and not batch.can_take(list(waiting)[:places]):
            batch.finish()
            places = size
        next_rows = [waiting.popleft() for _ in range(min(places, len(waiting)))]
        newcomers = _Batch(next_rows, decoding, roomy_up_to=roomy_up_to, kept=kept)
        # Once more: what is seen of a row is sure only now.
        if batch and batch.can_take(next_rows):
            newcomers.go_on(one_token=True)
            batch.take(newcomers)
        else:
            if batch:
                batch.finish()
            batch = newcomers
        batch.go_on()
    if batch:
        batch.finish()


class _Batch:
    """B rows that fit into memory together.

    Args:
        rows: The rows.
        decoding, roomy_up_to, kept: See `decode`.
    """

    def __init__(self, rows: Sequence[Row], decoding: Decoding, *, roomy_up_to: float, kept: KeptKeys) -> None:
        self.rows = list(rows)
        self._decoding = decoding
        self._roomy_up_to = roomy_up_to
        self._kept = kept
        device = decoding.lm.device
        now = time.perf_counter()
        brought = [row.begin(now, kept) for row in rows]
        seen, new = _columns(rows)
        self._cache = RoomyCache(brought, new) if self._is_roomy(seen + new) else None
        if self._cache is None:
            seen, new = 0, max(len(row.ids) for row in rows)
        pad = decoding.lm.tokenizer.pad_token_id
        # Paddings are masked; a row's own token in them says nothing new to what looks at tokens, as a penalty of repetition.
        self._ids = torch.tensor([[row.ids[0] if row.ids else pad] for row in rows]).repeat(1, seen + new)
        self._mask = torch.zeros_like(self._ids)
        for place, row in enumerate(rows):
            cut = 0 if self._cache is None else row.seen
            for end, part in ((seen, row.ids[:cut]), (seen + new, row.ids[cut:])):
                self._ids[place, end - len(part) : end] = torch.tensor(part, dtype=torch.long)
                self._mask[place, end - len(part) : end] = 1
        self._ids, self._mask = self._ids.to(device), self._mask.to(device)
        seeds = [row.prompt.seed for row in rows]
        self._drawn = draws(seeds, decoding.max_tokens, device) if decoding.options["do_sample"] else None

    def _is_roomy(self, width: int) -> bool:
        return width + self._decoding.max_tokens <= self._roomy_up_to

    def can_take(self, rows: Sequence[Row]) -> bool:
        """Whether there are rows that others can go on beside."""
        together = max(self._ids.shape[1], sum(_columns(rows)) + 1)
        return bool(self.rows) and self._cache is not None and self._is_roomy(together)

    def take(self, other: _Batch) -> None:
        """Take in the rows of another batch, each at the end of the columns; both have begun to decode."""
        if not other.rows:
            return
        width = max(self._ids.shape[1], other._ids.shape[1])
        self._ids = torch.cat([_widened(self._ids, width), _widened(other._ids, width)])
        self._mask = torch.cat([_masked(self._mask, width), _masked(other._mask, width)])
        if self._cache is not None and other._cache is not None:
            self._cache.join(other._cache)
        if self._drawn is not None and other._drawn is not None:
            self._drawn = torch.cat([self._drawn, other._drawn])
        self.rows += other.rows

    def finish(self) -> None:
        """Go on until no row is left."""
        while self.rows:
            self.go_on()

    def go_on(self, *, one_token: bool = False) -> None:
        """Decode one token, or until a quarter of the rows have ended; those leave.

        Raises:
            ModelError: The model's logits are no numbers.
        """
        decoding = self._decoding
        before = self._ids.shape[1]
        starts = torch.tensor([before - len(row.new) for row in self.rows], device=self._ids.device)
        enough = 0 if one_token else (len(self.rows) + 3) // 4
        step = DecodingToRowEnds(
            decoding.stop_strings,
            None if self._drawn is None else RowSampler(self._drawn, starts),
            starts=starts,
            max_tokens=decoding.max_tokens,
            enough=len(self.rows) if self._cache is None else enough,
            forcing=decoding.forcing,
        )
        with without_own_stop_strings(decoding.lm):
            self._ids = decoding.lm._model_generate(  # noqa: SLF001
                context=self._ids,
                max_length=int(starts.max()) + decoding.max_tokens,
                stop=[],
                attention_mask=self._mask,
                custom_generate=step,
                **({} if self._cache is None else {CACHE_ARGUMENT: self._cache}),
                **decoding.options,
            )
        if bool(step.broken.any()):
            raise no_numbers(decoding.lm, decoding.name)
        width = self._ids.shape[1]
        self._mask = torch.nn.functional.pad(self._mask, (0, width - before), value=1)
        ends, written = step.widths.tolist(), self._ids[:, before:].tolist()
        going = [place for place, end in enumerate(ends) if end > width]
        now = time.perf_counter()
        for place, (row, end) in enumerate(zip(self.rows, ends, strict=True)):
            row.new += written[place][: end - before]
            if end <= width:
                row.end(now, *decoding.text(row.new))
                self._keep(place, end)
        self._leave_out_ended(going)

    def _keep(self, place: int, width: int) -> None:
        """Keep what a row has seen, if there is room; the last token was never shown to the model."""
        row = self.rows[place]
        if self._cache is None or row.prompt.conversation is None:
            return
        columns = self._mask[place, : min(width, self._cache.get_seq_length())].nonzero().squeeze(-1)
        size = self._cache.row_bytes(len(columns))
        if self._kept.has_room(size):
            ids = [*row.ids, *row.new][: len(columns)]
            self._kept.keep(row.prompt.conversation, Kept(ids, self._cache.row(place, columns), size))

    def _leave_out_ended(self, going: list[int]) -> None:
        """Go on with some rows, and without the columns that belong to none of them."""
        if len(going) == len(self.rows):
            return
        self.rows = [self.rows[place] for place in going]
        if self._cache is None or not going:
            return
        places = torch.tensor(going, device=self._ids.device)
        columns = self._mask[places].any(dim=0).nonzero().squeeze(-1)
        self._cache.select(places, columns[columns < self._cache.get_seq_length()])
        self._ids, self._mask = self._ids[places][:, columns], self._mask[places][:, columns]
        self._drawn = None if self._drawn is None else self._drawn[places]


def _columns(rows: Sequence[Row]) -> tuple[int, int]:
    """How many columns rows need together for what they have seen, and for what is new."""
    return max(row.seen for row in rows), max(len(row.ids) - row.seen for row in rows)


def _widened(ids: torch.Tensor, width: int) -> torch.Tensor:
    return torch.cat([ids[:, :1].expand(-1, width - ids.shape[1]), ids], dim=1)


def _masked(mask: torch.Tensor, width: int) -> torch.Tensor:
    return torch.nn.functional.pad(mask, (width - mask.shape[1], 0))
