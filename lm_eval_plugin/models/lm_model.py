"""A language model of the host as a participant in dialogues: the only code that calls an `LM`.

It turns an ask into a prompt that fits the model's window, has the whole batch generated in the best way that there is for
the backend, and parts what comes back into what is said and what is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from lm_eval.api.model import LM, CacheHook
from lm_eval.models.api_models import TemplateAPI
from lm_eval.models.huggingface import HFLM

from lm_eval_plugin.border.terminal import logger_of, warn_once
from lm_eval_plugin.border.text_border import encodable
from lm_eval_plugin.dialogue.engine import Ask, Chat, Failure, Prompt, Reply
from lm_eval_plugin.dialogue.quoting import break_tokens
from lm_eval_plugin.dialogue.reasoning import opened_reasoning, part_reply
from lm_eval_plugin.dialogue.transcript import Message, StopReason
from lm_eval_plugin.dialogue.trimming import shortened_histories, squeezed_history
from lm_eval_plugin.errors import ConfigError, ModelError
from lm_eval_plugin.models.chat_format import ChatFormat, special_tokens
from lm_eval_plugin.models.generation import Generated, Generation, Prompted
from lm_eval_plugin.models.generation.backend import HostGeneration
from lm_eval_plugin.models.generation.local.generator import LocalGeneration, generates_locally, settings_of_batches
from lm_eval_plugin.models.generation.local.kept_keys import KeptKeys
from lm_eval_plugin.models.generation.servers.api import ApiGeneration, speaks_http
from lm_eval_plugin.models.memory import free_memory

logger = logger_of(__name__)

_API_STOPS = 4


class HostModel:
    """A participant whose turns an `LM` of the host generates.

    A reply may take at most half of the model's window, so that there is always room for a conversation; a larger
    `max_tokens` is lowered, with a warning.

    Args:
        lm: Any backend of the host.
        name: What to call it in messages.
        temperature: 0 for greedy decoding.
        max_tokens: Longest reply, in tokens of the model.
        until: Strings that end a reply; an API is given the first four.
        gen_kwargs: Whatever else the backend's `generate_until` takes.
        chat_format: How a chat becomes the model's prompt; None for a model that is only given finished texts.
        kept_bytes: How much memory may hold keys and values of the dialogues' earlier turns; None for a quarter of what is
            free. For models that generate in this process.
        parts_reasoning: Whether thoughts are parted from what the model says.
        outage_s: How long its server is waited for where it stops answering; 0 for not at all.

    Raises:
        ModelError: Its tokenizer has no end token.
    """

    def __init__(
        self,
        lm: LM,
        *,
        name: str,
        temperature: float,
        max_tokens: int,
        until: Sequence[str] = (),
        gen_kwargs: Mapping[str, Any] | None = None,
        chat_format: ChatFormat | None = None,
        kept_bytes: int | None = None,
        parts_reasoning: bool = True,
        outage_s: float = 0,
    ) -> None:
        _check_tokenizer(lm, name)
        self.lm = lm
        self.name = name
        self.window = _window(lm)
        self.max_tokens = max_tokens
        if self.window is not None and max_tokens > self.window // 2:
            self.max_tokens = self.window // 2
            told = "%s: max_tokens is lowered from %d to %d, half of the model's window"
            warn_once(logger, lm, told, name, max_tokens, self.max_tokens)
        self._chat_format = chat_format
        self._parts_reasoning = parts_reasoning
        # A simulator may have been trained with its end markers as tokens; in its own prompt they are structure.
        self._special_tokens = special_tokens(lm) - set(until)
        self._gen_kwargs = {
            "until": _stop_strings(lm, [*until, *(chat_format.stops if chat_format else ())]),
            "max_gen_toks": self.max_tokens,
            "do_sample": temperature > 0,
            "temperature": temperature,
            **(gen_kwargs or {}),
        }
        self._generation = _generation(lm, name, self._gen_kwargs, kept_bytes, outage_s)

    @property
    def places(self) -> frozenset[str]:
        """The devices that it is on, or the server that it is behind; empty where the backend does not tell."""
        if isinstance(self.lm, TemplateAPI):
            return frozenset({str(self.lm.base_url)})
        if not isinstance(self.lm, HFLM):
            return frozenset()
        layers = getattr(self.lm.model, "hf_device_map", None) or {"": self.lm.device}
        return frozenset(str(torch.device(device)) for device in layers.values())

    @property
    def seeded(self) -> bool:
        """Whether what it says depends on the asks and their seeds alone."""
        return not self._gen_kwargs["do_sample"] or self._generation.seeded

    def cancel(self) -> None:
        """End a call to a server that is under way in another thread; it raises an error there."""
        if isinstance(self._generation, ApiGeneration):
            self._generation.cancel()

    def reply(self, asks: Sequence[Ask]) -> list[Reply | Failure]:
        """Answer B asks with B replies, in their order.

        An ask that does not fit into the window even when trimmed gets a `CONTEXT` failure; one to which the model
        returns nothing gets a `MODEL_ERROR`.
        """
        whole = self._prompted([(ask, ask.history) for ask in asks])
        fitting = [
            (prompt, False) if self._fits(prompt) else self._shortened(ask)
            for ask, prompt in zip(asks, whole, strict=True)
        ]
        generated = iter(self._generation.generate([entry[0] for entry in fitting if entry], self._gen_kwargs))
        replies = [
            Failure(StopReason.CONTEXT) if entry is None else self._read(next(generated), *entry) for entry in fitting
        ]
        lengths = iter(self._lengths([reply.text for reply in replies if isinstance(reply, Reply)]))
        return [replace(reply, tokens=next(lengths)) if isinstance(reply, Reply) else reply for reply in replies]

    def fit(self, ask: Ask) -> tuple[Prompted, bool] | None:
        """The prompt for an ask and whether the history had to be shortened for it; None if nothing fits."""
        (whole,) = self._prompted([(ask, ask.history)])
        return (whole, False) if self._fits(whole) else self._shortened(ask)

    def _shortened(self, ask: Ask) -> tuple[Prompted, bool] | None:
        """The prompt for an ask that does not fit with its whole history."""

        def prompted(shown: tuple[Message, ...]) -> Prompted:
            return self._prompted([(ask, shown)])[0]

        history = ask.history
        for shown in shortened_histories(ask.history):
            history = shown
            prompt = prompted(shown)
            if self._fits(prompt):
                return prompt, True
        squeezed = squeezed_history(history, lambda shown: self._fits(prompted(shown)))
        return None if squeezed is None else (prompted(squeezed), True)

    def room(self, ask: Ask) -> tuple[int, int] | None:
        """Tokens that the whole prompt of an ask takes, and those that there are for it; None if not measurable."""
        needed = self.count(self._render(ask.prompt(ask.history)))
        return None if needed is None or self.window is None else (needed, self.window - self.max_tokens)

    def count(self, text: str) -> int | None:
        """Length of a prompt in the model's tokens, with those that the tokenizer adds; None if unknown."""
        return None if self.window is None else _known_length(self.lm.tok_encode(text))

    def _lengths(self, replies: Sequence[str]) -> Sequence[int | None]:
        """Lengths of replies in the model's tokens, without those that the tokenizer adds."""
        if isinstance(self._generation, LocalGeneration):
            return self._generation.lengths(replies)
        if self.window is None:
            return [None] * len(replies)
        return [_known_length(self.lm.tok_encode(text, add_special_tokens=False)) for text in replies]

    def _prompted(self, shown: Sequence[tuple[Ask, tuple[Message, ...]]]) -> list[Prompted]:
        """The prompts for asks of which the model is shown so much of the history."""
        texts = [self._render(ask.prompt(history)) for ask, history in shown]
        ids = self._generation.encode(texts) if isinstance(self._generation, LocalGeneration) else [None] * len(texts)
        return [
            Prompted(text, ask.seed, ask.conversation, each)
            for text, (ask, _), each in zip(texts, shown, ids, strict=True)
        ]

    def _fits(self, prompt: Prompted) -> bool:
        length = self.count(prompt.text) if prompt.ids is None else len(prompt.ids)
        return length is None or self.window is None or length + self.max_tokens <= self.window

    def _render(self, prompt: Prompt) -> str:
        if not isinstance(prompt, Chat):
            return break_tokens(prompt, self._special_tokens)
        if self._chat_format is None:
            raise ConfigError(f"{self.name} was asked as a chat, but it is only given finished texts")
        text = self._chat_format.render(prompt)
        # What a template itself brings is from outside, too; a chat API gets a wrapper around JSON, not a text.
        return encodable(text) if isinstance(text, str) else text

    def _read(self, generated: Generated | None, prompt: Prompted, trimmed: bool) -> Reply | Failure:  # noqa: FBT001
        if generated is None:
            return Failure(StopReason.MODEL_ERROR)
        if not self._parts_reasoning:
            return Reply(generated.text, seconds=generated.seconds, trimmed=trimmed, batch=generated.batch)
        # With a think_end_token the backend has taken the block away already.
        declared = self._chat_format.thought_marks if self._chat_format else ()
        opened = "" if getattr(self.lm, "think_end_token", None) else opened_reasoning(str(prompt.text), declared)
        parted = part_reply(opened + generated.text, declared)
        reasoning = "\n\n".join(part for part in (generated.reasoning.strip(), parted.reasoning) if part)
        return Reply(
            parted.visible,
            seconds=generated.seconds,
            reasoning=reasoning,
            trimmed=trimmed,
            batch=generated.batch,
            unclear=parted.unclear,
        )


