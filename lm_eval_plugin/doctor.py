"""What this machine can run: the checks behind `chatbench doctor`, none of which holds a dialogue or loads weights.

A fault of the environment is a `Check`, never an exception. The hub is asked only if it answers within seconds.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import logging
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, get_session, get_token, try_to_load_from_cache
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lm_eval_plugin.errors import ChatbenchError, ConfigError
from lm_eval_plugin.hub_errors import HTTP_ERROR, why_unavailable
from lm_eval_plugin.local_path import local_or_hub
from lm_eval_plugin.memory import (
    PUBLISHED,
    Footprint,
    default_device,
    free_memory,
    gigabytes,
    place,
)
from lm_eval_plugin.revisions import revision_of
from lm_eval_plugin.simulator_config import SimulatorConfig, masked, name_or_mapping, read_simulator
from lm_eval_plugin.simulators.presets import MODEL_POLICIES, PRESETS

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
        simulators: The checks of each simulator, by what it was asked for with.
    """

    fundamentals: tuple[Check, ...]
    simulators: Mapping[str, tuple[Check, ...]]

    @property
    def sound(self) -> bool:
        """Whether the machine and the installation have no problem."""
        return not _has_problem(self.fundamentals)

    def loads(self, asked: str) -> bool:
        """Whether a simulator would load here."""
        return not _has_problem(self.simulators[asked])


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
    asked = dict(map(_read_simulator, simulators))
    diagnosis = diagnose(asked or None)
    if as_json:
        sys.stdout.write(as_json_text(diagnosis) + "\n")
    else:
        render(diagnosis, Console())
    fine = all(map(diagnosis.loads, asked)) if asked else diagnosis.sound
    return 0 if fine else 1


def _read_simulator(asked: str) -> tuple[str, SimulatorConfig]:
    """What was asked for, to be shown, and what it means; two mappings can have one label."""
    where = "chatbench doctor"
    given = name_or_mapping(asked, where)
    shown = asked if masked(given) == given else json.dumps(masked(given))
    return shown, read_simulator(given, where)


