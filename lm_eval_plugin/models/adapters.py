"""The LoRA adapter of a model: whether it may be loaded, whether it belongs to the base, and putting it on."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import RemoteEntryNotFoundError
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lm_eval_plugin.border.hub_errors import HTTP_ERROR, why_unavailable
from lm_eval_plugin.border.paths import local_or_hub
from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.errors import ModelError, SimulatorError
from lm_eval_plugin.models.adapter_tokens import AdapterTokens, adapter_tokens, make_room
from lm_eval_plugin.models.revisions import revision_of

logger = logger_of(__name__)


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter that may be loaded onto its base.

    Args:
        name: Its folder or name.
        revision: Its commit, branch or tag.
        base: The base that it is put on.
        declared: The base that it says it was trained on; empty if it does not say.
        own: Its tokenizer, where that has tokens of its own.
    """

    name: str
    revision: str
    base: str
    declared: str
    own: AdapterTokens | None


def read_adapter(
    peft: str, revision: str | None, base: str, tokenizer: PreTrainedTokenizerBase | None, source: Mapping[str, object]
) -> Adapter:
    """Look at an adapter before its base is loaded, which may take minutes.

    Args:
        peft: Its folder or name.
        revision: Its commit, branch or tag, if one is given.
        base: The base that it is to be put on.
        tokenizer: That of the base; None where the adapter's own is not wanted.
        source: What else goes to `from_pretrained`.

    Raises:
        ModelError: It cannot be had, or is no safetensors.
        SimulatorError: It belongs to another base.
    """
    peft = local_or_hub(peft)
    revision = revision or revision_of(peft)
    own = None if tokenizer is None else adapter_tokens(peft, revision, tokenizer, source)
    declared = _declared_base(peft, revision)
    check_declared_base(base, peft, declared)
    _check_safetensors(peft, revision)
    return Adapter(peft, revision, base, declared, own)


def _declared_base(peft: str, revision: str) -> str:
    """The base that an adapter says it was trained on; empty if it does not say."""
    from peft import PeftConfig

    try:
        return PeftConfig.from_pretrained(peft, revision=revision).base_model_name_or_path or ""
    except (OSError, ValueError) as error:
        raise ModelError(f"the adapter {peft!r} cannot be loaded: {why_unavailable(peft, error)}") from error


def check_declared_base(pretrained: str, peft: str, declared: str) -> None:
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


def _adapted_map(model: PreTrainedModel) -> dict[str, object] | str:
    """The model's layers by device, under the names that they have below an adapter.

    PEFT lays a model that is partly in main memory out anew; its own plan could move quantized layers off the GPU.
    """
    layers: Mapping[str, Any] = getattr(model, "hf_device_map", None) or {}
    return {f"base_model.model.{name}".rstrip("."): device for name, device in layers.items()} or "auto"


def with_adapter(model: PreTrainedModel, adapter: Adapter) -> PreTrainedModel:
    """Put an adapter on its base, which gets room for the tokens that the adapter brings.

    Raises:
        ModelError: Its weights cannot be had, or the base cannot be resized.
        SimulatorError: It does not fit the base.
    """
    make_room(model, adapter.name, adapter.revision, adapter.own)
    misfit = (
        f"the adapter {adapter.name!r} does not fit the base {adapter.base!r}; it was trained on {adapter.declared!r}: give "
        "that base"
    )
    return _fitted(model, adapter.name, adapter.revision, misfit)


def _fitted(model: PreTrainedModel, peft: str, revision: str, misfit: str) -> PreTrainedModel:
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
