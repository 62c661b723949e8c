"""Telling which rows have come to a stop string, for every tokenizer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from lm_eval.models.huggingface import HFLM
from transformers import PreTrainedTokenizerBase, StoppingCriteria, StopStringCriteria

NO_TOKEN = torch.iinfo(torch.long).max
"""Stands where a row has a token in which no stop string may begin or end."""

_UNPREPARED = (ValueError, TypeError, LookupError, AttributeError, NotImplementedError)

_KNOWN: WeakKeyDictionary[object, dict[tuple[str, ...], StoppingCriteria]] = WeakKeyDictionary()


def stop_string_criterion(tokenizer: PreTrainedTokenizerBase, terms: tuple[str, ...]) -> StoppingCriteria:
    """The criterion of a tokenizer's stop strings, made once: every token of the vocabulary is read for it.

    transformers keeps what it reads too, under the vocabulary in its order, which fast tokenizers change on every call.
    It learns what a token adds to a text by putting it behind `abcdef`, so it fails for tokens that are whole words, and
    where there are no Latin letters; then the rows' texts are read instead.
    """
    known = _KNOWN.setdefault(tokenizer, {})
    if terms not in known:
        try:
            known[terms] = StopStringCriteria(tokenizer, list(terms))
        except _UNPREPARED:
            known[terms] = StopStringsInText(tokenizer, terms)
    return known[terms]


class StopStringsInText(StoppingCriteria):  # type: ignore[misc]
    """Tells rows whose decoded text holds one of the terms.

    Args:
        tokenizer: Decodes the rows, one by one.
        terms: The stop strings.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, terms: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._terms = tuple(terms)

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """Of shape [rows], whether each has come to one of the terms."""
        texts = (
            self._tokenizer.decode([token for token in row if token != NO_TOKEN], skip_special_tokens=False)
            for row in input_ids.tolist()
        )
        return torch.tensor([any(term in text for term in self._terms) for text in texts], device=input_ids.device)


def own_stop_strings(lm: HFLM) -> list[str]:
    """The stop strings that a checkpoint's own generation configuration sets."""
    own = getattr(lm.model.generation_config, "stop_strings", None) or []
    return [own] if isinstance(own, str) else list(own)


@contextmanager
def without_own_stop_strings(lm: HFLM) -> Iterator[None]:
    """Have `generate` not look for a checkpoint's own stop strings, for which it wants a tokenizer that lm_eval never gives."""
    config, own = lm.model.generation_config, own_stop_strings(lm)
    if own:
        config.stop_strings = None
    try:
        yield
    finally:
        if own:
            config.stop_strings = own
