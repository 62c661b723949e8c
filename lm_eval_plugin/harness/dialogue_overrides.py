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
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from lm_eval_plugin.config.dialogue import put_over
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.harness.merging_factory import MergingFactory

_BLOCK = "dialogue"


def merge_dialogue_blocks(manager: ModuleType) -> None:
    """Have lm_eval's loader of task files and its factory of tasks merge `dialogue:` blocks; once, however often it is asked.

    Args:
        manager: The module `lm_eval.tasks.manager`.
    """
    from lm_eval.tasks import _factory, _index, _yaml_loader

    if hasattr(_yaml_loader.load_yaml, "merges_dialogue"):
        return
    load_yaml = _merging(_yaml_loader.load_yaml)
    modules: list[Any] = [_yaml_loader, _factory, _index, manager]
    for module in modules:
        if hasattr(module, "load_yaml"):
            module.load_yaml = load_yaml
    manager.TaskFactory = MergingFactory  # type: ignore[attr-defined]
    manager.TaskManager.load = _naming_afresh(manager.TaskManager.load)


def _merging(load_yaml: Any) -> Any:
    @functools.wraps(load_yaml)
    def merging(path: str | Path, *, recursive: bool = True, **options: Any) -> dict[str, Any]:
        loaded: dict[str, Any] = load_yaml(path, recursive=recursive, **options)
        if recursive and _BLOCK in loaded:
            loaded[_BLOCK] = of_file(Path(path))
        return loaded

    def of_file(path: Path) -> Any:
        path = path.expanduser().resolve()
        own = load_yaml(path, resolve_func=False, recursive=False)
        included = own.get("include", [])
        block: Any = None
        for name in included if isinstance(included, list) else [included]:
            inherited = _moved(merging(path.parent / name, resolve_func=False).get(_BLOCK), path.parent / name, path)
            block = block if inherited is None else inherited if block is None else put_over(block, inherited)
        if _BLOCK not in own:
            return block
        return own[_BLOCK] if block is None else put_over(block, own[_BLOCK])

    merging.merges_dialogue = True  # type: ignore[attr-defined]
    return merging


def _moved(block: Any, source: Path, target: Path) -> Any:
    """A block of one file as another file may hold it: a data set that lies beside the first is named by its whole path."""
    folder = source.resolve().parent
    dataset = block.get("dataset") if isinstance(block, Mapping) else None
    if folder == target.parent or not isinstance(dataset, str) or not (folder / dataset).is_dir():
        return block
    return {**block, "dataset": str(folder / dataset)}


def _naming_afresh(load: Any) -> Any:
    signature = inspect.signature(load)

    @functools.wraps(load)
    def loading(*args: Any, **kwargs: Any) -> Any:
        manager = signature.bind(*args, **kwargs).arguments["self"]
        manager._factory.named = {}  # noqa: SLF001  # names are those of one run
        loaded = load(*args, **kwargs)
        _check_metadata_is_used(manager, loaded, sys._getframe(1))  # noqa: SLF001  # lm_eval passes it no further
        return loaded

    return loading


def _check_metadata_is_used(manager: Any, loaded: Mapping[str, Any], caller: FrameType) -> None:
    """Refuse `simple_evaluate(task_manager=..., metadata=...)` where the tasks of ours would not see the metadata.

    lm_eval uses the metadata for the manager that it makes, and ignores it beside a manager that it is given.
    """
    given = (caller.f_locals.get("metadata") if caller.f_code.co_name == "simple_evaluate" else None) or {}
    known = manager.metadata or {}
    unused = [key for key in given if key not in known or known[key] != given[key]]
    ours = [name for name, task in loaded["tasks"].items() if hasattr(task, "holds_dialogues")]
    if unused and ours:
        raise ConfigError(
            f"metadata={{{unused[0]!r}: ...}} stands beside a task_manager, which lm_eval then uses alone, so {ours[0]} would not "
            "see it; give it to the manager: TaskManager(metadata=...)"
        )
