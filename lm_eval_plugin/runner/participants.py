"""From a configuration to the user of a dialogue: its policy, and whoever speaks for it."""

from __future__ import annotations

import hashlib

from lm_eval_plugin.config.condition import ANSWER_FIRST
from lm_eval_plugin.config.dialogue import DialogueConfig
from lm_eval_plugin.config.judge import JudgeConfig
from lm_eval_plugin.config.presets import MODEL_POLICIES
from lm_eval_plugin.config.protocol import PAPER
from lm_eval_plugin.config.protocol_label import protocol_label
from lm_eval_plugin.config.simulator import SimulatorConfig
from lm_eval_plugin.errors import ConfigError, JudgeError, ModelError, SimulatorError
from lm_eval_plugin.models.chat_format import chat_format_of
from lm_eval_plugin.models.lm_model import HostModel
from lm_eval_plugin.models.loading import check_policy, load_model
from lm_eval_plugin.models.person import Person
from lm_eval_plugin.simulators import chatbench, two_step, userlm
from lm_eval_plugin.simulators.chatbench import ChatbenchFormat, Reading
from lm_eval_plugin.simulators.human import HumanUser
from lm_eval_plugin.simulators.iqa_eval import IqaEval
from lm_eval_plugin.simulators.loop import AnswersAlone, Simulator
from lm_eval_plugin.simulators.model_user import ModelUser, Script
from lm_eval_plugin.simulators.paper_reading import PaperReading, iqa_answer, two_step_answer
from lm_eval_plugin.simulators.personas import ANY, PERSONAS
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
        _read_as(_script(simulator), config),
        chain_of_thought=config.chain_of_thought,
        reasks=simulator.reasks if simulator.temperature > 0 else 0,
        opener=two_step.help_opener if simulator.policy == "two_step_help" else None,
        sends_nothing=config.protocol == PAPER,
    )


def answering_first(config: DialogueConfig, simulator: Simulator) -> AnswersAlone | None:
    """Who answers before the dialogue; None in the condition `direct`.

    Raises:
        ConfigError: The policy cannot answer by itself.
    """
    return answering_alone(config, simulator) if config.condition == ANSWER_FIRST else None


def answering_alone(config: DialogueConfig, simulator: Simulator) -> AnswersAlone:
    """The user as one that answers without help.

    Raises:
        ConfigError: The policy cannot.
    """
    if not isinstance(simulator, AnswersAlone):
        raise ConfigError(
            f"the simulator policy {config.simulator.policy!r} cannot answer by itself, as condition answer_first and user_alone "
            "ask of it; give it a method answer_alone, or leave them out"
        )
    return simulator


def label_of(config: DialogueConfig) -> str:
    """The simulator's label and the switches that make it another one; scores under different labels do not compare.

    A persona stands there by its name, a text of one's own by the first 6 hex digits of its SHA-256.
    """
    people = "|".join(_name_of(person) for person in config.persona)
    protocol = [protocol_label(config)] if config.protocol == PAPER else []
    condition = [ANSWER_FIRST] * (config.condition == ANSWER_FIRST)
    switches = condition + ["chain_of_thought"] * config.chain_of_thought + [f"persona={people}"] * bool(people)
    return "+".join([config.simulator.label, *switches, *protocol])


def _name_of(person: str) -> str:
    return person if person in (ANY, *PERSONAS) else hashlib.sha256(person.encode()).hexdigest()[:6]


def user_model(
    config: SimulatorConfig, kept_bytes: int | None = None, *, parts_reasoning: bool = True, outage_s: float = 0
) -> HostModel | Person | None:
    """Who speaks for the simulated user; its model is loaded at its first use. None for a policy without one.

    Args:
        config: The simulator.
        kept_bytes: How much memory may hold what its model computed of earlier turns; None for a part of what is free.
        outage_s: How long its server is waited for where it stops answering.
        parts_reasoning: Whether its thoughts are taken out of its messages; the paper's protocol sends them.

    Raises:
        ConfigError: The backend cannot do what the policy asks of it.
        ModelError: The model cannot be loaded.
        SimulatorError: Its adapter does not fit.
    """
    if config.policy == "human":
        return Person()
    if config.policy not in MODEL_POLICIES:
        return None
    lm = load_model(config.backend, config.model_args, config.quantization, f"simulator {config.label}")
    check_policy(config, type(lm))
    # Without these, transformers would cut the distribution as the checkpoint's generation defaults say.
    whole = {"top_k": 0, "top_p": 1.0} if config.backend == "hf" and config.temperature > 0 else {}
    return HostModel(
        lm,
        name=f"simulator {config.label}",
        temperature=config.temperature,
        max_tokens=config.max_tokens,
        until=_UNTIL.get(config.policy, ()),
        gen_kwargs={**whole, **config.gen_kwargs},
        # The fine-tuned user is given finished texts.
        chat_format=None if config.policy == "chatbench" else chat_format_of(lm, chat_template=config.chat_template),
        kept_bytes=kept_bytes,
        parts_reasoning=parts_reasoning,
        outage_s=outage_s,
    )


def judge_model(config: JudgeConfig, name: str = "the judge") -> HostModel:
    """The judge, or whoever else reads what was said, loaded at its first use.

    Raises:
        JudgeError: It cannot be loaded or used.
    """
    try:
        lm = load_model(config.backend, config.model_args, config.quantization, name)
    except (ModelError, SimulatorError) as error:
        raise JudgeError(str(error)) from error
    return HostModel(
        lm,
        name=name,
        temperature=config.temperature,
        max_tokens=config.max_tokens,
        gen_kwargs=config.gen_kwargs,
        chat_format=chat_format_of(lm, chat_template=config.chat_template),
    )


def _read_as(script: Script, config: DialogueConfig) -> Script:
    """The script, read as the protocol reads."""
    if config.protocol != PAPER:
        return script
    return PaperReading(script, iqa_answer if config.simulator.policy == "iqa_eval" else two_step_answer)


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
