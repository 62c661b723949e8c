"""Times of contenders that do the same work in turn, so that what else a machine does meets all of them alike."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TypeVar

Result = TypeVar("Result")

HEADING = "| work | contender | seconds | ratio to ours | target |\n|---|---|---|---|---|"


def alternated(contenders: Mapping[str, Callable[[], Result]], repetitions: int) -> dict[str, list[float]]:
    """Seconds of each contender, one a repetition; all must come to an equal result each time.

    Every second repetition is in the opposite order, so that none profits from its place.

    Raises:
        ValueError: A contender's result is another one, so the times do not compare.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    expected: Result | None = None
    for repetition in range(repetitions):
        for name, work in list(contenders.items())[:: -1 if repetition % 2 else 1]:
            started = time.perf_counter()
            result = work()
            times[name].append(time.perf_counter() - started)
            if expected is None:
                expected = result
            elif result != expected:
                raise ValueError(f"{name} came to another result than {next(iter(contenders))}")
    return times


def rows(work: str, times: Mapping[str, Sequence[float]], targets: Mapping[str, float]) -> list[str]:
    """A line of a Markdown table for each contender; ratios are of times of the same repetition, to the first contender's."""
    ours = next(iter(times.values()))
    return [
        f"| {work} | {name} | {spread(seconds, 1)} | {_ratio(seconds, ours)} | {_target(targets.get(name))} |"
        for name, seconds in times.items()
    ]


def spread(values: Sequence[float], digits: int) -> str:
    """The median and the range."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def machine() -> str:
    """How busy the machine is, beside which the times are to be read."""
    one, five, _ = os.getloadavg()
    return f"{os.cpu_count()} cores, load {one:.1f} over one minute and {five:.1f} over five"


def _ratio(seconds: Sequence[float], ours: Sequence[float]) -> str:
    return spread([theirs / own for theirs, own in zip(seconds, ours, strict=True)], 2)


def _target(ratio: float | None) -> str:
    return "" if ratio is None else f"at least {ratio:g}"
