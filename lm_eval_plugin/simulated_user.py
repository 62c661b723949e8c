"""From a configuration to the user of a dialogue: its policy, and whoever speaks for it."""

from __future__ import annotations

import functools
import json

from lm_eval.api.model import LM
from lm_eval.api.registry import get_model

from lm_eval_plugin.chat_format import ChatFormat, PlainFormat, TemplateFormat, has_chat_template, is_chat_api
from lm_eval_plugin.configuration import DialogueConfig
from lm_eval_plugin.errors import ConfigError, ModelError
from lm_eval_plugin.host_model import HostModel
from lm_eval_plugin.person import Person
from lm_eval_plugin.simulator_config import SimulatorConfig
from lm_eval_plugin.simulators import chatbench, two_step, userlm
from lm_eval_plugin.simulators.chatbench import ChatbenchFormat, Reading
from lm_eval_plugin.simulators.dialogue import Simulator
from lm_eval_plugin.simulators.human import HumanUser
from lm_eval_plugin.simulators.iqa_eval import IqaEval
from lm_eval_plugin.simulators.model_user import ModelUser, Script
from lm_eval_plugin.simulators.presets import MODEL_POLICIES, PROMPTED_POLICIES
from lm_eval_plugin.simulators.scripted import ScriptedUser
from lm_eval_plugin.simulators.sharded import ShardedUser
from lm_eval_plugin.simulators.two_step import Opening, TwoStep
from lm_eval_plugin.simulators.userlm import UserLM

_UNTIL = {
    # The rules and headings of the prompt end a message as well, but an API takes four stop strings: the markers go first.
    "chatbench": (*chatbench.STOPS, *(f"\n{heading}" for heading in two_step.HEADINGS.values()), f"\n{two_step.RULE}"),
    "userlm": userlm.STOPS,
}


def make_simulator(config: DialogueConfig) -> Simulator:
    """The user policy that a configuration names."""
    simulator = config.simulator
    match simulator.policy:
        case "scripted":
            return ScriptedUser(simulator.label, tuple(simulator.habits))
        case "sharded":
            # The last reply that the user gets is to the shard that completes the question.
            return ShardedUser(simulator.label, turns=max(1, config.max_turns - 1))
        case "human":
            return HumanUser(simulator.label)
    return ModelUser(
        label_of(config),
        _script(simulator),
        chain_of_thought=config.chain_of_thought,
        reasks=simulator.reasks if simulator.temperature > 0 else 0,
        opener=two_step.help_opener if simulator.policy == "two_step_help" else None,
    )


def label_of(config: DialogueConfig) -> str:
    """The simulator's label and the switches that make it another one; scores under different labels do not compare."""
    switches = ["chain_of_thought"] * config.chain_of_thought + ["persona"] * bool(config.persona)
    return "+".join([config.simulator.label, *switches])


def user_model(config: SimulatorConfig) -> HostModel | Person | None:
    """Who speaks for the simulated user; its model is loaded at its first use. None for a policy without one.

    Raises:
        ConfigError: The backend cannot do what the policy asks of it.
        ModelError: The model cannot be loaded.
        SimulatorError: Its adapter does not fit.
    """
    if config.policy == "human":
        return Person()
    if config.policy not in MODEL_POLICIES:
        return None
    lm = _load(config.backend, json.dumps(config.model_args), config.quantization, config.label)
    if is_chat_api(lm) and config.policy not in PROMPTED_POLICIES:
        raise ConfigError(
            f"simulator {config.label}: the policy {config.policy} continues a text, which the chat API {config.backend!r} "
            f"cannot; use local-completions, hf or vllm, or one of the policies {', '.join(PROMPTED_POLICIES)}"
        )
    # Without these, transformers would cut the distribution as the checkpoint's generation defaults say.
    whole = {"top_k": 0, "top_p": 1.0} if config.backend == "hf" and config.temperature > 0 else {}
    return HostModel(
        lm,
        name=f"simulator {config.label}",
        temperature=config.temperature,
        max_tokens=config.max_tokens,
        until=_UNTIL.get(config.policy, ()),
        gen_kwargs={**whole, **config.gen_kwargs},
        chat_format=_chat_format(config, lm),
    )


def _script(config: SimulatorConfig) -> Script:
    match config.policy:
        case "chatbench":
            return ChatbenchFormat(Reading(config.reading))
        case "iqa_eval":
            return IqaEval()
        case "userlm":
            return UserLM()
        case "two_step_problem":
            return TwoStep(Opening.PROBLEM)
    return TwoStep()


def _chat_format(config: SimulatorConfig, lm: LM) -> ChatFormat | None:
    """How the user's model is given a chat; None for one that is given finished texts."""
    if config.policy == "chatbench":
        return None
    if is_chat_api(lm) or (has_chat_template(lm) if config.chat_template is None else config.chat_template):
        return TemplateFormat(lm)
    return PlainFormat(lm)


# Two, so that a run that compares two simulators does not load them again and again.
@functools.lru_cache(maxsize=2)
def _load(backend: str, model_args_json: str, quantization: str, label: str) -> LM:
    model_args = json.loads(model_args_json)
    if backend == "hf":
        from lm_eval_plugin.quantized import load_quantized

        return load_quantized(model_args, quantization)
    try:
        lm: LM = get_model(backend).create_from_arg_obj(model_args)
        # Some backends look for their key at the first request only, which is late.
        _ = getattr(lm, "header", None)
    except (KeyError, ValueError, TypeError, ImportError) as error:
        raise ModelError(f"simulator {label}: the backend {backend!r} cannot be used: {error}") from error
    return lm
