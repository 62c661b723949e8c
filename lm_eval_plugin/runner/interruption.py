"""Ending early without losing what is done: Ctrl-C, and SIGTERM as a cluster sends it before it takes a machine away."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.errors import ServerGoneError

logger = logger_of(__name__)

_TERMINATED = 128 + signal.SIGTERM
"""Exit status by which a shell shows that a process was ended by SIGTERM."""


@contextmanager
def interruptible(total: int, finished: Callable[[], int], kept_in: Path | None) -> Iterator[None]:
    """Say on Ctrl-C and SIGTERM how far the dialogues have come and how to go on.

    A server that is gone ends a run likewise. Ctrl-C stays a `KeyboardInterrupt`, whose text says it; SIGTERM becomes a
    `SystemExit` with status 143, so that whatever is open is closed, and a warning says it.

    Args:
        total: How many dialogues are to be held, those that were found finished included.
        finished: How many are finished, and kept where `kept_in` names a file; asked when no model is at work any more.
        kept_in: The file that keeps them; None if nothing does.
    """
    try:
        with _sigterm_raises():
            yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_how_to_go_on(finished(), total, kept_in)) from None
    except ServerGoneError as error:
        raise ServerGoneError(f"{error}\n{_how_to_go_on(finished(), total, kept_in)}") from error
    except _TerminatedError:
        logger.warning("%s", _how_to_go_on(finished(), total, kept_in))
        raise


class _TerminatedError(SystemExit):
    """SIGTERM has come."""


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Have SIGTERM raise in the main thread, unless whoever runs this has other plans for it."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _raise(_signal: int, _frame: FrameType | None) -> None:
    raise _TerminatedError(_TERMINATED)


def _how_to_go_on(finished: int, total: int, kept_in: Path | None) -> str:
    if kept_in is None:
        return (
            f"interrupted: {finished} of {total} dialogues were finished and are lost; with --use_cache FOLDER/NAME each is "
            "kept as soon as it is finished"
        )
    return f"interrupted: {finished} of {total} dialogues are finished and kept in {kept_in}; the same command goes on from there"