def _known_length(ids: object) -> int | None:
    return len(ids) if isinstance(ids, list) and all(isinstance(token, int) for token in ids) else None


def _generation(
    lm: LM, name: str, gen_kwargs: Mapping[str, Any], kept_bytes: int | None, outage_s: float
) -> Generation:
    """The best way that there is to have a model generate."""
    if speaks_http(lm):
        return ApiGeneration(lm, name, outage_s)
    if not generates_locally(lm, gen_kwargs):
        return HostGeneration(lm, name)
    if bound := settings_of_batches(lm):
        warn_once(
            logger,
            lm,
            "%s: its generation_config sets %s, under which a text depends on the batch; its turns are generated by the "
            "host's generate_until, slower and, if sampled, not by the dialogue's seed.",
            name,
            ", ".join(bound),
        )
        return HostGeneration(lm, name)
    if kept_bytes is None:
        kept_bytes = free_memory(str(lm.device)) // 4
    return LocalGeneration(lm, name, KeptKeys(kept_bytes))


@contextmanager
def serving(lm: LM, batch_size: int | None = None) -> Iterator[int]:
    """Make an `LM` ready for many rounds: its batch size fixed once, nothing of a round in the host's response cache.

    With `batch_size=auto` the `hf` backend measures the largest batch on every call, at full length; here it is measured
    once. The host's cache keys hold no model, and it never reads what is generated here, so nothing is written to it.

    Args:
        lm: The backend.
        batch_size: The size to use; None for the backend's own.

    Yields:
        How many prompts the backend takes at once.
    """
    hook, own = lm.cache_hook, getattr(lm, "batch_size_per_gpu", None)
    if own is not None:
        lm.batch_size_per_gpu = batch_size or (lm._detect_batch_size() if own == "auto" else own)  # noqa: SLF001
    lm.set_cache_hook(CacheHook(None))
    try:
        yield _prompts_at_once(lm)
    finally:
        lm.set_cache_hook(hook)
        if own is not None:
            lm.batch_size_per_gpu = own


