"""The `chatbench` command."""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from lm_eval_plugin.demo import ASSISTANT, SIMULATOR_ADAPTER, SIMULATOR_BASE
from lm_eval_plugin.errors import ChatbenchError
from lm_eval_plugin.registration import tasks_folder


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code: 0, or 2 for an error that is explained on the standard error.
    """
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.command is None:
        parser.print_help()
        return 0
    try:
        print(_folder(chosen.what))
    except ChatbenchError as error:
        print(f"chatbench: {error}", file=sys.stderr)
        return 2
    return 0


def _folder(what: str) -> str:
    folders: dict[str, Callable[[], Path]] = {
        "tasks": tasks_folder,
        "demo-assistant": lambda: ASSISTANT,
        "demo-simulator-base": lambda: SIMULATOR_BASE,
        "demo-simulator-adapter": lambda: SIMULATOR_ADAPTER,
    }
    return str(folders[what]())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="chatbench", description="Interactive evaluation in lm-evaluation-harness.")
    parser.add_argument("--version", action="version", version=importlib.metadata.version("chatbench-lm-eval"))
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    path = commands.add_parser("path", help="print where a part of the installation is, for use in other commands")
    path.add_argument(
        "what",
        choices=["tasks", "demo-assistant", "demo-simulator-base", "demo-simulator-adapter"],
        help="the task files (for --include_path), or a model of the demo (for pretrained= or peft=)",
    )
    return parser
