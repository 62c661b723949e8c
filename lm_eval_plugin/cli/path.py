"""`chatbench path`: where a part of the installation is, for use in other commands."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from lm_eval_plugin.config.presets import DEMO_ASSISTANT, DEMO_SIMULATOR_ADAPTER, DEMO_SIMULATOR_BASE
from lm_eval_plugin.harness.tasks_folder import tasks_folder

_PARTS: Mapping[str, Callable[[], Path]] = {
    "tasks": tasks_folder,
    "demo-assistant": lambda: DEMO_ASSISTANT,
    "demo-simulator-base": lambda: DEMO_SIMULATOR_BASE,
    "demo-simulator-adapter": lambda: DEMO_SIMULATOR_ADAPTER,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "what",
        choices=list(_PARTS),
        help="the task files (for --include_path), or a model of the demo (for pretrained= or peft=)",
    )


def run(chosen: argparse.Namespace) -> int:
    """Print the path."""
    print(_PARTS[chosen.what]())
    return 0
