"""What the intervals cover and the tests reject in simulated data: `python tests/benchmarks/coverage.py`.

Question accuracies are beta distributed with mean `accuracy` and concentration 2 (many questions near 0 or 1) or 10; a
score is a Bernoulli draw. The first run's accuracy on a question is the second's times (1 - s): s = 0 for the size, and
for the power the s at which the true difference is the detectable one. 2,000 repetitions a cell, so a share of 95 % is
known to +-1 point and one of 80 % to +-1.8. The t interval and the percentile bootstrap are there to compare with.

Coverage of the 95 % interval of a mean, in %, as chosen / t interval, by accuracy. Of one repeat it can be computed: at
50, 100, 200 and 400 questions and accuracies from 0.5 to 0.95 it lies from 93.5, 93.6, 94.1 and 94.5 % up.

| repeats | concentration | questions | 0.5 | 0.7 | 0.8 | 0.9 | 0.95 |
| --- | --- | --- | --- | --- | --- | --- | --- |
| 1 | 2 | 50 | 96.9 / 94.3 | 96.0 / 94.3 | 95.0 / 93.1 | 97.1 / 88.1 | 96.5 / 91.5 |
| 1 | 2 | 100 | 95.1 / 95.1 | 96.2 / 94.8 | 94.2 / 94.0 | 92.1 / 91.3 | 97.2 / 88.5 |
| 1 | 2 | 200 | 95.3 / 95.3 | 94.7 / 94.4 | 95.5 / 93.3 | 95.7 / 93.1 | 96.7 / 94.1 |
| 1 | 2 | 400 | 95.0 / 95.0 | 95.7 / 94.5 | 94.7 / 95.0 | 94.6 / 95.7 | 94.7 / 92.6 |
| 10 | 2 | 50 | 95.5 / 95.1 | 95.2 / 95.2 | 94.8 / 94.5 | 92.9 / 91.5 | 93.7 / 90.1 |
| 10 | 2 | 100 | 95.2 / 95.1 | 94.9 / 94.7 | 95.1 / 94.5 | 94.8 / 94.0 | 94.6 / 92.3 |
| 10 | 2 | 200 | 94.9 / 94.8 | 95.9 / 95.8 | 94.8 / 94.2 | 94.5 / 94.0 | 94.8 / 94.1 |
| 10 | 2 | 400 | 94.3 / 94.3 | 95.9 / 95.7 | 95.5 / 95.2 | 95.3 / 95.3 | 94.0 / 93.3 |
| 10 | 10 | 50 | 94.7 / 94.6 | 95.0 / 94.9 | 95.2 / 94.9 | 95.5 / 94.7 | 94.6 / 93.5 |
| 10 | 10 | 100 | 95.2 / 95.0 | 94.6 / 94.3 | 95.8 / 95.5 | 94.7 / 94.5 | 94.8 / 93.5 |
| 10 | 10 | 200 | 94.8 / 94.8 | 94.8 / 94.5 | 95.3 / 95.0 | 95.0 / 95.3 | 95.2 / 94.3 |
| 10 | 10 | 400 | 94.0 / 94.0 | 95.2 / 95.1 | 95.0 / 95.0 | 94.8 / 94.5 | 95.0 / 94.9 |

Paired tests with concentration 2, all in %: rejections at 5 % without a true difference (size), the true detectable
difference and the median of what the tests report as such, the rejections at that difference (power), and the coverage of
the interval of the difference as chosen / t interval / bootstrap, without a true difference and at the detectable one. The
McNemar test (1 : 1) rejects less where few questions are discordant (three of 50 at 0.95).

| repeats | questions | accuracy | size | detectable | reported | power | coverage | with s |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
| 1 : 1 | 50 | 0.5 | 4.2 | 25.6 | 26.4 | 84.0 | 95.3 / 95.3 / 95.5 | 95.5 / 94.9 / 94.3 |
| 1 : 1 | 50 | 0.8 | 4.3 | 24.9 | 25.8 | 83.5 | 95.7 / 95.5 / 94.8 | 94.8 / 95.0 / 93.7 |
| 1 : 1 | 50 | 0.95 | 1.2 | 19.7 | 20.6 | 87.2 | 98.8 / 96.7 / 96.6 | 95.6 / 95.4 / 94.5 |
| 1 : 1 | 100 | 0.5 | 5.9 | 17.5 | 17.8 | 80.0 | 93.8 / 93.8 / 94.0 | 94.8 / 94.8 / 94.0 |
| 1 : 1 | 100 | 0.8 | 4.8 | 16.1 | 16.4 | 82.1 | 94.9 / 94.7 / 95.0 | 95.7 / 95.7 / 95.3 |
| 1 : 1 | 100 | 0.95 | 3.0 | 11.6 | 12.1 | 84.7 | 97.0 / 95.5 / 95.3 | 94.3 / 94.4 / 94.0 |
| 1 : 1 | 400 | 0.5 | 3.9 | 8.4 | 8.5 | 80.1 | 96.1 / 96.1 / 95.9 | 94.2 / 94.3 / 93.8 |
| 1 : 1 | 400 | 0.8 | 5.3 | 7.2 | 7.3 | 80.6 | 94.7 / 94.6 / 95.0 | 95.5 / 95.5 / 94.9 |
| 1 : 1 | 400 | 0.95 | 4.5 | 4.6 | 4.7 | 82.3 | 95.5 / 95.0 / 95.5 | 95.2 / 95.2 / 94.5 |
| 10 : 10 | 50 | 0.5 | 3.5 | 7.6 | 7.6 | 77.0 | 95.9 / 96.1 / 95.1 | 95.0 / 95.0 / 93.6 |
| 10 : 10 | 50 | 0.8 | 3.8 | 6.4 | 6.3 | 75.5 | 95.7 / 95.4 / 94.5 | 94.7 / 94.8 / 94.0 |
| 10 : 10 | 50 | 0.95 | 3.0 | 3.9 | 3.8 | 74.2 | 95.3 / 95.0 / 93.0 | 95.6 / 94.5 / 92.5 |
| 10 : 10 | 100 | 0.5 | 5.5 | 5.3 | 5.3 | 79.0 | 93.8 / 93.9 / 93.9 | 95.8 / 95.8 / 95.2 |
| 10 : 10 | 100 | 0.8 | 4.0 | 4.4 | 4.4 | 76.1 | 95.6 / 95.1 / 94.8 | 95.7 / 95.7 / 94.3 |
| 10 : 10 | 100 | 0.95 | 3.4 | 2.6 | 2.6 | 79.1 | 96.4 / 95.5 / 94.7 | 96.1 / 95.5 / 94.2 |
| 10 : 10 | 400 | 0.5 | 5.1 | 2.6 | 2.6 | 79.3 | 94.8 / 94.8 / 94.5 | 95.0 / 95.0 / 94.7 |
| 10 : 10 | 400 | 0.8 | 3.8 | 2.1 | 2.1 | 78.0 | 95.7 / 95.9 / 95.7 | 94.6 / 94.5 / 94.3 |
| 10 : 10 | 400 | 0.95 | 4.2 | 1.2 | 1.2 | 78.3 | 95.5 / 95.2 / 95.2 | 95.4 / 95.1 / 94.3 |
| 10 : 1 | 50 | 0.5 | 4.7 | 17.5 | 17.5 | 77.1 | 95.6 / 95.1 / 94.2 | 95.6 / 94.8 / 94.0 |
| 10 : 1 | 50 | 0.8 | 5.1 | 14.1 | 14.1 | 75.9 | 95.1 / 94.5 / 93.5 | 96.4 / 95.0 / 94.8 |
| 10 : 1 | 50 | 0.95 | 8.2 | 8.1 | 7.9 | 74.8 | 94.1 / 91.6 / 88.5 | 95.3 / 94.3 / 92.0 |
| 10 : 1 | 100 | 0.5 | 5.1 | 12.2 | 12.2 | 79.6 | 95.1 / 94.8 / 94.3 | 95.4 / 95.2 / 94.5 |
| 10 : 1 | 100 | 0.8 | 4.9 | 9.9 | 9.9 | 78.0 | 94.8 / 95.0 / 94.6 | 94.8 / 94.7 / 93.9 |
| 10 : 1 | 100 | 0.95 | 6.0 | 5.6 | 5.5 | 76.8 | 95.0 / 93.5 / 92.9 | 96.0 / 93.8 / 93.5 |
| 10 : 1 | 400 | 0.5 | 4.8 | 6.0 | 6.0 | 80.7 | 95.2 / 95.2 / 95.3 | 95.1 / 95.0 / 94.7 |
| 10 : 1 | 400 | 0.8 | 4.7 | 4.9 | 4.9 | 79.1 | 94.8 / 95.3 / 94.7 | 95.3 / 95.5 / 95.4 |
| 10 : 1 | 400 | 0.95 | 5.1 | 2.7 | 2.7 | 78.2 | 94.7 / 94.7 / 94.5 | 95.0 / 95.2 / 94.9 |
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from multiprocessing import Pool

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from lm_eval_plugin.statistics import detectable_difference, mean_estimate, paired_test

REPETITIONS = 2_000
QUESTIONS = (50, 100, 200, 400)
ACCURACIES = (0.5, 0.7, 0.8, 0.9, 0.95)
BOOTSTRAPS = 1_000
ROUNDING = 1e-12

Array = NDArray[np.float64]
MeanCell = tuple[int, int, int, float]
PairCell = tuple[int, int, int, float]


def t_half_width(values: Array) -> Array:
    """Half the t interval of each row's mean."""
    questions = values.shape[1]
    return special.stdtrit(questions - 1, 0.975) * values.std(axis=1, ddof=1) / math.sqrt(questions)


