"""How a figure with its interval stands in a table."""

from __future__ import annotations


def interval(value: float | None, low: float | None, high: float | None) -> str:
    """A figure and its ends, such as `0.630 (0.520 to 0.710)`; the ends are left out where there are none."""
    if value is None:
        return "undefined"
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} ({low:.3f} to {high:.3f})"
