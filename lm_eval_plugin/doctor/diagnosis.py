"""What was found: checks, and how they are shown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import Enum

from rich.console import Console
from rich.table import Table
from rich.text import Text


class Status(str, Enum):
    """How a check came out; only a problem keeps a simulator from loading."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Args:
        name: What it is.
        status: How it came out.
        text: What was found.
        advice: What to do about it; empty if nothing is to be done.
    """

    name: str
    status: Status
    text: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found.

    Args:
        fundamentals: The checks of the machine and the installation.
        simulators: The checks of each simulator, by what it was asked for with.
    """

    fundamentals: tuple[Check, ...]
    simulators: Mapping[str, tuple[Check, ...]]

    @property
    def sound(self) -> bool:
        """Whether the machine and the installation have no problem."""
        return not _has_problem(self.fundamentals)

    def loads(self, asked: str) -> bool:
        """Whether a simulator would load here."""
        return not _has_problem(self.simulators[asked])


def render(diagnosis: Diagnosis, console: Console) -> None:
    """Print a diagnosis: a line a simulator, then the tables, then what to do, each thing once.

    What was read from elsewhere is printed as it is, without markup.
    """
    _print_overview(console, diagnosis)
    _print_table(console, "This machine", diagnosis.fundamentals)
    for asked, checks in diagnosis.simulators.items():
        _print_table(console, f"Simulator {asked}", checks)
    _print_advice(console, diagnosis)


def _print_overview(console: Console, diagnosis: Diagnosis) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for asked, checks in diagnosis.simulators.items():
        loads = diagnosis.loads(asked)
        why = next((check.text for check in checks if check.status is Status.PROBLEM), "")
        verdict = Text("would load" if loads else "cannot run", style=_STYLES[Status.OK if loads else Status.PROBLEM])
        table.add_row(Text(asked), verdict, Text(why, no_wrap=True, overflow="ellipsis"))
    console.print(table)
    console.print()


def _print_advice(console: Console, diagnosis: Diagnosis) -> None:
    """What to do; advice that differs in a name alone is said once, for all that it is about."""
    about: dict[str, list[str]] = {}
    for check in (*diagnosis.fundamentals, *(check for checks in diagnosis.simulators.values() for check in checks)):
        if check.advice:
            name = check.text.partition(":")[0]
            about.setdefault(check.advice.replace(name, "NAME"), []).append(
                name if name in check.advice else check.name
            )
    if not about:
        return
    console.print(Text("What to do", style="italic"))
    for advice, names in about.items():
        console.print(Text.assemble((f"{', '.join(dict.fromkeys(names))}: ", ""), (advice, "bold")))


def as_json_text(diagnosis: Diagnosis) -> str:
    """A diagnosis as one JSON object."""
    return json.dumps(
        {
            "sound": diagnosis.sound,
            "checks": [asdict(check) for check in diagnosis.fundamentals],
            "simulators": {
                asked: {"loads": diagnosis.loads(asked), "checks": [asdict(check) for check in checks]}
                for asked, checks in diagnosis.simulators.items()
            },
        },
        indent=2,
    )


_STYLES = {Status.OK: "green", Status.WARNING: "yellow", Status.PROBLEM: "bold red"}


def _print_table(console: Console, title: str, checks: Iterable[Check]) -> None:
    table = Table(title=Text(title), title_justify="left", box=None, show_header=False, pad_edge=False)
    for check in checks:
        table.add_row(Text(check.status.value, style=_STYLES[check.status]), Text(check.name), Text(check.text))
    console.print(table)
    console.print()


def _has_problem(checks: Iterable[Check]) -> bool:
    return any(check.status is Status.PROBLEM for check in checks)


def short(error: BaseException) -> str:
    """The first line of an error's text, or its type."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
