"""What this machine can run: the checks behind `chatbench doctor`, none of which holds a dialogue or loads weights.

A fault of the environment is a `Check`, never an exception. The hub is asked only if it answers within seconds.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, get_session, get_token, try_to_load_from_cache
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lm_eval_plugin.errors import ConfigError, ModelError
from lm_eval_plugin.hub_errors import HTTP_ERROR, why_unavailable
from lm_eval_plugin.local_path import local_or_hub
from lm_eval_plugin.memory import (
    PUBLISHED,
    Footprint,
    default_device,
    footprint,
    free_memory,
    gigabytes,
    place,
    released_bytes,
)
from lm_eval_plugin.revisions import revision_of
from lm_eval_plugin.simulator_config import SimulatorConfig, read_simulator
from lm_eval_plugin.simulators.presets import PRESETS

PACKAGES = (
    "chatbench-lm-eval",
    "lm_eval",
    "torch",
    "transformers",
    "peft",
    "bitsandbytes",
    "accelerate",
    "datasets",
)
"""The distributions that a run depends on."""

HUB_TIMEOUT_S = 5.0

_ROOM_FOR_CACHES = 1_000_000_000

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")


class Status(str, Enum):
    """How a check came out; only a problem keeps a simulator from loading."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Args:
        name: What it is.
        status: How it came out.
        text: What was found.
        advice: What to do about it; empty if nothing is to be done.
    """

    name: str
    status: Status
    text: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found.

    Args:
        fundamentals: The checks of the machine and the installation.
        simulators: The checks of each simulator, by its label.
    """

    fundamentals: tuple[Check, ...]
    simulators: Mapping[str, tuple[Check, ...]]

    @property
    def sound(self) -> bool:
        """Whether the machine and the installation have no problem."""
        return not _has_problem(self.fundamentals)

    def loads(self, label: str) -> bool:
        """Whether a simulator would load here."""
        return not _has_problem(self.simulators[label])


@dataclass(frozen=True, slots=True)
class _Machine:
    """What the checks of simulators need to know of the machine.

    Args:
        hub_fault: Why the hub cannot be asked; None if it can.
        device: Where a model goes whose arguments name no device.
        quantizes: By device, why bitsandbytes does not work on it; empty where it does.
    """

    hub_fault: Exception | None
    device: str
    quantizes: Mapping[str, str]


def doctor(simulators: Sequence[str], *, as_json: bool) -> int:
    """Print what this machine can run.

    Args:
        simulators: Names of presets, or JSON mappings as the key `simulator` of a `dialogue` block takes them; all
            presets if there is none.
        as_json: Whether to print JSON in place of tables.

    Returns:
        The exit code: 0 if each simulator that was asked for would load, or, if none was, the installation is sound.

    Raises:
        ConfigError: A simulator that is not known.
    """
    asked = {config.label: config for config in map(_read_simulator, simulators)}
    diagnosis = diagnose(asked or None)
    if as_json:
        sys.stdout.write(as_json_text(diagnosis) + "\n")
    else:
        render(diagnosis, Console())
    fine = all(map(diagnosis.loads, asked)) if asked else diagnosis.sound
    return 0 if fine else 1


def _read_simulator(value: str) -> SimulatorConfig:
    where = "chatbench doctor"
    if not value.lstrip().startswith("{"):
        return read_simulator(value, where)
    try:
        return read_simulator(json.loads(value), where)
    except json.JSONDecodeError as error:
        raise ConfigError(
            f'{where}: {value!r} is no JSON ({error}); write {{"preset": NAME}} in single quotes'
        ) from error


def diagnose(simulators: Mapping[str, SimulatorConfig] | None = None) -> Diagnosis:
    """Look at the machine, the installation and the simulators.

    Args:
        simulators: The simulators to look at, by label; None for all presets.
    """
    if simulators is None:
        simulators = {name: read_simulator(name, "chatbench doctor") for name in PRESETS}
    hub_fault, gpus = _hub_fault(), _gpus()
    quantizes = {device: _bitsandbytes_fault(device) for device in ("cpu", *gpus)}
    machine = _Machine(hub_fault, default_device() if gpus else "cpu", quantizes)
    fundamentals = (
        *_check_versions(),
        _check_watcher(),
        *_check_gpus(),
        Check("main memory", Status.OK, f"{gigabytes(free_memory('cpu'))} free"),
        *(_check_bitsandbytes(name, fault) for name, fault in quantizes.items()),
        _check_hub(hub_fault),
        _check_disk(),
    )
    return Diagnosis(fundamentals, {label: _check_simulator(config, machine) for label, config in simulators.items()})


