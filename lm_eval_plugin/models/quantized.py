"""Loading a causal language model with quantized weights and a LoRA adapter, as a model of the host.

The host cannot: with transformers 5 `load_in_8bit` is gone and `HFLM` refuses a `quantization_config`. So base, adapter
and tokenizer are loaded here and the finished model is handed to `HFLM`, which also keeps it on this process alone.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import RemoteEntryNotFoundError
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils_hf import get_dtype
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.config.paths import local_or_hub
from lm_eval_plugin.errors import ConfigError, ModelError, SimulatorError
from lm_eval_plugin.models.adapter_tokens import adapter_tokens, make_room
from lm_eval_plugin.models.chat_format import muted
from lm_eval_plugin.models.hub_errors import HTTP_ERROR, why_unavailable
from lm_eval_plugin.models.memory import (
    Footprint,
    Placement,
    default_device,
    footprint,
    free_memory,
    gigabytes,
    place,
    released_bytes,
)
from lm_eval_plugin.models.revisions import revision_of

logger = logger_of(__name__)

_NO_BITSANDBYTES = "use another machine or set the simulator's quantization: none"


def load_quantized(model_args: Mapping[str, Any], quantization: str) -> HFLM:
    """Load a model for text generation.

    Where no device is given, it goes onto the GPU as far as it fits, with the rest in main memory and a warning; without
    a GPU it goes into main memory. See `memory.place`.

    Args:
        model_args: As the host's `hf` backend spells them: `pretrained`, `peft`, `revision`, `tokenizer`, `dtype`,
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
    tokenizer_name = named or pretrained
    # A revision of the weights says nothing about a tokenizer that comes from elsewhere.
    tokenizer = _load_tokenizer(
        tokenizer_name,
        source if tokenizer_name == pretrained else {**source, "revision": revision_of(tokenizer_name)},
    )
    host_args = {key: args.pop(key) for key in ("add_bos_token", "prefix_token_id", "batch_size") if key in args}
    max_length, adapter_revision = args.pop("max_length", None), args.pop("adapter_revision", None)
    # bitsandbytes warns of kernels that it can do without, the host of arguments that are not given.
    with muted("bitsandbytes"), muted("lm_eval.models.huggingface"):
        if peft:
            # Before the base, which may take minutes to load.
            peft = local_or_hub(peft)
            adapter_revision = adapter_revision or revision_of(peft)
            own = None if named else adapter_tokens(peft, adapter_revision, tokenizer, source)
            tokenizer = tokenizer if own is None else _padded(own.tokenizer)
            declared = _declared_base(peft, adapter_revision)
            _check_declared_base(pretrained, peft, declared)
            _check_safetensors(peft, adapter_revision)
        model = _load_base(pretrained, quantization, source, args)
        if peft:
            misfit = f"the adapter {peft!r} does not fit the base {pretrained!r}; it was trained on {declared!r}: give that base"
            make_room(model, peft, adapter_revision, own)
            model = _with_adapter(model, peft, adapter_revision, misfit)
        lm = HFLM(pretrained=model, tokenizer=tokenizer, **host_args)
    logger.info(
        "Loaded %s at commit %s.", pretrained, getattr(model.config, "_commit_hash", None) or "unknown (a folder)"
    )
    if max_length is not None and max_length < lm.max_length:
        lm._max_length = max_length  # noqa: SLF001  # it is read from the model where none is given
    return lm


def _load_tokenizer(name: str, source: Mapping[str, Any]) -> PreTrainedTokenizerBase:
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
            placement = _place(pretrained, quantization, source=source, device=device, dtype=dtype, options=options)
        placement = _without_absent_gpus(placement, device or default_device())
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


def dtype_for(dtype: str | torch.dtype, quantization: str, device: str) -> str | torch.dtype:
    """The dtype that a model is loaded in, `auto` for that of its checkpoint."""
    if quantization != "none" and dtype == "auto" and not device.startswith("cuda"):
        # Only embeddings and norms are left unquantized; in half precision their CPU results depend on the batch.
        return torch.float32
    chosen: str | torch.dtype = get_dtype(dtype)
    return chosen


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


def _without_absent_gpus(placement: Placement, device: str) -> Placement:
    """Without a GPU there is nothing to share out: the model lies on its device as a whole."""
    if placement.max_memory is None or torch.cuda.is_available():
        return placement
    logger.warning("max_memory is ignored, because there is no GPU; the model is loaded on %s.", device)
    return Placement({"": device} if placement.device_map == "auto" else placement.device_map)


def _place(
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
            *(pretrained, chosen, gigabytes(placement.on_cpu)),
        )
    return placement


def measured(pretrained: str, source: Mapping[str, Any]) -> tuple[Footprint, int] | None:
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
    try:
        config = AutoConfig.from_pretrained(pretrained, **source)
        if getattr(config, "quantization_config", None) is not None:
            return None
        return footprint(config, trust_remote_code=bool(source["trust_remote_code"])), released_bytes(config)
    except ValueError as error:
        raise ModelError(f"the model {pretrained!r} cannot be loaded: {why_unavailable(pretrained, error)}") from error


