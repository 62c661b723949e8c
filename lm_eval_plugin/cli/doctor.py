"""`chatbench doctor`: what works here, and which simulators would load, without running a dialogue."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "simulators",
        nargs="*",
        metavar="SIMULATOR",
        help="a preset, or a mapping as JSON; by default all presets are looked at",
    )
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")


def run(chosen: argparse.Namespace) -> int:
    """Print the checks; 1 if something that was asked for would not work."""
    from lm_eval_plugin.doctor import doctor

    return doctor(chosen.simulators, as_json=chosen.json)
