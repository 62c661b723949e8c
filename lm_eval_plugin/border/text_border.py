r"""The border that every text from outside passes once: a reply, a question, a persona, a system message, a setting.

Python keeps half of a surrogate pair in a text, as JSON's `\ud83d` alone makes one, but no file, database, tokenizer or
server takes it. Here two halves that belong together become their character, and one that stands alone becomes U+FFFD, the
replacement character. Whatever UTF-8 can hold stays as it is: NUL, a byte order mark, bidirectional controls, noncharacters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
"""What stands in a text for something that could not be read."""


def is_encodable(text: str) -> bool:
    """Whether UTF-8 can hold a text: it has no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def encodable(text: str) -> str:
    """The text as UTF-8 can hold it; in time linear in its length."""
    return text if is_encodable(text) else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def all_encodable(value: Any) -> Any:
    """The value of JSON or YAML with every text in it, keys too, as UTF-8 can hold it; other values as they are."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, Mapping):
        return {all_encodable(key): all_encodable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(all_encodable, value)) if type(value) in (list, tuple) else value
    return value
