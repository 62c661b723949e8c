"""Which models may have rows share a batch, and may continue from kept keys: those for which both were shown to change nothing."""

from __future__ import annotations

import hashlib
import json
import uuid
from functools import partial
from weakref import WeakKeyDictionary

import torch
from lm_eval.models.huggingface import HFLM

from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.models.generation.local.forced import ForcedBatches
from lm_eval_plugin.models.generation.local.prefix_tuning import use_prefix
from lm_eval_plugin.models.generation.neutrality.noise import rounded_otherwise
from lm_eval_plugin.models.generation.neutrality.position_schemes import switching_scheme
from lm_eval_plugin.models.generation.neutrality.probe import LONG, SHORT, Noise, Verdict, probe
from lm_eval_plugin.models.weights_fingerprint import weights_fingerprint

logger = logger_of(__name__)

_TEXTS = (
    "The user asks which of the four answers is right. What is 7 times 8? The assistant thinks about it and says 56.",
    "I think that it is B, because a body in free fall gains the same speed in every second. Is that correct?",
)

_QUANTIZED = 2.0**-7
"""How far the values of 8 bit lie apart, in shares of the largest; on some devices 4 bit weights are multiplied in bfloat16."""

_TF32 = 2.0**-10

_OF_MODELS: WeakKeyDictionary[torch.nn.Module, Verdict] = WeakKeyDictionary()
_OF_WEIGHTS: dict[str, Verdict] = {}
"""What was found in this process, by all that decides it; a model with the same weights is not probed again."""


def verdict_of(lm: HFLM, name: str, roomy_up_to: float) -> Verdict:
    """What changes what a model says, found once a model and said once.

    Position schemes that switch with the length are told by the configuration, everything else by a probe. One that fails
    excludes, since nothing was shown then.

    Args:
        lm: A model that generates in this process.
        name: What to call it in messages.
        roomy_up_to: The longest row for which it can use a `RoomyCache`.

    Raises:
        ModelError: Its adapter would be left out.
    """
    if lm.model not in _OF_MODELS:
        use_prefix(lm, name)
        _OF_MODELS[lm.model] = verdict = _found(lm, roomy_up_to)
        if verdict != Verdict():
            logger.warning("%s: %s That is slower, and its texts depend on nothing else.", name, _consequence(verdict))
    return _OF_MODELS[lm.model]


def _found(lm: HFLM, roomy_up_to: float) -> Verdict:
    scheme = switching_scheme(lm.model.config.to_dict())
    if scheme is not None:
        return Verdict(*[f"its position scheme ({scheme}) switches with the length"] * 2)
    key = _key(lm, roomy_up_to)
    if key not in _OF_WEIGHTS:
        _OF_WEIGHTS[key] = _probed(lm, roomy_up_to)
    return _OF_WEIGHTS[key]


def _probed(lm: HFLM, roomy_up_to: float) -> Verdict:
    unit = _unit(lm)
    # In one of the batches, what the longer row has seen stands beside all of the shorter one, and a token more is decoded.
    room = (roomy_up_to - 3) * LONG / (LONG + SHORT) if roomy_up_to else LONG
    return probe(
        ForcedBatches(lm, roomy_up_to),
        (_words(lm, _TEXTS[0]), _words(lm, _TEXTS[1])),
        longest=int(min(room, lm.max_length - 3, LONG)),
        continuing=roomy_up_to > 0,
        noise=None if unit is None else Noise(partial(rounded_otherwise, lm.model, unit), unit / 2),
    )


def _unit(lm: HFLM) -> float | None:
    """How far the numbers lie apart in which a model computes, in shares of them; None for float32 throughout."""
    if getattr(lm.model.config, "quantization_config", None) is not None:
        return _QUANTIZED
    dtypes = {part.dtype for part in lm.model.parameters() if part.is_floating_point()}
    if lm.mixed_precision_dtype is not None:
        dtypes.add(lm.mixed_precision_dtype)
    coarsest = max(torch.finfo(dtype).eps for dtype in dtypes)
    if coarsest > torch.finfo(torch.float32).eps:
        return coarsest
    rounds = lm.device.type == "cuda" and torch.get_float32_matmul_precision() != "highest"
    return _TF32 if rounds else None


def _words(lm: HFLM, text: str) -> list[int]:
    """A text in tokens as a prompt has them; other tokens where the tokenizer knows hardly any of the text."""
    special = set(lm.tokenizer.all_special_ids)
    words = [token for token in lm.tokenizer(text, add_special_tokens=False)["input_ids"] if token not in special]
    if len(set(words)) < SHORT:
        known = min(len(lm.tokenizer), len(lm.model.get_input_embeddings().weight))
        words = [token for token in ((7 * place + 3) % known for place in range(3 * LONG)) if token not in special]
    begin = lm.tokenizer.bos_token_id
    begun = lm.tokenizer(text)["input_ids"][:1] == [begin]
    return [begin, *words] if begun else words


def _key(lm: HFLM, roomy_up_to: float) -> str:
    """All that decides what a probe finds."""
    model = lm.model
    adapters = {name: config.to_dict() for name, config in getattr(model, "peft_config", {}).items()}
    what = [
        _fingerprint(model),
        model.config.to_dict(),
        adapters,
        *(model.dtype, lm.mixed_precision_dtype, lm.device, torch.get_float32_matmul_precision()),
        *(roomy_up_to, lm.max_length, getattr(model.config, "_attn_implementation", None)),
    ]
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()


def _fingerprint(model: torch.nn.Module) -> str:
    """That of a model's weights; one of this object alone where they are held in a way of which none can be taken."""
    try:
        return weights_fingerprint(model)
    except (RuntimeError, TypeError, ValueError, AttributeError):
        return uuid.uuid4().hex


def _consequence(verdict: Verdict) -> str:
    """What follows from a verdict, and why."""
    batches = "its prompts are generated one at a time"
    keys = "what its earlier turns left is computed again"
    if verdict.batches == verdict.keys:
        return f"{batches} and {keys}: {verdict.keys}."
    parts = [f"{what}: {why}." for what, why in ((batches, verdict.batches), (keys, verdict.keys)) if why]
    return " ".join(parts)
