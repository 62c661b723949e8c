"""The `simulator` key of a `dialogue:` block, resolved: which user, over which model, generating how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from lm_eval_plugin.border.masking import is_secret, without_credentials
from lm_eval_plugin.border.outside_json import UnreadableJsonError, read_json
from lm_eval_plugin.border.paths import check_local_path
from lm_eval_plugin.config.model_arguments import SAYS_THE_SAME
from lm_eval_plugin.config.presets import GENERATION, MODEL_POLICIES, POLICIES, PRESETS, PROMPTED_POLICIES
from lm_eval_plugin.config.strict import GenKwargs, Strict, as_list, nearest, validated
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.simulators.scripted import HABITS, OPENINGS

_KEYS_OF_POLICIES = {"reading": ("chatbench",), "habits": ("scripted",), "chat_template": PROMPTED_POLICIES}
"""Keys that mean something to some policies alone."""


def _consistent_habits(habits: list[str]) -> list[str]:
    for habit in habits:
        if habit not in HABITS:
            raise ValueError(f"the habit {habit!r} is not known{nearest(habit, HABITS)}")
    if len(set(habits)) < len(habits) or len(set(habits) & set(OPENINGS)) > 1:
        raise ValueError(f"name each habit once, and at most one of the openings {', '.join(OPENINGS)}")
    return habits


class SimulatorConfig(Strict):
    """The simulated user, fully resolved: which policy, over which model, generating how.

    Args:
        label: Names the simulator in transcripts and results.
        policy: How the user behaves: a name of `chatbench list policies`; either it or `preset` is given.
        backend: Model type of lm_eval that runs the user's model; chat APIs for the prompted policies alone.
        model_args: Its arguments, as lm_eval spells them; for `hf` also `adapter_revision`, `max_memory` and what begins with
            `llm_int8_` or `bnb_4bit_`.
        quantization: Of the weights, for the `hf` backend: `8bit`, `nf4` or `none`.
        temperature: 0 for greedy decoding; the paper samples the user at 1.0.
        max_tokens: Longest user message, in tokens; 1000 for the prompted policies.
        gen_kwargs: Whatever else the backend's `generate_until` takes, such as `top_p` (`userlm`: 0.8).
        reasks: How often a message that no person would send is asked for again; never where the temperature is 0, since a
            greedy model would only repeat it.
        reading: How the conversation stands in the prompt of the `chatbench` policy: `A` as text between two rules, `B` as marked
            turns; the model cards leave it open.
        chat_template: Whether a prompted model is asked through its chat template; by default if it has one.
        habits: What the `scripted` user does: names of `chatbench list habits`.
    """

    label: str
    policy: Literal[POLICIES]  # type: ignore[valid-type]
    backend: str = "hf"
    model_args: dict[str, Any] = Field(default_factory=dict)
    quantization: Literal["8bit", "nf4", "none"] = "8bit"
    temperature: float = Field(1.0, ge=0.0)
    max_tokens: int = Field(256, ge=1)
    gen_kwargs: GenKwargs = Field(default_factory=dict)
    reasks: int = Field(2, ge=0)
    reading: Literal["A", "B"] = "A"
    chat_template: bool | None = None
    habits: Annotated[list[str], AfterValidator(_consistent_habits), BeforeValidator(as_list)] = Field(
        default_factory=list
    )

    @classmethod
    def known_keys(cls) -> list[str]:
        """The keys as a user writes them, which the resolved record does not all hold."""
        return ["preset", "base", "adapter", *(key for key in cls.model_fields if key != "label")]


def name_or_mapping(text: str, where: str) -> str | dict[str, Any]:
    """A simulator as it is given on a command line: a name, or a mapping as JSON.

    Raises:
        ConfigError: It begins like a mapping and is none.
    """
    if not text.lstrip().startswith("{"):
        return text
    try:
        mapping: dict[str, Any] = read_json(text)
    except UnreadableJsonError as error:
        raise ConfigError(
            f'{where}: {text!r} is no JSON ({error}); write {{"preset": NAME}} in single quotes'
        ) from error
    return mapping


def read_simulator(value: object, where: str) -> SimulatorConfig:
    """Resolve a simulator: a preset's or policy's name, or a mapping with `preset` or `policy` and what differs from it.

    Raises:
        ConfigError: A preset, policy or key that is not known, or a value of the wrong type or range.
    """
    if isinstance(value, str):
        value = {"preset": value} if value in PRESETS or value not in POLICIES else {"policy": value}
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: simulator is {value!r}; name a preset ({', '.join(PRESETS)}) or give a mapping")
    given = {str(key): entry for key, entry in value.items()}
    if "label" in given:
        raise ConfigError(f"{where}: simulator has no key 'label'{nearest('label', SimulatorConfig.known_keys())}")
    if ("preset" in given) == ("policy" in given):
        raise ConfigError(f"{where}: simulator {given} must name either a preset ({', '.join(PRESETS)}) or a policy")
    resolved = _from_preset(given, where) if "preset" in given else _from_policy(given, where)
    config = validated(SimulatorConfig, resolved, f"{where}: simulator")
    _check_keys_of_policy(config, given, where)
    _check_model_keys(config, given, where)
    return config


def _from_preset(given: dict[str, Any], where: str) -> dict[str, Any]:
    name = given.pop("preset")
    if not isinstance(name, str) or name not in PRESETS:
        raise ConfigError(f"{where}: simulator preset {name!r} is not known{nearest(name, PRESETS)}")
    preset = dict(PRESETS[name])
    if preset.get("backend", "hf") != "hf" and {"base", "adapter", "backend"} & given.keys():
        raise ConfigError(
            f"{where}: the preset {name!r} is a model behind an API; for another model give its policy instead, such as "
            f'{{"policy": "{preset["policy"]}", "model_args": {{"pretrained": DIR}}}}'
        )
    model_args = dict(preset.get("model_args", {}))
    if preset.get("backend", "hf") == "hf" and given.get("backend", "hf") != "hf":
        preset.setdefault("quantization", "none")
        model_args = _without_hf(name, given, model_args, where)
    if {"pretrained", "base"} & _named_by(given):
        # The tokenizer of a preset belongs to the base that is being replaced.
        model_args = {key: entry for key, entry in model_args.items() if key != "tokenizer"}
    return _resolved(preset, _with_model_args(given, model_args, where), _label(name, given))


def _without_hf(name: str, given: Mapping[str, Any], model_args: dict[str, Any], where: str) -> dict[str, Any]:
    """What is left of the model of a preset under another backend: all of it, or nothing where a model is named."""
    if {"model", "pretrained", "base"} & _named_by(given):
        return {}
    if "peft" in model_args and not {"peft", "adapter"} & _named_by(given):
        raise ConfigError(
            f"{where}: the adapter of the preset {name!r} is put on by the backend hf alone; for {given['backend']!r} serve the "
            "merged model and give its name as model_args.model (for vllm: the merged folder as pretrained, or a "
            "lora_local_path of its own beside it)"
        )
    return model_args


def _named_by(given: Mapping[str, Any]) -> set[str]:
    """The keys of a simulator mapping and of its `model_args`."""
    model_args = given.get("model_args")
    return {*given, *(model_args if isinstance(model_args, Mapping) else ())}


def _from_policy(given: dict[str, Any], where: str) -> dict[str, Any]:
    policy = given["policy"]
    if not isinstance(policy, str) or policy not in POLICIES:
        raise ConfigError(f"{where}: simulator policy {policy!r} is not known{nearest(policy, POLICIES)}")
    rest = {key: entry for key, entry in given.items() if key != "policy"}
    defaults: dict[str, Any] = {"policy": policy}
    if rest.get("backend", "hf") != "hf" or policy not in MODEL_POLICIES:
        defaults["quantization"] = "none"
    return _resolved(defaults, _with_model_args(rest, {}, where), _label(policy, rest))


def _resolved(defaults: Mapping[str, Any], given: Mapping[str, Any], label: str) -> dict[str, Any]:
    generation = GENERATION.get(defaults["policy"], {})
    gen_kwargs = given.get("gen_kwargs", {})
    if isinstance(gen_kwargs, Mapping):
        gen_kwargs = {**generation.get("gen_kwargs", {}), **gen_kwargs}
    return {**generation, **defaults, **given, "gen_kwargs": gen_kwargs, "label": label}


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


def _label(name: str, given: Mapping[str, Any]) -> str:
    """The name, and in brackets what was changed, because scores under different simulators are not comparable."""
    model_args = given.get("model_args")
    arguments = model_args if isinstance(model_args, Mapping) else {}
    changes = {key: entry for key, entry in given.items() if key != "model_args"}
    changes |= {key: entry for key, entry in arguments.items() if key not in SAYS_THE_SAME and not is_secret(key)}
    return f"{name}[{','.join(f'{key}={_short(entry)}' for key, entry in changes.items())}]" if changes else name


def _short(entry: object) -> str:
    if isinstance(entry, list):
        return "+".join(map(_short, entry))
    if isinstance(entry, Mapping):
        return "+".join(f"{key}:{_short(part)}" for key, part in entry.items() if not is_secret(key))
    return without_credentials(entry) if isinstance(entry, str) else str(entry)


def _check_keys_of_policy(config: SimulatorConfig, given: Mapping[str, Any], where: str) -> None:
    for key, policies in _KEYS_OF_POLICIES.items():
        if key in given and config.policy not in policies:
            raise ConfigError(
                f"{where}: simulator.{key} means nothing to policy {config.policy!r}; it is for {', '.join(policies)}"
            )


def _check_model_keys(config: SimulatorConfig, given: Mapping[str, Any], where: str) -> None:
    if config.policy not in MODEL_POLICIES:
        if useless := [key for key in given if key not in ("preset", "policy", "habits")]:
            raise ConfigError(f"{where}: simulator policy {config.policy!r} has no model; remove {', '.join(useless)}")
        return
    if config.backend == "hf" and not isinstance(config.model_args.get("pretrained"), str):
        raise ConfigError(
            f"{where}: simulator policy {config.policy!r} needs model_args.pretrained, a model's name or folder"
        )
    if "peft" in config.model_args and (
        "completions" in config.backend or config.backend.startswith(("vllm", "sglang"))
    ):
        raise ConfigError(
            f"{where}: the backend {config.backend!r} puts no adapter on a model; serve the merged model and give its name "
            "(for vllm: the merged folder, or lora_local_path in model_args), or use the backend hf"
        )
    for key in ("pretrained", "peft", "tokenizer"):
        if isinstance(name := config.model_args.get(key), str):
            check_local_path(name, f"{where}: simulator {key}")
    if config.backend != "hf" and config.quantization != "none":
        raise ConfigError(
            f"{where}: simulator.quantization is for the hf backend; ask {config.backend!r} for it in its own model_args"
        )
