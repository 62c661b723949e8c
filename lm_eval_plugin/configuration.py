"""The `dialogue:` block of a task: read once, checked strictly, frozen.

A task's YAML holds the block; `--metadata '{"dialogue": {...}}'` overrides it key by key. Whatever nobody knows, or has
the wrong type, is a `ConfigError` that names the key, the nearest valid name and the allowed values.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.local_path import check_local_path
from lm_eval_plugin.simulators.presets import MODEL_POLICIES, POLICIES, PRESETS

DEFAULT_SIMULATOR = "chatbench-distilgpt2"
"""The released simulator that runs on any machine."""


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_OWN_KEYS = {
    "until": "until",
    "temperature": "temperature",
    "do_sample": "temperature (0 for greedy decoding)",
    **dict.fromkeys(
        ("max_tokens", "max_gen_toks", "max_new_tokens", "max_completion_tokens", "max_length"), "max_tokens"
    ),
}


def _no_own_keys(gen_kwargs: dict[str, Any]) -> dict[str, Any]:
    """Refuse what has a key of its own: it would go past the checks of window and stop strings."""
    for key, own in _OWN_KEYS.items():
        if key in gen_kwargs:
            raise ValueError(f"{key} does not belong into gen_kwargs; set {own} beside it")
    return gen_kwargs


GenKwargs = Annotated[dict[str, Any], AfterValidator(_no_own_keys)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class AssistantConfig(_Strict):
    """How the model under test generates its replies.

    Args:
        temperature: 0 for greedy decoding. The paper samples at 0.7; greedy is this host's custom and repeats exactly.
        max_tokens: Longest reply, in tokens; the paper allows 1000.
        until: Strings that end a reply, beside those of the model's own format.
        gen_kwargs: Whatever else the backend's `generate_until` takes, as the host spells it (`top_p`, ...).
    """

    temperature: float = Field(0.0, ge=0.0)
    max_tokens: int = Field(512, ge=1)
    until: Annotated[list[str], BeforeValidator(_as_list)] = []
    gen_kwargs: GenKwargs = {}


class SimulatorConfig(_Strict):
    """The simulated user, fully resolved: which policy, over which model, generating how.

    Args:
        label: Names the simulator in transcripts and results.
        policy: How the user behaves; `chatbench` is a fine-tuned model, `scripted` has none.
        backend: Model type of the host that runs the user's model.
        model_args: Its arguments, as the host spells them.
        quantization: Of the weights, for the `hf` backend: `8bit`, `nf4` or `none`.
        temperature: 0 for greedy decoding; the paper samples the user at 1.0.
        max_tokens: Longest user message, in tokens.
        gen_kwargs: Whatever else the backend's `generate_until` takes.
        reading: How the `chatbench` format marks the assistant's turns; see `simulators.chatbench.Reading`.
    """

    label: str
    policy: Literal["chatbench", "scripted"]
    backend: str = "hf"
    model_args: dict[str, Any] = {}
    quantization: Literal["8bit", "nf4", "none"] = "8bit"
    temperature: float = Field(1.0, ge=0.0)
    max_tokens: int = Field(256, ge=1)
    gen_kwargs: GenKwargs = {}
    reading: Literal["A", "B"] = "A"


Static = Literal["loglikelihood", "letter", "none"]


class DialogueConfig(_Strict):
    """What a task's `dialogue:` block says.

    Args:
        simulator: The simulated user.
        assistant: How the model under test replies.
        max_turns: User turns before an answer is forced; the paper's 10.
        repeats: Dialogues held per question; the paper holds 10.
        static: The static scores that stand beside the interactive one: `loglikelihood` (the host's own), `letter` (one
            generated letter, for backends without log-likelihoods), or `none`. The first listed is `acc_static`.
        dataset: A hub id or a local folder in the layout of the task's own data set (cais/mmlu), instead of that one.
        stem: Column or template of the question without its options; by default the task's `doc_to_text`.
        choices: Column of the option texts; by default the task's `doc_to_choice`.
        shuffle_choices: Whether the dialogues have the options in an order of their own, drawn from the question's text;
            for data sets that put the right option in one place.
        include: A task file of the host that this one is made of, relative to the host's task folder; a template over
            the task's own keys.
    """

    simulator: SimulatorConfig
    assistant: AssistantConfig = AssistantConfig()
    max_turns: int = Field(10, ge=1)
    repeats: int = Field(1, ge=1)
    static: Annotated[list[Static], BeforeValidator(_as_list), Field(min_length=1)] = ["loglikelihood"]
    dataset: str | None = None
    stem: str | None = None
    choices: str | None = None
    shuffle_choices: bool = False
    include: str | None = None

    @model_validator(mode="after")
    def _static_is_consistent(self) -> DialogueConfig:
        if len(set(self.static)) < len(self.static) or ("none" in self.static and len(self.static) > 1):
            raise ValueError(f"static is {self.static}; name each score once, and none alone")
        return self


def merge_blocks(block: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """The block with the keys of the override put in.

    `assistant` merges by its own keys. A `simulator` mapping that names neither `preset` nor `policy` refines the one of
    the block; any other replaces it.
    """
    merged = {**block, **override}
    if isinstance(block.get("assistant"), Mapping) and isinstance(override.get("assistant"), Mapping):
        merged["assistant"] = {**block["assistant"], **override["assistant"]}
    simulator = override.get("simulator")
    if isinstance(simulator, Mapping) and not {"preset", "policy"} & simulator.keys():
        base = block.get("simulator", DEFAULT_SIMULATOR)
        refined = {"preset": base} if isinstance(base, str) else base
        merged["simulator"] = {**refined, **simulator} if isinstance(refined, Mapping) else base
    return merged


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
    simulator = read_simulator(block.get("simulator", DEFAULT_SIMULATOR), where)
    return _validated(DialogueConfig, {**block, "simulator": simulator.model_dump()}, f"{where}: dialogue")


def check_override(override: object) -> None:
    """Check what `--metadata` says of dialogues, as far as that goes without a task.

    Raises:
        ConfigError: As `read_dialogue_block`; or the data set is a folder that does not exist.
    """
    where = "--metadata"
    config = read_dialogue_block(merge_blocks({}, override) if isinstance(override, Mapping) else override, where)
    if config.dataset is not None:
        check_local_path(config.dataset, f"{where}: dialogue.dataset")


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
    assistant = _validated(AssistantConfig, settings, where)
    if do_sample and assistant.temperature == 0:
        raise ConfigError(f"{where}: do_sample=True needs a temperature above 0, such as temperature=0.7")
    return config.model_copy(update={"assistant": assistant})


def read_simulator(value: object, where: str) -> SimulatorConfig:
    """Resolve a simulator: the name of a preset, or a mapping with `preset` or `policy` and what differs from it.

    Raises:
        ConfigError: A preset, policy or key that is not known, or a value of the wrong type or range.
    """
    if isinstance(value, str):
        value = {"preset": value}
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: simulator is {value!r}; name a preset ({', '.join(PRESETS)}) or give a mapping")
    given = {str(key): entry for key, entry in value.items()}
    if "label" in given:
        raise ConfigError(f"{where}: simulator has no key 'label'{_nearest('label', _keys_at(SimulatorConfig, []))}")
    if ("preset" in given) == ("policy" in given):
        raise ConfigError(f"{where}: simulator {given} must name either a preset ({', '.join(PRESETS)}) or a policy")
    resolved = _from_preset(given, where) if "preset" in given else _from_policy(given, where)
    config = _validated(SimulatorConfig, resolved, f"{where}: simulator")
    _check_model_keys(config, given, where)
    return config


def _from_preset(given: dict[str, Any], where: str) -> dict[str, Any]:
    name = given.pop("preset")
    if not isinstance(name, str) or name not in PRESETS:
        raise ConfigError(f"{where}: simulator preset {name!r} is not known{_nearest(name, PRESETS)}")
    preset = dict(PRESETS[name])
    if given.get("backend", "hf") != "hf":
        preset.setdefault("quantization", "none")
    model_args = dict(preset.get("model_args", {}))
    if "base" in given and model_args:
        # The tokenizer of a preset belongs to the base that is being replaced.
        model_args = {key: entry for key, entry in model_args.items() if key != "tokenizer"}
    return {**preset, **_with_model_args(given, model_args, where), "label": _label(name, given)}


def _from_policy(given: dict[str, Any], where: str) -> dict[str, Any]:
    policy = given["policy"]
    if not isinstance(policy, str) or policy not in POLICIES:
        raise ConfigError(f"{where}: simulator policy {policy!r} is not known{_nearest(policy, POLICIES)}")
    rest = {key: entry for key, entry in given.items() if key != "policy"}
    resolved = {**_with_model_args(rest, {}, where), "policy": policy, "label": _label(policy, rest)}
    if resolved.get("backend", "hf") != "hf" or policy not in MODEL_POLICIES:
        resolved.setdefault("quantization", "none")
    return resolved


def _with_model_args(given: Mapping[str, Any], defaults: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The keys as `SimulatorConfig` has them: `base` and `adapter` become `pretrained` and `peft` of `model_args`."""
    model_args = given.get("model_args", {})
    if not isinstance(model_args, Mapping):
        raise ConfigError(
            f"{where}: simulator.model_args is {model_args!r}; it must be a mapping such as {{'pretrained': DIR}}"
        )
    parts = {host: given[ours] for ours, host in (("base", "pretrained"), ("adapter", "peft")) if ours in given}
    merged = {key: entry for key, entry in {**defaults, **parts, **model_args}.items() if entry is not None}
    rest = {key: entry for key, entry in given.items() if key not in ("base", "adapter")}
    return {**rest, "model_args": merged}


