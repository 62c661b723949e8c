"""What of a dialogue task's YAML goes to the host, and the task of the host that it is made of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets

from lm_eval_plugin.border.masking import conceal
from lm_eval_plugin.border.paths import check_local_path, local_or_hub
from lm_eval_plugin.config.dialogue import DialogueConfig
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.harness.task_files import file_of_lm_eval, read_task_file

_NOT_INHERITED = ("task", "task_alias", "tag", "group", "class", "dialogue")


def host_config(config: Mapping[str, Any], dialogue: DialogueConfig, where: str) -> dict[str, Any]:
    """The configuration of the host's own task, which is also the static side of the dialogue task.

    Args:
        config: The whole YAML, its `class` and `dialogue` keys included.
        dialogue: What its `dialogue` block and `--metadata` say.
        where: Names the task in errors.

    Raises:
        ConfigError: The included task file or the data set's folder does not exist.
    """
    own = {key: value for key, value in config.items() if key not in ("class", "dialogue")}
    if dialogue.include is not None:
        own = _included(own, dialogue.include, where)
    metadata = {**(own.get("metadata") or {}), "dialogue": conceal(dialogue.model_dump(mode="json"))}
    own["metadata"] = metadata
    if dialogue.dataset is not None:
        own["dataset_path"] = _dataset_path(dialogue.dataset, metadata, where)
        own.pop("dataset_kwargs", None)
    folder = Path(str(own.get("dataset_path")))
    if folder.is_dir():
        own["dataset_kwargs"] = {"cache_dir": cache_of(folder), **(own.get("dataset_kwargs") or {})}
    return own


def _included(own: Mapping[str, Any], include: str, where: str) -> dict[str, Any]:
    """The keys of a task of the host, with the task's own put over them."""
    path = file_of_lm_eval(include, own)
    if not path.is_file():
        raise ConfigError(f"{where}: dialogue.include is {include!r}, but the host has no file {path}")
    inherited = {
        key: value for key, value in read_task_file(path, with_functions=True).items() if key not in _NOT_INHERITED
    }
    metadata = {**(inherited.get("metadata") or {}), **(own.get("metadata") or {})}
    return {**inherited, **own, "metadata": metadata}


def cache_of(source: str | Path) -> str | None:
    """A cache of its own for every state of a local data set; None for one of the hub.

    The cache of `datasets` 5.2 knows a folder by its last name alone: another folder of that name, or the same one with
    other rows, would get the rows that were loaded first.
    """
    folder = Path(source)
    if not folder.is_dir():
        return None
    state = hashlib.sha256(str(folder.resolve()).encode())
    for file in sorted(folder.rglob("*")):
        status = file.stat()
        state.update(f"{file.relative_to(folder)}|{status.st_size}|{status.st_mtime_ns}\n".encode())
    return str(Path(datasets.config.HF_DATASETS_CACHE) / "chatbench" / state.hexdigest()[:16])


def _dataset_path(dataset: str, metadata: Mapping[str, Any], where: str) -> str:
    """The folder or hub name of the data set; a folder may stand beside the YAML that names it."""
    beside = Path(str(metadata.get("config_source", ""))).parent / dataset
    if beside.is_dir():
        return str(beside)
    check_local_path(dataset, f"{where}: dialogue.dataset")
    return local_or_hub(dataset)
