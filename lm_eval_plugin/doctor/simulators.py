"""The checks of one simulator: its backend, its weights, and whether they fit here."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants

from lm_eval_plugin.border.hub_errors import HTTP_ERROR, why_unavailable
from lm_eval_plugin.border.masking import without_credentials
from lm_eval_plugin.border.paths import local_or_hub
from lm_eval_plugin.config.presets import MODEL_POLICIES
from lm_eval_plugin.config.simulator import SimulatorConfig
from lm_eval_plugin.doctor.diagnosis import Check, Status, short
from lm_eval_plugin.doctor.files import TOKENIZER_FILES, complete, in_cache, repositories
from lm_eval_plugin.doctor.machine import free_disk
from lm_eval_plugin.errors import ChatbenchError, ConfigError
from lm_eval_plugin.models.footprint import PUBLISHED, Footprint, dtype_for, measured, value_bytes, weight_bytes
from lm_eval_plugin.models.memory import free_memory, gigabytes
from lm_eval_plugin.models.revisions import revision_of


@dataclass(frozen=True, slots=True)
class Machine:
    """What the checks of simulators need to know of the machine.

    Args:
        hub_fault: Why the hub cannot be asked; None if it can.
        device: Where a model goes whose arguments name no device.
        quantizes: By device, why bitsandbytes does not work on it; empty where it does.
    """

    hub_fault: Exception | None
    device: str
    quantizes: Mapping[str, str]


def check_simulator(config: SimulatorConfig, machine: Machine) -> tuple[Check, ...]:
    """Everything that keeps a simulator from loading on a machine, or does not."""
    if config.policy not in MODEL_POLICIES:
        return (Check("weights", Status.OK, f"policy {config.policy} has none"),)
    if fault := _backend_fault(config):
        return (fault,)
    if _is_api(config):
        return tuple(_check_api(config, machine))
    base = str(config.model_args.get("pretrained") or config.model_args.get("model") or "")
    parts = tuple(_check_repository(*repository, machine) for repository in repositories(config))
    download = _check_download(base, config.model_args) if base else []
    if config.backend != "hf":
        text = f"the backend {config.backend} sees to memory and placement by itself"
        return (*parts, *download, Check("memory", Status.OK, text))
    return (*parts, *download, *_check_placement(config, base, machine))


def _backend_fault(config: SimulatorConfig) -> Check | None:
    """Why the host cannot use a backend for a policy; None if it can."""
    from lm_eval_plugin.models.loading import backend_class, check_policy

    name = "backend"
    try:
        check_policy(config, backend_class(config.backend))
    except (ValueError, ConfigError) as error:
        reason, _, advice = str(error).partition("; ")
        return Check(name, Status.PROBLEM, reason, advice)
    except (ImportError, AttributeError, OSError) as error:
        missing = getattr(error, "name", None) or config.backend
        return Check(name, Status.PROBLEM, f"{config.backend}: {short(error)}", f"pip install {missing}")
    absent = [package for package in _packages(config.backend) if importlib.util.find_spec(package) is None]
    if absent:
        text = f"{config.backend} needs {' and '.join(absent)}, which is not installed"
        return Check(name, Status.PROBLEM, text, f"pip install {' '.join(absent)}")
    return None


def _packages(backend: str) -> tuple[str, ...]:
    """What a backend imports only when it is made."""
    from lm_eval_plugin.models.loading import is_behind_an_api

    own = {
        "anthropic-completions": ("anthropic",),
        "openai-completions": ("tiktoken",),
        **dict.fromkeys(("litellm", "litellm-chat", "litellm-chat-completions"), ("litellm",)),
    }
    return (*(("aiohttp", "requests", "tenacity") if is_behind_an_api(backend) else ()), *own.get(backend, ()))


def _is_api(config: SimulatorConfig) -> bool:
    from lm_eval_plugin.models.loading import is_behind_an_api

    return is_behind_an_api(config.backend) or config.backend == "anthropic-completions"


_KEYS = {"openai": "OPENAI_API_KEY", "azure-openai": "AZURE_OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
"""Where the backends with an address of their own look for a key, by the beginning of their names."""


def _check_api(config: SimulatorConfig, machine: Machine) -> Iterator[Check]:
    yield _check_access(config)
    tokenizer = config.model_args.get("tokenizer")
    if isinstance(tokenizer, str):
        yield _check_repository("tokenizer", tokenizer, revision_of(tokenizer), machine)


def _check_access(config: SimulatorConfig) -> Check:
    variable = next((key for start, key in _KEYS.items() if config.backend.startswith(start)), None)
    url = config.model_args.get("base_url")
    if variable is None and (url or config.backend.startswith("litellm")):
        at = f" at {without_credentials(str(url))}" if url else ""
        return Check("API", Status.OK, f"{config.backend}{at}; whether it answers was not tried")
    if variable is None:
        advice = 'Give it in model_args, such as {"base_url": "http://localhost:8000/v1/completions", "model": NAME}.'
        return Check("API", Status.PROBLEM, f"{config.backend} needs base_url, which is not given", advice)
    if os.environ.get(variable):
        return Check("API", Status.OK, f"{config.backend}, {variable} is set; whether it is valid was not tried")
    advice = f"Set {variable}, or give another backend and model_args, such as local-chat-completions with base_url."
    return Check("API", Status.PROBLEM, f"{config.backend} needs {variable}, which is not set", advice)


def _check_repository(part: str, name: str, revision: str, machine: Machine) -> Check:
    where = Path(local_or_hub(name))
    if where.exists():
        return _check_folder(part, where)
    if in_cache(part, name, revision):
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
    if Path(local_or_hub(base)).exists() or in_cache("base", base, revision):
        return []
    try:
        size_and_width = _size(base, args)
        free = free_disk()
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
    if complete(part, lambda file: str(folder / file) if (folder / file).is_file() else None):
        return Check(part, Status.OK, f"folder {folder}")
    wanted = " or ".join(TOKENIZER_FILES) if part == "tokenizer" else "its configuration or its safetensors weights"
    return Check(part, Status.PROBLEM, f"the folder {folder} lacks {wanted}", "Give the folder of a whole model.")


def _check_placement(config: SimulatorConfig, base: str, machine: Machine) -> list[Check]:
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
        return [*broken, Check("memory", Status.WARNING, f"not known ({short(error)})", advice)]
    if size_and_width is None:
        text = "not estimated, because the checkpoint is stored quantized; placement is not checked"
        return [*broken, Check("memory", Status.OK, text)]
    size, released = size_and_width
    return [*broken, _check_memory(config, size, released, device), _check_fit(config, base, size, released, device)]


def _size(base: str, args: Mapping[str, object]) -> tuple[Footprint, int] | None:
    """What the loader measures of a base, from its configuration here or from what is published."""
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
    weights = {
        way: weight_bytes(size, way, _width(config, way, released, device), config.model_args)
        for way in ("8bit", "nf4", "none")
    }
    text = ", ".join(f"{gigabytes(needed)} in {way}" for way, needed in weights.items())
    cache = size.cache(1000, _width(config, config.quantization, released, device))
    beside = "" if cache is None else f"; {gigabytes(cache)} of cache for each 1,000 tokens of a dialogue"
    return Check("memory", Status.OK, f"weights {text}{beside}")


def _width(config: SimulatorConfig, quantization: str, released: int, device: str) -> int:
    return value_bytes(dtype_for(config.model_args.get("dtype", "auto"), quantization, device), released)


def _check_fit(config: SimulatorConfig, base: str, size: Footprint, released: int, device: str) -> Check:
    from lm_eval_plugin.models.placement import place

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
