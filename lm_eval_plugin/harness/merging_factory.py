"""lm_eval's factory of tasks, with `dialogue:` blocks merged; see `dialogue_overrides`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval_plugin.config.dialogue import put_over, read_dialogue_block
from lm_eval_plugin.harness.task_files import BLOCK, read_task_file
from lm_eval_plugin.lm_eval_access.task_files import OpenFactory

_NAME = re.compile(r"[^\w.-]+")


class MergingFactory(OpenFactory):
    """A factory of tasks that merges blocks key by key, and tells two blocks of one task apart by the task's name."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.named: dict[str, object] = {}

    def build(self, entry: Any, *, overrides: dict[str, Any] | None = None, registry: dict[str, Any]) -> Any:
        """Build an entry; one that is given as a mapping and names one of ours overrides the keys that it has."""
        known = registry.get(entry.name)
        if overrides and entry.yaml_path is None and known is not None and _refines(overrides, known):
            entry, overrides = known, {key: value for key, value in overrides.items() if key != "group"}
        return super().build(entry, overrides=overrides, registry=registry)

    def full_config(self, entry: Any, overrides: dict[str, Any] | None) -> dict[str, Any]:
        """The keys of a task, its block put over the file's."""
        config = super().full_config(entry, overrides)
        if overrides and BLOCK in overrides:
            own = super().full_config(entry, None).get(BLOCK)
            config[BLOCK] = overrides[BLOCK] if own is None else put_over(own, overrides[BLOCK])
        return config

    def group(self, name: str, keys: dict[str, Any], overrides: dict[str, Any] | None, index: dict[str, Any]) -> Any:
        """Build a group; what overrides it is put over its own block."""
        return super().group(name, keys, _over(keys, overrides), index)

    def members(
        self, listed: Sequence[object], group: str, overrides: dict[str, object] | None, index: dict[str, object]
    ) -> object:
        """Build what a group lists; the block of an entry is put over the group's."""
        entries = [_over(overrides, each) if isinstance(each, dict) else each for each in listed]
        return super().members(entries, group, overrides, index)

    def task(self, entry: Any, overrides: dict[str, Any] | None) -> Any:
        """Build a task, under a name of its own if one of its name and another block is in the same run."""
        config = self.full_config(entry, overrides)
        if BLOCK in config:
            name = self._own_name(config["task"], config[BLOCK])
            overrides = {**(overrides or {}), "task": name} if name != config["task"] else overrides
        return super().task(entry, overrides)

    def _own_name(self, task: str, block: Any) -> str:
        """The task's name, or another where a task of this name and another block is in the same run."""
        if self.named.setdefault(task, block) == block:
            return task
        name = f"{task}@{_simulator_of(block, task)}"
        numbered = [name, *(f"{name}-{number}" for number in range(2, len(self.named) + 3))]
        return next(each for each in numbered if self.named.setdefault(each, block) == block)


def _over(below: Mapping[str, object] | None, above: dict[str, object] | None) -> dict[str, object] | None:
    """The keys above, with their block put over the one below."""
    if not below or not above or BLOCK not in below or BLOCK not in above:
        return above
    return {**above, BLOCK: put_over(below[BLOCK], above[BLOCK])}


def _refines(given: Mapping[str, Any], known: Any) -> bool:
    """Whether a mapping names a task or group of ours and overrides some of its keys, and is no whole task by itself."""
    if known.yaml_path is None or "class" in given:
        return False
    if isinstance(given.get("task"), list):
        return False
    config = read_task_file(known.yaml_path)
    return "chatbench_tasks" in str(config.get("class")) or ("group" in given and BLOCK in given)


def _simulator_of(block: object, task: str) -> str:
    """The label of a block's simulator, as part of a task's name."""
    return _NAME.sub("-", read_dialogue_block(block, f"task {task}").simulator.label).strip("-")