def mean_cell(cell: MeanCell) -> tuple[float, float]:
    """Coverage of the chosen interval and of the t interval."""
    questions, repeats, concentration, accuracy = cell
    random = np.random.default_rng(abs(hash(cell)))
    shape = (REPETITIONS, questions)
    truth = random.beta(accuracy * concentration, (1 - accuracy) * concentration, size=shape)
    scores = (random.random((*shape, repeats)) < truth[:, :, None]).astype(float)
    estimates = [mean_estimate(run) for run in scores.tolist()]
    covered = np.mean([held.low - ROUNDING <= accuracy <= held.high + ROUNDING for held in estimates])
    means = scores.mean(axis=2)
    return float(covered), float(np.mean(np.abs(means.mean(axis=1) - accuracy) <= t_half_width(means) + ROUNDING))


def difference_sd(s: float, accuracy: float, repeats: tuple[int, int], concentration: int) -> float:
    """The sd that the test's detectable difference takes: of the differences, or root of the discordant share."""
    square = accuracy**2 + accuracy * (1 - accuracy) / (concentration + 1)
    noise = ((1 - s) * accuracy - (1 - s) ** 2 * square) / repeats[0] + (accuracy - square) / repeats[1]
    centre = 0.0 if repeats == (1, 1) else (s * accuracy) ** 2
    return math.sqrt(s**2 * square - centre + noise)


