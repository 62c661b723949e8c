"""What is printed and logged, in which nothing that others wrote acts on a terminal.

A server's error, a task's name, a model's reply may hold control characters, of which a terminal takes some as commands, and
marks that turn the direction of what stands behind them. Everything that this package prints or logs passes through here.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO
from weakref import WeakKeyDictionary

_REORDERING = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
_LINE_ENDS = {0x2028, 0x2029}


def printable(text: str) -> str:
    """The text with every control character but line ends and tabs shown as a symbol, and what cannot be encoded escaped."""
    return "".join(map(_symbol, text)).encode(errors="backslashreplace").decode()


def say(text: str = "", file: TextIO | None = None) -> None:
    """Print a line of text.

    Args:
        text: What to print.
        file: Where to; None for the standard output.
    """
    stream = file or sys.stdout
    shown = printable(text)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    print(shown.encode(encoding, errors="backslashreplace").decode(encoding), file=stream)  # nowhere else


def logger_of(module: str) -> logging.Logger:
    """A module's logger, whose messages are printable.

    Args:
        module: Its name.
    """
    logger = logging.getLogger(module)
    if not any(isinstance(each, _Printable) for each in logger.filters):
        logger.addFilter(_Printable())
    return logger


_WARNED: WeakKeyDictionary[object, set[str]] = WeakKeyDictionary()


def warn_once(logger: logging.Logger, about: object, message: str, *arguments: object) -> None:
    """Warn of something about an object, such as a model, that may be found out several times in a run.

    Args:
        logger: Who warns.
        about: What it is about; it must be possible to refer to it weakly.
        message: As for `logging`.
        arguments: Likewise.
    """
    said = _WARNED.setdefault(about, set())
    text = message % arguments if arguments else message
    if text not in said:
        said.add(text)
        logger.warning("%s", text)


class _Printable(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Put the printable message in the place of the one that was given."""
        record.msg, record.args = printable(record.getMessage()), None
        return True


def _symbol(character: str) -> str:
    code = ord(character)
    if character in "\n\t":
        return character
    if code < 0x20:
        return chr(0x2400 + code)
    # 0x7F to 0x9F are controls too; the bidirectional marks could reorder what is on the screen.
    acts = 0x7F <= code <= 0x9F or code in _REORDERING or code in _LINE_ENDS
    return "\N{REPLACEMENT CHARACTER}" if acts else character
