"""`chatbench export`: the dialogues of runs in the forms that other tools read."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lm_eval_plugin.border.terminal import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lm_eval_plugin.results.runs import Run

FORMATS = ("table", "openai", "inspect")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="the folder that lm_eval wrote a run to")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="what to write: a name in .parquet or .jsonl; with --format openai one in .jsonl, with --format inspect a folder",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="table",
        help="table: one row a dialogue, for datasets.load_dataset (the default); openai: chat JSON lines; inspect: .eval logs for "
        "inspect view",
    )
    parser.add_argument(
        "--push-to-hub",
        metavar="REPO",
        help="push the table to this data set of the hub, private unless --public is given",
    )
    parser.add_argument("--public", action="store_true", help="let everybody see the data set that is pushed")
    parser.add_argument(
        "--with-people",
        action="store_true",
        help="push dialogues in which a person played the user, too, if they agreed",
    )


def run(chosen: argparse.Namespace) -> int:
    """Write the file, push the data set, or both; 1 if a run could not be read and the others are there without that one."""
    from lm_eval_plugin.cli.shared import readable_runs

    _check(chosen)
    failures: list[str] = []
    if chosen.output is not None:
        written = _writer(chosen.format)(readable_runs(chosen.runs, failures), chosen.output)
        say(f"chatbench: {written} dialogues in {chosen.output}", file=sys.stderr)
    if chosen.push_to_hub is not None:
        from lm_eval_plugin.cli.hub import push_to_hub

        runs = readable_runs(chosen.runs, failures)
        pushed = push_to_hub(runs, chosen.push_to_hub, public=chosen.public, people=chosen.with_people)
        say(f"chatbench: {pushed} dialogues pushed to {chosen.push_to_hub}", file=sys.stderr)
    return 1 if failures else 0


def _check(chosen: argparse.Namespace) -> None:
    """Refuse what does not fit together before anything is read.

    Raises:
        ConfigError: It does not.
    """
    from lm_eval_plugin.errors import ConfigError
    from lm_eval_plugin.results.export import check_format

    if chosen.output is None and chosen.push_to_hub is None:
        raise ConfigError("give -o FILE to write to, --push-to-hub REPO, or both")
    if chosen.push_to_hub is None and (chosen.public or chosen.with_people):
        raise ConfigError("--public and --with-people belong to --push-to-hub REPO")
    if chosen.push_to_hub is not None and chosen.format != "table":
        raise ConfigError(
            f"--push-to-hub pushes the table; leave --format {chosen.format} away, or export to it on its own"
        )
    if chosen.output is None:
        return
    if chosen.format == "table":
        check_format(chosen.output)
    elif chosen.format == "openai" and chosen.output.suffix != ".jsonl":
        raise ConfigError(f"{chosen.output} does not end with .jsonl, in which chat JSON lines are written")


def _writer(name: str) -> Callable[[Iterable[Run], Path], int]:
    """What writes runs in a format."""
    if name == "openai":
        from lm_eval_plugin.results.chat_lines import write_chat_lines

        return write_chat_lines
    if name == "inspect":
        from lm_eval_plugin.results.inspect_log import write_inspect_logs

        return write_inspect_logs
    from lm_eval_plugin.results.export_writer import export_runs

    return export_runs
