"""What makes a language model of the host this one and no other, as far as its backend tells."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch

from lm_eval_plugin.border.masking import is_secret, without_credentials
from lm_eval_plugin.config.model_arguments import SAYS_THE_SAME
from lm_eval_plugin.lm_eval_access.base import LM
from lm_eval_plugin.lm_eval_access.local import HFLM
from lm_eval_plugin.lm_eval_access.private_names import end_string, truncates
from lm_eval_plugin.lm_eval_access.servers import TemplateAPI
from lm_eval_plugin.models.generation.local.generator import generates_locally
from lm_eval_plugin.models.lm_tokenizer import tokenizer_of
from lm_eval_plugin.models.weights_fingerprint import weights_fingerprint

_PROMPTING = (
    "add_bos_token",
    "chat_template_args",
    "enable_thinking",
    "think_end_token",
    "backend",
    "max_length",
    "truncation",
    "truncation_side",
    "mixed_precision_dtype",
)
"""What a backend may have that decides how a prompt becomes tokens, and how much of it the model sees."""


def model_identity(lm: LM) -> dict[str, object] | None:
    """All by which a model differs from others, as JSON can hold it; nothing is asked of a hub or a server.

    The models of the `hf` backend are known by their weights, so a checkpoint that was overwritten is another model;
    those of vLLM and SGLang by their arguments and, in a folder, by its files' names, sizes and times; those behind an
    API by its address and their name.

    Args:
        lm: A backend of the host.

    Returns:
        None for a backend that does not tell, such as one that changes how the `hf` backend generates.
    """
    if isinstance(lm, HFLM):
        # A kind of its own, or one over another runtime, may say what its weights do not.
        told = generates_locally(lm, {}) and isinstance(lm.model, torch.nn.Module)
        return _of_weights(lm) if told else None
    if isinstance(lm, TemplateAPI):
        return _of_server(lm)
    if isinstance(getattr(lm, "model_args", None), Mapping):
        return _of_engine(lm)
    return None


_OF_A_PLACE = {"weights": {"name", "revision", "commit", "adapters"}, "files": {"args"}, "adapter_files": {"adapter"}}
"""What of an identity says where something lies, by what says better which model it is."""

_NEW = {"adapter_settings", "arguments"}
"""What keys without a version did not hold."""

_PLACES = {"model", "model_path", "pretrained", "tokenizer", "tokenizer_path", "lora_local_path"}


def without_place(identity: Mapping[str, object]) -> dict[str, object]:
    """A model's identity without where it lies and what it is called, where weights or files say which one it is."""
    placed = {name for known, names in _OF_A_PLACE.items() if identity.get(known) is not None for name in names}
    return {key: entry for key, entry in identity.items() if key not in placed}


def as_earlier(identity: Mapping[str, object]) -> dict[str, object]:
    """The identity as keys without a version held it."""
    return {key: entry for key, entry in identity.items() if key not in _NEW}


def _of_weights(lm: HFLM) -> dict[str, object]:
    model = lm.model
    adapters = {name: config.to_dict() for name, config in getattr(model, "peft_config", {}).items()}
    return {
        **_prompting(lm),
        "name": model.name_or_path,
        "revision": lm.revision,
        "commit": getattr(model.config, "_commit_hash", None),
        "dtype": str(model.dtype),
        # Quantization is a part of it.
        "config": _digest(_timeless(model.config.to_dict())),
        "generation_config": _digest(_timeless(model.generation_config.to_dict())),
        "adapters": _digest(adapters),
        "adapter_settings": _digest({name: _unplaced(config) for name, config in adapters.items()}),
        "weights": weights_fingerprint(model),
    }


def _of_server(lm: TemplateAPI) -> dict[str, object]:
    return {
        **_prompting(lm),
        "name": lm.model,
        "address": without_credentials(str(lm.base_url)),
        "tokenized_requests": lm.tokenized_requests,
        "truncate": truncates(lm),
        "eos_string": end_string(lm),
    }


def _of_engine(lm: LM) -> dict[str, object]:
    args = {key: entry for key, entry in lm.model_args.items() if key not in SAYS_THE_SAME and not is_secret(key)}
    adapter = getattr(getattr(lm, "lora_request", None), "lora_path", None)
    return {
        **_prompting(lm),
        "args": _digest(args),
        "arguments": _digest({key: entry for key, entry in args.items() if key not in _PLACES}),
        "files": _files(args.get("model") or args.get("model_path")),
        "adapter": adapter,
        "adapter_files": _files(adapter),
    }


def _prompting(lm: LM) -> dict[str, object]:
    tokenizer = tokenizer_of(lm)
    template = getattr(lm, "hf_chat_template", None) or getattr(tokenizer, "chat_template", None)
    return {
        "class": f"{type(lm).__module__}.{type(lm).__qualname__}",
        "settings": _digest({name: getattr(lm, name, None) for name in _PROMPTING}),
        "tokenizer": _tokenizer(tokenizer),
        "chat_template": _digest(template),
    }


def _tokenizer(tokenizer: object) -> str | None:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        # How long its last batch was is no part of it.
        return _digest({**json.loads(backend.to_str()), "padding": None, "truncation": None})
    if hasattr(tokenizer, "get_vocab"):
        return _digest([type(tokenizer).__qualname__, tokenizer.get_vocab()])
    return None if tokenizer is None else type(tokenizer).__qualname__


def _files(name: object) -> list[list[object]] | None:
    """Names, sizes and times of the files in a folder; None for what is no folder, such as a name of the hub."""
    folder = Path(str(name))
    if name is None or not folder.is_dir():
        return None
    found = ((path.relative_to(folder), path.stat()) for path in sorted(folder.rglob("*")) if path.is_file())
    return [[str(path), stat.st_size, stat.st_mtime_ns] for path, stat in found]


def _unplaced(adapter: Mapping[str, object]) -> dict[str, object]:
    """An adapter's settings without the base that it was trained on, of which the weights are part of the identity."""
    return {
        key: entry
        for key, entry in adapter.items()
        if key not in ("base_model_name_or_path", "revision", "peft_version")
    }


def _timeless(settings: Mapping[str, object]) -> dict[str, object]:
    """The settings without what a newer library writes into them."""
    return {key: entry for key, entry in settings.items() if key not in ("transformers_version", "_name_or_path")}


def _digest(value: object) -> str:
    """SHA-256 of what JSON can hold, of sets and of what can be written as a text."""
    text = json.dumps(
        value, sort_keys=True, default=lambda other: sorted(other) if isinstance(other, set) else str(other)
    )
    return hashlib.sha256(text.encode()).hexdigest()
