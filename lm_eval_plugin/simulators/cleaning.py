"""A simulated user's message without what its model wrote around it.

Models go on in the other side's name, repeat the rules and headings of their prompt, or put their message into quotation
marks. All policies have their messages cleaned here, so that no piece of a prompt's structure is ever said aloud.

Source: interactive-eval @ a90f773 (strip, strip quotes, drop a leading `YOU: `). Deviations: done until nothing is left to
do, so that `YOU: "..."` is clean too; a quotation mark without its partner stays; the cut where the model goes on in
another's name, at a rule or at a control token.
"""

from __future__ import annotations

import re

_OWN = r"(?:YOU|User):"
_OTHERS = r"(?:SYSTEM|ASSISTANT|Assistant|System):"
_RULE = r"={24}"
_CONTROL = r"<\|[a-z_]+\|>"
_QUOTES = "\"'"

_NAME = re.compile(_OWN)
_BEFORE = re.compile(rf"(?:\s|{_RULE}=*|{_OWN})*")
_BEHIND = re.compile(rf"\A{_OTHERS}|\n[ \t]*(?:{_OWN}|{_OTHERS}|{_RULE})|{_CONTROL}")


def clean(text: str, markers: tuple[str, ...] = ()) -> tuple[str, bool]:
    """The message, and whether more was cut from it than marks of its own.

    Args:
        text: What the model wrote.
        markers: Further markers at which it is cut.
    """
    own = _BEFORE.sub("", text, count=1)
    cut = _BEHIND.split(own, maxsplit=1)[0]
    for marker in markers:
        cut = cut.split(marker, 1)[0]
    return _unwrapped(cut), cut != own


def _unwrapped(text: str) -> str:
    """The text without blanks, pairs of quotation marks and its own name around it; in time linear in its length."""
    start, end = 0, len(text)
    while True:
        while start < end and text[start].isspace():
            start += 1
        while start < end and text[end - 1].isspace():
            end -= 1
        if name := _NAME.match(text, start, end):
            start = name.end()
        elif _is_quoted(text, start, end):
            start, end = start + 1, end - 1
        else:
            return text[start:end]


def _is_quoted(text: str, start: int, end: int) -> bool:
    """Whether quotation marks at both ends belong together; a single one, and those of `"a" or "b"`, do not."""
    if end - start < 2 or text[start] not in _QUOTES or text[end - 1] != text[start]:
        return False
    inner = text.find(text[start], start + 1, end - 1)
    closes = inner > start + 1 and not text[inner - 1].isspace() and not text[inner + 1].isalnum()
    return not closes
