"""Loading the models of the host that take part: the simulated user's, the judge's, and that of a single conversation."""

from __future__ import annotations

import asyncio
import functools
import gc
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from lm_eval_plugin.border.hub_errors import HTTP_ERROR, why_unavailable
from lm_eval_plugin.border.masking import is_secret, masked_text, without_credentials
from lm_eval_plugin.config.devices import check_devices
from lm_eval_plugin.config.presets import PROMPTED_POLICIES
from lm_eval_plugin.config.simulator import SimulatorConfig
from lm_eval_plugin.config.strict import nearest
from lm_eval_plugin.errors import ConfigError, ModelError
from lm_eval_plugin.lm_eval_access.base import LM
from lm_eval_plugin.lm_eval_access.local import HFLM
from lm_eval_plugin.lm_eval_access.registry import model_class, model_types
from lm_eval_plugin.lm_eval_access.servers import TemplateAPI
from lm_eval_plugin.lm_eval_access.texts import parse_model_args
from lm_eval_plugin.models.chat_format import is_chat_api


def load_model(backend: str, model_args: Mapping[str, object], quantization: str, what: str) -> LM:
    """A model of the host, loaded at its first use and kept.

    Args:
        backend: A model type of the host.
        model_args: Its arguments.
        quantization: `8bit`, `nf4` or `none`, for `hf`.
        what: Names it in errors.

    Raises:
        ModelError: It cannot be loaded or used, or its device is not there.
        SimulatorError: Its adapter does not fit.
    """
    if backend == "hf":
        check_devices(model_args, what)
    with _explained(f"{what}: the backend {backend!r} cannot be used", model_args):
        return _load(backend, json.dumps(model_args, sort_keys=True), quantization)


def load_assistant(backend: str, arguments: str, batch_size: str | None = None, device: str | None = None) -> LM:
    """A model under test, loaded at its first use and kept.

    Without a device, models of the `hf` backend go where `lm_eval` puts them: onto the first GPU, or the CPU.

    Args:
        backend: A model type of the host.
        arguments: Its arguments, as in `--model_args` of lm_eval.
        batch_size: The batch size, for a backend that takes one; None for its default.
        device: Where to put it; None where the arguments say it, or nothing does.

    Raises:
        ConfigError: Both the arguments and `device` name a device.
        ModelError: It cannot be loaded or used, or its device is not there.
    """
    model_args = parse_model_args(arguments)
    if device is not None and "device" in model_args:
        raise ConfigError(
            f"the device is given twice, as {model_args['device']!r} in the model's arguments and {device!r}"
        )
    shown = ",".join(f"{key}={entry}" for key, entry in model_args.items() if not is_secret(key)) or "no arguments"
    with _explained(f"the assistant {backend!r} with {shown} cannot be loaded", model_args):
        return _load_assistant(backend, arguments, batch_size, device)


_MOST_LOADED = 3
"""So that a run that compares two simulators under one judge does not load them again and again."""

_LOADED: dict[tuple[str, str, str], LM] = {}
"""What is loaded, the latest that was asked for last."""


def _load(backend: str, model_args_json: str, quantization: str) -> LM:
    key = (backend, model_args_json, quantization)
    lm = _LOADED.pop(key, None)
    if lm is None:
        while len(_LOADED) >= _MOST_LOADED:
            del _LOADED[next(iter(_LOADED))]
        lm = _made(*key)
    _LOADED[key] = lm
    return lm


def unload_model(backend: str, model_args: Mapping[str, object], quantization: str) -> bool:
    """Let go of a model that `load_model` keeps, with the memory that it takes; whoever holds it still keeps it alive.

    Returns:
        Whether it was loaded. What is behind a server takes no memory here and stays.
    """
    key = (backend, json.dumps(model_args, sort_keys=True), quantization)
    if isinstance(_LOADED.get(key), TemplateAPI) or _LOADED.pop(key, None) is None:
        return False
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return True


def _made(backend: str, model_args_json: str, quantization: str) -> LM:
    model_args = json.loads(model_args_json)
    if backend == "hf":
        from lm_eval_plugin.models.quantized import load_quantized

        return load_quantized(model_args, quantization)
    return _with_key(backend_class(backend).create_from_arg_obj(model_args))


