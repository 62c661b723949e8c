"""Where the weights of a causal language model go: onto one device, or onto a GPU and into main memory beside it.

What is on a GPU leaves a margin for the KV cache and the activations of a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.errors import ConfigError, ModelError
from lm_eval_plugin.models.footprint import measured, value_bytes, weight_bytes
from lm_eval_plugin.models.memory import default_device, free_memory, gigabytes

logger = logger_of(__name__)

GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a model is loaded.

    Args:
        device_map: As `from_pretrained` takes it.
        max_memory: Bytes of weights by number of the GPU, and for `cpu`; None for a model that lies on one device.
        on_cpu: Estimated bytes of the layers that do not fit on the GPU and are held in main memory; an upper bound,
            because it is left to transformers whether they are quantized there.
    """

    device_map: str | Mapping[str, str]
    max_memory: Mapping[int | str, int] | None = None
    on_cpu: int = 0


def place(name: str, device: str, *, needed: int, unquantized: int, gpu_free: int, cpu_free: int) -> Placement:
    """Decide where a model goes: onto its device, or onto a GPU as far as it fits and the rest into main memory.

    On a GPU 10 % of the weights and 1 GiB are left for the KV cache and activations.

    Args:
        name: The model, for errors.
        device: `cpu`, or the GPU, as `cuda:N`.
        needed: Bytes of its weights as they are quantized.
        unquantized: Bytes of its weights without quantization, which layers beside a GPU may take.
        gpu_free: Free bytes of the GPU; of no matter for `cpu`.
        cpu_free: Free bytes of main memory.

    Raises:
        ModelError: It fits nowhere.
    """
    if not device.startswith("cuda"):
        _check_room(name, needed, cpu_free, "")
        return Placement({"": device})
    room = gpu_free - needed // 10 - GIB
    if needed <= room:
        return Placement({"": device})
    if room <= 0:
        raise ModelError(
            f"the model {name!r} needs {gigabytes(needed)} for its weights, and of the memory of {device} only "
            f"{gigabytes(gpu_free)} is free; free some (gpu_memory_utilization of a vLLM assistant), give another device in "
            "model_args, such as cpu, or use a smaller simulator"
        )
    # transformers keeps a tenth of what it is given for the buffers of quantizing.
    on_cpu = int(unquantized * (1 - 0.9 * room / needed))
    _check_room(name, on_cpu, cpu_free, f" beside the {gigabytes(room)} that {device} takes of it")
    return Placement("auto", {int(device.partition(":")[2] or 0): room, "cpu": cpu_free}, on_cpu)


def _check_room(name: str, needed: int, free: int, beside: str) -> None:
    if needed > free:
        raise ModelError(
            f"the model {name!r} needs {gigabytes(needed)} of main memory for its weights{beside}, and {gigabytes(free)} is "
            "free; use a smaller simulator, such as chatbench-distilgpt2, quantization: nf4, or a machine with more memory or "
            "a GPU. If the estimate is wrong, device_map: cpu in model_args loads it nevertheless"
        )


def read_max_memory(given: object) -> dict[int | str, Any] | None:
    """The limits that `max_memory` of `model_args` sets, with GPUs as numbers, which JSON cannot have as keys.

    Raises:
        ConfigError: It is no mapping.
    """
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise ConfigError(
            f"model_args.max_memory is {given!r}; give a limit for each device, such as "
            '{"0": "20GiB", "cpu": "60GiB"}'
        )
    return {int(key) if str(key).isdecimal() else key: limit for key, limit in given.items()}


def without_absent_gpus(placement: Placement, device: str) -> Placement:
    """Without a GPU there is nothing to share out: the model lies on its device as a whole."""
    if placement.max_memory is None or torch.cuda.is_available():
        return placement
    logger.warning("max_memory is ignored, because there is no GPU; the model is loaded on %s.", device)
    return Placement({"": device} if placement.device_map == "auto" else placement.device_map)


def place_weights(
    pretrained: str,
    quantization: str,
    *,
    source: Mapping[str, Any],
    device: str | None,
    dtype: str | torch.dtype,
    options: Mapping[str, Any],
) -> Placement:
    """Where a model goes whose `model_args` say at most the device; a GPU that they name takes it whole."""
    chosen = device or default_device()
    on_gpu = chosen.startswith("cuda")
    if chosen != "cpu" and not (on_gpu and device is None):
        return Placement({"": chosen})
    size_and_width = measured(pretrained, source)
    if size_and_width is None:
        return Placement({"": chosen})
    size, released = size_and_width
    width = value_bytes(dtype, released)
    placement = place(
        pretrained,
        chosen,
        needed=weight_bytes(size, quantization, width, options),
        unquantized=size.weights("none", width),
        gpu_free=free_memory(chosen) if on_gpu else 0,
        cpu_free=free_memory("cpu"),
    )
    if placement.on_cpu:
        logger.warning(
            "The model %s does not fit on %s beside what is there: up to %s of it are held in main memory, and every "
            "token waits for them, so this will be slow. A smaller simulator or quantization: nf4 may fit.",
            pretrained,
            chosen,
            gigabytes(placement.on_cpu),
        )
    return placement
