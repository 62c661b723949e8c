"""The `chatbench` command."""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType

from lm_eval_plugin.commands import doctor, path, simulate
from lm_eval_plugin.errors import ChatbenchError

COMMANDS: Mapping[str, tuple[ModuleType, str]] = {
    "simulate": (simulate, "hold a conversation about a question and show it turn by turn"),
    "doctor": (doctor, "check what works here and which simulators would load"),
    "path": (path, "print where a part of the installation is, for use in other commands"),
}
"""The subcommands: each is a module with `add_arguments` and `run`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code: that of the subcommand, or 2 for an error that is explained on the standard error.
    """
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.command is None:
        parser.print_help()
        return 0
    try:
        code: int = COMMANDS[chosen.command][0].run(chosen)
    except ChatbenchError as error:
        print(f"chatbench: {error}", file=sys.stderr)
        return 2
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="chatbench", description="Interactive evaluation in lm-evaluation-harness.")
    parser.add_argument("--version", action="version", version=importlib.metadata.version("chatbench-lm-eval"))
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (module, summary) in COMMANDS.items():
        module.add_arguments(commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}."))
    return parser