def render(diagnosis: Diagnosis, console: Console) -> None:
    """Print a diagnosis as tables; what was read from elsewhere is printed as it is, without markup."""
    _print_table(console, "This machine", diagnosis.fundamentals)
    for label, checks in diagnosis.simulators.items():
        _print_table(console, f"Simulator {label}: {'would load' if diagnosis.loads(label) else 'cannot run'}", checks)


def as_json_text(diagnosis: Diagnosis) -> str:
    """A diagnosis as one JSON object."""
    return json.dumps(
        {
            "sound": diagnosis.sound,
            "checks": [asdict(check) for check in diagnosis.fundamentals],
            "simulators": {
                label: {"loads": diagnosis.loads(label), "checks": [asdict(check) for check in checks]}
                for label, checks in diagnosis.simulators.items()
            },
        },
        indent=2,
    )


_STYLES = {Status.OK: "green", Status.WARNING: "yellow", Status.PROBLEM: "bold red"}


def _print_table(console: Console, title: str, checks: Iterable[Check]) -> None:
    table = Table(title=Text(title), title_justify="left", box=None, show_header=False, pad_edge=False)
    for check in checks:
        text = Text(check.text)
        if check.advice:
            text.append(f"\n-> {check.advice}", style="bold")
        table.add_row(Text(check.status.value, style=_STYLES[check.status]), Text(check.name), text)
    console.print(table)
    console.print()


def _has_problem(checks: Iterable[Check]) -> bool:
    return any(check.status is Status.PROBLEM for check in checks)


def _check_versions() -> list[Check]:
    python = Check("python", Status.OK, f"{platform.python_version()} on {platform.platform()}")
    return [python, *map(_check_version, PACKAGES)]


