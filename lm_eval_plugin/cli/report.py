"""`chatbench report`: runs as one page to look at, with charts and every conversation."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lm_eval_plugin.border.terminal import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="the folder that lm_eval wrote a run to")
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FILE", help="the page to write, such as report.html"
    )


def run(chosen: argparse.Namespace) -> int:
    """Write the page; 1 if a run, or a part of one, could not be read and the page shows the others."""
    from lm_eval_plugin.cli.shared import readable_runs, write_text
    from lm_eval_plugin.errors import ConfigError
    from lm_eval_plugin.report.page import report
    from lm_eval_plugin.results.by_simulator import split_by_simulator

    if not chosen.output.parent.is_dir():
        raise ConfigError(f"{chosen.output.parent} is no folder, so {chosen.output} cannot be written; make it first")
    failures: list[str] = []
    text = report((each for run in readable_runs(chosen.runs, failures) for each in split_by_simulator(run)), failures)
    write_text(chosen.output, text)
    say(f"chatbench: {chosen.output} ({len(text) / 1e6:.1f} MB)", file=sys.stderr)
    return 1 if failures else 0
