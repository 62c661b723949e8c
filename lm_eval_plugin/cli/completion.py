"""`chatbench completion`: a script with which a shell completes commands and their options."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

_BASH = """\
_chatbench() {{
    local words
    case "${{COMP_WORDS[1]}}" in
{cases}
        *) words="" ;;
    esac
    if [ "$COMP_CWORD" -eq 1 ]; then words="{commands}"; fi
    COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _chatbench chatbench
"""

Words = Mapping[str, list[str]]
"""By command, what can follow it: its options, and names that it takes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("shell", choices=list(_SCRIPTS), help="the shell that is to complete")


def run(chosen: argparse.Namespace) -> int:
    """Print the script."""
    from lm_eval_plugin.cli.main import COMMANDS, make_parser

    words = {name: _words(make_parser(name), name) for name in COMMANDS}
    print(_SCRIPTS[chosen.shell](words), end="")
    return 0


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return parser._actions  # noqa: SLF001  # argparse tells them nowhere else


def _words(parser: argparse.ArgumentParser, command: str) -> list[str]:
    (commands,) = (action.choices for action in _actions(parser) if isinstance(action.choices, dict))
    known = _actions(commands[command])
    options = [option for action in known for option in action.option_strings]
    values = [str(value) for action in known if not action.option_strings for value in action.choices or ()]
    return [*values, *options]


def _bash(words: Words) -> str:
    cases = "\n".join(f'        {name}) words="{" ".join(those)}" ;;' for name, those in words.items())
    return _BASH.format(cases=cases, commands=" ".join(words))


def _zsh(words: Words) -> str:
    return f"autoload -U +X bashcompinit && bashcompinit\n{_bash(words)}"


def _fish(words: Words) -> str:
    lines = [f"complete -c chatbench -n __fish_use_subcommand -a '{' '.join(words)}'"]
    for name, those in words.items():
        under = f"complete -c chatbench -n '__fish_seen_subcommand_from {name}'"
        lines += [f"{under} -l {word[2:]}" for word in those if word.startswith("--")]
        if values := [word for word in those if not word.startswith("-")]:
            lines.append(f"{under} -a '{' '.join(values)}'")
    return "\n".join(lines) + "\n"


_SCRIPTS: Mapping[str, Callable[[Words], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
