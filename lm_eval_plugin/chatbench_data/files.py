"""Reading the files of a ChatBench release into rows, with errors that say where a file is broken."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lm_eval_plugin.border.outside_json import UnreadableJsonError, read_json
from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.errors import ConfigError

logger = logger_of(__name__)

Record = TypeVar("Record")

_SHOWN_PROBLEMS = 5


class BadRowError(ValueError):
    """A row cannot be used; the message says why. The row is left out and counted."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that was left out.

    Args:
        file: Its file, below the release's folder.
        row: Its place in the file, from 0; a header does not count.
        what: What is wrong with it.
    """

    file: str
    row: int
    what: str

    def __str__(self) -> str:
        """The problem on one line."""
        return f"{self.file}, row {self.row}: {self.what}"


def read_rows(file: Path) -> Sequence[Mapping[str, object]]:
    """The rows of a CSV file, or the entries of a JSON list.

    Raises:
        ConfigError: It cannot be read, is cut off, or holds something else.
    """
    try:
        # Line ends within texts stay as they are.
        text = file.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    rows = _csv_rows(text, file) if file.suffix == ".csv" else _json_rows(text, file)
    if not rows:
        raise ConfigError(f"{file} holds no rows")
    return rows


def good_rows(
    rows: Sequence[Mapping[str, Any]], parse: Callable[[int, Mapping[str, Any]], Record], file: str, where: Path
) -> tuple[tuple[Record, ...], tuple[Problem, ...]]:
    """The records of the rows that are good, and why the others are not, which a warning says, too.

    Args:
        rows: The rows.
        parse: Makes a record of a row and its place; raises `BadRowError`.
        file: Names the file in problems.
        where: Where it is.

    Raises:
        ConfigError: No row is good.
    """
    records: list[Record] = []
    problems: list[Problem] = []

    def read(place: int, row: Mapping[str, Any]) -> None:
        try:
            records.append(parse(place, row))
        except BadRowError as error:
            problems.append(Problem(file, place, str(error)))

    for place, row in enumerate(rows):
        read(place, row)
    if not records:
        raise ConfigError(f"{where} has no row that can be used; the first: {problems[0]}")
    if problems:
        shown = "; ".join(map(str, problems[:_SHOWN_PROBLEMS]))
        more = f"; and {len(problems) - _SHOWN_PROBLEMS} more" if len(problems) > _SHOWN_PROBLEMS else ""
        logger.warning("%d of %d rows of %s are left out: %s%s", len(problems), len(rows), where, shown, more)
    return tuple(records), tuple(problems)


def _csv_rows(text: str, file: Path) -> list[dict[str, Any]]:
    try:
        rows: list[dict[Any, Any]] = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise ConfigError(f"{file} is no CSV: {error}; the file may have been cut off, get it again") from error
    for place, row in enumerate(rows):
        if None in row:
            raise ConfigError(f"{file}, row {place} has more fields than the header; quote those that hold commas")
    return [{column: entry or None for column, entry in row.items()} for row in rows]


def _json_rows(text: str, file: Path) -> list[dict[str, object]]:
    try:
        entries = read_json(text)
    except UnreadableJsonError as error:
        raise ConfigError(
            f"{file} is no JSON: {error}, of {len(text)} characters; the file may have been cut off, get it again"
        ) from error
    if not isinstance(entries, list):
        raise ConfigError(f"{file} holds a {type(entries).__name__}; it must be a list of objects")
    for place, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise ConfigError(f"{file}, row {place}: {str(entry)[:60]!r} is no JSON object")
    return entries
