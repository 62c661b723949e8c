"""Time and memory of reading a run of 14,000 samples against its file: `python tests/benchmarks/reading.py`, two minutes.

Time: the median of five readings by `load_run` over the median of five bare loops of `json.loads` over the lines of the
same file, in turn. Memory: the most that Python holds at one time while it reads, over the size of the file. What the
loop takes depends on how long the dialogues are, so a run of short ones stands beside one of 400 words on average.

On two cores shared with other work:

| messages | file | json.loads | load_run | time ratio | memory ratio |
| --- | --- | --- | --- | --- | --- |
| of short sentences | 112 MB | 0.69 s | 2.02 s | 2.93 | 0.52 |
| of all sentences | 156 MB | 0.96 s | 2.49 s | 2.59 | 0.49 |
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from sample_runs import Writer

from lm_eval_plugin.results.runs import load_run

SAMPLES = 14_000
READINGS = 5


def seconds(work: Callable[[], object]) -> float:
    """The processor time of a call, in which other work on the machine does not count."""
    started = time.process_time()
    work()
    return time.process_time() - started


def bare(file: Path) -> None:
    """The loop that reading is held against."""
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            json.loads(line)


def peak(work: Callable[[], object]) -> int:
    """The most bytes that Python holds at one time during a call."""
    tracemalloc.start()
    kept = work()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del kept
    return most


def line(name: str, run: Path) -> str:
    """A row of the table."""
    (file,) = run.glob("samples_*")
    times = [(seconds(lambda: bare(file)), seconds(lambda: load_run(run))) for _ in range(READINGS)]
    loop, reading = (median(column) for column in zip(*times, strict=True))
    size = file.stat().st_size
    cells = (f"{size / 1e6:.0f} MB", f"{loop:.2f} s", f"{reading:.2f} s", f"{reading / loop:.2f}")
    return f"| {' | '.join((name, *cells, f'{peak(lambda: load_run(run)) / size:.2f}'))} |"


def main() -> None:
    """Print one line for each length of dialogue."""
    headings = ("messages", "file", "json.loads", "load_run", "time ratio", "memory ratio")
    print(f"| {' | '.join(headings)} |", f"| {' | '.join(['---'] * len(headings))} |", sep="\n", flush=True)
    for name, longest in (("of short sentences", 60), ("of all sentences", 250)):
        with tempfile.TemporaryDirectory() as folder:
            writer = Writer(Path(folder))
            writer.texts = [text for text in writer.texts if len(text) < longest]
            print(line(name, writer.run("m", {"t": SAMPLES})), flush=True)


if __name__ == "__main__":
    main()
