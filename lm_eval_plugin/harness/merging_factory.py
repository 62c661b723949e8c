"""lm_eval's factory of tasks, with `dialogue:` blocks merged; see `dialogue_overrides`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval.tasks import _yaml_loader
from lm_eval.tasks._factory import TaskFactory

from lm_eval_plugin.config.dialogue import put_over, read_dialogue_block

_BLOCK = "dialogue"
_NAME = re.compile(r"[^\w.-]+")


class MergingFactory(TaskFactory):  # type: ignore[misc]
    """A factory of tasks that merges blocks key by key, and tells two blocks of one task apart by the task's name."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.named: dict[str, Any] = {}

    def build(self, entry: Any, *, overrides: dict[str, Any] | None = None, registry: dict[str, Any]) -> Any:
        """Build an entry; one that is given as a mapping and names one of ours overrides the keys that it has."""
        known = registry.get(entry.name)
        if overrides and entry.yaml_path is None and known is not None and _refines(overrides, known):
            entry, overrides = known, {key: value for key, value in overrides.items() if key != "group"}
        return super().build(entry, overrides=overrides, registry=registry)

    def _load_full_config(self, entry: Any, overrides: dict[str, Any] | None = None) -> dict[str, Any]:
        config: dict[str, Any] = super()._load_full_config(entry, overrides)
        if overrides and _BLOCK in overrides:
            own = super()._load_full_config(entry, None).get(_BLOCK)
            config[_BLOCK] = overrides[_BLOCK] if own is None else put_over(own, overrides[_BLOCK])
        return config

    def _build_group(
        self, group_name: str, raw_cfg: dict[str, Any], overrides: dict[str, Any] | None, registry: dict[str, Any]
    ) -> Any:
        return super()._build_group(group_name, raw_cfg, _over(raw_cfg, overrides), registry)

    def _build_group_members(
        self,
        member_list: Sequence[Any],
        group_name: str,
        overrides: dict[str, Any] | None,
        registry: dict[str, Any],
    ) -> Any:
        members = [_over(overrides, each) if isinstance(each, dict) else each for each in member_list]
        return super()._build_group_members(members, group_name, overrides, registry)

    def _build_task(self, entry: Any, overrides: dict[str, Any] | None) -> Any:
        config = self._load_full_config(entry, overrides)
        if _BLOCK in config:
            name = self._own_name(config["task"], config[_BLOCK])
            overrides = {**(overrides or {}), "task": name} if name != config["task"] else overrides
        return super()._build_task(entry, overrides)

    def _own_name(self, task: str, block: Any) -> str:
        """The task's name, or another where a task of this name and another block is in the same run."""
        if self.named.setdefault(task, block) == block:
            return task
        name = f"{task}@{_simulator_of(block, task)}"
        numbered = [name, *(f"{name}-{number}" for number in range(2, len(self.named) + 3))]
        return next(each for each in numbered if self.named.setdefault(each, block) == block)


def _over(below: Mapping[str, Any] | None, above: dict[str, Any] | None) -> dict[str, Any] | None:
    """The keys above, with their block put over the one below."""
    if not below or not above or _BLOCK not in below or _BLOCK not in above:
        return above
    return {**above, _BLOCK: put_over(below[_BLOCK], above[_BLOCK])}


def _refines(given: Mapping[str, Any], known: Any) -> bool:
    """Whether a mapping names a task or group of ours and overrides some of its keys, and is no whole task by itself."""
    if known.yaml_path is None or "class" in given:
        return False
    if isinstance(given.get("task"), list):
        return False
    config = _yaml_loader.load_yaml(known.yaml_path, resolve_func=False)
    return "chatbench_tasks" in str(config.get("class")) or ("group" in given and _BLOCK in given)


def _simulator_of(block: Any, task: str) -> str:
    """The label of a block's simulator, as part of a task's name."""
    return _NAME.sub("-", read_dialogue_block(block, f"task {task}").simulator.label).strip("-")
