"""What a user of the command line sees when a run ends early: the message, and no traceback of the code in between."""

from __future__ import annotations

import os
import sys
from types import TracebackType

from lm_eval_plugin.errors import ChatbenchError
from lm_eval_plugin.terminal import say


def show_errors_plainly() -> None:
    """Have the interpreter show this package's errors, and Ctrl-C in a run of dialogues, as their message alone.

    The exit status stays Python's: 1 after an error, the signal's after Ctrl-C. With `LOGLEVEL=DEBUG` the traceback is shown.
    Doing it twice does nothing.
    """
    if not isinstance(sys.excepthook, _PlainErrors):
        sys.excepthook = _PlainErrors(sys.excepthook)


class _PlainErrors:
    """A hook for exceptions that nobody caught, in front of the one that there was."""

    def __init__(self, before: object) -> None:
        self._before = before

    def __call__(self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        """Show an error."""
        ours = isinstance(error, ChatbenchError) or (isinstance(error, KeyboardInterrupt) and error.args)
        if not ours or not _on_command_line() or os.environ.get("LOGLEVEL", "").upper() == "DEBUG":
            self._before(kind, error, traceback)  # type: ignore[operator]  # a hook
            return
        sys.stdout.flush()
        prefix = "lm_eval: error: " if isinstance(error, ChatbenchError) else "lm_eval: "
        say(f"{prefix}{error}", file=sys.stderr)


def _on_command_line() -> bool:
    """Whether this process runs lm_eval's own command, under any launcher."""
    return "lm_eval._cli.harness" in sys.modules