_NAMED_IN_LABELS = ("pretrained", "model", "peft", "tokenizer", "revision", "adapter_revision", "max_length", "dtype")
"""Of a model's arguments, what makes it another model; the rest may hold keys that belong to nobody else."""


def _label(name: str, given: Mapping[str, Any]) -> str:
    """The name, and in brackets what was changed, because scores under different simulators are not comparable."""
    model_args = given.get("model_args")
    arguments = model_args if isinstance(model_args, Mapping) else {}
    changes = {key: entry for key, entry in given.items() if key != "model_args"}
    changes |= {key: arguments[key] for key in _NAMED_IN_LABELS if key in arguments}
    return f"{name}[{','.join(f'{key}={entry}' for key, entry in changes.items())}]" if changes else name


def _check_model_keys(config: SimulatorConfig, given: Mapping[str, Any], where: str) -> None:
    if config.policy not in MODEL_POLICIES:
        if useless := [key for key in given if key not in ("preset", "policy")]:
            raise ConfigError(f"{where}: simulator policy {config.policy!r} has no model; remove {', '.join(useless)}")
        return
    if config.backend == "hf" and not isinstance(config.model_args.get("pretrained"), str):
        raise ConfigError(
            f"{where}: simulator policy {config.policy!r} needs model_args.pretrained, a model's name or folder"
        )
    for key in ("pretrained", "peft", "tokenizer"):
        if isinstance(name := config.model_args.get(key), str):
            check_local_path(name, f"{where}: simulator {key}")
    if config.backend != "hf" and config.quantization != "none":
        raise ConfigError(
            f"{where}: simulator.quantization is for the hf backend; ask {config.backend!r} for it in its own model_args"
        )


