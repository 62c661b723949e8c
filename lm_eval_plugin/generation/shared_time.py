"""Wall time that rows of a changing batch share: what each of them took of it, in whose company."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment in the life of a batch.

    Args:
        seconds: When it is.
        borne: What a row that had been there from the beginning would have borne by then, in seconds: every second is
            divided evenly among the rows that are there.
    """

    seconds: float
    borne: float

    def since(self, other: Moment) -> tuple[float, int]:
        """Seconds since another moment, and with how many rows a row has shared them on average, itself included."""
        seconds, borne = self.seconds - other.seconds, self.borne - other.borne
        return seconds, max(1, round(seconds / borne)) if borne else 1


class SharedTime:
    """Keeps the time of a batch whose rows come and go."""

    def __init__(self) -> None:
        self._now = Moment(time.perf_counter(), 0.0)
        self._rows = 0

    def changes(self, rows: int) -> Moment:
        """So many rows come, or go if it is less than 0; returns the moment."""
        seconds = time.perf_counter()
        share = (seconds - self._now.seconds) / self._rows if self._rows else 0.0
        self._now = Moment(seconds, self._now.borne + share)
        self._rows += rows
        return self._now
