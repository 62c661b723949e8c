"""A participant that is a plain function over chat messages, for whatever the host has no backend for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from lm_eval_plugin.dialogue.engine import Ask, Chat, Failure, Reply
from lm_eval_plugin.dialogue.reasoning import part_reply
from lm_eval_plugin.dialogue.transcript import StopReason

ChatFunction = Callable[[list[dict[str, str]]], str | None]
"""Takes chat messages, `{"role": "system" | "user" | "assistant", "content": ...}`, and returns the next; None for no reply."""


class FunctionModel:
    """A `ChatModel` made of a function, which is called for one dialogue after the other.

    Args:
        function: Replies to a chat.
    """

    def __init__(self, function: ChatFunction) -> None:
        self._function = function

    def reply(self, asks: Sequence[Ask]) -> list[Reply | Failure]:
        """Answer B asks with B replies, in their order.

        Raises:
            TypeError: An ask is for a model that continues a text, or the function returned something other than a text.
        """
        return [self._answer(ask) for ask in asks]

    def _answer(self, ask: Ask) -> Reply | Failure:
        prompt = ask.prompt(ask.history)
        if not isinstance(prompt, Chat):
            raise TypeError(
                f"a function over chat messages cannot speak as {ask.role.value}: it is asked to continue a text"
            )
        turns = [{"role": turn.role.value, "content": turn.content} for turn in prompt.messages]
        started = time.perf_counter()
        text = self._function([{"role": "system", "content": prompt.system}, *turns])
        if text is None:
            return Failure(StopReason.MODEL_ERROR)
        if not isinstance(text, str):
            raise TypeError(
                f"the function for {ask.role.value} returned {type(text).__name__}; it must return a text or None"
            )
        parted = part_reply(text)
        seconds = round(time.perf_counter() - started, 3)
        return Reply(parted.visible, seconds=seconds, reasoning=parted.reasoning, unclear=parted.unclear)
