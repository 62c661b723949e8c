"""The `dialogue:` block of a task: read once, checked strictly, frozen.

A task's YAML holds the block; `--metadata '{"dialogue": {...}}'` overrides it key by key. Whatever nobody knows, or has
the wrong type, is a `ConfigError` that names the key, the nearest valid name and the allowed values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, model_validator

from lm_eval_plugin.border.paths import check_local_path
from lm_eval_plugin.config.condition import ANSWER_FIRST, as_condition
from lm_eval_plugin.config.judge import JudgeConfig
from lm_eval_plugin.config.presets import MODEL_POLICIES
from lm_eval_plugin.config.protocol import PAPER, PAPER_POLICIES, check_policy_of_paper, with_protocol
from lm_eval_plugin.config.reader import ReaderConfig, as_reader
from lm_eval_plugin.config.several import listed_simulators, one_each
from lm_eval_plugin.config.simulator import SimulatorConfig, read_simulator
from lm_eval_plugin.config.strict import GenKwargs, Strict, as_list, nearest, validated
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.simulators.personas import ANY, PERSONAS

DEFAULT_SIMULATOR = "chatbench-distilgpt2"
"""The released simulator that runs on any machine."""


class AssistantConfig(Strict):
    """How the model under test generates its replies.

    Args:
        temperature: 0 for greedy decoding, which is lm_eval's custom and repeats exactly; the paper samples at 0.7.
        max_tokens: Longest reply, in tokens; the paper allows 1000.
        until: Strings that end a reply, beside those of the model's own format.
        gen_kwargs: Whatever else the backend's `generate_until` takes, as lm_eval spells it (`top_p`, ...).
    """

    temperature: float = Field(0.0, ge=0.0)
    max_tokens: int = Field(512, ge=1)
    until: Annotated[list[str], BeforeValidator(as_list)] = Field(default_factory=list)
    gen_kwargs: GenKwargs = Field(default_factory=dict)


ASSISTANTS: Mapping[str, Mapping[str, Any]] = {"paper": {"temperature": 0.7, "max_tokens": 1000}}
"""Settings of the assistant that have a name: those of the ChatBench paper."""


def _named_assistant(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value not in ASSISTANTS:
        raise ValueError(f"the settings {value!r} are not known{nearest(value, ASSISTANTS)}; or give a mapping")
    return dict(ASSISTANTS[value])


def _known_people(people: list[str]) -> list[str]:
    """Refuse a single word that names nobody; a text about a person has more than one."""
    for person in people:
        if person not in (ANY, *PERSONAS) and len(person.split()) < 2:
            raise ValueError(f"the persona {person!r} is not known{nearest(person, (ANY, *PERSONAS))}, or a text")
    return people


Static = Literal["loglikelihood", "letter", "letter_few_shot", "free_text", "none"]


class DialogueConfig(Strict):
    """What a task's `dialogue:` block says.

    Args:
        simulator: The simulated user: the name of a preset, or a mapping (see below). A list of them stands for a
            task each, `TASK@NAME`.
        assistant: How the model under test replies: a mapping (see below), over which lm_eval's `--gen_kwargs` goes; or `paper` for
            the paper's temperature of 0.7 and 1000 tokens.
        max_turns: Messages of the user before the answer is forced; the paper's 10.
        repeats: Dialogues per question; a question's score is their mean, and the standard error is taken over questions. The paper
            has 10.
        protocol: `paper` for the defaults and the reading of answers of the ChatBench paper (see below).
        persona: Who the user is: names of `chatbench list personas`, `any` for all of them, or texts; of several, one is drawn for
            each question from the run's seed. For simulators with a model.
        chain_of_thought: Whether the user thinks before every message, seen by nobody. For simulators with a model.
        condition: Whether the user answers by itself before the dialogue: `direct` (also `direct-to-AI`), or `answer_first` (also
            `answer-first`), where it keeps its answer as its belief. For simulators with a model.
        user_alone: Whether the user is asked for its answer apart from its dialogue, which does not see it: a person alone. By the
            likelihood of the letters, and behind a server by one generated letter. For simulators with a model.
        static: The static scores that stand beside the interactive one: `loglikelihood` (lm_eval's own), `letter` (one
            generated letter, for backends without log-likelihoods), `letter_few_shot` (the same behind five examples, whatever
            `--num_fewshot` says), `free_text` (one free reply to question and options,
            read by the rules or by the judge), or `none`. The first listed is `acc_static`.
        judge: The model that judges coherence and satisfaction of each dialogue, as a mapping (see below); nobody by default.
        reader: Who reads which option each reply of the assistant supports, noted in the transcripts as `reads`: `rules`, `judge`
            or `likelihood`, or a mapping with `by`, `model` (as `judge`; by default the judge's) and `margin` (0.8); by default the
            rules, when the metrics are taken. It changes no accuracy of dialogues.
        dataset: A hub id or a local folder in the layout of the task's own data set (cais/mmlu), instead of that one.
        stem: Column or template of the question without its options; by default the task's `doc_to_text`.
        choices: Column of the option texts; by default the task's `doc_to_choice`.
        shuffle_choices: Whether the dialogues have the options in an order of their own, drawn from the question's text;
            for data sets that put the right option in one place.
        kv_cache: How much memory each of the two models may use to keep what it computed of a dialogue's earlier turns:
            bytes, or a text such as `8GiB`, or 0; by default a quarter of what is free on its device when the dialogues
            begin. It changes nothing that is said. For models of the `hf` backend.
        outage_s: How long, in seconds and each time, a server of either side is waited for that has answered before and does not
            any more; 0 for not at all.
        max_model_errors: The share of dialogues that may end by a model error; with more, and more than one, the command's exit
            status is 1.
        metrics: Which metrics lm_eval's table shows: `main` for those that say how the run went, `all` for each; the results have
            all of them.
        include: A task file of lm_eval that this one is made of, relative to lm_eval's task folder; a template over the task's own
            keys.
    """

    simulator: SimulatorConfig
    assistant: Annotated[AssistantConfig, BeforeValidator(_named_assistant)] = AssistantConfig()
    max_turns: int = Field(10, ge=1)
    repeats: int = Field(1, ge=1)
    protocol: Literal["default", "paper"] = "default"
    persona: Annotated[list[str], AfterValidator(_known_people), BeforeValidator(as_list)] = Field(default_factory=list)
    chain_of_thought: bool = False
    condition: Annotated[Literal["direct", "answer_first"], BeforeValidator(as_condition)] = "direct"
    user_alone: bool = False
    static: Annotated[list[Static], BeforeValidator(as_list)] = Field(["loglikelihood"], min_length=1)
    judge: JudgeConfig | None = None
    reader: Annotated[ReaderConfig | None, BeforeValidator(as_reader)] = None
    dataset: str | None = None
    stem: str | None = None
    choices: str | None = None
    shuffle_choices: bool = False
    kv_cache: ByteSize | None = None
    outage_s: float = Field(300.0, ge=0)
    max_model_errors: float = Field(0.05, ge=0, le=1)
    metrics: Literal["main", "all"] = "main"
    include: str | None = None

    @model_validator(mode="after")
    def _static_is_consistent(self) -> DialogueConfig:
        if len(set(self.static)) < len(self.static) or ("none" in self.static and len(self.static) > 1):
            raise ValueError(f"static is {self.static}; name each score once, and none alone")
        return self

    @model_validator(mode="after")
    def _switches_have_a_model(self) -> DialogueConfig:
        switched = {
            "persona": self.persona,
            "chain_of_thought": self.chain_of_thought,
            "condition answer_first": self.condition == ANSWER_FIRST,
            "user_alone": self.user_alone,
        }
        for key, on in switched.items():
            if on and self.simulator.policy not in MODEL_POLICIES:
                raise ValueError(f"{key} needs a simulator with a model; {self.simulator.policy!r} has none")
        return self

    @model_validator(mode="after")
    def _reader_has_a_model(self) -> DialogueConfig:
        if self.reader is not None and self.reader.by != "rules" and self.reader_model is None:
            raise ValueError(
                f"reader.by is {self.reader.by!r}, which needs reader.model, or a judge, whose model it then is"
            )
        return self

    @property
    def reader_model(self) -> JudgeConfig | None:
        """The reader's own model, or else the judge's; None for the rules."""
        if self.reader is None or self.reader.by == "rules":
            return None
        return self.reader.model or self.judge


def merge_blocks(block: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """The block with the keys of the override put in.

    `assistant` merges by its own keys. A `simulator` mapping that names neither `preset` nor `policy` refines the one of
    the block; any other replaces it.
    """
    merged = {**block, **override}
    assistant = block.get("assistant")
    assistant = ASSISTANTS.get(assistant, assistant) if isinstance(assistant, str) else assistant
    if isinstance(assistant, Mapping) and isinstance(override.get("assistant"), Mapping):
        merged["assistant"] = {**assistant, **override["assistant"]}
    elif "assistant" in block and isinstance(override.get("assistant"), Mapping):
        merged["assistant"] = assistant
    simulator = override.get("simulator")
    if isinstance(simulator, Mapping) and not {"preset", "policy"} & simulator.keys():
        base = block.get("simulator", DEFAULT_SIMULATOR)
        merged["simulator"] = (
            [_refined(each, simulator) for each in base] if isinstance(base, list) else _refined(base, simulator)
        )
    return merged


def _refined(base: Any, keys: Mapping[str, Any]) -> Any:
    """A simulator with some of its keys changed; as it is where it is none, which is refused later."""
    named = {"preset": base} if isinstance(base, str) else base
    return {**named, **keys} if isinstance(named, Mapping) else base


def put_over(block: object, override: object) -> Any:
    """A block with another put over it; the other alone where one of them is no mapping, which is refused later."""
    if not isinstance(block, Mapping) or not isinstance(override, Mapping):
        return override
    return merge_blocks(block, override)


def read_dialogue_block(block: object, where: str) -> DialogueConfig:
    """Check a `dialogue:` block and resolve its simulator.

    Args:
        block: The block as YAML or JSON gave it.
        where: Names the source in errors, such as `task chatbench_demo`.

    Raises:
        ConfigError: A key or name that is not known, or a value of the wrong type or range.
    """
    if not isinstance(block, Mapping):
        raise ConfigError(f"{where}: dialogue is {block!r}; it must be a mapping of keys, such as {{'max_turns': 6}}")
    if listed_simulators(block) is not None:
        raise ConfigError(f"{where}: a list of simulators is for the tasks that lm_eval runs; name one simulator here")
    default = PAPER_POLICIES[0] if block.get("protocol") == PAPER else DEFAULT_SIMULATOR
    named = read_simulator(block.get("simulator", default), where)
    if block.get("protocol") == PAPER:
        check_policy_of_paper(named, where)
    whole = with_protocol(block)
    simulator = read_simulator(whole["simulator"], where) if "simulator" in whole else named
    # Its label tells what was asked for, not what the protocol brings.
    settings = {**simulator.model_dump(), "label": named.label}
    return validated(DialogueConfig, {**whole, "simulator": settings}, f"{where}: dialogue")


def check_override(override: object) -> None:
    """Check what `--metadata` says of dialogues, as far as that goes without a task.

    Raises:
        ConfigError: As `read_dialogue_block`; or the data set is a folder that does not exist.
        ModelError: The device of the simulator, the judge or the reader is not there.
    """
    where = "--metadata"
    for block in one_each(merge_blocks({}, override) if isinstance(override, Mapping) else override):
        config = read_dialogue_block(block, where)
        if config.dataset is not None:
            check_local_path(config.dataset, f"{where}: dialogue.dataset")
        check_devices_of(config)


def check_devices_of(config: DialogueConfig) -> None:
    """Make sure that the devices are there which simulator, judge and reader are to go to, before anything is loaded.

    Raises:
        ModelError: One is not.
    """
    from lm_eval_plugin.config.devices import check_devices

    simulator = config.simulator
    if simulator.backend == "hf":
        check_devices(simulator.model_args, f"simulator {simulator.label}")
    for model, what in ((config.judge, "the judge"), (config.reader_model, "the reader")):
        if model is not None and model.backend == "hf":
            check_devices(model.model_args, what)


def with_gen_kwargs(config: DialogueConfig, gen_kwargs: Mapping[str, Any]) -> DialogueConfig:
    """The configuration with the host's `--gen_kwargs` put over the assistant's settings.

    Raises:
        ConfigError: A value of the wrong type or range, or `do_sample=True` without a temperature.
    """
    where = "--gen_kwargs"
    rest = dict(gen_kwargs)
    settings = config.assistant.model_dump()
    for alias in ("max_completion_tokens", "max_tokens", "max_new_tokens", "max_gen_toks"):
        if alias in rest:
            settings["max_tokens"] = rest.pop(alias)
    settings |= {key: rest.pop(key) for key in ("temperature", "until") if key in rest}
    do_sample = rest.pop("do_sample", None)
    if do_sample is False:
        settings["temperature"] = 0.0
    settings["gen_kwargs"] = {**settings["gen_kwargs"], **rest}
    assistant = validated(AssistantConfig, settings, where)
    if do_sample and assistant.temperature == 0:
        raise ConfigError(f"{where}: do_sample=True needs a temperature above 0, such as temperature=0.7")
    return config.model_copy(update={"assistant": assistant})
