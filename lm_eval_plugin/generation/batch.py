"""One batch of prompts through transformers' `generate`, each row until its own end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs, postprocess_generated_text
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteriaList,
    StopStringCriteria,
)

from lm_eval_plugin.generation import Generated, Prompted
from lm_eval_plugin.generation.kept_keys import Kept, KeptKeys
from lm_eval_plugin.generation.roomy_cache import RoomyCache
from lm_eval_plugin.generation.row_sampling import RowSampler, draws


@dataclass(frozen=True)
class Decoding:
    """How to generate.

    Args:
        lm: The model.
        until: Strings that end a text, the model's end token among them.
        max_tokens: Longest text, in tokens.
        options: What else goes to `generate`.
        stop_strings: Tells which rows have come to one of the strings.
    """

    lm: HFLM
    until: list[str]
    max_tokens: int
    options: Mapping[str, Any]
    stop_strings: StopStringCriteria

    @classmethod
    def read(cls, gen_kwargs: Mapping[str, Any], lm: HFLM) -> Decoding:
        """From what the host's `generate_until` takes, read as the host does."""
        options = normalize_gen_kwargs(dict(gen_kwargs), lm.max_gen_toks)
        eos = lm.tok_decode(lm.eot_token_id, skip_special_tokens=False)
        until = handle_stop_sequences(options.pop("until", None), eos=eos)
        return cls(
            lm=lm,
            until=until,
            max_tokens=options.pop("max_gen_toks"),
            options={**options, "eos_token_id": _end_tokens(lm)},
            stop_strings=_stop_strings(lm.tokenizer, tuple(term for term in until if term)),
        )

    def text(self, tokens: list[int]) -> str:
        """What a row says, without thoughts that the backend was told how to find, up to the first stop string."""
        thought_end = self.lm.think_end_token
        if isinstance(thought_end, int) and thought_end in tokens:
            tokens = tokens[len(tokens) - tokens[::-1].index(thought_end) :]
            return self._cut(self.lm.tok_decode(tokens).lstrip(), None)
        return self._cut(self.lm.tok_decode(tokens), thought_end if isinstance(thought_end, str) else None)

    def _cut(self, text: str, thought_end: str | None) -> str:
        said: str = postprocess_generated_text(text, self.until, thought_end)
        return said


_STOP_STRINGS: WeakKeyDictionary[object, dict[tuple[str, ...], StopStringCriteria]] = WeakKeyDictionary()


def _stop_strings(tokenizer: PreTrainedTokenizerBase, terms: tuple[str, ...]) -> StopStringCriteria:
    """The criterion of a tokenizer's stop strings, made once: every token of the vocabulary is read for it.

    transformers keeps what it reads too, under the vocabulary in its order, which fast tokenizers change on every call.
    """
    known = _STOP_STRINGS.setdefault(tokenizer, {})
    if terms not in known:
        known[terms] = StopStringCriteria(tokenizer, list(terms))
    return known[terms]


def _end_tokens(lm: HFLM) -> list[int]:
    """The tokens with which the model ends a text: the tokenizer's, and those that the checkpoint adds."""
    own = lm.model.generation_config.eos_token_id
    return sorted({lm.eot_token_id, *(own if isinstance(own, list) else [] if own is None else [own])})


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
        step = _Step(decoding.stop_strings, sampler, whole=cache is None)
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


class _Step:
    """The part of `generate` that decodes, until enough rows have ended.

    Args:
        stop_strings: Tells which rows have come to a stop string.
        sampler: Chooses the tokens; None for the likeliest.
        whole: Whether to go on until all rows have ended, not a quarter of them.
    """

    def __init__(self, stop_strings: StopStringCriteria, sampler: RowSampler | None, *, whole: bool) -> None:
        self._stop_strings = stop_strings
        self._sampler = sampler
        self._whole = whole
        self.widths = torch.empty(0)

    def __call__(
        self,
        model: PreTrainedModel,
        input_ids: torch.Tensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: StoppingCriteriaList,
        generation_config: GenerationConfig,
        **model_kwargs: Any,
    ) -> torch.Tensor:
        """Decode as `generate` would, with its own processors and criteria before those of the rows."""
        if self._sampler is not None:
            # It comes last and leaves one token, which is then the likeliest.
            logits_processor.append(self._sampler)
            generation_config.do_sample = False
        ends = _RowEnds([*stopping_criteria, self._stop_strings], input_ids, whole=self._whole)
        sequences: torch.Tensor = model._sample(  # noqa: SLF001
            input_ids, logits_processor, ends, generation_config, **model_kwargs
        )
        self.widths = ends.widths
        return sequences


class _RowEnds(StoppingCriteriaList):  # type: ignore[misc]
    """Criteria that remember how wide each row was when it ended, and stop once enough rows have."""

    def __init__(self, criteria: Sequence[Any], input_ids: torch.Tensor, *, whole: bool) -> None:
        super().__init__(criteria)
        rows = input_ids.shape[0]
        self._enough = rows if whole else (rows + 3) // 4
        self.widths = torch.full((rows,), torch.iinfo(torch.long).max, device=input_ids.device)

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        width = input_ids.shape[1]
        ended = super().__call__(input_ids, scores, **kwargs)
        self.widths = torch.where(ended, self.widths.clamp(max=width), self.widths)
        ended = self.widths <= width
        return ended | (ended.sum() >= self._enough)


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
