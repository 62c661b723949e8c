"""`chatbench ablation`: what a persona and private thoughts of the simulated user change, on the same questions.

Four runs of one task with one model: neither switch, each by itself, and both. The differences to the first are paired by
question; each has a p-value by itself, and one adjusted for all tests of the table.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lm_eval_plugin.border.terminal import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("--tasks", required=True, metavar="TASK", help="one task with dialogues")
    parser.add_argument("--model", default="chatbench-demo", help="a model type of the host, as for lm_eval")
    parser.add_argument("--model-args", default="", help="its arguments, as for lm_eval")
    parser.add_argument("--dialogue", default="{}", help="keys of the dialogue block for all four runs, as JSON")
    parser.add_argument("--persona", default="any", help="the persona of the runs that have one")
    parser.add_argument("--apply-chat-template", action="store_true")
    parser.add_argument("--batch-size", default="16")
    parser.add_argument("--device", help="where the model goes: cpu, cuda:1, ... (default: a GPU, or the CPU)")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--include-path", help="a folder of task files of your own")
    parser.add_argument("--output", type=Path, help="write the numbers to this file as JSON")


def run(chosen: argparse.Namespace) -> int:
    """Hold the four runs and print one table."""
    from lm_eval_plugin.cli.shared import mapping_of, write_text
    from lm_eval_plugin.scoring.summary import estimates

    shared = mapping_of(chosen.dialogue)
    switches = {
        "neither": {},
        "persona": {"persona": chosen.persona},
        "chain_of_thought": {"chain_of_thought": True},
        "both": {"persona": chosen.persona, "chain_of_thought": True},
    }
    held = {name: _hold(chosen, {**shared, **extra}, name) for name, extra in switches.items()}
    rows = {
        name: {
            "metrics": {metric: asdict(estimate) for metric, estimate in estimates(records).items()},
            "against_neither": _differences(records, held["neither"]) if name != "neither" else {},
        }
        for name, records in held.items()
    }
    _adjust([test for row in rows.values() for test in row["against_neither"].values()])
    if chosen.output is not None:
        write_text(chosen.output, json.dumps(rows, indent=2))
    _print(rows)
    return 0


def _adjust(tests: Sequence[dict[str, Any]]) -> None:
    """Note Holm's p-value in each test that has one."""
    from lm_eval_plugin.scoring.statistics import holm

    told = [test for test in tests if test["p_value"] is not None]
    for test in tests:
        test["adjusted"] = None
    for test, adjusted in zip(told, holm([test["p_value"] for test in told]), strict=True):
        test["adjusted"] = adjusted


COMPARED = ("acc", "acc_gap", "answered", "user_turns", "user_words_first", "mirrored", "coherence", "satisfaction")
"""The metrics of the table; those of a judge are there if there is one."""


def _hold(chosen: argparse.Namespace, dialogue: Mapping[str, Any], name: str) -> Any:
    from lm_eval_plugin.errors import ConfigError
    from lm_eval_plugin.harness.for_commands import dialogue_tasks, load_assistant, run_task
    from lm_eval_plugin.results.samples import read_records

    say(f"chatbench: {name}", file=sys.stderr)
    manager = dialogue_tasks(chosen.include_path, dialogue)
    if chosen.tasks not in manager.all_subtasks:
        raise ConfigError(f"the task {chosen.tasks!r} is not one with dialogues; see chatbench simulate --help")
    lm = load_assistant(chosen.model, chosen.model_args, chosen.batch_size, chosen.device)
    samples = run_task(lm, chosen.tasks, manager, limit=chosen.limit, chat_template=chosen.apply_chat_template)
    return read_records(samples, f"task {chosen.tasks}")


def _differences(records: Any, plain: Any) -> dict[str, Any]:
    from lm_eval_plugin.scoring.summary import compare

    tests = {metric: compare(records, plain, "the ablation", metric) for metric in COMPARED}
    return {metric: test for metric, test in tests.items() if test is not None}


def _print(rows: Mapping[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, collapse_padding=True, pad_edge=False)
    for heading in ("metric", "user", "value", "95 % interval", "change", "p", "adjusted"):
        table.add_column(heading, justify="left" if heading in {"metric", "user"} else "right")
    for metric in COMPARED:
        for place, (name, row) in enumerate(rows.items()):
            if metric in row["metrics"]:
                table.add_row("" if place else metric, name, *_cells(row, metric))
    Console(highlight=False).print(table)


def _cells(row: Mapping[str, Any], metric: str) -> list[str]:
    estimate, test = row["metrics"][metric], row["against_neither"].get(metric)
    interval = "" if estimate["low"] is None else f"{estimate['low']:.3f} to {estimate['high']:.3f}"
    change = (
        []
        if test is None
        else [f"{test['difference']:+.3f}", *(_p_value(test[key]) for key in ("p_value", "adjusted"))]
    )
    return [f"{estimate['value']:.3f}", interval, *change]


def _p_value(value: float | None) -> str:
    if value is None:
        return ""
    return "<.001" if value < 0.001 else f"{value:.3f}"
