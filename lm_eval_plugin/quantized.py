"""Loading a causal language model with quantized weights and a LoRA adapter, as a model of the host.

The host cannot: with transformers 5 `load_in_8bit` is gone and `HFLM` refuses a `quantization_config`. So base, adapter
and tokenizer are loaded here and the finished model is handed to `HFLM`, which also keeps it on this process alone.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils_hf import get_dtype
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from lm_eval_plugin.chat_format import muted
from lm_eval_plugin.errors import ModelError, SimulatorError
from lm_eval_plugin.local_path import local_or_hub

logger = logging.getLogger(__name__)

_NO_BITSANDBYTES = "use another machine or set the simulator's quantization: none"
_GET_WEIGHTS = (
    "Check the name; for a gated model accept its licence on its page and log in with `hf auth login`; without a network "
    "give local folders as base and adapter, or use the simulator 'demo' or 'scripted'."
)


def load_quantized(model_args: Mapping[str, Any], quantization: str) -> HFLM:
    """Load a model for text generation.

    Args:
        model_args: As the host's `hf` backend spells them: `pretrained`, `peft`, `revision`, `tokenizer`, `dtype`,
            `device`, `batch_size`, `trust_remote_code`, `add_bos_token`, `prefix_token_id`; `max_length` is an upper bound,
            so a window that the model does not have is not used. `adapter_revision` is the adapter's own revision. What
            begins with `llm_int8_` or `bnb_4bit_` goes to bitsandbytes, anything else to `from_pretrained`.
        quantization: `8bit`, `nf4` or `none`.

    Raises:
        ModelError: The weights cannot be had, or cannot be quantized here.
        SimulatorError: The adapter does not belong to the base.
    """
    args = dict(model_args)
    pretrained, peft = local_or_hub(args.pop("pretrained")), args.pop("peft", None)
    revision = args.pop("revision", "main")
    source = {"revision": revision, "trust_remote_code": args.pop("trust_remote_code", False)}
    tokenizer_name = args.pop("tokenizer", None) or pretrained
    # A revision of the weights says nothing about a tokenizer that comes from elsewhere.
    tokenizer = _load_tokenizer(
        tokenizer_name, {**source, **({} if tokenizer_name == pretrained else {"revision": "main"})}
    )
    host_args = {key: args.pop(key) for key in ("add_bos_token", "prefix_token_id", "batch_size") if key in args}
    max_length, adapter_revision = args.pop("max_length", None), args.pop("adapter_revision", "main")
    # bitsandbytes warns of kernels that it can do without, the host of arguments that are not given.
    with muted("bitsandbytes"), muted("lm_eval.models.huggingface"):
        if peft:
            # Before the base, which may take minutes to load.
            peft = local_or_hub(peft)
            declared = _declared_base(peft, adapter_revision)
            _check_declared_base(pretrained, peft, declared)
        model = _load_base(pretrained, quantization, source, args)
        if peft:
            misfit = f"the adapter {peft!r} does not fit the base {pretrained!r}; it was trained on {declared!r}: give that base"
            model = _with_adapter(model, peft, adapter_revision, misfit)
        lm = HFLM(pretrained=model, tokenizer=tokenizer, **host_args)
    if max_length is not None and max_length < lm.max_length:
        lm._max_length = max_length  # noqa: SLF001  # it is read from the model where none is given
    return lm


def default_device() -> str:
    """The accelerator that belongs to this process, else the CPU."""
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"


def _load_tokenizer(name: str, source: Mapping[str, Any]) -> PreTrainedTokenizerBase:
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(local_or_hub(name), **source)
    except OSError as error:
        raise ModelError(f"the tokenizer {name!r} cannot be loaded: {error}\n{_GET_WEIGHTS}") from error
    if tokenizer.eos_token is not None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _load_base(pretrained: str, quantization: str, source: Mapping[str, Any], args: dict[str, Any]) -> PreTrainedModel:
    device = args.pop("device", None) or default_device()
    device_map = args.pop("device_map", "auto" if args.pop("parallelize", False) else {"": device})
    dtype = args.pop("dtype", "auto")
    if quantization != "none" and dtype == "auto" and not device.startswith("cuda"):
        # Only embeddings and norms are left unquantized; in half precision their CPU results depend on the batch.
        dtype = "float32"
    options = {key: args.pop(key) for key in list(args) if key.startswith(("llm_int8_", "bnb_4bit_"))}
    config = _bitsandbytes(quantization, options, offload=device_map == "auto" and torch.cuda.is_available())
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            pretrained,
            quantization_config=config,
            device_map=device_map,
            dtype=get_dtype(dtype),
            use_safetensors=True,
            **source,
            **args,
        )
    except OSError as error:
        raise ModelError(f"the model {pretrained!r} cannot be loaded: {error}\n{_GET_WEIGHTS}") from error
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"the model {pretrained!r} does not fit into the memory of {device} beside what is there; use a smaller simulator, "
            "quantization: nf4, another device in model_args, or leave room (gpu_memory_utilization of a vLLM assistant)"
        ) from error
    except TypeError as error:
        raise ModelError(
            f"the model {pretrained!r} does not take one of its model_args ({', '.join(args)}): {error}"
        ) from error
    except (ImportError, RuntimeError) as error:
        if config is None:
            raise
        raise ModelError(
            f"the model {pretrained!r} cannot be loaded in {quantization} here ({error}); {_NO_BITSANDBYTES}"
        ) from error
    if config is not None and not quantized_layers(model):
        raise ModelError(f"{pretrained!r} was loaded, but none of its layers is {quantization}; {_NO_BITSANDBYTES}")
    return model


def _bitsandbytes(quantization: str, options: Mapping[str, Any], *, offload: bool) -> BitsAndBytesConfig | None:
    if quantization == "none":
        return None
    # Its logger warns on every product that inputs are cast to half precision, which is what 8 bit means.
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    if quantization == "nf4":
        return BitsAndBytesConfig(load_in_4bit=True, **{"bnb_4bit_quant_type": "nf4", **options})
    # With a CPU device map this flag would silently leave every layer unquantized.
    return BitsAndBytesConfig(load_in_8bit=True, **{"llm_int8_enable_fp32_cpu_offload": offload, **options})


def quantized_layers(model: torch.nn.Module) -> int:
    """How many layers of a model hold quantized weights."""
    from bitsandbytes.nn import Linear4bit, Linear8bitLt

    return sum(isinstance(module, (Linear4bit, Linear8bitLt)) for module in model.modules())


def _declared_base(peft: str, revision: str) -> str:
    """The base that an adapter says it was trained on; empty if it does not say."""
    from peft import PeftConfig

    try:
        return PeftConfig.from_pretrained(peft, revision=revision).base_model_name_or_path or ""
    except (OSError, ValueError) as error:
        raise ModelError(f"the adapter {peft!r} cannot be loaded: {error}\n{_GET_WEIGHTS}") from error


def _check_declared_base(pretrained: str, peft: str, declared: str) -> None:
    """Adapters of different bases can have equal shapes, so two different models of the hub are an error by themselves.

    A copy under another owner is the same model; of a local folder nothing can be told.
    """
    on_hub = not Path(pretrained).exists() and re.fullmatch(r"[^/.][^/]*/[^/]+", declared) is not None
    if on_hub and declared.rpartition("/")[2].lower() != pretrained.rpartition("/")[2].lower():
        raise SimulatorError(f"the adapter {peft!r} was trained on {declared!r}, not on {pretrained!r}: give that base")
    logger.info("The adapter %s names %s as its base; it is put on %s.", peft, declared or "nothing", pretrained)


def _with_adapter(model: PreTrainedModel, peft: str, revision: str, misfit: str) -> PreTrainedModel:
    """The model with the adapter on it; `misfit` says of an adapter that does not fit what to do about it."""
    from peft import PeftModel, get_peft_model_state_dict
    from peft.utils.save_and_load import load_peft_weights

    try:
        with warnings.catch_warnings():
            # PEFT 0.21 asks transformers 5.23 for an attribute by its old name.
            warnings.simplefilter("ignore", FutureWarning)
            adapted: Any = PeftModel.from_pretrained(model, peft, revision=revision)
        saved = load_peft_weights(peft, device="cpu", revision=revision)
    except OSError as error:
        raise ModelError(f"the adapter {peft!r} cannot be loaded: {error}\n{_GET_WEIGHTS}") from error
    except (ValueError, RuntimeError) as error:
        raise SimulatorError(f"{misfit} ({str(error).splitlines()[0]})") from error
    loaded = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    unused = {name for name in saved.keys() ^ loaded.keys() if "lora_" in name}
    if unused:
        raise SimulatorError(f"{misfit} ({len(unused)} of its tensors have no counterpart, such as {min(unused)})")
    fitted: PreTrainedModel = adapted.eval()
    return fitted
