"""Overriding a task's `dialogue:` block key by key, wherever lm_eval lets a task's keys be overridden.

lm_eval puts the later mapping in the place of the earlier one, key of the task by key of the task: in a YAML that includes
another, in an entry of a group, in a group's own keys, in a task given as a mapping. For `dialogue:` that would throw away the
block that is overridden, simulator and all. Here the blocks are merged as `config.dialogue.merge_blocks` does, and a task that
stands twice in one run, with two blocks, is two tasks: the second is named `task@simulator`.

Source: lm_eval 0.4.13, `tasks/_yaml_loader.py` and `tasks/_factory.py`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.harness.merging_factory import MergingFactory
from lm_eval_plugin.harness.task_files import BLOCK, dialogue_block
from lm_eval_plugin.lm_eval_access.task_files import LoadYaml, factory_of, replace_task_loader, task_loader


def merge_dialogue_blocks(manager: ModuleType) -> None:
    """Have lm_eval's loader of task files and its factory of tasks merge `dialogue:` blocks; once, however often it is asked.

    Args:
        manager: The module `lm_eval.tasks.manager`.
    """
    if hasattr(task_loader(), "__wrapped__"):
        return
    replace_task_loader(_merging(task_loader()), manager)
    vars(manager)["TaskFactory"] = MergingFactory
    manager.TaskManager.load = _naming_afresh(manager.TaskManager.load)


def _merging(load_yaml: LoadYaml) -> LoadYaml:
    @functools.wraps(load_yaml)
    def merging(path: str | Path, *, recursive: bool = True, **options: object) -> dict[str, object]:
        loaded = load_yaml(path, recursive=recursive, **options)
        return {**loaded, BLOCK: dialogue_block(Path(path))} if recursive and BLOCK in loaded else loaded

    return merging


def _naming_afresh(load: Any) -> Any:
    signature = inspect.signature(load)

    @functools.wraps(load)
    def loading(*args: Any, **kwargs: Any) -> Any:
        manager = signature.bind(*args, **kwargs).arguments["self"]
        # Names are those of one run.
        factory = factory_of(manager)
        factory.named, factory.families = {}, {}
        loaded = load(*args, **kwargs)
        _check_metadata_is_used(manager, loaded, _caller())
        return loaded

    return loading


def _caller() -> FrameType | None:
    """The frame that called the function that asks; lm_eval hands on what is looked for there to nobody."""
    frame = inspect.currentframe()
    asking = frame.f_back if frame else None
    return asking.f_back if asking else None


def _check_metadata_is_used(manager: Any, loaded: Mapping[str, Any], caller: FrameType | None) -> None:
    """Refuse `simple_evaluate(task_manager=..., metadata=...)` where the tasks of ours would not see the metadata.

    lm_eval uses the metadata for the manager that it makes, and ignores it beside a manager that it is given.
    """
    evaluating = caller is not None and caller.f_code.co_name == "simple_evaluate"
    given = (caller.f_locals.get("metadata") if caller and evaluating else None) or {}
    known = manager.metadata or {}
    unused = [key for key in given if key not in known or known[key] != given[key]]
    ours = [name for name, task in loaded["tasks"].items() if hasattr(task, "holds_dialogues")]
    if unused and ours:
        raise ConfigError(
            f"metadata={{{unused[0]!r}: ...}} stands beside a task_manager, which lm_eval then uses alone, so {ours[0]} would not "
            "see it; give it to the manager: TaskManager(metadata=...)"
        )
