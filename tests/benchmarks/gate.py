"""How often the gate fails a candidate in simulated data: `python tests/benchmarks/gate.py`, about fifteen minutes.

Question accuracies are beta distributed with mean `accuracy` and concentration 2, as in `coverage.py`; the candidate's is
the baseline's times 1 - drop / accuracy; a score is a Bernoulli draw. alpha is 5 % and the tolerated drop 2 %. 2,000
repetitions a cell, 1,000 of 2,000 questions, so that a share of 5 % is known to +-0.5 (0.7) and one of 80 % to +-0.9
(1.3) points, one standard error.

All in %, and after the slash for a fixed tolerance, which fails whatever drops by more than 2 %. "no drop" and "drop of 2":
how many fail, none of which should beyond alpha. "fails at": the true drop at which 80 % shall fail; "stated": the median
of what the gate says it is; "failed": how many there do. The same follows for the smallest drop that can be told from
none, with a tolerance of 0. "cannot tell": how often the gate says so without a drop.

A size of 5.9 for 100 questions, 10 repeats and 0.95 is the skewness of the differences, if it is not chance.
By exact enumeration the size for one repeat is at most 5.3 % (see `lm_eval_plugin/comparison/gate.py`).

| questions | repeats | accuracy | no drop | drop of 2 | fails at | stated | failed | detectable | stated | failed | cannot tell |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| 100 | 1 | 0.8 | 1.6 / 28.4 | 4.2 / 45.9 | 15.8 | 15.8 | 80.2 / 99.4 | 13.6 | 13.5 | 80.3 | 86.7 |
| 100 | 1 | 0.95 | 0.9 / 16.7 | 4.7 / 42.1 | 12.0 | 12.0 | 80.5 / 99.4 | 9.4 | 9.5 | 82.2 | 78.6 |
| 100 | 10 | 0.8 | 0.1 / 7.7 | 5.4 / 48.4 | 6.0 | 6.0 | 79.8 / 99.3 | 3.9 | 3.9 | 79.1 | 62.9 |
| 100 | 10 | 0.95 | 0.0 / 0.8 | 5.9 / 50.0 | 4.6 | 4.5 | 80.4 / 99.5 | 2.3 | 2.3 | 79.4 | 13.0 |
| 400 | 1 | 0.8 | 0.5 / 18.6 | 4.9 / 47.2 | 8.4 | 8.5 | 79.5 / 99.0 | 6.3 | 6.3 | 80.6 | 78.0 |
| 400 | 1 | 0.95 | 0.1 / 4.3 | 4.1 / 46.5 | 6.3 | 6.3 | 81.9 / 99.4 | 3.9 | 3.9 | 80.2 | 51.5 |
| 400 | 10 | 0.8 | 0.0 / 0.1 | 4.3 / 48.4 | 3.9 | 3.9 | 80.3 / 98.9 | 1.9 | 1.9 | 81.8 | 0.8 |
| 400 | 10 | 0.95 | 0.0 / 0.0 | 4.3 / 47.7 | 3.2 | 3.2 | 81.8 / 99.2 | 1.1 | 1.1 | 79.0 | 0.0 |
| 2000 | 1 | 0.8 | 0.0 / 2.7 | 5.0 / 50.6 | 4.8 | 4.8 | 78.3 / 99.4 | 2.7 | 2.7 | 81.2 | 37.6 |
| 2000 | 1 | 0.95 | 0.0 / 0.0 | 4.2 / 48.9 | 3.7 | 3.7 | 80.8 / 99.4 | 1.5 | 1.5 | 78.7 | 0.0 |
| 2000 | 10 | 0.8 | 0.0 / 0.0 | 5.5 / 48.3 | 2.9 | 2.9 | 78.9 / 99.2 | 0.8 | 0.8 | 77.4 | 0.0 |
| 2000 | 10 | 0.95 | 0.0 / 0.0 | 4.5 / 49.5 | 2.5 | 2.5 | 80.8 / 99.7 | 0.5 | 0.5 | 78.1 | 0.0 |
"""

from __future__ import annotations

import math
from itertools import product
from multiprocessing import Pool
from statistics import NormalDist, median

import numpy as np
from scipy import optimize, special

