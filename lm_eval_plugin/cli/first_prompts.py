"""`chatbench first-prompts`: the first messages of a run's simulated users beside those of people."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lm_eval_plugin.comparison.first_prompts import FirstPrompts, Similarity
    from lm_eval_plugin.scoring.statistics import Estimate

VERSION = 1
"""Version of the JSON form."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="the folder that lm_eval wrote a run to")
    parser.add_argument("--human", required=True, metavar="DATA", help="a folder or hub name of the ChatBench data set")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(chosen: argparse.Namespace) -> int:
    """Print how much they resemble each other."""
    from lm_eval_plugin.chatbench_data.release import load_release
    from lm_eval_plugin.comparison.first_prompts import compare_first_prompts
    from lm_eval_plugin.results.runs import read_run

    release = load_release(chosen.human)
    found = {}
    for path in chosen.runs:
        records = [record for held in read_run([path]).values() for record in held]
        found[str(path)] = compare_first_prompts(records, release)
    if chosen.json:
        print(json.dumps({"version": VERSION, "runs": {path: asdict(each) for path, each in found.items()}}, indent=2))
        return 0
    _print(found)
    return 0


def _print(found: dict[str, FirstPrompts]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from lm_eval_plugin.border.escaping import visible

    console = Console(highlight=False)
    for path, each in found.items():
        console.print(
            Text(f"first messages in {visible(path)}, over {each.simulated.bleu.questions} questions"), soft_wrap=True
        )
        table = Table(box=None)
        table.add_column("", no_wrap=True)
        sides = [("simulated users", each.simulated, each.simulated_messages)]
        if each.among_people is not None:
            sides.append(("people", each.among_people, each.human_messages))
        for name, _, _ in sides:
            table.add_column(name, justify="right", no_wrap=True)
        for measure, of in _MEASURES.items():
            table.add_row(measure, *(_cell(of(similarity)) for _, similarity, _ in sides))
        table.add_row("messages", *(str(messages) for _, _, messages in sides))
        console.print(table)
    for path, each in found.items():
        if each.without_people or each.silent:
            left_out = f"{each.without_people} questions without people and {each.silent} dialogues without a message"
            console.print(Text(f"{visible(path)}: {left_out} are left out"))


_MEASURES: dict[str, Callable[[Similarity], Estimate]] = {
    "corpus BLEU": lambda similarity: similarity.corpus_bleu,
    "BLEU": lambda similarity: similarity.bleu,
    "ROUGE-1": lambda similarity: similarity.rouge_1,
}


def _cell(estimate: Estimate) -> str:
    from lm_eval_plugin.cli.interval import interval

    return interval(estimate.value, estimate.low, estimate.high)