ConfigType = TypeVar("ConfigType", bound=_Strict)


def _validated(kind: type[ConfigType], values: Mapping[str, Any], where: str) -> ConfigType:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(kind, problem, where) for problem in error.errors())) from None


def _explain(kind: type[_Strict], problem: Any, where: str) -> str:
    path = [str(part) for part in problem["loc"]]
    if problem["type"] == "extra_forbidden":
        known = _keys_at(kind, path[:-1])
        return f"{where} has no key {'.'.join(path)!r}{_nearest(path[-1], known)}"
    if not path:
        return f"{where}: {problem['ctx']['error']}"
    return f"{where}.{'.'.join(path)} is {problem['input']!r}: {problem['msg']}"


def _keys_at(kind: type[_Strict], path: Iterable[str]) -> list[str]:
    """The keys that the block at the path may hold, as a user writes them."""
    blocks: dict[str, type[_Strict]] = {"simulator": SimulatorConfig, "assistant": AssistantConfig}
    for part in path:
        kind = blocks.get(part, kind)
    keys = [key for key in kind.model_fields if key != "label"]
    return ["preset", "base", "adapter", *keys] if kind is SimulatorConfig else keys


def _nearest(name: object, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    meant = f"; did you mean {close[0]!r}?" if close else ";"
    return f"{meant} Known: {', '.join(names)}"
