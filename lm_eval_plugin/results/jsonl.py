"""Reading JSON objects from a file, with errors that name the line."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from lm_eval_plugin.border.outside_json import UnreadableJsonError, read_json
from lm_eval_plugin.errors import ConfigError

Broken: TypeAlias = Callable[[ConfigError], object]
"""Takes what is said of a part that cannot be read; if it returns, the rest is read."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def refuse(error: ConfigError) -> NoReturn:
    """Read nothing that is not whole."""
    raise error


def check_plain_file(file: Path) -> None:
    """Make sure that something is a file to be read, and not a folder, a pipe or a device, at which reading might wait for ever.

    Raises:
        ConfigError: It is none.
    """
    if file.exists() and not file.is_file():
        raise ConfigError(f"{file} is no plain file; give the files that lm_eval wrote")


def json_objects(file: Path) -> Iterator[dict[str, object]]:
    """The objects of a JSON file (one, or a list of them), or of JSON lines; none of an empty file.

    Raises:
        ConfigError: It cannot be read, or holds something else; names the line or the entry.
    """
    text = _text(file)
    if not text.strip():
        return
    try:
        whole = read_json(text)
    except UnreadableJsonError:
        yield from json_lines(file)
        return
    for number, entry in enumerate(whole if isinstance(whole, list) else [whole]):
        if not isinstance(entry, dict):
            raise ConfigError(f"{file}, entry {number}: {str(entry)[:60]!r} is no JSON object")
        yield entry


def json_lines(file: Path) -> Iterator[dict[str, Any]]:
    """The objects of JSON lines, one at a time.

    Raises:
        ConfigError: As `json_objects`, or there is none.
    """
    return (found for _, found in numbered_lines(file))


def numbered_lines(file: Path, broken: Broken = refuse) -> Iterator[tuple[int, dict[str, object]]]:
    """The objects of JSON lines, one at a time, each with the number of its line; empty lines are passed over.

    Args:
        file: Has one object on each line.
        broken: Takes what is wrong with a line, which is left out; of bytes that are no UTF-8 the rest of it is kept.

    Raises:
        ConfigError: It cannot be read, or there is no line in it.
    """
    found = False
    check_plain_file(file)
    try:
        with file.open("rb") as lines:
            # A file of bytes ends its lines with this sign alone; JSON may hold other line ends.
            for number, line in enumerate(lines, 1):
                if not line.isspace():
                    found = True
                    value = _object(line, f"{file}, line {number}", broken)
                    if value is not None:
                        yield number, value
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    if not found:
        raise ConfigError(f"{file} holds nothing")


def _object(line: bytes, where: str, broken: Broken) -> dict[str, object] | None:
    try:
        value = read_json(_decoded(line.removeprefix(_BYTE_ORDER_MARK), where, broken))
    except UnreadableJsonError as error:
        broken(ConfigError(f"{where}: no JSON ({error}); the file may have been cut off"))
        return None
    if not isinstance(value, dict):
        broken(ConfigError(f"{where}: {str(value)[:60]!r} is no JSON object"))
        return None
    return value


def _decoded(line: bytes, where: str, broken: Broken) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        broken(ConfigError(f"{where}: no UTF-8 ({error.reason} at byte {error.start}); the file may be damaged"))
        return line.decode(errors="replace")


def _text(file: Path) -> str:
    check_plain_file(file)
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error


@contextmanager
def no_search_for_cycles() -> Iterator[None]:
    """Keep Python from searching what was read for cycles, of which reading makes none: it would take a third of the time."""
    searching = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searching:
            gc.enable()