def detectable_s(questions: int, accuracy: float, repeats: tuple[int, int], concentration: int) -> float:
    """The s at which the true difference is the detectable one."""

    def excess(s: float) -> float:
        return s * accuracy - detectable_difference(difference_sd(s, accuracy, repeats, concentration), questions)

    return float(optimize.brentq(excess, 0, 1))


def pair_runs(s: float, cell: PairCell, concentration: int = 2) -> tuple[Array, Array]:
    """The scores of both sides, repetitions x questions x repeats."""
    questions, first, second, accuracy = cell
    random = np.random.default_rng(abs(hash((s, *cell))))
    shape = (REPETITIONS, questions)
    truth = random.beta(accuracy * concentration, (1 - accuracy) * concentration, size=shape)[:, :, None]
    ours = (random.random((*shape, first)) < truth * (1 - s)).astype(float)
    return ours, (random.random((*shape, second)) < truth).astype(float)


def pair_cell(cell: PairCell) -> list[float]:
    """Size, true and reported detectable difference, power, then coverage chosen, t, bootstrap, without and with s."""
    questions, first, second, accuracy = cell
    shift = detectable_s(questions, accuracy, (first, second), 2)
    rejected, coverages, reported = [], [], 0.0
    for s in (0.0, shift):
        ours, theirs = pair_runs(s, cell)
        tests = [paired_test(*run) for run in zip(ours.tolist(), theirs.tolist(), strict=True)]
        rejected.append(float(np.mean([test.p_value <= 0.05 for test in tests])))
        reported = float(np.median([test.detectable or 0.0 for test in tests]))
        truth = -s * accuracy
        coverages.append(float(np.mean([test.low - ROUNDING <= truth <= test.high + ROUNDING for test in tests])))
        differences = ours.mean(axis=2) - theirs.mean(axis=2)
        off = np.abs(differences.mean(axis=1) - truth)
        coverages.append(float(np.mean(off <= t_half_width(differences) + ROUNDING)))
        weights = np.random.default_rng(0).multinomial(questions, [1 / questions] * questions, size=BOOTSTRAPS)
        low, high = np.quantile(differences @ (weights / questions).T, [0.025, 0.975], axis=1)
        coverages.append(float(np.mean((low - ROUNDING <= truth) & (truth <= high + ROUNDING))))
    return [rejected[0], shift * accuracy, reported, rejected[1], *coverages]


