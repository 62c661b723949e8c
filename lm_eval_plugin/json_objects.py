"""Reading JSON objects from a file, with errors that name the line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lm_eval_plugin.errors import ConfigError


def json_objects(file: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON file (one, or a list of them), or of JSON lines.

    Raises:
        ConfigError: It cannot be read, or holds something else; names the line or the entry.
    """
    text = _text(file)
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        yield from lines_of(text, str(file))
        return
    for number, entry in enumerate(whole if isinstance(whole, list) else [whole]):
        if not isinstance(entry, dict):
            raise ConfigError(f"{file}, entry {number}: {str(entry)[:60]!r} is no JSON object")
        yield entry


def json_lines(file: Path) -> list[dict[str, Any]]:
    """The objects of JSON lines.

    Raises:
        ConfigError: As `json_objects`, or there is none.
    """
    objects = list(lines_of(_text(file), str(file)))
    if not objects:
        raise ConfigError(f"{file} holds nothing")
    return objects


def lines_of(text: str, where: str) -> Iterator[dict[str, Any]]:
    """The objects of a text with one on each line; empty lines are passed over."""
    # Not splitlines: JSON may hold other line ends than this one.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _object(line, f"{where}, line {number}")


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{where}: no JSON ({error}); the file may have been cut off") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: {str(value)[:60]!r} is no JSON object")
    return value


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
