"""A simulated user's message without what its model wrote around it.

Models go on in the other side's name, repeat the rules and headings of their prompt, or put their message into quotation
marks. All policies have their messages cleaned here, so that no piece of a prompt's structure is ever said aloud.

Source: interactive-eval @ a90f773 (strip, strip quotes, drop a leading `YOU: `). Deviations: done until nothing is left to
do, so that `YOU: "..."` is clean too; the cut where the model goes on in another's name, at a rule or at a control token.
"""

from __future__ import annotations

import re

_OWN = r"(?:YOU|User):"
_OTHERS = r"(?:SYSTEM|ASSISTANT|Assistant|System):"
_RULE = r"={24}"
_CONTROL = r"<\|[a-z_]+\|>"

_BEFORE = re.compile(rf"(?:\s|{_RULE}=*|{_OWN})*")
_BEHIND = re.compile(rf"\A{_OTHERS}|\n[ \t]*(?:{_OWN}|{_OTHERS}|{_RULE})|{_CONTROL}")


def clean(text: str, markers: tuple[str, ...] = ()) -> tuple[str, bool]:
    """The message, and whether more was cut from it than marks of its own.

    Args:
        text: What the model wrote.
        markers: Further markers at which it is cut.
    """
    own = text[_BEFORE.match(text).end() :]  # type: ignore[union-attr]  # it matches nothing at least
    cut = _BEHIND.split(own, maxsplit=1)[0]
    for marker in markers:
        cut = cut.split(marker, 1)[0]
    cleaned, rest = "", cut
    while cleaned != rest:
        cleaned, rest = rest, re.sub(rf"\A{_OWN}", "", rest.strip().strip("\"'").strip())
    return cleaned, cut != own
