"""lm_eval's factory of tasks, with `dialogue:` blocks merged; see `dialogue_overrides`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lm_eval_plugin.config.dialogue import put_over, read_dialogue_block
from lm_eval_plugin.config.several import BASE_NAME, listed_simulators, name_of_simulator, names_of
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.harness.task_files import BLOCK, read_task_file
from lm_eval_plugin.lm_eval_access.task_files import OpenFactory


@dataclass(frozen=True, slots=True)
class _Chosen:
    """One of several simulators.

    Args:
        simulator: As the list has it.
        name: What the names of its tasks and groups end with, behind an `@`.
        listed: The whole list.
    """

    simulator: Any
    name: str
    listed: list[Any]


class _SeveralError(Exception):
    """A task that is to be built has a list of simulators."""

    def __init__(self, listed: list[Any], task: str) -> None:
        super().__init__()
        self.listed = listed
        self.task = task


class MergingFactory(OpenFactory):
    """A factory of tasks that merges blocks key by key, and tells two blocks of one task apart by the task's name."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.named: dict[str, object] = {}
        self.families: dict[str, list[Any]] = {}
        self._given: dict[str, Any] = dict(self.metadata_of_run())
        self._building = False
        self._chosen: _Chosen | None = None

    def build(self, entry: Any, *, overrides: dict[str, Any] | None = None, registry: dict[str, Any]) -> Any:
        """Build an entry, once for each simulator where its tasks list several."""
        if self._building:
            return self._built(entry, overrides, registry)
        try:
            return self._whole(None, entry, overrides, registry)
        except _SeveralError as several:
            names = names_of(several.listed, f"task {several.task}")
            chosen = [_Chosen(each, name, several.listed) for each, name in zip(several.listed, names, strict=True)]
        built = [self._whole(each, entry, overrides, registry) for each in chosen]
        return [item for each in built for item in (each if isinstance(each, list) else [each])]

    def _whole(self, chosen: _Chosen | None, entry: Any, overrides: dict[str, Any] | None, registry: Any) -> Any:
        """An entry with all that is below it, as of one simulator."""
        self._building, self._chosen = True, chosen
        self.set_metadata_of_run(_with_one(self._given, chosen))
        try:
            return self._built(entry, overrides, registry)
        finally:
            self._building, self._chosen = False, None
            self.set_metadata_of_run(self._given)

    def _built(self, entry: Any, overrides: dict[str, Any] | None, registry: dict[str, Any]) -> Any:
        """One entry; one that is given as a mapping and names one of ours overrides the keys that it has."""
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
        """Build a group, named by the simulator that is chosen; what overrides it is put over its own block."""
        named = f"{name}@{self._chosen.name}" if self._chosen else name
        return super().group(named, keys, _over(keys, overrides), index)

    def members(
        self, listed: Sequence[object], group: str, overrides: dict[str, object] | None, index: dict[str, object]
    ) -> object:
        """Build what a group lists; the block of an entry is put over the group's."""
        entries = [_over(overrides, each) if isinstance(each, dict) else each for each in listed]
        return super().members(entries, group, overrides, index)

    def task(self, entry: Any, overrides: dict[str, Any] | None) -> Any:
        """Build a task, under a name of its own if it is of one of several simulators or another block has its name."""
        config = self.full_config(entry, overrides)
        if BLOCK not in config:
            return super().task(entry, overrides)
        base, block = config["task"], config[BLOCK]
        task, one = self._of_one(base, block)
        name = self._own_name(task, one)
        own = {**({"task": name} if name != base else {}), **({BLOCK: one} if one != block else {})}
        own |= {BASE_NAME: base} if task != base else {}
        built: Any = super().task(entry, {**(overrides or {}), **own} if own else overrides)
        if task != base:
            built.siblings = self.families.setdefault(base, [])
            built.siblings.append(built)
        return built

    def _of_one(self, task: str, block: Any) -> tuple[str, Any]:
        """The name and the block of a task under the simulator that is chosen; as they are where it lists none.

        Raises:
            ConfigError: It lists others than the tasks with which it is built.
        """
        given = self._given.get(BLOCK)
        listed = listed_simulators(block if given is None else put_over(block, given))
        if listed is None:
            return task, block
        if self._chosen is None:
            raise _SeveralError(listed, task)
        if listed != self._chosen.listed:
            raise ConfigError(
                f"task {task} lists other simulators than the tasks in whose group it is; let them list the same"
            )
        of_own = listed_simulators(block) is not None
        return f"{task}@{self._chosen.name}", {**block, "simulator": self._chosen.simulator} if of_own else block

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


def _with_one(metadata: dict[str, Any], chosen: _Chosen | None) -> dict[str, Any]:
    """The metadata of a run, with the simulator that is chosen in place of the list that it gives."""
    block = metadata.get(BLOCK) or {}
    if chosen is None or listed_simulators(block) is None:
        return metadata
    return {**metadata, BLOCK: {**block, "simulator": chosen.simulator}}


def _simulator_of(block: object, task: str) -> str:
    """The label of a block's simulator, as part of a task's name."""
    return name_of_simulator(read_dialogue_block(block, f"task {task}").simulator.label)