@functools.lru_cache(maxsize=1)
def _load_assistant(backend: str, arguments: str, batch_size: str | None, device: str | None) -> LM:
    kind, model_args = backend_class(backend), parse_model_args(arguments)
    if issubclass(kind, HFLM):
        check_devices({"device": device, **model_args}, "the model under test")
        # What the command line of lm_eval passes on; the backend's own default fails where there is no GPU.
        device = device or (None if "device" in model_args else "cuda:0")
    more = {"batch_size": batch_size, "device": device}
    return _with_key(kind.create_from_arg_string(arguments, more))


def _with_key(lm: LM) -> LM:
    """The model; some backends look for their key at the first request only, which is late."""
    _ = getattr(lm, "header", None)
    return lm


def backend_class(backend: str) -> type[LM]:
    """What implements a model type of the host.

    Raises:
        ValueError: The host has none of this name.
        ImportError: What it is made of is not installed.
    """
    known = model_types()
    if backend not in known:
        raise ValueError(f"the host has no model type {backend!r}{nearest(backend, known)}")
    return model_class(backend)


def is_behind_an_api(backend: str) -> bool:
    """Whether a model type asks a server over HTTP; errors as `backend_class`."""
    return issubclass(backend_class(backend), TemplateAPI)


def check_policy(config: SimulatorConfig, kind: type[LM]) -> None:
    """Make sure that a backend can do what a simulator's policy asks of it.

    Args:
        config: The simulator.
        kind: What implements its backend.

    Raises:
        ConfigError: The policy continues a text, and the backend takes chat messages alone.
    """
    if is_chat_api(kind) and config.policy not in PROMPTED_POLICIES:
        raise ConfigError(
            f"simulator {config.label}: the policy {config.policy} continues a text, which the chat API {config.backend!r} "
            f"cannot; use local-completions, hf or vllm, or one of the policies {', '.join(PROMPTED_POLICIES)}"
        )


def api_errors() -> tuple[type[BaseException], ...]:
    """What a backend behind an API raises when its last attempt has failed; a library never imported raises nothing."""
    kinds = (("requests", "RequestException"), ("aiohttp", "ClientError"), ("tenacity", "RetryError"))
    return (asyncio.TimeoutError, *(getattr(sys.modules[name], kind) for name, kind in kinds if name in sys.modules))


def unreachable(what: str, base_url: object, error: BaseException) -> ModelError:
    """The error of an API that did not answer as it should.

    Args:
        what: Names the model.
        base_url: Its address, as it was given.
        error: What the backend raised.
    """
    said = str(error).strip().splitlines()
    reason = without_addresses(said[0]) if said else type(error).__name__
    status = getattr(getattr(error, "response", None), "status_code", None) or getattr(error, "status", None)
    advice = (
        "Check the key and what the server has logged" if status in (401, 403) else "Check that its server runs there"
    )
    return ModelError(
        f"{what} at {without_credentials(str(base_url or 'no base_url'))} failed ({type(error).__name__}: {reason}). {advice}, "
        "that base_url ends as the backend needs it (/v1/completions or /v1/chat/completions) and that the server has "
        "the model; for a slow one raise timeout and max_retries in its arguments"
    )


def without_addresses(text: str) -> str:
    """An error's text with every address in it freed from what may be secret."""
    return " ".join(map(without_credentials, masked_text(text).split()))[:300]


@contextmanager
def _explained(failed: str, model_args: Mapping[str, object]) -> Iterator[None]:
    """Turn what a backend raises while it is made into an error that says what failed and what to do."""
    name = str(model_args.get("pretrained") or model_args.get("model") or "")
    try:
        yield
    except KeyError as error:
        raise ModelError(f"{failed}: {error.args[0] if error.args else error}") from error
    except (ValueError, TypeError, ImportError, OSError, HTTP_ERROR) as error:
        if model_args.get("base_url") and isinstance(error, api_errors()):
            raise unreachable(failed, model_args["base_url"], error) from error
        on_hub = name and isinstance(error, (OSError, HTTP_ERROR))
        raise ModelError(f"{failed}: {why_unavailable(name, error) if on_hub else error}") from error
