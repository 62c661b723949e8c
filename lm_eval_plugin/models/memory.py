"""How much memory a causal language model takes, and where it fits, known before its weights are loaded.

A model is built on PyTorch's meta device, which has shapes and no data, and its parameters are counted. Reported and
compared is what the weights take; the KV cache and the activations of a run come on top, which is what the margin on a
GPU is for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.errors import ModelError

logger = logger_of(__name__)

GIB = 1024**3

NF4_BYTES = 0.5 + 4 / 64
"""Per weight: 4 bits, and a float32 scale for each block of 64."""

NF4_DOUBLE_QUANT_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
"""Per weight: 4 bits, an 8-bit scale for each block of 64, and a float32 for each 256 of those."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a causal language model holds.

    Args:
        quantizable: Parameters in the weight matrices that bitsandbytes quantizes.
        other: All other parameters: embeddings, the output layer, norms, biases; tied ones count once.
        cache_per_token: Values in the KV cache for each token of each sequence, an upper bound where a model compresses
            them; None where the configuration does not say.
    """

    quantizable: int
    other: int
    cache_per_token: int | None

    def weights(self, quantization: str, bytes_per_value: int, *, double_quant: bool = False) -> int:
        """Bytes of the weights.

        Args:
            quantization: `8bit`, `nf4` or `none`. The scales of 8 bit, one for each row, are left out: below 0.1 %.
            bytes_per_value: Width of what is not quantized: 2 for bfloat16 and float16, 4 for float32.
            double_quant: Whether the scales of nf4 are quantized too (`bnb_4bit_use_double_quant`).
        """
        nf4 = NF4_DOUBLE_QUANT_BYTES if double_quant else NF4_BYTES
        width = {"8bit": 1.0, "nf4": nf4, "none": float(bytes_per_value)}[quantization]
        return int(self.quantizable * width) + self.other * bytes_per_value

    def cache(self, tokens: int, bytes_per_value: int) -> int | None:
        """Bytes of the KV cache of so many tokens; None where it is not known."""
        return None if self.cache_per_token is None else self.cache_per_token * tokens * bytes_per_value


@dataclass(frozen=True, slots=True)
class Published:
    """A model whose shape is known without its configuration, and the bytes per value that it is released in."""

    footprint: Footprint
    bytes_per_value: int


_DISTILGPT2 = Footprint(quantizable=42_467_328, other=39_445_248, cache_per_token=9_216)
_LLAMA3_8B = Footprint(quantizable=6_979_321_856, other=1_050_939_392, cache_per_token=65_536)

PUBLISHED: Mapping[str, Published] = {
    "distilgpt2": Published(_DISTILGPT2, 4),
    "microsoft/chatbench-distilgpt2": Published(_DISTILGPT2, 4),
    "meta-llama/Meta-Llama-3-8B": Published(_LLAMA3_8B, 2),
    "mistralai/Mistral-7B-v0.1": Published(
        Footprint(quantizable=6_979_321_856, other=262_410_240, cache_per_token=65_536), 2
    ),
    # Llama 3 with one more row in the embedding and in the output layer.
    "microsoft/UserLM-8b": Published(
        Footprint(quantizable=6_979_321_856, other=_LLAMA3_8B.other + 2 * 4_096, cache_per_token=65_536), 4
    ),
}
"""The bases of the released simulators, worked out from their published configurations."""


def footprint(config: Any, *, trust_remote_code: bool = False) -> Footprint:
    """Count the parameters of a model by its transformers configuration.

    Source: what is quantized follows `replace_with_bnb_linear` and `get_keys_to_not_convert` of transformers 5.23: the
    weights of linear layers (GPT-2's `Conv1D` too), without the output layer and what is tied to it.

    Raises:
        ValueError: The configuration is not of a causal language model.
    """
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=trust_remote_code)
    total = sum(parameter.numel() for parameter in model.parameters())
    quantizable = _quantizable(model)
    return Footprint(quantizable, total - quantizable, _cache_per_token(config))


def _quantizable(model: Any) -> int:
    from torch.nn import Linear
    from transformers.pytorch_utils import Conv1D

    output = model.get_output_embeddings()
    matrices = [
        module.weight
        for module in model.modules()
        if (type(module) is Linear or isinstance(module, Conv1D)) and module is not output
    ]
    return sum({id(matrix): matrix.numel() for matrix in matrices}.values())


def _cache_per_token(config: Any) -> int | None:
    text = config.get_text_config(decoder=True)
    layers, heads = getattr(text, "num_hidden_layers", None), getattr(text, "num_attention_heads", None)
    width = getattr(text, "hidden_size", None)
    if not (layers and heads and width):
        return None
    head_dim = getattr(text, "head_dim", None) or width // heads
    return int(2 * layers * (getattr(text, "num_key_value_heads", None) or heads) * head_dim)


def released_bytes(config: Any) -> int:
    """Width of a checkpoint's values; one whose configuration names no dtype is taken for float32."""
    return int(getattr(getattr(config, "dtype", None), "itemsize", 4))


def free_memory(device: str) -> int:
    """Bytes that are free on a GPU, or in main memory within the limit that the process has.

    Args:
        device: `cpu`, `cuda` or `cuda:N`.
    """
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    import psutil

    available = int(psutil.virtual_memory().available)
    limited = cgroup_free(Path("/sys/fs/cgroup"), _read(Path("/proc/self/cgroup")))
    return available if limited is None else min(available, limited)


def cgroup_free(root: Path, membership: str) -> int | None:
    """Bytes that the control groups of a process still allow it; None where they set no limit.

    Args:
        root: Where the control groups are mounted.
        membership: The groups of the process, as `/proc/self/cgroup` lists them.
    """
    free = []
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            free += _free_along(root, path, "memory.max", "memory.current", "")
        elif "memory" in controllers.split(","):
            free += _free_along(root / "memory", path, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
    return min(free, default=None)


def _free_along(root: Path, path: str, limit_file: str, usage_file: str, prefix: str) -> list[int]:
    """What is free in a group and in each that it lies in; inside a container only the root may be visible."""
    parts = [part for part in path.split("/") if part]
    free = []
    for depth in range(len(parts) + 1):
        folder = root.joinpath(*parts[:depth])
        limit, usage = _read(folder / limit_file), _read(folder / usage_file)
        if limit.isdecimal() and usage.isdecimal():
            cached = _file_cache(_read(folder / "memory.stat"), prefix)
            free.append(max(0, int(limit) - int(usage) + cached))
    return free


def _file_cache(statistics: str, prefix: str) -> int:
    """Bytes of cached files, which count as used and which the kernel gives up first."""
    numbers = dict(line.split(" ", 1) for line in statistics.splitlines() if " " in line)
    return sum(int(numbers.get(f"{prefix}{kind}_file", 0)) for kind in ("inactive", "active"))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def default_device() -> str:
    """The GPU that belongs to this process, which may see its own alone, else the CPU."""
    import torch

    if not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % torch.cuda.device_count()}"


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


def gigabytes(size: int) -> str:
    """A size as people read it, in units of a thousand."""
    for unit, width in (("GB", 10**9), ("MB", 10**6)):
        if size >= width:
            return f"{size / width:.1f} {unit}"
    return f"{size / 1000:.1f} kB"
