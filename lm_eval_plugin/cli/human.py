"""`chatbench human`: how well simulated users, and the model alone, foretell what people reach with the model."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lm_eval_plugin.comparison.human_study import AgainstPeople
    from lm_eval_plugin.scoring.agreement import Agreement

VERSION = 1
"""Version of the JSON form."""

_SIDES = {"simulated": "simulated users", "static": "the model alone"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="the folder that lm_eval wrote a run of chatbench_human to"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(chosen: argparse.Namespace) -> int:
    """Print a table for each run."""
    from lm_eval_plugin.comparison.human_study import against_people

    found = [each for path in chosen.runs for each in against_people(path)]
    if chosen.json:
        rows = [{**asdict(each), "people": each.people.model_dump()} for each in found]
        print(json.dumps({"version": VERSION, "runs": rows}, indent=2))
    else:
        _print(found)
    return 0


def _print(found: Sequence[AgainstPeople]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from lm_eval_plugin.border.escaping import visible

    console = Console(highlight=False)
    for each in found:
        title = f"{visible(each.model)} with {visible(each.simulator)}, against {visible(_people(each))}"
        console.print(Text(title), soft_wrap=True)
        table = Table(box=None)
        table.add_column("", no_wrap=True)
        for heading in ("n", "accuracy", "correlation", "absolute error"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_row("people", str(each.questions - each.without_people), f"{each.accuracy:.3f}")
        for side, figures in each.foretold_by.items():
            table.add_row(_SIDES[side], *_cells(figures))
        console.print(table)


def _people(each: AgainstPeople) -> str:
    people = each.people
    chosen = [people.condition or "all conditions", "" if people.split is None else f"held out by split {people.split}"]
    missing = f"; {each.without_people} more without people" if each.without_people else ""
    answered = f"; {each.answer_given:.0%} of the simulated dialogues ended with an answer and count"
    return f"people with {people.model}, {', '.join(filter(None, chosen))}{missing}{answered}"


def _cells(figures: Agreement) -> list[str]:
    from lm_eval_plugin.cli.interval import interval

    both: list[Any] = [figures.pearson, figures.error]
    told = (interval(figure.value, figure.low, figure.high) for figure in both)
    return [str(figures.questions), f"{figures.accuracy:.3f}", *told]
