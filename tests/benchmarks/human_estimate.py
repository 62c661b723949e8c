"""What the intervals of `chatbench human` cover in simulated studies: `python tests/benchmarks/human_estimate.py`.

A run has 396 questions in five tasks. What people reach on a question is beta distributed, with concentration 3 around the
task's mean, which lies up to .08 beside `people`; each person has an ability of its own (probit, standard deviation .4) and
answers nine questions. `questions` of them, drawn at random, are answered by `least` to `most` people each. The simulated
accuracy of a question is that of ten dialogues, around a beta distributed value of a mean .1 lower, which is correlated .85
with people's by a Gaussian copula (informative) or not at all (useless). 2,000 studies a cell, so a share of 95 % is known to
+-1.0 points.

The marks are: coverage from .93 to .97 at 80 and 237 questions, at least .92 at 20; the mean width with a useless simulator from
.97 to 1.05 of that of people alone. The script ends with status 1 if a cell misses one, and names it.

Result, over accuracies and numbers of answers (2,000 studies a cell, 0 of 108 cells miss a mark; 161 s of one core). `worth` is
the variance of people alone over that of the estimate. People who answer several questions add 25 % of the variance at most:

| human questions | simulator | target | coverage | people alone | width | width / people alone | worth |
|---|---|---|---|---|---|---|---|
| 20 | informative | finite | 0.956 to 0.965 | 0.947 to 0.976 | 0.127 to 0.220 | 0.759 to 0.884 | 1.493 to 2.103 |
| 20 | informative | population | 0.956 to 0.963 | 0.943 to 0.974 | 0.131 to 0.225 | 0.772 to 0.888 | 1.452 to 1.977 |
| 20 | useless | finite | 0.942 to 0.973 | 0.947 to 0.976 | 0.156 to 0.269 | 1.012 to 1.019 | 0.967 to 0.977 |
| 20 | useless | population | 0.943 to 0.970 | 0.943 to 0.974 | 0.159 to 0.273 | 1.011 to 1.019 | 0.967 to 0.978 |
| 80 | informative | finite | 0.948 to 0.959 | 0.937 to 0.958 | 0.049 to 0.101 | 0.731 to 0.846 | 1.454 to 1.965 |
| 80 | informative | population | 0.943 to 0.961 | 0.940 to 0.958 | 0.057 to 0.112 | 0.786 to 0.869 | 1.359 to 1.666 |
| 80 | useless | finite | 0.935 to 0.960 | 0.937 to 0.958 | 0.063 to 0.124 | 1.003 to 1.004 | 0.991 to 0.994 |
| 80 | useless | population | 0.940 to 0.956 | 0.940 to 0.958 | 0.070 to 0.132 | 1.003 to 1.004 | 0.993 to 0.995 |
| 237 | informative | finite | 0.947 to 0.966 | 0.946 to 0.960 | 0.021 to 0.051 | 0.754 to 0.875 | 1.322 to 1.787 |
| 237 | informative | population | 0.950 to 0.958 | 0.948 to 0.959 | 0.036 to 0.070 | 0.896 to 0.930 | 1.158 to 1.250 |
| 237 | useless | finite | 0.946 to 0.960 | 0.946 to 0.960 | 0.026 to 0.058 | 1.001 to 1.001 | 0.998 to 0.999 |
| 237 | useless | population | 0.949 to 0.958 | 0.948 to 0.959 | 0.039 to 0.075 | 1.000 to 1.001 | 0.999 to 0.999 |
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from scipy import stats

from lm_eval_plugin.scoring.prediction_powered import powered_estimate
from lm_eval_plugin.scoring.stratified_sample import Answers

TASKS = (95, 95, 38, 84, 84)
OFF = (0.06, 0.03, -0.08, 0.0, -0.05)
TASK = np.repeat(np.arange(len(TASKS)), TASKS)
NAMES = [f"task {number}" for number in TASK]
CONCENTRATION, ABILITY, EACH, DIALOGUES = 3.0, 0.4, 9, 10
CORRELATIONS = {"informative": 0.85, "useless": 0.0}
GRID = np.linspace(-5, 5, 2001)

PEOPLE = (0.3, 0.6, 0.9)
QUESTIONS = (20, 80, 237)
ANSWERS = ((10, 10), (10, 50), (50, 50))


@dataclass(frozen=True, slots=True)
class Cell:
    """What was seen in one setting: shares of studies, and mean widths."""

    people: float
    questions: int
    least: int
    most: int
    simulator: str
    target: str
    coverage: float
    alone: float
    width: float
    against_alone: float
    worth: float
    shared: float

    def misses(self) -> list[str]:
        """The marks that it misses."""
        marks = [
            (self.coverage, 0.92 if self.questions < 80 else 0.93, 1.0 if self.questions < 80 else 0.97, "coverage")
        ]
        if self.simulator == "useless":
            marks.append((self.against_alone, 0.97, 1.05, "width"))
        return [f"{name} {value:.3f} of {self}" for value, low, high, name in marks if not low <= value <= high]


def task_means(mean: float) -> np.ndarray:
    return np.clip(mean + np.array(OFF), 0.03, 0.97)


@cache
def quantiles(mean: float) -> list[np.ndarray]:
    """Per task, the beta quantiles at the normal ones of the grid."""
    shares = stats.norm.cdf(GRID)
    return [stats.beta.ppf(shares, each * CONCENTRATION, (1 - each) * CONCENTRATION) for each in task_means(mean)]


def beta_of(normal: np.ndarray, mean: float) -> np.ndarray:
    found = np.empty_like(normal)
    for number, values in enumerate(quantiles(mean)):
        found[number == TASK] = np.interp(normal[number == TASK], GRID, values)
    return np.clip(found, 1e-6, 1 - 1e-6)


def drawn_answers(rng: np.random.Generator, reached: np.ndarray, index: np.ndarray, least: int, most: int) -> Answers:
    """The answers of people who take nine questions each, in random order, until every question has its number."""
    wanted = rng.integers(least, most + 1, len(index))
    order = rng.random((most, len(index))).argsort(axis=1).ravel()
    asked = order[np.repeat(np.arange(most), len(index)) < wanted[order]]
    person = np.arange(len(asked)) // EACH
    ability = rng.normal(0, ABILITY, person[-1] + 1)
    ease = stats.norm.ppf(reached[index]) * np.sqrt(1 + ABILITY**2)
    right = rng.normal(size=len(asked)) < ease[asked] + ability[person]
    return Answers(index[asked], person, right.astype(float))


def cells(people: float, questions: int, least: int, most: int, draws: int, rng: np.random.Generator) -> Iterator[Cell]:
    seen: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    simulated_mean = min(0.9, max(0.1, people - 0.1))
    of_population = float(task_means(people)[TASK].mean())
    for _ in range(draws):
        normal = rng.normal(size=len(TASK))
        reached = beta_of(normal, people)
        index = rng.choice(len(TASK), questions, replace=False)
        answers = drawn_answers(rng, reached, index, least, most)
        for simulator, correlation in CORRELATIONS.items():
            other = correlation * normal + np.sqrt(1 - correlation**2) * rng.normal(size=len(TASK))
            simulated = rng.binomial(DIALOGUES, beta_of(other, simulated_mean)) / DIALOGUES
            for target, truth in (("finite", reached.mean()), ("population", of_population)):
                found = powered_estimate(simulated, NAMES, answers, population=target == "population")
                ours, alone = found.estimate, found.people_alone
                widths = ours.high - ours.low, (ours.high - ours.low) / (alone.high - alone.low)
                covered = ours.low <= truth <= ours.high, alone.low <= truth <= alone.high
                seen.setdefault((simulator, target), []).append(
                    (*covered, *widths, found.variance_ratio, found.shared_people)
                )
    for (simulator, target), rows in seen.items():
        yield Cell(people, questions, least, most, simulator, target, *map(float, np.mean(rows, axis=0)))


def show(found: list[Cell]) -> None:
    """One row for each number of questions, simulator and target: the range over accuracies and numbers of answers."""
    print("| human questions | simulator | target | coverage | people alone | width | width / people alone | worth |")
    print("|---|---|---|---|---|---|---|---|")
    for questions, simulator, target in product(QUESTIONS, CORRELATIONS, ("finite", "population")):
        rows = [
            each for each in found if (each.questions, each.simulator, each.target) == (questions, simulator, target)
        ]
        figures = [
            [getattr(each, name) for each in rows] for name in ("coverage", "alone", "width", "against_alone", "worth")
        ]
        ranges = " | ".join(f"{min(values):.3f} to {max(values):.3f}" for values in figures)
        print(f"| {questions} | {simulator} | {target} | {ranges} |")
    print(f"\npeople who answer several questions add {max(each.shared for each in found):.0%} of the variance at most")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=2000, help="studies a cell (default: 2000)")
    chosen = parser.parse_args()
    started = time.perf_counter()
    rng = np.random.default_rng(0)
    settings = product(PEOPLE, QUESTIONS, ANSWERS)
    found = [
        cell for people, questions, number in settings for cell in cells(people, questions, *number, chosen.draws, rng)
    ]
    show(found)
    misses = [miss for cell in found for miss in cell.misses()]
    print(*misses, f"{len(misses)} of {len(found)} cells miss a mark; {time.perf_counter() - started:.0f} s", sep="\n")
    return bool(misses)


if __name__ == "__main__":
    sys.exit(main())
