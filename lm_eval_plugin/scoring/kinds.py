"""The kinds of metrics: what a score can be decides which interval its mean gets, never what the scores happen to be."""

from __future__ import annotations

import math
from enum import Enum


class Kind(Enum):
    """What a metric's scores are.

    SHARE: from 0 to 1, such as right or wrong.
    DIFFERENCE: of two shares, from -1 to 1.
    COUNT: of turns, words or tokens, from 0 up.
    SCORE: a judge's, from 1 to 5.
    SECONDS: from 0 up.
    """

    SHARE = "share"
    DIFFERENCE = "difference of shares"
    COUNT = "count"
    SCORE = "score from 1 to 5"
    SECONDS = "seconds"

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the greatest score that there can be."""
        return _BOUNDS[self]

    @property
    def reach(self) -> float:
        """The greatest difference that there can be between two scores."""
        least, greatest = self.bounds
        return greatest - least

    @property
    def of_shares(self) -> bool:
        """Whether its scores are made of right-or-wrong answers, so that one answer changes a score by at most 1."""
        return self in (Kind.SHARE, Kind.DIFFERENCE)


_BOUNDS = {
    Kind.SHARE: (0.0, 1.0),
    Kind.DIFFERENCE: (-1.0, 1.0),
    Kind.COUNT: (0.0, math.inf),
    Kind.SCORE: (1.0, 5.0),
    Kind.SECONDS: (0.0, math.inf),
}
