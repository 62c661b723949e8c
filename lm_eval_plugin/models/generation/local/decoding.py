"""How to generate, read from the arguments of the host as the host reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs, postprocess_generated_text
from transformers import LogitsProcessor, PreTrainedTokenizerBase, StoppingCriteria

from lm_eval_plugin.dialogue.reasoning import mark_texts
from lm_eval_plugin.models.generation.stop_strings import own_stop_strings, stop_string_criterion


@dataclass(frozen=True)
class Decoding:
    """How to generate.

    Args:
        lm: The model.
        name: What to call it in messages.
        until: Strings that end a text, the model's end token among them.
        max_tokens: Longest text, in tokens.
        options: What else goes to `generate`.
        stop_strings: Tells which rows have come to one of the strings.
        forcing: Chooses the tokens in place of all else; None where the model and its sampler do.
    """

    lm: HFLM
    name: str
    until: list[str]
    max_tokens: int
    options: Mapping[str, Any]
    stop_strings: StoppingCriteria
    forcing: LogitsProcessor | None = None

    @classmethod
    def read(cls, gen_kwargs: Mapping[str, Any], lm: HFLM, name: str) -> Decoding:
        """From what the host's `generate_until` takes, read as the host does, with the checkpoint's own stop strings."""
        options = normalize_gen_kwargs(dict(gen_kwargs), lm.max_gen_toks)
        eos = lm.tok_decode(lm.eot_token_id, skip_special_tokens=False)
        until = handle_stop_sequences(options.pop("until", None), eos=eos)
        until += [term for term in own_stop_strings(lm) if term not in until]
        return cls(
            lm=lm,
            name=name,
            until=until,
            max_tokens=options.pop("max_gen_toks"),
            options={**options, "eos_token_id": _end_tokens(lm)},
            stop_strings=stop_string_criterion(lm.tokenizer, tuple(term for term in until if term)),
        )

    def text(self, tokens: list[int]) -> tuple[str, str]:
        """What a row says up to the first stop string, and the thoughts that the backend was told how to find."""
        thought_end = self.lm.think_end_token
        end = _token_of(thought_end, self.lm.tokenizer)
        if end is not None and end in tokens:
            behind = len(tokens) - tokens[::-1].index(end)
            return self._cut(self._decode(tokens[behind:]).lstrip()), self._decode(tokens[: behind - 1]).strip()
        text = self._decode(tokens)
        if isinstance(thought_end, str) and thought_end in text:
            thought, _, text = text.rpartition(thought_end)
            return self._cut(text.lstrip()), thought.strip()
        return self._cut(text), ""

    def _decode(self, tokens: list[int]) -> str:
        """The text of tokens without special ones, but for those that mark thoughts, by which these are told apart."""
        marks = _special_marks(self.lm.tokenizer)
        parts, begin = [], 0
        for index, token in enumerate(tokens):
            if token in marks:
                parts += [self.lm.tok_decode(tokens[begin:index]), marks[token]]
                begin = index + 1
        return "".join([*parts, self.lm.tok_decode(tokens[begin:])]) if parts else str(self.lm.tok_decode(tokens))

    def _cut(self, text: str) -> str:
        said: str = postprocess_generated_text(text, self.until, None)
        return said


_MARKS: WeakKeyDictionary[object, dict[int, str]] = WeakKeyDictionary()


def _special_marks(tokenizer: PreTrainedTokenizerBase) -> dict[int, str]:
    """The special tokens of a tokenizer that mark thoughts, by their ids; they are looked for once."""
    if tokenizer not in _MARKS:
        added = getattr(tokenizer, "added_tokens_decoder", {})
        marks = {index: str(token) for index, token in added.items() if token.special and str(token) in mark_texts()}
        _MARKS[tokenizer] = marks
    return _MARKS[tokenizer]


def _token_of(thought_end: int | str | None, tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The one token that ends a thought; None where it takes several, or none is known."""
    if thought_end is None or isinstance(thought_end, int):
        return thought_end
    known: int | None = tokenizer.get_vocab().get(thought_end)
    return known


def _end_tokens(lm: HFLM) -> list[int]:
    """The tokens with which the model ends a text: the tokenizer's, and those that the checkpoint adds."""
    own = lm.model.generation_config.eos_token_id
    return sorted({lm.eot_token_id, *(own if isinstance(own, list) else [] if own is None else [own])})
