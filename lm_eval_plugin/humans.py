"""What people wrote to the assistants of the ChatBench study, to hold simulated users beside.

Source: the data set microsoft/ChatBench, `conversations.json`. Its turns stand under `chatHistory` or `conversation`, with
the roles You and Bot or user and assistant; both are read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lm_eval_plugin.errors import ConfigError

_TURNS = ("chatHistory", "conversation")
_PEOPLE = ("you", "user")


def human_messages(path: Path) -> list[str]:
    """Every message of a person.

    Args:
        path: A `conversations.json`, or a folder below which there is one.

    Raises:
        ConfigError: There is none, or it does not hold conversations; the error names the keys that were seen.
    """
    file = path if path.is_file() else next(iter(sorted(path.rglob("conversations.json"))), None)
    if file is None:
        raise ConfigError(f"{path} holds no conversations.json, which is where ChatBench keeps what people wrote")
    try:
        conversations = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    if not isinstance(conversations, list) or not conversations:
        raise ConfigError(f"{file} is no list of conversations")
    return [text for place, entry in enumerate(conversations) for text in _said(entry, f"{file}, entry {place}")]


def _said(entry: Any, where: str) -> Iterator[str]:
    turns = next((entry[key] for key in _TURNS if key in entry), None) if isinstance(entry, dict) else None
    if not isinstance(turns, list):
        seen = ", ".join(entry) if isinstance(entry, dict) else type(entry).__name__
        raise ConfigError(f"{where}: no turns under {' or '.join(_TURNS)}; it has {seen}")
    for turn in turns:
        if not isinstance(turn, dict) or not {"role", "content"} <= turn.keys():
            raise ConfigError(f"{where}: a turn is {str(turn)[:80]!r}; it must have role and content")
        if str(turn["role"]).lower() in _PEOPLE:
            yield str(turn["content"])
