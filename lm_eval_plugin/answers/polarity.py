"""What a question asks for: the option that has a property, or the one that lacks it (NOT, EXCEPT), is false or is least so."""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache


class Polarity(Enum):
    """What of the options is asked for.

    POSITIVE: the one that has the property.
    NOT: the one that lacks it.
    FALSE: the statement that does not hold.
    LEAST: the one that has least of it.
    """

    POSITIVE = "positive"
    NOT = "not"
    FALSE = "false"
    LEAST = "least"


_PART = re.compile(r"(?<=[.!?])\s+|\n+")
_ASKS = re.compile(
    r"\b(?:which|what|who|whom|whose|where|when|all|each|every|identify|select|choose|find|one)\b", re.IGNORECASE
)
_FALSE = re.compile(r"\b(?:false|incorrect|untrue|inaccurate|(?:not|n't) (?:true|correct|accurate))\b", re.IGNORECASE)
_LEAST = re.compile(r"\bleast\b(?! one\b)(?<!at least)", re.IGNORECASE)
_NOT = re.compile(r"\b(?:not|never|except|cannot|exceptions?)\b|n't\b", re.IGNORECASE)
_NO_NEGATION = re.compile(r"\bnot only\b|\bwhether or not\b|\bwhy (?:is|are|do|does|did) not\b", re.IGNORECASE)


@lru_cache(maxsize=256)
def polarity_of(stem: str) -> Polarity:
    """What a question asks for, by its last part: what tells of the matter before it may be negated without meaning anything."""
    parts = [part for part in _PART.split(stem.strip()) if part]
    asked = next((part for part in reversed(parts) if _ASKS.search(part)), parts[-1])
    asked = _NO_NEGATION.sub(" ", asked.replace("’", "'"))
    for polarity, pattern in ((Polarity.FALSE, _FALSE), (Polarity.LEAST, _LEAST), (Polarity.NOT, _NOT)):
        if pattern.search(asked):
            return polarity
    return Polarity.POSITIVE