def _check_version(package: str) -> Check:
    try:
        return Check(package, Status.OK, importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        return Check(package, Status.PROBLEM, "is not installed", f"pip install {package}")


def _check_watcher() -> Check:
    """Whether the host gets our tasks: the watcher waits for its task manager, or has already met it."""
    name, by_hand = "tasks", 'add --include_path "$(chatbench path tasks)" to lm_eval'
    if os.environ.get("CHATBENCH_AUTOLOAD") == "0":
        return Check(name, Status.WARNING, "CHATBENCH_AUTOLOAD=0 keeps them from the host", f"Unset it, or {by_hand}.")
    manager = sys.modules.get("lm_eval.tasks.manager")
    index = getattr(manager, "TaskIndex", None)
    waits = any(type(finder).__name__ == "ChatbenchWatcher" for finder in sys.meta_path)
    if waits or getattr(index, "__module__", "").startswith("lm_eval_plugin"):
        return Check(name, Status.OK, "the host gets them by itself")
    return Check(
        name, Status.WARNING, "the start-up watcher is not active", f"Install chatbench-lm-eval again, or {by_hand}."
    )


def _gpus() -> list[str]:
    try:
        import torch
    except (ImportError, OSError):
        # Its absence is a check of its own.
        return []
    return [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []


def _check_gpus() -> list[Check]:
    try:
        import torch
    except (ImportError, OSError) as error:
        return [Check("GPU", Status.PROBLEM, f"PyTorch cannot be imported: {_short(error)}", "Install torch again.")]
    if not (names := _gpus()):
        return [Check("GPU", Status.OK, f"none that PyTorch {torch.__version__} can use; models run on the CPU")]
    return [_check_gpu(name) for name in names]


def _check_gpu(name: str) -> Check:
    import torch

    try:
        free, total = torch.cuda.mem_get_info(name)
        kind, (major, minor) = torch.cuda.get_device_name(name), torch.cuda.get_device_capability(name)
    except RuntimeError as error:
        return Check(name, Status.PROBLEM, _short(error), "See what nvidia-smi says, or hide it: CUDA_VISIBLE_DEVICES.")
    text = f"{kind}, {gigabytes(free)} of {gigabytes(total)} free, compute capability {major}.{minor}"
    return Check(name, Status.OK, text)


def _bitsandbytes_fault(device: str) -> str:
    """Why bitsandbytes does not work on a device; empty if it does."""
    # It warns of kernels that it can do without.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        import torch
        from bitsandbytes.nn import Linear4bit, Linear8bitLt

        layers = (
            Linear8bitLt(64, 64, bias=False, has_fp16_weights=False, threshold=6.0),
            Linear4bit(64, 64, bias=False, quant_type="nf4", compute_dtype=torch.float32),
        )
        with torch.no_grad():
            for layer in layers:
                if not torch.isfinite(layer.to(device)(torch.ones(2, 64, device=device))).all():
                    return f"{type(layer).__name__} computes values that are not finite"
    # Whatever it raises, from a missing library to a kernel for another GPU, is what was to be found out.
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {_short(error)}"
    return ""


def _check_bitsandbytes(device: str, fault: str) -> Check:
    name = f"bitsandbytes on {device}"
    if not fault:
        return Check(name, Status.OK, "8bit and nf4 work")
    return Check(name, Status.PROBLEM, fault, "Install bitsandbytes again, or set the simulator's quantization: none.")


def _hub_fault() -> Exception | None:
    """Why the hub cannot be asked; None if it can."""
    if constants.HF_HUB_OFFLINE:
        return ConnectionError("HF_HUB_OFFLINE is set")
    try:
        get_session().head(constants.ENDPOINT, timeout=HUB_TIMEOUT_S)
    except (OSError, HTTP_ERROR) as error:
        return error
    return None


def _check_hub(fault: Exception | None) -> Check:
    token = "with a token" if get_token() else "without a token, which gated models need"
    if fault is None:
        return Check("Hugging Face hub", Status.OK, f"{constants.ENDPOINT} answers, {token}")
    advice = "Only models in local folders and in the cache can be loaded."
    return Check("Hugging Face hub", Status.WARNING, f"not reachable: {_short(fault)}; {token}", advice)


def _check_disk() -> Check:
    folder = Path(constants.HF_HUB_CACHE)
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        free = shutil.disk_usage(there).free
    except OSError as error:
        return Check("disk", Status.WARNING, f"{folder}: {_short(error)}", "Set HF_HOME to a folder that can be read.")
    text = f"{gigabytes(free)} free for downloads in {folder}"
    if free < _ROOM_FOR_CACHES:
        return Check(
            "disk", Status.WARNING, text, "Set HF_HOME to a folder with more room before anything is downloaded."
        )
    return Check("disk", Status.OK, text)


def _check_simulator(config: SimulatorConfig, machine: _Machine) -> tuple[Check, ...]:
    base = config.model_args.get("pretrained")
    if "chat-completions" in config.backend or config.backend == "openai-completions":
        return (_check_api(config),)
    if not isinstance(base, str):
        return (Check("weights", Status.OK, f"policy {config.policy} has none"),)
    repositories = tuple(_check_repository(*repository, machine) for repository in _repositories(config))
    if config.backend != "hf":
        text = f"the backend {config.backend} sees to memory and placement by itself"
        return (*repositories, Check("memory", Status.OK, text))
    return (*repositories, *_check_placement(config, base, machine))


def _check_api(config: SimulatorConfig) -> Check:
    url = config.model_args.get("base_url")
    if not config.backend.startswith("openai"):
        return Check("API", Status.OK, f"{config.backend} at {url}; whether it answers was not tried")
    if os.environ.get("OPENAI_API_KEY"):
        return Check("API", Status.OK, f"{config.backend}, OPENAI_API_KEY is set; whether it is valid was not tried")
    advice = "Set OPENAI_API_KEY, or give another backend and model_args, such as local-chat-completions with base_url."
    return Check("API", Status.PROBLEM, f"{config.backend} needs OPENAI_API_KEY, which is not set", advice)


def _repositories(config: SimulatorConfig) -> list[tuple[str, str, str]]:
    """Part, name and revision of what a simulator is made of."""
    args = config.model_args
    revisions = {"base": args.get("revision"), "adapter": args.get("adapter_revision")}
    parts = {"base": args.get("pretrained"), "adapter": args.get("peft"), "tokenizer": args.get("tokenizer")}
    return [(part, str(name), revisions.get(part) or revision_of(str(name))) for part, name in parts.items() if name]


def _check_repository(part: str, name: str, revision: str, machine: _Machine) -> Check:
    where = Path(local_or_hub(name))
    if where.exists():
        return _check_folder(part, where)
    if _in_cache(part, name, revision):
        return Check(part, Status.OK, f"{name} is in the local cache")
    try:
        if machine.hub_fault is not None:
            raise machine.hub_fault
        HfApi().auth_check(name)
    except (OSError, ValueError, HTTP_ERROR) as error:
        reason, _, advice = why_unavailable(name, error).partition(". ")
        return Check(part, Status.PROBLEM, f"{name}: {reason}", advice)
    return Check(part, Status.OK, f"{name} is not in the local cache, and will be downloaded from the hub")


def _check_folder(part: str, folder: Path) -> Check:
    if _complete(part, lambda file: str(folder / file) if (folder / file).is_file() else None):
        return Check(part, Status.OK, f"folder {folder}")
    wanted = " or ".join(_TOKENIZER_FILES) if part == "tokenizer" else "its configuration or its safetensors weights"
    return Check(part, Status.PROBLEM, f"the folder {folder} lacks {wanted}", "Give the folder of a whole model.")


def _in_cache(part: str, name: str, revision: str) -> bool:
    def cached(file: str) -> str | None:
        found = try_to_load_from_cache(name, file, revision=revision)
        return found if isinstance(found, str) else None

    try:
        return _complete(part, cached)
    except ValueError:
        # No name of the hub, which is said when it is asked.
        return False


def _complete(part: str, find: Callable[[str], str | None]) -> bool:
    """Whether all files of a model, an adapter or a tokenizer are there; `find` gives the path of one, if it is."""
    if part == "tokenizer":
        return any(find(file) for file in _TOKENIZER_FILES)
    if part == "adapter":
        return bool(find("adapter_config.json") and find("adapter_model.safetensors"))
    if not find("config.json"):
        return False
    index = find("model.safetensors.index.json")
    shards = _shards(Path(index)) if index else {"model.safetensors"}
    return all(map(find, shards))


def _shards(index: Path) -> set[str]:
    try:
        return set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, AttributeError):
        return {"model.safetensors"}


def _check_placement(config: SimulatorConfig, base: str, machine: _Machine) -> list[Check]:
    args = config.model_args
    device = str(args.get("device") or machine.device)
    device = "cuda:0" if device == "cuda" else device
    fault = machine.quantizes.get(device, "") if config.quantization != "none" else ""
    without = "Set the simulator's quantization: none, or install bitsandbytes again."
    broken = [Check("quantization", Status.PROBLEM, f"does not work on {device}: {fault}", without)] if fault else []
    try:
        size, released = _size(base, args)
        checks = (_check_memory(config, size, released, device), _check_fit(config, base, size, released, device))
    except (OSError, ValueError, ImportError) as error:
        advice = "It is known once the model is in the local cache."
        return [*broken, Check("memory", Status.WARNING, f"not known ({_short(error)})", advice)]
    return [*broken, *checks]


def _size(base: str, args: Mapping[str, Any]) -> tuple[Footprint, int]:
    """Footprint of a base and the bytes per value of its checkpoint, from its configuration or from what is published."""
    from transformers import AutoConfig

    trusted = bool(args.get("trust_remote_code", False))
    source = {
        "revision": args.get("revision") or revision_of(base),
        "trust_remote_code": trusted,
        "local_files_only": True,
    }
    try:
        config = AutoConfig.from_pretrained(local_or_hub(base), **source)
    except OSError:
        if base in PUBLISHED:
            return PUBLISHED[base].footprint, PUBLISHED[base].bytes_per_value
        raise
    return footprint(config, trust_remote_code=trusted), released_bytes(config)


def _check_memory(config: SimulatorConfig, size: Footprint, released: int, device: str) -> Check:
    weights = {way: size.weights(way, _width(config, way, released, device)) for way in ("8bit", "nf4", "none")}
    text = ", ".join(f"{gigabytes(needed)} in {way}" for way, needed in weights.items())
    cache = size.cache(1000, _width(config, config.quantization, released, device))
    beside = "" if cache is None else f"; {gigabytes(cache)} of cache for each 1,000 tokens of a dialogue"
    return Check("memory", Status.OK, f"weights {text}{beside}")


def _width(config: SimulatorConfig, quantization: str, released: int, device: str) -> int:
    from lm_eval_plugin.quantized import dtype_for, value_bytes

    return value_bytes(dtype_for(config.model_args.get("dtype", "auto"), quantization, device), released)


def _check_fit(config: SimulatorConfig, base: str, size: Footprint, released: int, device: str) -> Check:
    args = config.model_args
    if chosen := [key for key in ("device_map", "max_memory", "parallelize") if args.get(key)]:
        return Check("placement", Status.OK, f"as {' and '.join(chosen)} of model_args says; not checked")
    if device != "cpu" and not device.startswith("cuda"):
        return Check("placement", Status.OK, f"{device}; not checked")
    width = _width(config, config.quantization, released, device)
    try:
        placement = place(
            base,
            device,
            needed=size.weights(config.quantization, width),
            unquantized=size.weights("none", width),
            gpu_free=free_memory(device) if device != "cpu" else 0,
            cpu_free=free_memory("cpu"),
        )
    except (ModelError, RuntimeError, AssertionError) as error:
        # PyTorch asserts that it was built with CUDA.
        reason, _, advice = str(error).partition("; ")
        return Check("placement", Status.PROBLEM, reason, advice)
    if not placement.on_cpu:
        return Check(
            "placement", Status.OK, f"{config.quantization}, whole on {'the CPU' if device == 'cpu' else device}"
        )
    if args.get("device"):
        text = f"does not fit on {device}, which model_args names, with room to work"
        return Check("placement", Status.PROBLEM, text, "Leave device out, and what does not fit goes to main memory.")
    text = f"{config.quantization} on {device}, with up to {gigabytes(placement.on_cpu)} in main memory"
    return Check("placement", Status.WARNING, text, "It will be slow; nf4 or a smaller simulator may fit on the GPU.")


def _short(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