def weight_bytes(size: Footprint, quantization: str, width: int, options: Mapping[str, Any]) -> int:
    """Bytes of the weights of a model.

    Args:
        size: What it holds.
        quantization: `8bit`, `nf4` or `none`.
        width: Bytes of an unquantized value.
        options: May hold `bnb_4bit_use_double_quant`; other keys change nothing.
    """
    double_quant = bool(options.get("bnb_4bit_use_double_quant", False))
    return size.weights(quantization, width, double_quant=double_quant)


def value_bytes(dtype: str | torch.dtype, released: int) -> int:
    """Width of an unquantized value that is loaded in a dtype; `auto` is the width that the checkpoint has."""
    return dtype.itemsize if isinstance(dtype, torch.dtype) else released


def _bitsandbytes(quantization: str, options: Mapping[str, Any], *, offload: bool) -> BitsAndBytesConfig | None:
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


def _declared_base(peft: str, revision: str) -> str:
    """The base that an adapter says it was trained on; empty if it does not say."""
    from peft import PeftConfig

    try:
        return PeftConfig.from_pretrained(peft, revision=revision).base_model_name_or_path or ""
    except (OSError, ValueError) as error:
        raise ModelError(f"the adapter {peft!r} cannot be loaded: {why_unavailable(peft, error)}") from error


def _check_declared_base(pretrained: str, peft: str, declared: str) -> None:
    """Adapters of different bases can have equal shapes, so two different models of the hub are an error by themselves.

    A copy under another owner is the same model; of a local folder nothing can be told.
    """
    on_hub = not Path(pretrained).exists() and re.fullmatch(r"[^/.][^/]*/[^/]+", declared) is not None
    if on_hub and declared.rpartition("/")[2].lower() != pretrained.rpartition("/")[2].lower():
        raise SimulatorError(f"the adapter {peft!r} was trained on {declared!r}, not on {pretrained!r}: give that base")
    logger.info("The adapter %s names %s as its base; it is put on %s.", peft, declared or "nothing", pretrained)


def _check_safetensors(peft: str, revision: str) -> None:
    """Make sure that the adapter's weights are in safetensors; PEFT would unpickle others, and a pickle can run code."""
    weights = "adapter_model.safetensors"
    there = (Path(peft) / weights).is_file() if Path(peft).is_dir() else _on_hub(peft, weights, revision)
    if not there:
        raise ModelError(
            f"the adapter {peft!r} cannot be loaded: only weights in safetensors are loaded, because a pickle can run code, and "
            f"it has no {weights}. On a machine where you trust it, load it with PEFT and convert it with "
            "`save_pretrained(FOLDER)`, which writes safetensors, or use another adapter"
        )


def _on_hub(name: str, file: str, revision: str) -> bool:
    """Whether a repository has a file, which is then in the cache; without a network the cache alone decides."""
    try:
        hf_hub_download(name, file, revision=revision)
    except RemoteEntryNotFoundError:
        return False
    except (OSError, ValueError, HTTP_ERROR) as error:
        if isinstance(try_to_load_from_cache(name, "adapter_model.bin", revision=revision), str):
            return False
        raise ModelError(f"the adapter {name!r} cannot be loaded: {why_unavailable(name, error)}") from error
    return True


def _adapted_map(model: PreTrainedModel) -> dict[str, Any] | str:
    """The model's layers by device, under the names that they have below an adapter.

    PEFT lays a model that is partly in main memory out anew; its own plan could move quantized layers off the GPU.
    """
    layers: Mapping[str, Any] = getattr(model, "hf_device_map", None) or {}
    return {f"base_model.model.{name}".rstrip("."): device for name, device in layers.items()} or "auto"


def _with_adapter(model: PreTrainedModel, peft: str, revision: str, misfit: str) -> PreTrainedModel:
    """The model with the adapter on it; `misfit` says of an adapter that does not fit what to do about it."""
    from peft import PeftModel, get_peft_model_state_dict
    from peft.utils.save_and_load import load_peft_weights

    try:
        with warnings.catch_warnings():
            # PEFT 0.21 asks transformers 5.23 for an attribute by its old name.
            warnings.simplefilter("ignore", FutureWarning)
            adapted: Any = PeftModel.from_pretrained(model, peft, revision=revision, device_map=_adapted_map(model))
        saved = load_peft_weights(peft, device="cpu", revision=revision)
    except OSError as error:
        raise ModelError(f"the adapter {peft!r} cannot be loaded: {why_unavailable(peft, error)}") from error
    except (ValueError, RuntimeError) as error:
        raise SimulatorError(f"{misfit} ({str(error).splitlines()[0]})") from error
    loaded = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    unused = {name for name in saved.keys() ^ loaded.keys() if "lora_" in name}
    if unused:
        raise SimulatorError(f"{misfit} ({len(unused)} of its tensors have no counterpart, such as {min(unused)})")
    fitted: PreTrainedModel = adapted.eval()
    return fitted
