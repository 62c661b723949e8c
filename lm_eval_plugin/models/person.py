"""A person at the terminal who speaks for the user or for the assistant."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from lm_eval_plugin.border.terminal import printable, say
from lm_eval_plugin.dialogue.engine import Ask, Chat, Failure, Reply
from lm_eval_plugin.dialogue.transcript import Role, StopReason

_CONTINUED = "\\"


def _print_message(text: str, speaker: Role | None) -> None:
    say(f"{speaker.value}: {text}" if speaker else text)


class Person:
    """A participant whose turns are typed in, one line a message; a line that ends with a backslash goes on.

    Args:
        read: Asks for a line with a prompt and returns it; raises `EOFError` when there is nothing more to read.
        show: Shows what the person must know before it types, and the role of who said it: the other side's last message,
            or, from nobody, what the conversation is about.
    """

    def __init__(
        self, read: Callable[[str], str] = input, show: Callable[[str, Role | None], None] = _print_message
    ) -> None:
        self._read = read
        self._show = show

    def reply(self, asks: Sequence[Ask]) -> list[Reply | Failure]:
        """Have B asks answered one after the other; `seconds` is what the person took.

        A user who closes the input says nothing, which ends its dialogue; an assistant who does gives no reply.
        """
        return [self._answer(ask) for ask in asks]

    def _answer(self, ask: Ask) -> Reply | Failure:
        prompt = ask.prompt(ask.history)
        text = (
            (prompt.messages[-1].content if prompt.messages else prompt.system) if isinstance(prompt, Chat) else prompt
        )
        self._show(printable(text), ask.history[-1].role if ask.history else None)
        started = time.perf_counter()
        try:
            text = self._typed(f"{ask.role.value}> ")
        except EOFError:
            return Reply("") if ask.role is Role.USER else Failure(StopReason.MODEL_ERROR)
        return Reply(text, seconds=round(time.perf_counter() - started, 3))

    def _typed(self, prompt: str) -> str:
        lines = [self._read(prompt)]
        while lines[-1].endswith(_CONTINUED):
            lines[-1] = lines[-1].removesuffix(_CONTINUED)
            try:
                lines.append(self._read("..."))
            except EOFError:
                break
        return "\n".join(lines).strip()
