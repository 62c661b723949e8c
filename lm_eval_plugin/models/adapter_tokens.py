"""Adapters that were trained with tokens of their own: their tokenizer, and a base with room for their embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import hf_hub_download
from safetensors import safe_open
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from lm_eval_plugin.border.hub_errors import HTTP_ERROR, why_unavailable
from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.errors import ModelError, SimulatorError

logger = logger_of(__name__)

_WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True, slots=True)
class AdapterTokens:
    """The tokenizer of an adapter's own repository.

    Args:
        tokenizer: It.
        needed: How many embeddings its tokens need; one for paddings alone is never shown to the model.
    """

    tokenizer: PreTrainedTokenizerBase
    needed: int


def adapter_tokens(
    peft: str, revision: str, base: PreTrainedTokenizerBase, source: Mapping[str, object]
) -> AdapterTokens | None:
    """The tokenizer in an adapter's repository, where it has tokens that the base's has not; else None.

    Args:
        peft: The adapter's folder or name.
        revision: Its commit, branch or tag.
        base: The tokenizer of the base.
        source: What else goes to `from_pretrained`.

    Raises:
        ModelError: It cannot be read.
    """
    if _file(peft, "tokenizer_config.json", revision) is None:
        return None
    try:
        own: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(peft, **{**source, "revision": revision})
    except (OSError, ValueError, ImportError) as error:
        reason = why_unavailable(peft, error)
        raise ModelError(f"the tokenizer of the adapter {peft!r} cannot be loaded: {reason}") from error
    shown = {text: token for text, token in own.get_vocab().items() if text != own.pad_token}
    added = shown.keys() - base.get_vocab().keys()
    if not added:
        return None
    logger.info("The tokenizer of the adapter %s is used; it adds %s.", peft, ", ".join(sorted(added)[:8]))
    return AdapterTokens(own, max(shown.values()) + 1)


def make_room(model: PreTrainedModel, peft: str, revision: str, own: AdapterTokens | None) -> None:
    """Give a base as many embeddings as its adapter brings, so that these take their place.

    Args:
        model: The base, on which the adapter is not yet.
        peft: The adapter's folder or name.
        revision: Its commit, branch or tag.
        own: The adapter's tokenizer, where it has one of its own.

    Raises:
        ModelError: The base's embeddings are kept where they cannot be resized.
        SimulatorError: The tokenizer has tokens for which neither brings an embedding.
    """
    there = len(model.get_input_embeddings().weight)
    needed = 0 if own is None else own.needed
    brought = _brought(model, peft, revision, max(needed, there))
    rows = brought.get("inside", there)
    if needed > rows:
        raise SimulatorError(
            f"the tokenizer of the adapter {peft!r} has {needed} tokens, but the base has embeddings for {there} and the adapter "
            f"brings {rows if 'inside' in brought else 'none'}: it was saved without them (save_embedding_layers=True of PEFT)"
        )
    if rows != there:
        _check_can_resize(model, peft, rows, brought.get("outside"))
        # What the new rows begin with is nothing to reckon: the adapter's own take their place.
        model.resize_token_embeddings(rows, mean_resizing=False)
        logger.info("The base's embeddings are resized from %d to %d tokens, which %s has.", there, rows, peft)


def _check_can_resize(model: PreTrainedModel, peft: str, rows: int, said: int | None) -> None:
    """Make sure that a base can get so many embeddings, of which an adapter brings `said` for the tokens that it says."""
    inside, outside = model.get_input_embeddings(), model.get_output_embeddings()
    there = len(inside.weight)
    tied = outside is None or outside.weight is inside.weight
    if rows > there and not tied and said != rows:
        raise SimulatorError(
            f"the adapter {peft!r} brings embeddings for {rows} tokens, but does not tell how the model says the last "
            f"{rows - there} of them: it was saved without its output embeddings (save_embedding_layers=True of PEFT)"
        )
    if inside.weight.device.type == "meta":
        raise ModelError(
            f"the adapter {peft!r} brings embeddings for {rows} tokens in place of the base's {there}, which do not fit on the "
            "device and cannot be resized where they are kept; use quantization: nf4 or a device that takes the whole base"
        )


def _brought(model: PreTrainedModel, peft: str, revision: str, tokens: int) -> dict[str, int]:
    """For how many tokens an adapter brings embeddings: `inside`, to show them to the model, and `outside`, for it to say them.

    One that has trained single tokens holds these alone; then it is for as many as there are.
    """
    names = {
        side: name
        for side, layer in (("outside", model.get_output_embeddings()), ("inside", model.get_input_embeddings()))
        for name, module in model.named_modules()
        if layer is not None and module is layer
    }
    brought: dict[str, int] = {}
    for key, shape in _shapes(peft, revision):
        for side, name in names.items():
            before, found, part = key.rpartition(f".{name}.")
            if not found or not before:
                continue
            if part in ("weight", "modules_to_save.weight", "base_layer.weight"):
                brought[side] = shape[0]
            elif part == "lora_embedding_A":
                brought.setdefault(side, shape[1])
            elif part.endswith("trainable_tokens_delta"):
                brought.setdefault(side, tokens)
    return brought


def _shapes(peft: str, revision: str) -> Iterator[tuple[str, list[int]]]:
    file = _file(peft, _WEIGHTS, revision)
    if file is None:
        return
    with safe_open(file, "pt") as weights:
        keys: list[str] = weights.keys()
        for key in keys:
            yield key, weights.get_slice(key).get_shape()


def _file(name: str, file: str, revision: str) -> Path | None:
    """A file of a folder or repository; None where it is not there, or cannot be had without a network."""
    if Path(name).is_dir():
        local = Path(name) / file
        return local if local.is_file() else None
    try:
        return Path(hf_hub_download(name, file, revision=revision))
    except (OSError, ValueError, HTTP_ERROR):
        return None
