"""What can be known of a run before the model under test is loaded: each check ends it in one sentence and in no time.

lm_eval builds its index of tasks, then the model under test, then the tasks; without these checks a simulator that cannot be
had would show itself after minutes.
"""

from __future__ import annotations

import difflib
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from huggingface_hub.file_download import repo_folder_name

from lm_eval_plugin.border.hub_errors import HTTP_ERROR, why_unavailable
from lm_eval_plugin.border.masking import without_credentials
from lm_eval_plugin.border.paths import local_or_hub
from lm_eval_plugin.config.dialogue import DialogueConfig, check_devices_of, put_over, read_dialogue_block
from lm_eval_plugin.config.judge import JudgeConfig
from lm_eval_plugin.config.presets import MODEL_POLICIES
from lm_eval_plugin.config.several import one_each
from lm_eval_plugin.config.simulator import SimulatorConfig
from lm_eval_plugin.errors import ConfigError, JudgeError, ModelError
from lm_eval_plugin.harness.task_files import BLOCK, read_task_file
from lm_eval_plugin.lm_eval_access.servers import TemplateAPI
from lm_eval_plugin.lm_eval_access.texts import folder_name
from lm_eval_plugin.models.loading import backend_class, check_policy, load_model

_CONNECT_S = 1.0
_HUB_S = 1.5
_LONGEST_NAME = 255
"""Bytes of a file's name, on all common file systems."""
_LONGEST_PATH = 4095
_NEAR = 0.7
_AS_NEAR_AS_A_SLIP = 0.86


def check_metadata_keys(metadata: Mapping[str, object], *, ours: bool) -> None:
    """Refuse keys of `--metadata` that were meant for dialogues and would be ignored.

    Args:
        metadata: What is given, `--model_args` beside it.
        ours: Whether it is known to be for a task with dialogues, so that a key of the block can be meant for nothing else.

    Raises:
        ConfigError: A key is nearly `dialogue`, or belongs inside it.
    """
    for key in map(str, metadata):
        if key != BLOCK and difflib.get_close_matches(key.lower(), [BLOCK], cutoff=_NEAR):
            raise ConfigError(
                f"--metadata has the key {key!r}, which means nothing; did you mean {BLOCK!r}? Settings of the dialogues stand "
                """there: --metadata '{"dialogue": {"simulator": "scripted"}}'"""
            )
        known = DialogueConfig.known_keys()
        meant = difflib.get_close_matches(key.lower(), known, n=1, cutoff=_AS_NEAR_AS_A_SLIP) if ours else []
        if meant:
            raise ConfigError(
                f"--metadata has the key {key!r} beside {BLOCK!r}, where it means nothing; it belongs inside: "
                f"""--metadata '{{"dialogue": {{"{meant[0]}": ...}}}}'"""
            )


def check_run(manager: Any, config: Any) -> None:
    """Check all that a command asks for, once its tasks are known.

    Args:
        manager: lm_eval's `TaskManager`.
        config: lm_eval's `EvaluatorConfig`, its tasks resolved.

    Raises:
        ChatbenchError: Something that the command names cannot be had, used or written.
    """
    blocks = {repr(block): (name, block) for spec in config.tasks for name, block in dialogue_blocks(manager, spec)}
    if not blocks:
        return
    metadata = config.metadata or {}
    check_metadata_keys(metadata, ours=True)
    check_output_path(config.output_path, config.model_args)
    for name, block in blocks.values():
        override = metadata.get(BLOCK)
        whole = block if override is None else put_over(block, override)
        for each in one_each(whole):
            check_participants(read_dialogue_block(each, f"task {name}"))


def dialogue_blocks(manager: Any, spec: str | Mapping[str, Any], below: Any = None) -> Iterator[tuple[str, Any]]:
    """The `dialogue:` blocks of a task, a tag or a group, each with the task's name; nothing of tasks that are not ours.

    Args:
        manager: lm_eval's `TaskManager`.
        spec: A name, or a task or group as a mapping.
        below: The block that whoever lists the task puts over it; None for none.
    """
    given = {} if isinstance(spec, str) else spec
    named = spec if isinstance(spec, str) else given.get("group", given.get("task"))
    entry = manager.task_index.get(named) if isinstance(named, str) else None
    known = {} if entry is None else (entry.cfg or {})
    if entry is not None and entry.yaml_path:
        known = read_task_file(entry.yaml_path)
    block = _over(_over(known.get(BLOCK), given.get(BLOCK)), below)
    whole = {**known, **given}
    members = known.get("task", whole.get("task"))
    if isinstance(members, list):
        for member in members:
            yield from dialogue_blocks(manager, member, block)
    elif entry is not None and entry.tags and "task" not in whole:
        for member in sorted(entry.tags):
            yield from dialogue_blocks(manager, member, block)
    elif _is_ours(whole):
        yield str(whole.get("task", named)), {} if block is None else block


def _over(block: object, override: object) -> object:
    if override is None:
        return block
    return override if block is None else put_over(block, override)


def _is_ours(config: Mapping[str, object]) -> bool:
    kind = config.get("class")
    module = kind if isinstance(kind, str) else getattr(kind, "__module__", "")
    return "chatbench_tasks" in str(module) and BLOCK in config


def check_participants(config: DialogueConfig) -> None:
    """Check that the models of simulator, judge and reader can be had, as far as that goes without loading weights.

    Raises:
        ConfigError: A backend cannot do what the policy asks of it, or an address is none.
        ModelError: The simulator's model, its server, its key or its device is not there.
        JudgeError: The judge's or the reader's.
    """
    check_devices_of(config)
    simulator = config.simulator
    if simulator.policy in MODEL_POLICIES:
        _check_model(simulator, f"simulator {simulator.label}")
    for model, what in ((config.judge, "the judge"), (config.reader_model, "the reader")):
        if model is None:
            continue
        try:
            _check_model(model, what)
        except ModelError as error:
            raise JudgeError(str(error)) from error


