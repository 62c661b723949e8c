"""The `chatbench` command."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType

from lm_eval_plugin.border.terminal import say
from lm_eval_plugin.cli.examples import EPILOGS
from lm_eval_plugin.cli.shared import INTERRUPTED
from lm_eval_plugin.errors import ChatbenchError

COMMANDS: Mapping[str, str] = {
    "simulate": "hold a conversation about a question and show it turn by turn",
    "score": "compute the numbers of a run again from its samples, with intervals and paired tests",
    "leaderboard": "rank the models of many runs, with intervals and marks where they cannot be told apart",
    "watch": "show a run while it goes on, in the terminal or as a page that grows",
    "report": "show runs on one page: rankings, charts and every conversation",
    "gate": "stop a checkpoint that got worse than a baseline, with an exit code",
    "export": "write the dialogues of runs as a table, as chat lines or as logs of Inspect, or push them to the hub",
    "human": "estimate what people would reach with a model, or compare runs of chatbench_human with what they reached",
    "collect": "have people at this terminal talk with a model about questions, for a small study of one's own",
    "first-prompts": "compare how simulated users and people open their conversations",
    "train": "train a simulated user on conversations of people",
    "make-people": "write conversations of made-up people about the demo's questions, to try the commands that take people's",
    "ablation": "compare persona and private thoughts of the simulated user, on and off, on the same questions",
    "list": "list presets, policies, personas, habits and metrics with one line each",
    "guide": "show the pages of documentation",
    "doctor": "check what works here and which simulators would load",
    "completion": "print a script with which a shell completes commands and options",
    "path": "print where a part of the installation is, for use in other commands",
}
"""The subcommands: each is a module of `commands`, with `_` for `-`, that has `add_arguments` and `run`."""

BROKEN_PIPE = 141
"""Exit code when whoever reads the output has left, as shells have it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code: that of the subcommand, 2 for an error that is explained on the standard error, 130 after Ctrl-C, or
        141 when nobody reads the output any more.
    """
    try:
        _show_what_cannot_be_encoded()
        code = _run(arguments)
        # Otherwise a reader that has left would be noticed while Python ends.
        sys.stdout.flush()
    except ChatbenchError as error:
        say(f"chatbench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        say("chatbench: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        return _unread()
    except SystemExit as leaving:
        # rich leaves by itself when nobody reads.
        if isinstance(leaving.__context__, BrokenPipeError):
            return _unread()
        raise
    return code


def _run(arguments: Sequence[str] | None) -> int:
    given = hyphenated(sys.argv[1:] if arguments is None else arguments)
    named = next((word for word in given if not word.startswith("-")), None)
    parser = make_parser(named)
    chosen = parser.parse_args(given)
    if chosen.command is None:
        parser.print_help()
        return 0
    code: int = _module(chosen.command).run(chosen)
    return code


def hyphenated(arguments: Sequence[str]) -> list[str]:
    """The arguments with hyphens in the names of options, for those who type them with underscores as lm_eval has them."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return [*(_with_hyphens(word) for word in arguments[:end]), *arguments[end:]]


def _with_hyphens(word: str) -> str:
    name, equals, value = word.partition("=")
    return f"{name.replace('_', '-')}{equals}{value}" if word.startswith("--") and " " not in name else word


def _show_what_cannot_be_encoded() -> None:
    """Have characters that the terminal's encoding lacks written as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _unread() -> int:
    """Point the standard output to where nothing fails, so that Python ends quietly."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
    return BROKEN_PIPE


def make_parser(command: str | None) -> argparse.ArgumentParser:
    """The parser of the command line.

    Args:
        command: The one whose arguments are to be known; the others are there by name, so that none waits for all modules.
    """
    parser = argparse.ArgumentParser(
        prog="chatbench",
        description="Interactive evaluation in lm-evaluation-harness.",
        epilog="chatbench COMMAND --help shows the options of a command, two examples and its exit codes; chatbench guide the "
        "pages of documentation.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and leave")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, summary in COMMANDS.items():
        known = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=EPILOGS[name].text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == command:
            # Imported here and not above, so that Ctrl-C is answered from the start.
            _module(name).add_arguments(known)
    return parser


class _Version(argparse.Action):
    """Prints the version, which is looked for only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import importlib.metadata

        print(importlib.metadata.version("chatbench-lm-eval"))
        parser.exit()


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"lm_eval_plugin.cli.{name.replace('-', '_')}")
