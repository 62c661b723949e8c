"""How a chat becomes the prompt of one particular model: its own chat template, or a plain transcript."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

import jinja2

from lm_eval_plugin.border.terminal import logger_of, warn_once
from lm_eval_plugin.dialogue.engine import Chat
from lm_eval_plugin.dialogue.quoting import PLAIN_STOPS, break_tokens, plain_transcript
from lm_eval_plugin.dialogue.reasoning import Marks
from lm_eval_plugin.dialogue.transcript import Message, Role
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.lm_eval_access.base import LM
from lm_eval_plugin.lm_eval_access.servers import AnthropicChat, LocalChatCompletion
from lm_eval_plugin.models.lm_tokenizer import tokenizer_of

logger = logger_of(__name__)

_SYSTEM, _USER, _ASSISTANT, _THOUGHT = "probesystem", "probeuser", "probeassistant", "probethought"
_LONGEST_MARKS = 120
_PROBED_TURNS = 12
"""How many messages of the user a template must be able to lay out; a default dialogue has eleven at most."""

_MARKER = re.compile(r"<[^<>\s]+>|\[[^\[\]\s]+\]|<<[^<>\s]+>>")


class ChatFormat(Protocol):
    """Turns chats into prompts.

    `stops` are the strings with which a reply in this format ends.
    """

    stops: Sequence[str]

    @property
    def thought_marks(self) -> Sequence[Marks]:
        """The marks that the format declares around a thought, beside those that are known."""
        ...

    def render(self, chat: Chat) -> str:
        """The prompt that the model continues with the speaker's next message."""
        ...


class PlainFormat:
    """`User:` and `Assistant:` turns as text, for models without a chat template."""

    stops: Sequence[str] = PLAIN_STOPS
    thought_marks: Sequence[Marks] = ()

    def __init__(self, lm: LM) -> None:
        self._foreign = special_tokens(lm)

    def render(self, chat: Chat) -> str:
        """The chat as a transcript that ends with the speaker's heading."""
        return plain_transcript(_cleaned(chat, self._foreign))


class TemplateFormat:
    """The model's own chat template, applied by the host.

    Where the template has no place for a system message, the host would drop it; here it opens the first user turn.

    Raises:
        ConfigError: The model has no chat template, or one that fails in a conversation of several turns.
    """

    stops: Sequence[str] = ()

    def __init__(self, lm: LM) -> None:
        self._lm = lm
        self.thought_marks = _declared_marks(lm)
        self._takes_system = _SYSTEM in self._probe({"role": "system", "content": _SYSTEM}, _turn(Role.USER, _USER))
        if not self._takes_system and _USER not in self._probe(_turn(Role.USER, _USER)):
            raise ConfigError(
                "the model's chat template cannot lay out a user's message; leave --apply_chat_template out"
            )
        if not self._takes_system:
            told = "The chat template takes no system message; it is put at the head of the first user turn."
            warn_once(logger, lm, told)
        self._check_later_turns()
        around = self._probe(_turn(Role.USER, _USER), _turn(Role.ASSISTANT, _ASSISTANT), _turn(Role.USER, _USER))
        self._foreign = special_tokens(lm) | set(_MARKER.findall(around))

    def render(self, chat: Chat) -> str:
        """The chat as the template lays it out, with the head of the speaker's turn at the end.

        Raises:
            ConfigError: The user is to speak after a system message, for which the template has no place.
        """
        chat = _cleaned(chat, self._foreign)
        turns = [_turn(message.role, message.content) for message in chat.messages]
        if chat.speaker is Role.USER:
            return self._users_turn([{"role": "system", "content": chat.system}, *turns]) + chat.prefill
        if not self._takes_system:
            turns[0] = _turn(Role.USER, f"{chat.system}\n\n{turns[0]['content']}")
            return self._apply(turns)
        return self._apply([{"role": "system", "content": chat.system}, *turns])

    def _users_turn(self, turns: list[dict[str, str]]) -> str:
        """The conversation up to where a next message of the user would stand, whichever role the template opens itself."""
        if not self._takes_system:
            raise ConfigError(
                "the model's chat template takes no system message, where a user model's intent stands; it is no user model"
            )
        return self._apply([*turns, _turn(Role.USER, _USER)]).rpartition(_USER)[0]

    def _apply(self, turns: list[dict[str, str]]) -> str:
        # A chat API gets a wrapper around JSON here, not a plain string; it must reach the API as it is.
        prompt: str = self._lm.apply_chat_template(turns)
        return prompt

    def _check_later_turns(self) -> None:
        """Lay out conversations of more and more messages, as a dialogue will, so that what fails fails before one."""
        turn = 1
        try:
            with muted("lm_eval.models.huggingface"):
                for turn in range(2, _PROBED_TURNS + 1):
                    shown = self._conversation(turn)
        except (jinja2.TemplateError, TypeError) as error:
            raise ConfigError(
                f"the model's chat template fails in a conversation, at the user's message {turn} "
                f"({type(error).__name__}: {error}); leave --apply_chat_template out to talk in a plain transcript, or "
                "give the model a template that lays out several turns"
            ) from error
        if shown.count(_USER) < _PROBED_TURNS or shown.count(_ASSISTANT) < _PROBED_TURNS - 1:
            warn_once(
                logger,
                self._lm,
                "The chat template leaves earlier messages of a conversation out, so the model does not see all that was said.",
            )

    def _conversation(self, turns: int) -> str:
        """A conversation with so many messages of the user, as the template lays it out."""
        system = [{"role": "system", "content": _SYSTEM}] if self._takes_system else []
        exchanges = [_turn(Role.USER, _USER), _turn(Role.ASSISTANT, _ASSISTANT)] * (turns - 1)
        return str(self._apply([*system, *exchanges, _turn(Role.USER, _USER)]))

    def _probe(self, *turns: dict[str, str]) -> str:
        try:
            with muted("lm_eval.models.huggingface"):
                return str(self._apply(list(turns)))
        except jinja2.TemplateError:
            return ""
        except (ValueError, NotImplementedError) as error:
            raise ConfigError(
                f"--apply_chat_template was given, but the model has no usable chat template ({error}); leave the flag out "
                "to talk in a plain transcript"
            ) from error


