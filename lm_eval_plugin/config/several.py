"""Several simulated users in one run: `simulator: [..., ...]` of a `dialogue:` block, one task for each of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval_plugin.config.simulator import read_simulator
from lm_eval_plugin.errors import ConfigError

BASE_NAME = "base_task"
"""Under which a task's configuration has its name without the simulator's, where it lists several."""

_NO_NAME = re.compile(r"[^\w.-]+")


def listed_simulators(block: object) -> list[Any] | None:
    """The simulators that a block lists; None where it names one, or none.

    Raises:
        ConfigError: The list is empty.
    """
    simulators = block.get("simulator") if isinstance(block, Mapping) else None
    if not isinstance(simulators, list):
        return None
    if not simulators:
        raise ConfigError("dialogue.simulator is an empty list; name one simulator or more")
    return simulators


def one_each(block: Any) -> list[Any]:
    """The block once for every simulator that it lists; the block itself where it lists none."""
    simulators = listed_simulators(block)
    return [block] if simulators is None else [{**block, "simulator": each} for each in simulators]


def name_of_simulator(label: str) -> str:
    """A simulator's label as part of a task's name, and so of a file's."""
    return _NO_NAME.sub("-", label).strip("-")


def names_of(simulators: Sequence[Any], where: str) -> list[str]:
    """What distinguishes the tasks of several simulators, each behind an `@`.

    Raises:
        ConfigError: One of them is wrong, or two have the same label.
    """
    labels = [read_simulator(each, where).label for each in simulators]
    names = [name_of_simulator(label) for label in labels]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise ConfigError(
                f"{where}: the list of simulators has {labels[names.index(name)]!r} and {labels[place]!r}, whose tasks would have "
                "one name; let them differ in more than signs, or name one alone"
            )
    return names
