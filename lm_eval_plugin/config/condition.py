"""Whether the user answers by itself before it talks with the model: the two conditions of the ChatBench user study."""

from __future__ import annotations

from typing import Any

DIRECT, ANSWER_FIRST = "direct", "answer_first"

_STUDY_NAMES = {"direct-to-AI": DIRECT, "answer-first": ANSWER_FIRST}
"""The conditions as the released data set names them."""


def as_condition(value: Any) -> Any:
    """A condition by its name here, whichever of its names is given; anything else as it is."""
    return _STUDY_NAMES.get(value, value) if isinstance(value, str) else value
