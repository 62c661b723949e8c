"""A run with several simulated users as one run for each, and the names of its tasks without their simulators.

Tasks of a list of simulators are named `TASK@NAME`, `NAME` being the simulator's label as far as a file's name can hold it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from lm_eval_plugin.config.several import name_of_simulator
from lm_eval_plugin.results.runs import Run

_Task = TypeVar("_Task")


def plain_name(task: str, label: str) -> str:
    """The name of a task without the simulator that it ends with, if that is its own.

    Args:
        task: As the run has it.
        label: Of its simulator, as transcripts have it, with what is switched on.
    """
    base, _, name = task.rpartition("@")
    own = name_of_simulator(label)
    return base if base and name and (own == name or own.startswith(f"{name}-")) else task


def full_name(task: str, label: str) -> str:
    """The name of a task with its simulator, whether the run had one simulator or several."""
    return f"{plain_name(task, label)}@{name_of_simulator(label)}"


def split_by_simulator(run: Run) -> list[Run]:
    """A run for each simulator, its tasks without the simulator's name; the run itself where no task has one."""
    labels = _labels(run)
    if not _suffixed(labels):
        return [run]
    of_each: dict[str, dict[str, str]] = {}
    for task, label in labels.items():
        of_each.setdefault(label, {})[plain_name(task, label)] = task
    if sum(map(len, of_each.values())) < len(labels):
        return [run]
    return [_renamed(run, tasks) for tasks in of_each.values()]


def named_alike(*runs: Run) -> list[Run]:
    """The runs with the simulator in the name of every task, if one has it in some; else as they are."""
    if not any(_suffixed(_labels(run)) for run in runs):
        return list(runs)
    return [_renamed(run, {full_name(task, label): task for task, label in _labels(run).items()}) for run in runs]


def simulators_of(tasks: Iterable[str]) -> dict[str, list[str]]:
    """The tasks by the simulator that their names end with; those without one under an empty name."""
    found: dict[str, list[str]] = {}
    for task in tasks:
        found.setdefault(task.rpartition("@")[2] if "@" in task else "", []).append(task)
    return found


def _labels(run: Run) -> dict[str, str]:
    return {name: str(task.settings.get("simulator", "")) for name, task in run.tasks.items()}


def _suffixed(labels: Mapping[str, str]) -> bool:
    return any(plain_name(task, label) != task for task, label in labels.items())


def _renamed(run: Run, tasks: Mapping[str, str]) -> Run:
    """The run with some of its tasks, by new names."""
    return replace(run, tasks=_of(run.tasks, tasks), summaries=_of(run.summaries, tasks))


def _of(values: Mapping[str, _Task], tasks: Mapping[str, str]) -> dict[str, _Task]:
    return {name: values[task] for name, task in tasks.items() if task in values}
