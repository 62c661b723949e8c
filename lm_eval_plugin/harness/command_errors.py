"""What a user of the command line sees when a run ends early: the message, and no traceback of the code in between."""

from __future__ import annotations

import atexit
import logging
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeAlias

from lm_eval_plugin.border.terminal import logger_of, say
from lm_eval_plugin.errors import ChatbenchError

logger = logger_of(__name__)


def show_errors_plainly() -> None:
    """Have the interpreter show this package's errors, and Ctrl-C in a run of dialogues, as their message alone.

    The exit status stays Python's: 1 after an error, the signal's after Ctrl-C. With `LOGLEVEL=DEBUG` the traceback is shown.
    Doing it twice does nothing.
    """
    if not isinstance(sys.excepthook, _PlainErrors):
        sys.excepthook = _PlainErrors(sys.excepthook)


_Hook: TypeAlias = Callable[[type[BaseException], BaseException, TracebackType | None], object]


class _PlainErrors:
    """A hook for exceptions that nobody caught, in front of the one that there was."""

    def __init__(self, before: _Hook) -> None:
        self._before = before

    def __call__(self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        """Show an error."""
        ours = isinstance(error, ChatbenchError) or (isinstance(error, KeyboardInterrupt) and error.args)
        if not ours or not _on_command_line() or os.environ.get("LOGLEVEL", "").upper() == "DEBUG":
            self._before(kind, error, traceback)
            return
        sys.stdout.flush()
        prefix = "lm_eval: error: " if isinstance(error, ChatbenchError) else "lm_eval: "
        say(f"{prefix}{error}", file=sys.stderr)


def check_model_errors(tasks: Mapping[str, Mapping[str, Any]], most: float) -> None:
    """Say that too many dialogues of a run failed, and have the command end with status 1 once all is written.

    Args:
        tasks: What the run's summary says of each task.
        most: The share of its dialogues that may fail; a single one always may.
    """
    failed = sum(task["unscored"] for task in tasks.values())
    held = sum(task["dialogues"] for task in tasks.values())
    if failed < 2 or failed <= most * held:
        return
    logger.error(
        "%d of %d dialogues ended because a model returned no reply, more than max_model_errors (%g) allows; the numbers are of "
        "the others, and the command ends with status 1.",
        failed,
        held,
        most,
    )
    if _on_command_line() and not _STATUS:
        _STATUS.append(1)
        atexit.register(_end_with_status)


_STATUS: list[int] = []
"""The exit status of a command that ends without an error, once something has set it."""


def _end_with_status() -> None:
    # lm_eval's command returns nothing that could be its status, and writes its results after the run has ended.
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(_STATUS[0])


def _on_command_line() -> bool:
    """Whether this process runs lm_eval's own command, under any launcher."""
    return "lm_eval._cli.harness" in sys.modules
