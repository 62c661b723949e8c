"""One simulator after the other: those of a run that is not their turn give back the memory that they take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.config.dialogue import DialogueConfig
from lm_eval_plugin.config.judge import JudgeConfig
from lm_eval_plugin.config.request import DialogueRequest
from lm_eval_plugin.config.simulator import SimulatorConfig
from lm_eval_plugin.models.loading import unload_model

logger = logger_of(__name__)

_Job = tuple[int, int]


def by_simulator(groups: Mapping[str, list[_Job]], read: Mapping[int, DialogueRequest]) -> Iterator[list[_Job]]:
    """The groups of a run, those of one simulator together, in the order of the simulators; each when the others are unloaded.

    Args:
        groups: Jobs of equal settings, a job being the identity of its request and which of its dialogues it is.
        read: The requests by identity.
    """
    configs = {key: read[jobs[0][0]].dialogue for key, jobs in groups.items()}
    order = list(dict.fromkeys(config.simulator.label for config in configs.values()))
    for key in sorted(groups, key=lambda each: order.index(configs[each].simulator.label)):
        unload_simulators([config for other, config in configs.items() if other != key], beside=configs[key])
        yield groups[key]


def unload_simulators(others: Iterable[DialogueConfig], *, beside: DialogueConfig) -> None:
    """Let go of the simulators' models, servers aside, but for what the configuration beside them has use of.

    Args:
        others: Configurations whose turn it is not.
        beside: The one whose turn it is; its simulator, judge and reader stay.
    """
    needed = [_model(each) for each in (beside.simulator, beside.judge, beside.reader_model) if each is not None]
    for other in others:
        if _model(other.simulator) not in needed and unload_model(*_model(other.simulator)):
            logger.info("simulator %s is unloaded.", other.simulator.label)


def _model(config: SimulatorConfig | JudgeConfig) -> tuple[str, dict[str, Any], str]:
    return config.backend, config.model_args, config.quantization
