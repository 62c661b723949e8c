"""Precision and recall of the reader of options by regime: `python tests/benchmarks/reading_by_regime.py [FILE ...]`.

Precision: of the replies in which one option is read, those whose label it is. Recall: of the replies whose label is one
option, those in which it is read. Read as support: of the replies whose label is empty, those in which one is read. Each
with Wilson's 95 % interval. Without a file: both halves of `tests/data/replies_by_regime*.jsonl`. `--failures` prints
what was read wrongly, and of the locked half nothing.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import binomtest

from lm_eval_plugin.answers.supported_option import named_option
from lm_eval_plugin.dialogue.question import Question

DATA = Path(__file__).parents[1] / "data"
HALVES = (DATA / "replies_by_regime.jsonl", DATA / "replies_by_regime_locked.jsonl")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A reply with its label and what was read.

    Args:
        regime: How the reply says which option it supports.
        label: The letters that it supports.
        read: The letter that was read; None for none.
        reply: Its text.
        stem: The question.
    """

    regime: str
    label: str
    read: str | None
    reply: str
    stem: str

    @property
    def right(self) -> bool:
        """Whether the one option that it supports was read."""
        return self.read == self.label


def labelled(file: Path) -> list[Labelled]:
    """The replies of a file of one JSON object a line, as read."""
    cases = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [_read(case) for case in cases]


def _read(case: dict[str, object]) -> Labelled:
    stem, choices = str(case["stem"]), case["choices"]
    assert isinstance(choices, list)
    read = named_option(str(case["reply"]), Question("q", "s", stem, tuple(choices)))
    regime = case.get("regime") or case.get("explicitness") or case["kind"]
    return Labelled(str(regime), str(case["label"]), read, str(case["reply"]), stem)


def shares(cases: list[Labelled]) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Hits and number of what was read, of what has one label, and of what was read among what has none."""
    read = [case for case in cases if case.read is not None]
    one = [case for case in cases if len(case.label) == 1]
    none = [case for case in cases if case.label == ""]
    return (
        (sum(case.right for case in read), len(read)),
        (sum(case.right for case in one), len(one)),
        (sum(case.read is not None for case in none), len(none)),
    )


def cell(hits: int, number: int) -> str:
    """A share with its interval, and a dash where there is nothing to take a share of."""
    if number == 0:
        return "-"
    low, high = binomtest(hits, number).proportion_ci(method="wilson")
    return f"{hits / number:.3f} [{low:.3f}, {high:.3f}] of {number}"


def table(cases: list[Labelled]) -> Iterable[str]:
    """One line a regime, and one for all."""
    yield "| regime | precision | recall | read as support |"
    yield "|---|---|---|---|"
    for regime in [*dict.fromkeys(case.regime for case in cases), "all"]:
        chosen = [case for case in cases if regime in {case.regime, "all"}]
        yield f"| {' | '.join([regime, *(cell(*share) for share in shares(chosen))])} |"


def main() -> None:
    """Print the table of each file."""
    files = [Path(name) for name in sys.argv[1:] if not name.startswith("--")] or list(HALVES)
    for file in files:
        started = time.process_time()
        cases = labelled(file)
        print(f"{file.name}: {len(cases)} replies in {time.process_time() - started:.2f} s", *table(cases), sep="\n")
        if "--failures" in sys.argv and file.name == HALVES[0].name:
            for case in cases:
                if (case.read or "") != case.label:
                    print(
                        f"{case.regime:8} {case.label or '-'} read {case.read or '-'}: {case.stem[:60]} :: {case.reply!r}"
                    )


if __name__ == "__main__":
    main()
