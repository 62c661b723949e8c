"""lm_eval's loader of task files and its factory of tasks, with the private steps that may be overridden as public ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias

from lm_eval.tasks import _factory, _index, _yaml_loader
from lm_eval.tasks._factory import TaskFactory

if TYPE_CHECKING:
    from lm_eval.tasks import TaskManager
    from lm_eval.tasks._index import Entry

Keys: TypeAlias = dict[str, object]
"""Keys of a task file, or of what overrides some of them."""


LoadYaml: TypeAlias = Callable[..., Keys]
"""lm_eval's loader of task files: a path, and whether functions and included files are resolved."""


def task_loader() -> LoadYaml:
    """The function by which lm_eval loads a task file.

    Seen in lm_eval 0.4.13: `lm_eval.tasks._yaml_loader.load_yaml`.
    """
    load: LoadYaml = _yaml_loader.load_yaml
    return load


def replace_task_loader(load: LoadYaml, manager: ModuleType) -> None:
    """Have every module of lm_eval that loads task files load them by another function.

    Args:
        load: The function.
        manager: The module `lm_eval.tasks.manager`.

    Seen in lm_eval 0.4.13: `lm_eval.tasks._factory.load_yaml`, `lm_eval.tasks._index.load_yaml`.
    """
    modules: tuple[ModuleType, ...] = (_yaml_loader, _factory, _index, manager)
    for module in modules:
        if hasattr(module, "load_yaml"):
            vars(module)["load_yaml"] = load


def factory_of(manager: TaskManager) -> OpenFactory:
    """The factory that builds a manager's tasks.

    Seen in lm_eval 0.4.13: `lm_eval.tasks.manager.TaskManager._factory`.
    """
    factory: OpenFactory = manager._factory
    return factory


class OpenFactory(TaskFactory):
    """lm_eval's factory of tasks, whose steps can be overridden under public names."""

    def metadata_of_run(self) -> Keys:
        """What every task and group that is built gets among its metadata.

        Seen in lm_eval 0.4.13: `lm_eval.tasks._factory.TaskFactory._meta`.
        """
        metadata: Keys = self._meta
        return metadata

    def set_metadata_of_run(self, metadata: Keys) -> None:
        """Give every task and group that is built from now on other metadata.

        Seen in lm_eval 0.4.13: `lm_eval.tasks._factory.TaskFactory._meta`.
        """
        self._meta: Keys = metadata

    def full_config(self, entry: Entry, overrides: Keys | None) -> Keys:
        """The keys of a task with what overrides them.

        Seen in lm_eval 0.4.13: `lm_eval.tasks._factory.TaskFactory._load_full_config`.
        """
        config: Keys = super()._load_full_config(entry, overrides)
        return config

    def group(self, name: str, keys: Keys, overrides: Keys | None, index: dict[str, Entry]) -> object:
        """Build a group.

        Seen in lm_eval 0.4.13: `lm_eval.tasks._factory.TaskFactory._build_group`.
        """
        return super()._build_group(name, keys, overrides, index)

    def members(self, listed: Sequence[object], group: str, overrides: Keys | None, index: dict[str, Entry]) -> object:
        """Build what a group lists.

        Seen in lm_eval 0.4.13: `lm_eval.tasks._factory.TaskFactory._build_group_members`.
        """
        return super()._build_group_members(listed, group, overrides, index)

    def task(self, entry: Entry, overrides: Keys | None) -> object:
        """Build a task.

        Seen in lm_eval 0.4.13: `lm_eval.tasks._factory.TaskFactory._build_task`.
        """
        return super()._build_task(entry, overrides)

    def _load_full_config(self, entry: Entry, overrides: Keys | None = None) -> Keys:
        return self.full_config(entry, overrides)

    def _build_group(
        self, group_name: str, raw_cfg: Keys, overrides: Keys | None, registry: dict[str, Entry]
    ) -> object:
        return self.group(group_name, raw_cfg, overrides, registry)

    def _build_group_members(
        self, member_list: Sequence[object], group_name: str, overrides: Keys | None, registry: dict[str, Entry]
    ) -> object:
        return self.members(member_list, group_name, overrides, registry)

    def _build_task(self, entry: Entry, overrides: Keys | None) -> object:
        return self.task(entry, overrides)