def _stop_strings(lm: LM, until: list[str]) -> list[str]:
    """The strings that end a reply, as many as the backend takes, the first ones first.

    APIs take four; some servers fail on an empty list, so they are given one that no model says.
    """
    return until if not isinstance(lm, TemplateAPI) else until[:_API_STOPS] or ["<|endoftext|>"]


def _prompts_at_once(lm: LM) -> int:
    """The requests that an API has under way at once, or the batch size; for a backend that schedules by itself, 16."""
    size, concurrent = getattr(lm, "batch_size", 1), getattr(lm, "_concurrent", 1)
    return max(concurrent, size if isinstance(size, int) else 16)


def _check_tokenizer(lm: LM, name: str) -> None:
    """Make sure that a model of the `hf` backend has an end token, without which lm_eval can neither encode nor generate.

    Raises:
        ModelError: It has none.
    """
    if isinstance(lm, HFLM) and lm.eot_token_id is None:
        raise ModelError(
            f"{name}: the tokenizer {lm.tokenizer.name_or_path!r} has no end token (eos_token), without which lm_eval cannot "
            "generate; set eos_token in its tokenizer_config.json, or give another tokenizer (tokenizer=... in model_args)"
        )


def _window(lm: LM) -> int | None:
    """The model's window in tokens; None for a backend that does not tell tokens, such as a chat API."""
    encode, window = getattr(lm, "tok_encode", None), getattr(lm, "max_length", None)
    if encode is None or not isinstance(window, int):
        return None
    return window if isinstance(encode("a"), list) and isinstance(encode("a")[0], int) else None
