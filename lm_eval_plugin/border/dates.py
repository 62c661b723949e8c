"""Moments as lm_eval writes them: the time of this machine's clock, without its zone."""

from __future__ import annotations

from datetime import datetime


def local_time(seconds: float) -> datetime:
    """A moment, given in seconds since 1970, as the clock of this machine shows it."""
    return datetime.fromtimestamp(seconds).astimezone().replace(tzinfo=None)


def date_of_name(seconds: float) -> str:
    """A moment as it stands in the names of lm_eval's files."""
    return local_time(seconds).isoformat().replace(":", "-")
