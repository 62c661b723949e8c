"""A task that may be one of those that a list of simulators stands for; see `config.several`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

from lm_eval_plugin.config.dialogue import DialogueConfig
from lm_eval_plugin.config.several import BASE_NAME
from lm_eval_plugin.harness.shared_static import sharing
from lm_eval_plugin.runner.unloading import unload_simulators


class OneOfSeveral(ConfigurableTask):  # type: ignore[misc]  # lm_eval is not typed
    """A task whose questions are those of the task that lists several simulators, whichever of them it is for.

    Attributes:
        siblings: The tasks of the list in the order in which they are run, this one among them; empty for a task of one simulator.
    """

    dialogue: DialogueConfig
    siblings: Sequence[OneOfSeveral] = ()
    _instances: list[Instance]

    def _without_base_name(self, config: dict[str, Any]) -> dict[str, Any]:
        """The configuration without the name that its questions have in common, which is noted."""
        self._base_name = str(config.get(BASE_NAME, config.get("task")))
        return {key: value for key, value in config.items() if key != BASE_NAME}

    def _unload_others(self) -> None:
        """Let go of the simulators of the other tasks, before this one's is loaded."""
        unload_simulators([task.dialogue for task in self.siblings if task is not self], beside=self.dialogue)

    def _share_static(self) -> None:
        """Take the static requests that a task before this one makes from it."""
        before = self.siblings[: self.siblings.index(self)] if self.siblings else ()
        self._instances = sharing(self._instances, [request for task in before for request in task.instances])
