"""What the intervals cover and the tests reject in simulated data: `python tests/benchmarks/coverage.py`.

A question's static accuracy is beta distributed with mean `static` and concentration 3, its interactive accuracy likewise with mean
`acc`; the two are correlated .6 by a Gaussian copula. The static answer is one draw, the dialogues are `repeats` draws. The true
difference `gap` is taken off the side that has room for it. 5,000 draws a cell, so a share of 95 % is known to +-0.6 points. The
intervals are those of the package (`scoring.intervals`), closed form, of which each draw takes three.

Of each cell: coverage of the 95 % intervals of `acc`, `acc_static` and `acc_gap`; how often the paired test rejects at 5 % where
the gap is 0 (size); and, where fewer than ten wrong or discordant questions are expected, in place of a ceiling on the coverage
the mean width against that of Wilson's interval (of `acc`) and of Agresti and Min's (of `acc_gap`) for single answers.

The marks are: coverage at least .93 (.92 where the lattice of one repeat allows no better), size at most .065, width at most 1.25.
The script ends with status 1 if a cell misses one, and names it.

Result, the least coverage, the greatest size and the greatest widths over the accuracies and gaps (5,000 draws a cell, no cell
misses a mark; 189 s of one core):

| questions | repeats | acc | acc_static | acc_gap | size | width acc | width acc_gap |
|---|---|---|---|---|---|---|---|
| 20 | 1 | 0.940 | 0.940 | 0.942 | 0.039 | 1.000 | 1.000 |
| 20 | 5 | 0.965 | 0.940 | 0.944 | 0.039 | 0.835 | 0.976 |
| 20 | 10 | 0.968 | 0.940 | 0.947 | 0.034 | 0.806 | 0.974 |
| 50 | 1 | 0.922 | 0.922 | 0.951 | 0.045 | 1.000 | 1.000 |
| 50 | 5 | 0.956 | 0.922 | 0.946 | 0.040 | 0.724 | 0.942 |
| 50 | 10 | 0.956 | 0.922 | 0.946 | 0.043 | 0.682 | 0.930 |
| 100 | 1 | 0.936 | 0.936 | 0.948 | 0.052 | 1.000 | 1.000 |
| 100 | 5 | 0.951 | 0.936 | 0.947 | 0.048 | 0.671 | 0.931 |
| 100 | 10 | 0.951 | 0.936 | 0.945 | 0.048 | 0.626 | 0.921 |
| 400 | 1 | 0.945 | 0.945 | 0.946 | 0.052 | 1.000 |  |
| 400 | 5 | 0.947 | 0.945 | 0.944 | 0.053 | 0.641 |  |
| 400 | 10 | 0.947 | 0.945 | 0.945 | 0.050 | 0.584 |  |

Below .93 by their lattice, single answers: 0.9216 at 50 questions and 0.98.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import sqrt

import numpy as np
from scipy import stats

from lm_eval_plugin.scoring.intervals import difference_pivot, quantile, share_interval
from lm_eval_plugin.scoring.kinds import Kind
from lm_eval_plugin.scoring.spread import Spread

CONCENTRATION = 3.0
CORRELATION = 0.6
QUESTIONS = (20, 50, 100, 400)
REPEATS = (1, 5, 10)
ACCURACIES = (0.1, 0.5, 0.9, 0.98)
GAPS = (0.0, 0.05, 0.2)
FEW = 10


@dataclass(frozen=True)
class Cell:
    """One setting of the simulation."""

    questions: int
    repeats: int
    acc: float
    gap: float

    @property
    def static(self) -> float:
        """The static accuracy, on the side on which there is room for the gap."""
        return self.acc - self.gap if self.acc - self.gap >= 0.05 else self.acc + self.gap

    @property
    def difference(self) -> float:
        """The true difference."""
        return self.acc - self.static


@dataclass(frozen=True)
class Found:
    """What came of a cell; widths are ratios, None where they are no concern."""

    acc: float
    static: float
    gap: float
    size: float | None
    width_acc: float | None
    width_gap: float | None


def draw(cell: Cell, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Static answers and mean interactive scores, each of shape [draws, questions]."""
    dice = np.random.default_rng([seed, cell.questions, cell.repeats, round(100 * cell.acc), round(100 * cell.gap)])
    shape = (draws, cell.questions)
    shared = dice.standard_normal(shape)
    own = CORRELATION * shared + sqrt(1 - CORRELATION**2) * dice.standard_normal(shape)
    easy = [
        stats.beta.ppf(stats.norm.cdf(latent), CONCENTRATION * mean, CONCENTRATION * (1 - mean))
        for latent, mean in ((shared, cell.static), (own, cell.acc))
    ]
    static = (dice.random(shape) < easy[0]).astype(float)
    return static, dice.binomial(cell.repeats, easy[1]) / cell.repeats


