"""The folder that a training writes, and what in it says whether it is new, under way or finished.

training.json     what was asked for: data and recipe; another configuration never overwrites it
checkpoints/      while it is under way, to go on from
results.json      when it is finished: perplexities and counts
simulator.json    the `simulator` mapping that runs it
README.md         the model card, beside the weights
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from lm_eval_plugin.errors import ConfigError

SETTINGS, RESULTS, SIMULATOR = "training.json", "results.json", "simulator.json"
CARD, CHECKPOINTS = "README.md", "checkpoints"

_STATE = "trainer_state.json"


def reserve(folder: Path, settings: Mapping[str, object]) -> None:
    """Make sure that the folder is there and empty, or this training's own.

    Raises:
        ConfigError: It holds another training, or something else, and what differs; or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror or error}") from error
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"{folder} cannot be written; give another folder for the simulator")
    if not any(folder.iterdir()):
        return
    if not (folder / SETTINGS).is_file():
        raise ConfigError(f"{folder} holds something else than a training; give another folder for the simulator")
    before, now = _flat(json.loads((folder / SETTINGS).read_text(encoding="utf-8"))), _flat(settings)
    differing = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    if differing:
        changes = ", ".join(f"{key}: {before.get(key)!r} there, {now.get(key)!r} now" for key in differing)
        raise ConfigError(
            f"{folder} holds a training of another configuration ({changes}); give another folder, or remove it"
        )


def claim(folder: Path, settings: Mapping[str, object]) -> None:
    """Make the folder this training's own; `reserve` has said that it may."""
    write_json(folder / SETTINGS, settings)


def finished(folder: Path) -> dict[str, object] | None:
    """The results of a finished training; None of one that is not."""
    file = folder / RESULTS
    if not file.is_file():
        return None
    results: dict[str, object] = json.loads(file.read_text(encoding="utf-8"))
    return results


def last_checkpoint(folder: Path) -> Path | None:
    """The latest checkpoint that was written to its end; None if there is none."""
    complete = [state.parent for state in (folder / CHECKPOINTS).glob(f"checkpoint-*/{_STATE}") if _is_json(state)]
    return max(complete, key=lambda checkpoint: int(checkpoint.name.rpartition("-")[2]), default=None)


def drop_checkpoints(folder: Path) -> None:
    """Remove what a finished training needs no more."""
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def write_json(file: Path, value: Mapping[str, object]) -> None:
    """Write a mapping so that it can be read by people, too, and is there as a whole or not at all."""
    draft = file.with_suffix(".tmp")
    draft.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    draft.replace(file)


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


def _flat(settings: Mapping[str, object]) -> dict[str, object]:
    """The settings by names such as `recipe.seed`."""
    return {
        f"{part}.{name}": entry
        for part, entries in settings.items()
        if isinstance(entries, Mapping)
        for name, entry in entries.items()
    }