def _check_model(config: SimulatorConfig | JudgeConfig, what: str) -> None:
    if config.backend == "hf":
        for key in ("pretrained", "peft", "tokenizer"):
            name = config.model_args.get(key)
            revision = config.model_args.get("revision") if key == "pretrained" else None
            if isinstance(name, str):
                check_repository(name, f"{what}: {key}", revision)
        return
    try:
        kind = backend_class(config.backend)
    except (ValueError, ImportError) as error:
        raise ModelError(f"{what}: the backend {config.backend!r} cannot be used: {error}") from error
    if isinstance(config, SimulatorConfig):
        check_policy(config, kind)
    if issubclass(kind, TemplateAPI):
        if config.model_args.get("base_url"):
            check_address(str(config.model_args["base_url"]), what)
        # It says what it lacks, such as a key, when it is made; the run uses the one that is made here.
        load_model(config.backend, config.model_args, config.quantization, what)


def check_repository(name: str, what: str, revision: str | None = None) -> None:
    """Make sure that a model, adapter or tokenizer is a folder, in the local cache, or on the hub for whoever runs this.

    Args:
        name: A folder, or a name on the hub.
        what: Names it in errors.
        revision: Which of the hub; None for the latest.

    Raises:
        ModelError: It cannot be had; the message says why and what to do.
    """
    folder = Path(local_or_hub(name))
    if folder.is_dir():
        if not any(folder.iterdir()):
            raise ModelError(f"{what}: the folder {folder} is empty; give the folder of a whole model")
        return
    if _is_cached(name):
        return
    try:
        if constants.HF_HUB_OFFLINE:
            raise LocalEntryNotFoundError("not in the cache")
        hub = HfApi()
        if hub.model_info(name, revision=revision, timeout=_HUB_S).gated:
            hub.auth_check(name)
    except (HfHubHTTPError, HTTP_ERROR, OSError, ValueError) as error:
        raise ModelError(f"{what} {name!r} cannot be had: {why_unavailable(name, error)}") from error


def _is_cached(name: str) -> bool:
    """Whether something of a repository is in the local cache; whether all of it is shows when it is loaded."""
    snapshots = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type="model") / "snapshots"
    return snapshots.is_dir() and any(snapshots.iterdir())


def check_address(address: str, what: str) -> None:
    """Make sure that an API's address is one, and that something listens there.

    Raises:
        ConfigError: It is no address of HTTP, or ends before the name of what is asked for.
        ModelError: Nobody listens there.
    """
    shown = without_credentials(address)
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"{what}: base_url is {shown!r}, which is no address: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(
            f"{what}: base_url is {shown!r}; it must be an address of HTTP, such as http://localhost:8000/v1/chat/completions"
        )
    if parts.path.rstrip("/") in ("", "/v1"):
        raise ConfigError(
            f"{what}: base_url is {shown!r}, which ends before what is asked for; lm_eval takes the whole address, such as "
            "http://localhost:8000/v1/chat/completions, or /v1/completions for local-completions"
        )
    try:
        socket.create_connection((host, port or (443 if parts.scheme == "https" else 80)), timeout=_CONNECT_S).close()
    except TimeoutError:
        # A slow network is no wrong address, and a proxy may be in between.
        return
    except OSError as error:
        if not _through_proxy(parts.scheme):
            raise ModelError(
                f"{what}: nobody listens at {shown} ({error.strerror or error}); start its server, or correct base_url"
            ) from error


def _through_proxy(scheme: str) -> bool:
    return any(
        os.environ.get(name) for name in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
    )


def check_output_path(output: str | None, model_args: Mapping[str, object] | None = None) -> None:
    """Make sure that the results can be written where they are to be written, hours from now.

    Args:
        output: What `--output_path` says; None for nothing.
        model_args: Of the model under test, whose name becomes a folder there.

    Raises:
        ConfigError: It is too long, lies below a file, or may not be written to.
    """
    if output is None:
        return
    path = Path(output).expanduser().absolute()
    name = _model_folder(model_args or {})
    for part in (*path.parts, *([name] if name else [])):
        if len(os.fsencode(part)) > _LONGEST_NAME:
            raise ConfigError(
                f"--output_path {output}: {part[:40]}... is a name of {len(os.fsencode(part))} bytes, and a file system takes "
                f"{_LONGEST_NAME}; give a shorter path"
                + ("" if part != name else " to the model under test, whose name becomes a folder")
            )
    if len(os.fsencode(path / name)) > _LONGEST_PATH - _LONGEST_NAME:
        raise ConfigError(f"--output_path of {len(os.fsencode(path))} bytes is too long for a path; give a shorter one")
    there = next(each for each in (path, *path.parents) if os.path.lexists(each))
    if there.is_file() and there == path and path.suffix in (".json", ".jsonl"):
        there = path.parent
    if not there.is_dir():
        raise ConfigError(
            f"--output_path {output}: {there} is no folder, so nothing can be written below it; give another path"
        )
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"--output_path {output}: {there} may not be written to; give a path that may")


def _model_folder(model_args: Mapping[str, object]) -> str:
    """The folder that lm_eval makes of the name of the model under test."""
    names: Iterable[object] = (
        model_args.get(key) for key in ("peft", "delta", "pretrained", "model", "path", "engine")
    )
    return folder_name(next((str(name) for name in names if name), ""))
