"""Turning a conversation into the text that a model continues, with foreign text kept from posing as structure.

What a participant said is data. Before it goes into a prompt, whatever in it could pass for the prompt's own structure
(a role heading at the start of a line, a marker, one of the tokenizer's special tokens) is broken up by a space, so it
stays readable and means nothing. The transcript keeps the words as they were said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lm_eval_plugin.dialogue.engine import Chat
from lm_eval_plugin.dialogue.reasoning import split_reasoning
from lm_eval_plugin.dialogue.transcript import Role

__all__ = ["PLAIN_ROLES", "PLAIN_STOPS", "break_tokens", "indent_headings", "plain_transcript", "split_reasoning"]

PLAIN_ROLES = {Role.USER: "User:", Role.ASSISTANT: "Assistant:"}
"""The headings of a plain transcript, for models without a chat template."""

PLAIN_STOPS = ("\nUser:", "\nAssistant:", "\nSystem:")
"""Where a reply in a plain transcript ends: the model would go on in another role's name."""

_PLAIN_HEADINGS = ("User:", "Assistant:", "System:")


def plain_transcript(chat: Chat) -> str:
    """The chat as text for a base model, ending with the speaker's heading, which the model continues."""
    turns = [
        f"{PLAIN_ROLES[message.role]} {indent_headings(message.content, _PLAIN_HEADINGS)}" for message in chat.messages
    ]
    return "\n\n".join(
        [indent_headings(chat.system, _PLAIN_HEADINGS), *turns, f"{PLAIN_ROLES[chat.speaker]} {chat.prefill}".strip()]
    )


def indent_headings(text: str, headings: Iterable[str]) -> str:
    """Put a space before every line of the text that begins with one of the headings."""
    shape = "|".join(re.escape(heading) for heading in headings)
    return re.sub(rf"(?:^|(?<=[\r\v\f\x1c-\x1e\x85\u2028\u2029]))(?=[ \t]*(?:{shape}))", " ", text, flags=re.MULTILINE)


def break_tokens(text: str, tokens: Iterable[str]) -> str:
    """Put a space behind the first character of every occurrence of one of the tokens, until none is left."""
    for token in sorted({token.strip() for token in tokens if len(token.strip()) > 1}, key=len, reverse=True):
        while token in text:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text
