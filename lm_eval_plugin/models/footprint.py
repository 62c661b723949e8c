"""What a causal language model takes in memory, known before its weights are loaded.

A model is built on PyTorch's meta device, which has shapes and no data, and its parameters are counted. Reported and
compared is what the weights take; the KV cache and the activations of a run come on top.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lm_eval_plugin.border.hub_errors import why_unavailable
from lm_eval_plugin.errors import ConfigError, ModelError

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig

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


def footprint(config: PretrainedConfig, *, trust_remote_code: bool = False) -> Footprint:
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


def _cache_per_token(config: PretrainedConfig) -> int | None:
    text = config.get_text_config(decoder=True)
    layers, heads = getattr(text, "num_hidden_layers", None), getattr(text, "num_attention_heads", None)
    width = getattr(text, "hidden_size", None)
    if not (layers and heads and width):
        return None
    head_dim = getattr(text, "head_dim", None) or width // heads
    return int(2 * layers * (getattr(text, "num_key_value_heads", None) or heads) * head_dim)


def released_bytes(config: PretrainedConfig) -> int:
    """Width of a checkpoint's values; one whose configuration names no dtype is taken for float32."""
    return int(getattr(getattr(config, "dtype", None), "itemsize", 4))


def measured(pretrained: str, source: Mapping[str, object]) -> tuple[Footprint, int] | None:
    """Footprint of a model and the bytes per value of its checkpoint, from its configuration alone.

    Args:
        pretrained: Its folder or name.
        source: Goes to `from_pretrained`: `revision`, `trust_remote_code`, and maybe `local_files_only`.

    Returns:
        None for a checkpoint that is stored quantized, which takes less than its parameters tell.

    Raises:
        ModelError: The configuration is of no language model.
        OSError: It cannot be had.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(pretrained, **source)
        if getattr(config, "quantization_config", None) is not None:
            return None
        return footprint(config, trust_remote_code=bool(source["trust_remote_code"])), released_bytes(config)
    except ValueError as error:
        raise ModelError(f"the model {pretrained!r} cannot be loaded: {why_unavailable(pretrained, error)}") from error


def weight_bytes(size: Footprint, quantization: str, width: int, options: Mapping[str, object]) -> int:
    """Bytes of the weights of a model.

    Args:
        size: What it holds.
        quantization: `8bit`, `nf4` or `none`.
        width: Bytes of an unquantized value.
        options: May hold `bnb_4bit_use_double_quant`; other keys change nothing.
    """
    double_quant = bool(options.get("bnb_4bit_use_double_quant", False))
    return size.weights(quantization, width, double_quant=double_quant)


def dtype_for(dtype: str | torch.dtype, quantization: str, device: str) -> str | torch.dtype:
    """The dtype that a model is loaded in, `auto` for that of its checkpoint.

    Raises:
        ConfigError: PyTorch has no dtype of that name.
    """
    import torch

    if quantization != "none" and dtype == "auto" and not device.startswith("cuda"):
        # Only embeddings and norms are left unquantized; in half precision their CPU results depend on the batch.
        return torch.float32
    if isinstance(dtype, torch.dtype) or dtype == "auto":
        return dtype
    chosen = getattr(torch, dtype, None)
    if not isinstance(chosen, torch.dtype):
        raise ConfigError(
            f"model_args.dtype is {dtype!r}, which PyTorch does not have; use auto, bfloat16, float16 or float32"
        )
    return chosen


def value_bytes(dtype: str | torch.dtype, released: int) -> int:
    """Width of an unquantized value that is loaded in a dtype; `auto` is the width that the checkpoint has."""
    return released if isinstance(dtype, str) else dtype.itemsize
