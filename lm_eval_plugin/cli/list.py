"""`chatbench list`: the names that settings know, with one line each."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping

Rows = Mapping[str, str]


def presets() -> Rows:
    """The simulators that have a name."""
    from lm_eval_plugin.config.descriptions import PRESETS_TOLD
    from lm_eval_plugin.config.presets import PRESETS

    return {name: PRESETS_TOLD[name] for name in PRESETS}


def policies() -> Rows:
    """The ways in which a simulated user behaves."""
    from lm_eval_plugin.config.descriptions import POLICIES_TOLD
    from lm_eval_plugin.config.presets import POLICIES

    return {name: POLICIES_TOLD[name] for name in POLICIES}


def personas() -> Rows:
    """Who a simulated user can be told to be."""
    from lm_eval_plugin.config.descriptions import PERSONAS_TOLD
    from lm_eval_plugin.simulators.personas import ANY, PERSONAS

    return {name: PERSONAS_TOLD[name] for name in (*PERSONAS, ANY)}


def habits() -> Rows:
    """What the scripted user can do."""
    from lm_eval_plugin.config.descriptions import HABITS_TOLD
    from lm_eval_plugin.simulators.scripted import HABITS

    return {name: HABITS_TOLD[name] for name in HABITS}


def metrics() -> Rows:
    """The metrics of a question, each with its kind."""
    from lm_eval_plugin.scoring.meanings import MEANINGS
    from lm_eval_plugin.scoring.metrics import METRICS

    return {name: f"{metric.kind.value}: {MEANINGS[name]}" for name, metric in METRICS.items()}


LISTS: Mapping[str, Callable[[], Rows]] = {
    "presets": presets,
    "policies": policies,
    "personas": personas,
    "habits": habits,
    "metrics": metrics,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("what", nargs="?", choices=list(LISTS), help="which names; all of them by default")
    parser.add_argument("--json", action="store_true", help="print them as JSON, for programs")


def run(chosen: argparse.Namespace) -> int:
    """Print the names."""
    wanted = {name: LISTS[name]() for name in ([chosen.what] if chosen.what else LISTS)}
    if chosen.json:
        print(json.dumps(wanted if chosen.what is None else wanted[chosen.what], ensure_ascii=False))
        return 0
    width = max(len(name) for rows in wanted.values() for name in rows)
    for place, (what, rows) in enumerate(wanted.items()):
        if chosen.what is None:
            print(f"{chr(10) if place else ''}{what}")
        for name, told in rows.items():
            print(f"{name:<{width}}  {told}" if chosen.what else f"  {name:<{width}}  {told}")
    return 0
