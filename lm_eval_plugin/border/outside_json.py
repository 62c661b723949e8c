"""JSON that others wrote, a server, a judge or a file: read, or found unreadable, and nothing else can come of it."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from lm_eval_plugin.border.text_border import all_encodable

DEEPEST = 100
"""Most levels of lists and mappings in each other; what is written for a purpose has a dozen."""


class UnreadableJsonError(ValueError):
    """A text is no JSON that can be used; the message says why."""


def read_json(text: str | bytes, *, strict: bool = False) -> Any:
    """The value that a text of JSON stands for, every text in it encodable.

    Args:
        text: The JSON; bytes are UTF-8, UTF-16 or UTF-32.
        strict: Whether `NaN` and `Infinity`, which Python reads and JSON does not know, are refused.

    Raises:
        UnreadableJsonError: It is no JSON, not encoded as JSON is, nested more than `DEEPEST` levels deep, or holds a number
            of more digits than Python converts.
    """
    try:
        value = json.loads(text, parse_constant=_refuse if strict else None)
    except RecursionError:
        raise UnreadableJsonError(f"nested more than {DEEPEST} levels deep") from None
    except ValueError as error:
        raise UnreadableJsonError(str(error)) from error
    lists, mappings, halves = (_count(text, sign) for sign in ("[", "{", "\\ud"))
    if lists + mappings > DEEPEST and _depth_over(value, DEEPEST):
        raise UnreadableJsonError(f"nested more than {DEEPEST} levels deep")
    # Only an escape can bring half of a pair into what was decoded.
    return all_encodable(value) if halves or isinstance(text, bytes) else value


def _count(text: str | bytes, sign: str) -> int:
    return text.count(sign.encode()) if isinstance(text, bytes) else text.count(sign)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _depth_over(value: object, most: int) -> bool:
    level = [value]
    for _ in range(most + 1):
        level = [
            entry
            for each in level
            if isinstance(each, dict | list)
            for entry in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True
