"""One batch of prompts through transformers' `generate`, each row until its own end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from lm_eval_plugin.generation import Generated, Prompted
from lm_eval_plugin.generation.decoding import Decoding
from lm_eval_plugin.generation.kept_keys import Kept, KeptKeys
from lm_eval_plugin.generation.roomy_cache import RoomyCache
from lm_eval_plugin.generation.row_ends import DecodingToRowEnds
from lm_eval_plugin.generation.row_sampling import RowSampler, draws


@dataclass
class Row:
    """One prompt on its way.

    Args:
        prompt: What was asked.
        ids: The prompt in tokens.
        kept: What is left of the dialogue's turn before.
        seen: How many of the prompt's tokens that holds.
    """

    prompt: Prompted
    ids: Sequence[int]
    kept: Kept | None = None
    seen: int = 0
    new: list[int] = field(default_factory=list, init=False)
    generated: Generated | None = field(default=None, init=False)


def decode(rows: Sequence[Row], decoding: Decoding, *, roomy_up_to: float, kept: KeptKeys) -> None:
    """Generate for B rows that fit into memory together; each gets its text.

    Once a quarter of them have ended, the others go on without them.

    Args:
        rows: B rows.
        decoding: How to generate.
        roomy_up_to: The longest row for which the model can use a `RoomyCache`; longer ones bring nothing, keep nothing
            and stay together to the end.
        kept: Where what the rows have seen is kept for their dialogues' next turns.
    """
    started = time.perf_counter()
    ids, mask, cache = _joined(rows, decoding, roomy_up_to)
    sampled = decoding.options["do_sample"]
    drawn = draws([row.prompt.seed for row in rows], decoding.max_tokens, ids.device) if sampled else None
    alive, produced = list(rows), 0
    for row in rows:
        row.new.clear()
    while alive:
        before = ids.shape[1]
        sampler = None if drawn is None else RowSampler(drawn, before - produced)
        step = DecodingToRowEnds(decoding.stop_strings, sampler, whole=cache is None)
        ids = decoding.lm._model_generate(  # noqa: SLF001
            context=ids,
            max_length=before + decoding.max_tokens - produced,
            stop=[],
            attention_mask=mask,
            custom_generate=step,
            **({} if cache is None else {"past_key_values": cache}),
            **decoding.options,
        )
        width = ids.shape[1]
        produced += width - before
        mask = torch.nn.functional.pad(mask, (0, width - before), value=1)
        ends = step.widths.tolist()
        for place, row in enumerate(alive):
            row.new += ids[place, before : min(width, ends[place])].tolist()
            if ends[place] <= width:
                row.generated = Generated(decoding.text(row.new), round(time.perf_counter() - started, 3), len(rows))
                if cache is not None:
                    _keep(row, cache, place, mask[place, : ends[place]], kept)
        going = [place for place, end in enumerate(ends) if end > width]
        alive = [alive[place] for place in going]
        if alive and cache is not None:
            ids, mask = _without_ended(torch.tensor(going, device=ids.device), ids, mask, cache)
            drawn = None if drawn is None else drawn[going]


def _joined(
    rows: Sequence[Row], decoding: Decoding, roomy_up_to: float
) -> tuple[torch.Tensor, torch.Tensor, RoomyCache | None]:
    """Tokens and attention mask of all rows, and what they bring; each part of a row stands at the end of its columns."""
    brought = max(row.seen for row in rows)
    new = max(len(row.ids) - row.seen for row in rows)
    roomy = brought + new + decoding.max_tokens <= roomy_up_to
    if not roomy:
        brought, new = 0, max(len(row.ids) for row in rows)
    ids = torch.full((len(rows), brought + new), decoding.lm.tokenizer.pad_token_id)
    mask = torch.zeros_like(ids)
    for place, row in enumerate(rows):
        seen = row.seen if roomy else 0
        for end, part in ((brought, row.ids[:seen]), (brought + new, row.ids[seen:])):
            ids[place, end - len(part) : end] = torch.tensor(part, dtype=torch.long)
            mask[place, end - len(part) : end] = 1
    cache = RoomyCache([row.kept.first(row.seen) if row.kept else None for row in rows], new) if roomy else None
    return ids.to(decoding.lm.device), mask.to(decoding.lm.device), cache


def _keep(row: Row, cache: RoomyCache, place: int, mask: torch.Tensor, kept: KeptKeys) -> None:
    """Keep what a row has seen, if there is room; the last token was never shown to the model."""
    columns = mask[: cache.get_seq_length()].nonzero().squeeze(-1)
    size = cache.row_bytes(len(columns))
    if row.prompt.conversation is not None and kept.has_room(size):
        ids = [*row.ids, *row.new][: len(columns)]
        kept.keep(row.prompt.conversation, Kept(ids, cache.row(place, columns), size))


def _without_ended(
    going: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor, cache: RoomyCache
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and mask of the rows that go on, without the columns that belong to none of them; the cache follows."""
    columns = mask[going].any(dim=0).nonzero().squeeze(-1)
    cache.select(going, columns[columns < cache.get_seq_length()])
    return ids[going][:, columns], mask[going][:, columns]
