"""Loading a causal language model with quantized weights and a LoRA adapter, as a model of lm_eval.

lm_eval cannot: with transformers 5 `load_in_8bit` is gone and `HFLM` refuses a `quantization_config`. So base, adapter
and tokenizer are loaded here and the finished model is handed to `HFLM`, which also keeps it on this process alone.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from lm_eval_plugin.border.hub_errors import why_unavailable
from lm_eval_plugin.border.paths import local_or_hub
from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.errors import ModelError
from lm_eval_plugin.lm_eval_access.local import HFLM
from lm_eval_plugin.lm_eval_access.private_names import limit_window
from lm_eval_plugin.models.adapters import read_adapter, with_adapter
from lm_eval_plugin.models.chat_format import muted
from lm_eval_plugin.models.footprint import dtype_for
from lm_eval_plugin.models.memory import default_device
from lm_eval_plugin.models.placement import Placement, place_weights, read_max_memory, without_absent_gpus
from lm_eval_plugin.models.revisions import revision_of

logger = logger_of(__name__)

_NO_BITSANDBYTES = "use another machine or set the simulator's quantization: none"


def load_quantized(model_args: Mapping[str, Any], quantization: str) -> HFLM:
    """Load a model for text generation.

    Where no device is given, it goes onto the GPU as far as it fits, with the rest in main memory and a warning; without
    a GPU it goes into main memory. See `placement.place`.

    Args:
        model_args: As lm_eval's `hf` backend spells them: `pretrained`, `peft`, `revision`, `tokenizer`, `dtype`,
            `device`, `batch_size`, `trust_remote_code`, `add_bos_token`, `prefix_token_id`; `max_length` is an upper bound,
            so a window that the model does not have is not used. Where no tokenizer is given it is the base's, or the
            adapter's own if that has more tokens. `adapter_revision` is the adapter's own revision; the
            revisions that `revisions.PINNED` names are used where none is given.
            `max_memory` limits each device (`{"0": "20GiB", "cpu": "60GiB"}`) and spreads the model over them. What
            begins with `llm_int8_` or `bnb_4bit_` goes to bitsandbytes, anything else to `from_pretrained`.
        quantization: `8bit`, `nf4` or `none`.

    Raises:
        ModelError: The weights cannot be had, do not fit, or cannot be quantized here.
        ConfigError: `max_memory` is no mapping.
        SimulatorError: The adapter does not belong to the base.
    """
    args = dict(model_args)
    pretrained, peft = local_or_hub(args.pop("pretrained")), args.pop("peft", None)
    source = {
        "revision": args.pop("revision", None) or revision_of(pretrained),
        "trust_remote_code": args.pop("trust_remote_code", False),
    }
    named = args.pop("tokenizer", None)
    own_args = {key: args.pop(key) for key in ("add_bos_token", "prefix_token_id", "batch_size") if key in args}
    max_length, adapter_revision = args.pop("max_length", None), args.pop("adapter_revision", None)
    # bitsandbytes warns of kernels that it can do without, lm_eval of arguments that are not given.
    with muted("bitsandbytes"), muted("lm_eval.models.huggingface"):
        tokenizer = _load_tokenizer(named or pretrained, pretrained, source)
        adapter = peft and read_adapter(peft, adapter_revision, pretrained, None if named else tokenizer, source)
        model = _load_base(pretrained, quantization, source, args)
        if adapter:
            tokenizer = tokenizer if adapter.own is None else _padded(adapter.own.tokenizer)
            model = with_adapter(model, adapter)
        lm = HFLM(pretrained=model, tokenizer=tokenizer, **own_args)
    logger.info(
        "Loaded %s at commit %s.", pretrained, getattr(model.config, "_commit_hash", None) or "unknown (a folder)"
    )
    if max_length is not None and max_length < lm.max_length:
        limit_window(lm, max_length)
    return lm


def _load_tokenizer(name: str, pretrained: str, source: Mapping[str, object]) -> PreTrainedTokenizerBase:
    # A revision of the weights says nothing about a tokenizer that comes from elsewhere.
    source = source if name == pretrained else {**source, "revision": revision_of(name)}
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(local_or_hub(name), **source)
    # transformers 5.3 needs protobuf to say that a tokenizer is missing.
    except (OSError, ValueError, ImportError) as error:
        raise ModelError(f"the tokenizer {name!r} cannot be loaded: {why_unavailable(name, error)}") from error
    return _padded(tokenizer)


def _padded(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """The tokenizer, whose paddings are the end token: one that the model surely has."""
    if tokenizer.eos_token is not None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _load_base(pretrained: str, quantization: str, source: Mapping[str, Any], args: dict[str, Any]) -> PreTrainedModel:
    options = {key: args.pop(key) for key in list(args) if key.startswith(("llm_int8_", "bnb_4bit_"))}
    max_memory = read_max_memory(args.pop("max_memory", None))
    device, device_map = args.pop("device", None), args.pop("device_map", None)
    spread = args.pop("parallelize", False) or max_memory is not None
    dtype = dtype_for(args.pop("dtype", "auto"), quantization, device or default_device())
    try:
        if device_map is not None or spread:
            placement = Placement("auto" if device_map is None else device_map, max_memory)
        else:
            placement = place_weights(
                pretrained, quantization, source=source, device=device, dtype=dtype, options=options
            )
        placement = without_absent_gpus(placement, device or default_device())
        model = _from_pretrained(pretrained, quantization, placement, options, {"dtype": dtype, **source, **args})
    except OSError as error:
        raise ModelError(f"the model {pretrained!r} cannot be loaded: {why_unavailable(pretrained, error)}") from error
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"the model {pretrained!r} does not fit into the memory of {device or default_device()} beside what is there; use "
            "a smaller simulator, quantization: nf4, another device in model_args, or leave room (gpu_memory_utilization of a "
            "vLLM assistant)"
        ) from error
    except TypeError as error:
        raise ModelError(
            f"the model {pretrained!r} does not take one of its model_args ({', '.join(args)}): {error}"
        ) from error
    except (ImportError, RuntimeError, ValueError) as error:
        if quantization == "none":
            raise
        raise ModelError(
            f"the model {pretrained!r} cannot be loaded in {quantization} here ({error}); {_NO_BITSANDBYTES}"
        ) from error
    if quantization != "none" and not quantized_layers(model):
        raise ModelError(f"{pretrained!r} was loaded, but none of its layers is {quantization}; {_NO_BITSANDBYTES}")
    return model


def _from_pretrained(
    pretrained: str, quantization: str, placement: Placement, options: Mapping[str, Any], args: Mapping[str, Any]
) -> PreTrainedModel:
    limits = {} if placement.max_memory is None else {"max_memory": placement.max_memory}
    offload = placement.device_map == "auto" and torch.cuda.is_available()
    with _as_published():
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            pretrained,
            quantization_config=_bitsandbytes(quantization, options, offload=offload),
            device_map=placement.device_map,
            use_safetensors=True,
            **limits,
            **args,
        )
    return model


@contextmanager
def _as_published() -> Iterator[None]:
    """Load no weights but the repository's own.

    Of a repository without safetensors, transformers would load what a public conversion service proposes for it.
    """
    switch = "DISABLE_SAFETENSORS_CONVERSION"
    before = os.environ.get(switch)
    os.environ[switch] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[switch]
        else:
            os.environ[switch] = before


def _bitsandbytes(quantization: str, options: Mapping[str, object], *, offload: bool) -> BitsAndBytesConfig | None:
    if quantization == "none":
        return None
    # Its logger warns on every product that inputs are cast to half precision, which is what 8 bit means.
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    # With a CPU device map this flag would silently leave every layer unquantized.
    flags = {"llm_int8_enable_fp32_cpu_offload": offload}
    if quantization == "nf4":
        return BitsAndBytesConfig(load_in_4bit=True, **{"bnb_4bit_quant_type": "nf4", **flags, **options})
    return BitsAndBytesConfig(load_in_8bit=True, **{**flags, **options})


def quantized_layers(model: torch.nn.Module) -> int:
    """How many layers of a model hold quantized weights."""
    from bitsandbytes.nn import Linear4bit, Linear8bitLt

    return sum(isinstance(module, (Linear4bit, Linear8bitLt)) for module in model.modules())