def _declared_marks(lm: LM) -> tuple[Marks, ...]:
    """The marks that a chat template puts around the thoughts of the last message, if it lays thoughts out."""
    if is_chat_api(type(lm)):
        return ()
    turn = {"role": "assistant", "content": _ASSISTANT}
    asked = _turn(Role.USER, _USER)
    thoughts = dict.fromkeys(("reasoning_content", "reasoning", "thinking"), _THOUGHT)
    try:
        without = str(lm.apply_chat_template([asked, turn], add_generation_prompt=False))
        within = str(lm.apply_chat_template([asked, {**turn, **thoughts}], add_generation_prompt=False))
    except (jinja2.TemplateError, ValueError, TypeError, NotImplementedError):
        return ()
    before, thought, behind = within.partition(_THOUGHT)
    closing, message, _ = behind.partition(_ASSISTANT)
    shared = next((index for index, (one, other) in enumerate(zip(before, without, strict=False)) if one != other), 0)
    opening, closing = before[shared:].strip(), closing.strip()
    found = thought and message and opening and closing and len(opening + closing) <= _LONGEST_MARKS
    return (Marks(opening, closing),) if found else ()


def chat_format_of(lm: LM, *, chat_template: bool | None) -> ChatFormat:
    """The format in which a model is given a chat.

    Args:
        lm: The model.
        chat_template: Whether to use its chat template; None if it has one. A chat API has nothing else.
    """
    if is_chat_api(type(lm)) or (has_chat_template(lm) if chat_template is None else chat_template):
        return TemplateFormat(lm)
    return PlainFormat(lm)


def prompting(lm: LM, *, chat_template: bool) -> str:
    """In words how a model under test is given a conversation, as a run's results say it."""
    if chat_template or is_chat_api(type(lm)):
        return "chat template"
    return "plain transcript, though the model has a chat template" if has_chat_template(lm) else "plain transcript"


def is_chat_api(backend: type[LM]) -> bool:
    """Whether a backend takes chat messages and nothing else."""
    return issubclass(backend, LocalChatCompletion | AnthropicChat)


def has_chat_template(lm: LM) -> bool:
    """Whether the model's tokenizer comes with a chat template."""
    return bool(getattr(tokenizer_of(lm), "chat_template", None))


def special_tokens(lm: LM) -> set[str]:
    """The strings that the model's tokenizer reads as control tokens wherever they stand; empty if it tells none."""
    tokenizer = tokenizer_of(lm)
    added = getattr(tokenizer, "added_tokens_decoder", {})
    tokens = {token.content for token in added.values() if token.special} if isinstance(added, dict) else set()
    return tokens | set(getattr(tokenizer, "all_special_tokens", ()))


@contextmanager
def muted(name: str) -> Iterator[None]:
    """Keep a logger of the host quiet where what it warns of does not apply."""
    logger_of_host = logging.getLogger(name)
    level = logger_of_host.level
    logger_of_host.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger_of_host.setLevel(level)


def _cleaned(chat: Chat, foreign: set[str]) -> Chat:
    messages = tuple(Message(message.role, break_tokens(message.content, foreign)) for message in chat.messages)
    return replace(chat, system=break_tokens(chat.system, foreign), messages=messages)


def _turn(role: Role, content: str) -> dict[str, str]:
    return {"role": role.value, "content": content}