from lm_eval_plugin.comparison.gate import POWER, Check, Limits, Pairs, Verdict, decided

REPETITIONS = {100: 2_000, 400: 2_000, 2_000: 1_000}
QUESTIONS = tuple(REPETITIONS)
REPEATS = (1, 10)
ACCURACIES = (0.8, 0.95)
CONCENTRATION = 2
ALPHA = 0.05
MAX_DROP = 0.02

Cell = tuple[int, int, float]


def detectable(drop: float, cell: Cell) -> float:
    """What the gate would state if it knew the variance of the questions' differences."""
    questions, repeats, accuracy = cell
    square = accuracy**2 + accuracy * (1 - accuracy) / (CONCENTRATION + 1)
    s = drop / accuracy
    noise = ((1 - s) * accuracy - (1 - s) ** 2 * square + accuracy - square) / repeats
    sd = math.sqrt(s**2 * square - drop**2 + noise)
    quantile = float(special.stdtrit(questions - 1, 1 - ALPHA)) + NormalDist().inv_cdf(POWER)
    return quantile * sd / math.sqrt(questions)


def drop_found(max_drop: float, cell: Cell) -> float:
    """The true drop that is max_drop and what is detectable at that drop."""
    return float(optimize.brentq(lambda drop: drop - max_drop - detectable(drop, cell), 0, cell[2]))


def checks(drop: float, max_drop: float, cell: Cell) -> list[Check]:
    """What the gate says of each simulated pair of runs."""
    questions, repeats, accuracy = cell
    random = np.random.default_rng(
        [questions, repeats, round(1e6 * accuracy), round(1e6 * drop), round(1e6 * max_drop)]
    )
    limits, found = Limits(max_drop, ALPHA), []
    for _ in range(REPETITIONS[questions]):
        truth = random.beta(accuracy * CONCENTRATION, (1 - accuracy) * CONCENTRATION, size=questions)
        rates = np.stack([truth, truth * (1 - drop / accuracy)], axis=1)[:, None, :]
        scores = (random.random((questions, repeats, 2)) < rates).astype(float).tolist()
        held = Pairs(tuple(tuple(map(tuple, pairs)) for pairs in scores))
        found += decided({"task": {"acc": held}}, limits)
    return found


def failed(found: list[Check]) -> str:
    """The share that fails by the gate and by the fixed tolerance."""
    gate = np.mean([check.verdict is Verdict.FAIL for check in found])
    fixed = np.mean([check.drop > MAX_DROP for check in found])
    return f"{100 * gate:.1f} / {100 * fixed:.1f}"


def line(cell: Cell) -> str:
    """A row of the table."""
    questions, repeats, accuracy = cell
    beyond, told = drop_found(MAX_DROP, cell), drop_found(0.0, cell)
    same, limit, worse = (checks(drop, MAX_DROP, cell) for drop in (0.0, MAX_DROP, beyond))
    least = checks(told, 0.0, cell)
    blind = np.mean([check.verdict is Verdict.CANNOT_TELL for check in same])
    power = np.mean([check.verdict is Verdict.FAIL for check in least])
    stated = [
        median(getattr(check, name) for check in each) for each, name in ((worse, "fails_at"), (least, "detectable"))
    ]
    cells = (
        *(questions, repeats, accuracy, failed(same), failed(limit)),
        *(f"{100 * beyond:.1f}", f"{100 * stated[0]:.1f}", failed(worse)),
        *(f"{100 * told:.1f}", f"{100 * stated[1]:.1f}", f"{100 * power:.1f}", f"{100 * blind:.1f}"),
    )
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    """Simulate all cells on two processes and print the table."""
    headings = (
        *("questions", "repeats", "accuracy", "no drop", "drop of 2", "fails at", "stated", "failed"),
        *("detectable", "stated", "failed", "cannot tell"),
    )
    print(f"| {' | '.join(headings)} |", f"| {' | '.join(['---'] * len(headings))} |", sep="\n", flush=True)
    cells = [(q, r, accuracy) for q, r, accuracy in product(QUESTIONS[::-1], REPEATS[::-1], ACCURACIES)]
    with Pool(2) as pool:
        for row in pool.imap_unordered(line, cells):
            print(row, flush=True)


if __name__ == "__main__":
    main()
