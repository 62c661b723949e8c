"""Text that others wrote, such as a model's name, as a terminal, a page or Markdown can show it and none acts on it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lm_eval_plugin.border.terminal import printable

# Signs that mean something wherever they stand, and others where they do; between letters an underscore is one.
_STRUCTURE = re.compile(
    r"[\\`*\[\]<>|~&$]|(?<![^\W_])_|_(?![^\W_])|#(?=\d)|:(?=//)|(?<=www)\."
    r"|^[+-](?=\s|$)|^\#(?=\#*(?:\s|$))|^[-=](?=[-=\s]*$)|(?:(?<=^\d)|(?<=^\d\d)|(?<=^\d\d\d))[.)](?=\s|$)",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"@|&#35;")


def visible(text: str) -> str:
    """A text on one line, in which nothing acts on a terminal and everything can be encoded."""
    return " ".join(printable(text).split())


def shortened(text: str, longest: int) -> str:
    """A visible text of at most so many characters."""
    shown = visible(text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def in_markdown(text: str) -> str:
    """A text that Markdown shows as it is, and that can be read as it is.

    Signs are character references where they would be structure and plain elsewhere; no person or issue is mentioned.
    """
    plain = _STRUCTURE.sub(lambda sign: f"&#{ord(sign[0])};", visible(text))
    # A forge looks for mentions after the references are resolved, so those need a break.
    return _REFERENCE.sub("\\g<0>\N{ZERO WIDTH SPACE}", plain)


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown whose columns also stand below each other where it is read as a file.

    Args:
        headings: One a column, as Markdown.
        rows: As many cells each, likewise.
    """
    *widths, _ = [max(3, *map(len, column)) for column in zip(headings, *rows, strict=True)]
    widths += [3]  # what ends a line lines up with nothing
    lines = [headings, ["-" * width for width in widths], *rows]
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |" for line in lines
    )
