"""`chatbench export`: runs as one file of dialogues for `datasets.load_dataset`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lm_eval_plugin.border.terminal import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="the folder that lm_eval wrote a run to")
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FILE", help="what to write: a name in .parquet or .jsonl"
    )


def run(chosen: argparse.Namespace) -> int:
    """Write the file; 1 if a run could not be read and the others are in it without that one."""
    from lm_eval_plugin.cli.shared import readable_runs
    from lm_eval_plugin.results.export import check_format, export_runs

    check_format(chosen.output)
    failures: list[str] = []
    written = export_runs(readable_runs(chosen.runs, failures), chosen.output)
    say(f"chatbench: {written} dialogues in {chosen.output}", file=sys.stderr)
    return 1 if failures else 0