def spreads(values: np.ndarray) -> Iterator[Spread]:
    """The spread of each draw's mean."""
    n = values.shape[1]
    errors = values.std(axis=1, ddof=1) / sqrt(n)
    for mean, error in zip(values.mean(axis=1), errors, strict=True):
        yield Spread(float(mean), float(error), n, n - 1)


def wilson(mean: float, n: int) -> float:
    """Width of Wilson's interval with Student's quantile."""
    shrink = quantile(n - 1, 0.025) ** 2 / n
    return 2 * sqrt(shrink * (mean * (1 - mean) + shrink / 4)) / (1 + shrink)


def simulate(cell: Cell, draws: int, seed: int) -> Found:
    """Take the intervals of every draw of a cell."""
    static, acc = draw(cell, draws, seed)
    covered = np.zeros(3)
    rejected = width = width_of_wilson = width_gap = width_of_min = 0.0
    single = (np.random.default_rng(seed).random(acc.shape) < acc).astype(float)
    taken = (spreads(acc), spreads(static), spreads(acc - static), spreads(single - static))
    for ours, theirs, apart, once in zip(*taken, strict=True):
        low, high = share_interval(ours)
        covered[0] += low <= cell.acc <= high
        width, width_of_wilson = width + high - low, width_of_wilson + wilson(ours.mean, cell.questions)
        low, high = share_interval(theirs)
        covered[1] += low <= cell.static <= high
        low, high = difference_pivot(apart, 1.0, Kind.SHARE).interval()
        covered[2] += low <= cell.difference + 1e-12 and cell.difference - 1e-12 <= high
        rejected += not low <= 0 <= high
        width_gap += high - low
        low, high = difference_pivot(once, 1.0, Kind.SHARE).interval()
        width_of_min += high - low
    wrong = cell.questions * min(cell.acc, 1 - cell.acc)
    discordant = cell.questions * float(np.mean(single != static))
    # Single answers need no draws.
    exact = [best_of_lattice(cell.acc, cell.questions) if cell.repeats == 1 else covered[0] / draws]
    exact += [best_of_lattice(cell.static, cell.questions), covered[2] / draws]
    return Found(
        *exact,
        size=rejected / draws if cell.gap == 0 else None,
        width_acc=width / width_of_wilson if wrong < FEW else None,
        width_gap=width_gap / width_of_min if discordant < FEW else None,
    )


@lru_cache
def best_of_lattice(p: float, n: int) -> float:
    """Coverage of the interval of single answers, exactly: their lattice allows none of this width a better one."""
    counts = np.arange(n + 1)
    spreads_of_counts = (Spread(k / n, sqrt(k / n * (1 - k / n) / (n - 1)), n, n - 1) for k in counts)
    covered = [low <= p <= high for low, high in map(share_interval, spreads_of_counts)]
    return float(stats.binom.pmf(counts, n, p)[covered].sum())


def misses(cell: Cell, found: Found) -> list[str]:
    """The marks that a cell misses."""
    missed = []
    for name, share, true, repeats in (
        ("acc", found.acc, cell.acc, cell.repeats),
        ("acc_static", found.static, cell.static, 1),
        ("acc_gap", found.gap, None, cell.repeats),
    ):
        lattice = repeats == 1 and (true is None or best_of_lattice(true, cell.questions) < 0.93)
        if share < (0.92 if lattice else 0.93):
            missed.append(f"{name} {share:.3f}")
    if found.size is not None and found.size > 0.065:
        missed.append(f"size {found.size:.3f}")
    missed += [f"width {each:.2f}" for each in (found.width_acc, found.width_gap) if each is not None and each > 1.25]
    return missed


def shown(value: float | None) -> str:
    """A number of the table."""
    return "" if value is None else f"{value:.3f}"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    started, failed = time.process_time(), []
    print(
        "| questions | repeats | acc | gap | cover acc | cover acc_static | cover acc_gap | size | width acc | width acc_gap |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for numbers in product(QUESTIONS, REPEATS, ACCURACIES, GAPS):
        cell = Cell(*numbers)
        found = simulate(cell, chosen.draws, chosen.seed)
        values = (found.acc, found.static, found.gap, found.size, found.width_acc, found.width_gap)
        print(f"| {' | '.join(map(str, numbers))} | {' | '.join(map(shown, values))} |", flush=True)
        failed += [f"{cell}: {', '.join(missed)}" for missed in [misses(cell, found)] if missed]
    print(f"\n{len(failed)} cells miss a mark; {time.process_time() - started:.0f} s of one core")
    print("\n".join(failed))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
