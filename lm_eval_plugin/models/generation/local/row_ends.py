"""Decoding with transformers' own loop, in which every row of a batch has an end of its own."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    GenerationMixin,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    StoppingCriteria,
    StoppingCriteriaList,
)

from lm_eval_plugin.models.generation.finite_logits import FiniteLogits
from lm_eval_plugin.models.generation.local.row_sampling import RowSampler
from lm_eval_plugin.models.generation.stop_strings import NO_TOKEN

_NEVER = torch.iinfo(torch.long).max

CACHE_ARGUMENT = (
    "cache"
    if "cache" in inspect.signature(GenerationMixin.prepare_inputs_for_generation).parameters
    else "past_key_values"
)
"""What `generate` calls its key-value cache: `past_key_values` before transformers 5.24, which warns of that name."""


class DecodingToRowEnds:
    """The part of `generate` that decodes, until enough rows have ended.

    Args:
        stop_strings: Tells which rows have come to a stop string.
        sampler: Chooses the tokens; None for the likeliest.
        starts: Of shape [rows], how wide each was before the first token of its text; what ends a text is within it.
        max_tokens: Longest text, in tokens.
        enough: After how many ends to stop; 0 for after one token.
        forcing: Chooses the tokens in place of all else; see `Decoding`.

    Attributes:
        widths: Of shape [rows], how wide each row was when it ended; the greatest number there is for one that goes on.
        broken: Of shape [rows], whether a token of its text was chosen among logits that are no numbers.
    """

    def __init__(
        self,
        stop_strings: StoppingCriteria,
        sampler: RowSampler | None,
        *,
        starts: torch.Tensor,
        max_tokens: int,
        enough: int,
        forcing: LogitsProcessor | None = None,
    ) -> None:
        self._forcing = forcing
        self._stop_strings = stop_strings
        self._sampler = sampler
        self._starts = starts
        self._max_tokens = max_tokens
        self._enough = enough
        self.widths = self.broken = torch.empty(0)

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
        finite = FiniteLogits(len(input_ids), input_ids.device)
        if self._forcing is None:
            logits_processor.append(finite)
        else:
            logits_processor[:] = [self._forcing]
        if self._sampler is not None:
            # It comes last and leaves one token, which is then the likeliest.
            logits_processor.append(self._sampler)
            generation_config.do_sample = False
        ends = _RowEnds([*stopping_criteria, self._stop_strings], self._starts, self._max_tokens, self._enough)
        sequences: torch.Tensor = model._sample(  # noqa: SLF001
            input_ids, logits_processor, ends, generation_config, **model_kwargs
        )
        self.widths = ends.widths
        # What is computed for a row that has ended, while others go on, is thrown away.
        self.broken = finite.widths < self.widths.clamp(max=sequences.shape[1])
        return sequences


class _RowEnds(StoppingCriteriaList):  # type: ignore[misc]
    """Criteria that remember how wide each row was when it ended, and stop once enough rows have."""

    def __init__(self, criteria: Sequence[Any], starts: torch.Tensor, max_tokens: int, enough: int) -> None:
        super().__init__(criteria)
        self._starts = starts
        self._limits = starts + max_tokens
        self._enough = enough
        self.widths = torch.full_like(starts, _NEVER)

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        width = input_ids.shape[1]
        # A stop string that begins in the prompt, or in paddings, is none; the criterion takes numbers beyond the vocabulary.
        before = torch.arange(width, device=input_ids.device) < self._starts[:, None]
        ended = super().__call__(input_ids.masked_fill(before, NO_TOKEN), scores, **kwargs) | (self._limits <= width)
        self.widths = torch.where(ended, self.widths.clamp(max=width), self.widths)
        ended = self.widths <= width
        return ended | (ended.sum() >= self._enough)