def row(*cells: object) -> str:
    """One line of a Markdown table."""
    return f"| {' | '.join(map(str, cells))} |"


def percent(*shares: float) -> str:
    """Shares as percentages."""
    return " / ".join(f"{100 * share:.1f}" for share in shares)


def mean_table(cells: Sequence[MeanCell], results: Sequence[tuple[float, float]]) -> Iterator[str]:
    """A line for each number of repeats, concentration and questions."""
    yield row("repeats", "concentration", "questions", *ACCURACIES)
    yield row(*["---"] * (3 + len(ACCURACIES)))
    for start in range(0, len(cells), len(ACCURACIES)):
        questions, repeats, concentration, _ = cells[start]
        shown = (percent(*result) for result in results[start : start + len(ACCURACIES)])
        yield row(repeats, concentration, questions, *shown)


def pair_table(cells: Sequence[PairCell], results: Sequence[list[float]]) -> Iterator[str]:
    """A line for each cell."""
    yield row("repeats", "questions", "accuracy", "size", "detectable", "reported", "power", "coverage", "with s")
    yield row(*["---"] * 9)
    for (questions, first, second, accuracy), result in zip(cells, results, strict=True):
        size, true, reported, power, *coverages = result
        yield row(
            f"{first} : {second}",
            questions,
            accuracy,
            percent(size),
            percent(true),
            percent(reported),
            percent(power),
            percent(*coverages[:3]),
            percent(*coverages[3:]),
        )


def main() -> None:
    """Simulate all cells on two processes and print the tables."""
    layouts = [(1, 2), (10, 2), (10, 10)]
    means = [(q, r, k, accuracy) for (r, k), q, accuracy in product(layouts, QUESTIONS, ACCURACIES)]
    sides = [(1, 1), (10, 10), (10, 1)]
    pairs = [(q, *rs, accuracy) for rs, q, accuracy in product(sides, (50, 100, 400), (0.5, 0.8, 0.95))]
    with Pool(2) as pool:
        print(*mean_table(means, pool.map(mean_cell, means, chunksize=1)), "", sep="\n", flush=True)
        print(*pair_table(pairs, pool.map(pair_cell, pairs, chunksize=1)), sep="\n")


if __name__ == "__main__":
    main()
