"""How to generate, read from the arguments of the host as the host reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs, postprocess_generated_text
from transformers import PreTrainedTokenizerBase, StopStringCriteria


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
