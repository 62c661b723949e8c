"""What the start-up watcher costs every Python start: `python tests/benchmarks/start_up.py`.

Starts bare interpreters in turn, with and without the line of the `.pth` file, and prints the medians and their ratio.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

LINE = (Path(__file__).parents[2] / "lm_eval_plugin" / "autoload.pth").read_text()
STARTS = 101


def seconds(code: str) -> float:
    """Wall time of one interpreter without site packages that runs the code."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-S", "-E", "-c", code], check=True)
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    pairs = [(seconds("pass"), seconds(LINE)) for _ in range(STARTS)]
    bare, watched = (statistics.median(side) * 1000 for side in zip(*pairs, strict=True))
    difference = statistics.median(after - before for before, after in pairs) * 1000
    print(
        f"bare start {bare:.2f} ms, with the watcher {watched:.2f} ms, ratio {watched / bare:.3f}, difference {difference:.2f} ms"
    )


if __name__ == "__main__":
    main()