def diagnose(simulators: Mapping[str, SimulatorConfig] | None = None) -> Diagnosis:
    """Look at the machine, the installation and the simulators.

    Args:
        simulators: The simulators to look at, by what they are to be called; None for all presets.
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
    return Diagnosis(fundamentals, {asked: _check_simulator(config, machine) for asked, config in simulators.items()})


def render(diagnosis: Diagnosis, console: Console) -> None:
    """Print a diagnosis as tables; what was read from elsewhere is printed as it is, without markup."""
    _print_table(console, "This machine", diagnosis.fundamentals)
    for asked, checks in diagnosis.simulators.items():
        _print_table(console, f"Simulator {asked}: {'would load' if diagnosis.loads(asked) else 'cannot run'}", checks)


def as_json_text(diagnosis: Diagnosis) -> str:
    """A diagnosis as one JSON object."""
    return json.dumps(
        {
            "sound": diagnosis.sound,
            "checks": [asdict(check) for check in diagnosis.fundamentals],
            "simulators": {
                asked: {"loads": diagnosis.loads(asked), "checks": [asdict(check) for check in checks]}
                for asked, checks in diagnosis.simulators.items()
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
    folder = constants.HF_HUB_CACHE
    try:
        free = _free_disk()
    except OSError as error:
        return Check("disk", Status.WARNING, f"{folder}: {_short(error)}", "Set HF_HOME to a folder that can be read.")
    text = f"{gigabytes(free)} free for downloads in {folder}"
    if free < _ROOM_FOR_CACHES:
        return Check(
            "disk", Status.WARNING, text, "Set HF_HOME to a folder with more room before anything is downloaded."
        )
    return Check("disk", Status.OK, text)


def _free_disk() -> int:
    """Bytes that are free for downloads."""
    folder = Path(constants.HF_HUB_CACHE)
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free


def _check_simulator(config: SimulatorConfig, machine: _Machine) -> tuple[Check, ...]:
    if config.policy not in MODEL_POLICIES:
        return (Check("weights", Status.OK, f"policy {config.policy} has none"),)
    if fault := _backend_fault(config):
        return (fault,)
    if _is_api(config):
        return tuple(_check_api(config, machine))
    base = str(config.model_args.get("pretrained") or config.model_args.get("model") or "")
    repositories = tuple(_check_repository(*repository, machine) for repository in _repositories(config))
    download = _check_download(base, config.model_args) if base else []
    if config.backend != "hf":
        text = f"the backend {config.backend} sees to memory and placement by itself"
        return (*repositories, *download, Check("memory", Status.OK, text))
    return (*repositories, *download, *_check_placement(config, base, machine))


def _backend_fault(config: SimulatorConfig) -> Check | None:
    """Why the host cannot use a backend for a policy; None if it can."""
    from lm_eval_plugin.model_loading import backend_class, check_policy

    name = "backend"
    try:
        check_policy(config, backend_class(config.backend))
    except (ValueError, ConfigError) as error:
        reason, _, advice = str(error).partition("; ")
        return Check(name, Status.PROBLEM, reason, advice)
    except (ImportError, AttributeError, OSError) as error:
        missing = getattr(error, "name", None) or config.backend
        return Check(name, Status.PROBLEM, f"{config.backend}: {_short(error)}", f"pip install {missing}")
    absent = [package for package in _packages(config.backend) if importlib.util.find_spec(package) is None]
    if absent:
        text = f"{config.backend} needs {' and '.join(absent)}, which is not installed"
        return Check(name, Status.PROBLEM, text, f"pip install {' '.join(absent)}")
    return None


def _packages(backend: str) -> tuple[str, ...]:
    """What a backend imports only when it is made."""
    own = {
        "anthropic-completions": ("anthropic",),
        "openai-completions": ("tiktoken",),
        **dict.fromkeys(("litellm", "litellm-chat", "litellm-chat-completions"), ("litellm",)),
    }
    return (*(("aiohttp", "requests", "tenacity") if _is_remote(backend) else ()), *own.get(backend, ()))


def _is_remote(backend: str) -> bool:
    from lm_eval.models.api_models import TemplateAPI

    from lm_eval_plugin.model_loading import backend_class

    return issubclass(backend_class(backend), TemplateAPI)


def _is_api(config: SimulatorConfig) -> bool:
    return _is_remote(config.backend) or config.backend == "anthropic-completions"


_KEYS = {"openai": "OPENAI_API_KEY", "azure-openai": "AZURE_OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
"""Where the backends with an address of their own look for a key, by the beginning of their names."""


def _check_api(config: SimulatorConfig, machine: _Machine) -> Iterator[Check]:
    yield _check_access(config)
    tokenizer = config.model_args.get("tokenizer")
    if isinstance(tokenizer, str):
        yield _check_repository("tokenizer", tokenizer, revision_of(tokenizer), machine)


def _check_access(config: SimulatorConfig) -> Check:
    variable = next((key for start, key in _KEYS.items() if config.backend.startswith(start)), None)
    url = config.model_args.get("base_url")
    if variable is None and (url or config.backend.startswith("litellm")):
        at = f" at {masked(str(url))}" if url else ""
        return Check("API", Status.OK, f"{config.backend}{at}; whether it answers was not tried")
    if variable is None:
        advice = 'Give it in model_args, such as {"base_url": "http://localhost:8000/v1/completions", "model": NAME}.'
        return Check("API", Status.PROBLEM, f"{config.backend} needs base_url, which is not given", advice)
    if os.environ.get(variable):
        return Check("API", Status.OK, f"{config.backend}, {variable} is set; whether it is valid was not tried")
    advice = f"Set {variable}, or give another backend and model_args, such as local-chat-completions with base_url."
    return Check("API", Status.PROBLEM, f"{config.backend} needs {variable}, which is not set", advice)


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


def _check_download(base: str, args: Mapping[str, Any]) -> list[Check]:
    """Whether there is room for weights that have yet to be downloaded, where their size is known."""
    revision = args.get("revision") or revision_of(base)
    if Path(local_or_hub(base)).exists() or _in_cache("base", base, revision):
        return []
    try:
        size_and_width = _size(base, args)
        free = _free_disk()
    except (OSError, ValueError, ImportError, ChatbenchError):
        # The other checks say what is wrong.
        return []
    if size_and_width is None:
        return []
    size, released = size_and_width
    needed = size.weights("none", released)
    text = f"{gigabytes(needed)} to download for {base}; {gigabytes(free)} are free in {constants.HF_HUB_CACHE}"
    if needed > free:
        return [Check("download", Status.PROBLEM, text, "Set HF_HOME to a folder with more room.")]
    return [Check("download", Status.OK, text)]


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
        size_and_width = _size(base, args)
    except (OSError, ValueError, ImportError, ChatbenchError) as error:
        advice = "It is known once the model is in the local cache."
        return [*broken, Check("memory", Status.WARNING, f"not known ({_short(error)})", advice)]
    if size_and_width is None:
        text = "not estimated, because the checkpoint is stored quantized; placement is not checked"
        return [*broken, Check("memory", Status.OK, text)]
    size, released = size_and_width
    return [*broken, _check_memory(config, size, released, device), _check_fit(config, base, size, released, device)]


def _size(base: str, args: Mapping[str, Any]) -> tuple[Footprint, int] | None:
    """What the loader measures of a base, from its configuration here or from what is published."""
    from lm_eval_plugin.quantized import measured

    source = {
        "revision": args.get("revision") or revision_of(base),
        "trust_remote_code": bool(args.get("trust_remote_code", False)),
        "local_files_only": True,
    }
    try:
        return measured(local_or_hub(base), source)
    except OSError:
        if base in PUBLISHED:
            return PUBLISHED[base].footprint, PUBLISHED[base].bytes_per_value
        raise


def _check_memory(config: SimulatorConfig, size: Footprint, released: int, device: str) -> Check:
    from lm_eval_plugin.quantized import weight_bytes

    weights = {
        way: weight_bytes(size, way, _width(config, way, released, device), config.model_args)
        for way in ("8bit", "nf4", "none")
    }
    text = ", ".join(f"{gigabytes(needed)} in {way}" for way, needed in weights.items())
    cache = size.cache(1000, _width(config, config.quantization, released, device))
    beside = "" if cache is None else f"; {gigabytes(cache)} of cache for each 1,000 tokens of a dialogue"
    return Check("memory", Status.OK, f"weights {text}{beside}")


def _width(config: SimulatorConfig, quantization: str, released: int, device: str) -> int:
    from lm_eval_plugin.quantized import dtype_for, value_bytes

    return value_bytes(dtype_for(config.model_args.get("dtype", "auto"), quantization, device), released)


def _check_fit(config: SimulatorConfig, base: str, size: Footprint, released: int, device: str) -> Check:
    from lm_eval_plugin.quantized import weight_bytes

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
            needed=weight_bytes(size, config.quantization, width, args),
            unquantized=size.weights("none", width),
            gpu_free=free_memory(device) if device != "cpu" else 0,
            cpu_free=free_memory("cpu"),
        )
    except (ChatbenchError, RuntimeError, AssertionError) as error:
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
