"""What this machine can run: the checks behind `chatbench doctor`, none of which holds a dialogue or loads weights.

A fault of the environment is a `Check`, never an exception. The hub is asked only if it answers within seconds.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence

from rich.console import Console

from lm_eval_plugin.border.masking import masked
from lm_eval_plugin.config.presets import PRESETS
from lm_eval_plugin.config.simulator import SimulatorConfig, name_or_mapping, read_simulator
from lm_eval_plugin.doctor.diagnosis import Check, Diagnosis, Status, as_json_text, render
from lm_eval_plugin.doctor.machine import (
    bitsandbytes_fault,
    check_bitsandbytes,
    check_disk,
    check_gpus,
    check_hub,
    check_versions,
    check_watcher,
    gpus,
    hub_fault,
)
from lm_eval_plugin.doctor.simulators import Machine, check_simulator
from lm_eval_plugin.models.memory import default_device, free_memory, gigabytes


def doctor(simulators: Sequence[str], *, as_json: bool) -> int:
    """Print what this machine can run.

    Args:
        simulators: Names of presets, or JSON mappings as the key `simulator` of a `dialogue` block takes them; all
            presets if there is none.
        as_json: Whether to print JSON in place of tables.

    Returns:
        The exit code: 0 if each simulator that was asked for would load, or, if none was, the installation is sound.

    Raises:
        ConfigError: A simulator that is not known.
    """
    asked = dict(map(_read_simulator, simulators))
    diagnosis = diagnose(asked or None)
    if as_json:
        sys.stdout.write(as_json_text(diagnosis) + "\n")
    else:
        render(diagnosis, Console())
    fine = all(map(diagnosis.loads, asked)) if asked else diagnosis.sound
    return 0 if fine else 1


def _read_simulator(asked: str) -> tuple[str, SimulatorConfig]:
    """What was asked for, to be shown, and what it means; two mappings can have one label."""
    where = "chatbench doctor"
    given = name_or_mapping(asked, where)
    shown = asked if masked(given) == given else json.dumps(masked(given))
    return shown, read_simulator(given, where)


def diagnose(simulators: Mapping[str, SimulatorConfig] | None = None) -> Diagnosis:
    """Look at the machine, the installation and the simulators.

    Args:
        simulators: The simulators to look at, by what they are to be called; None for all presets.
    """
    if simulators is None:
        simulators = {name: read_simulator(name, "chatbench doctor") for name in PRESETS}
    unreachable, devices = hub_fault(), gpus()
    quantizes = {device: bitsandbytes_fault(device) for device in ("cpu", *devices)}
    machine = Machine(unreachable, default_device() if devices else "cpu", quantizes)
    fundamentals = (
        *check_versions(),
        check_watcher(),
        *check_gpus(),
        Check("main memory", Status.OK, f"{gigabytes(free_memory('cpu'))} free"),
        *(check_bitsandbytes(name, fault) for name, fault in quantizes.items()),
        check_hub(unreachable),
        check_disk(),
    )
    return Diagnosis(fundamentals, {asked: check_simulator(config, machine) for asked, config in simulators.items()})
