"""lm_eval's private names, one function each; its docstring says where the name was seen and in which version.

A test looks each of them up in the lm_eval that is installed, and says which went missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import torch
    from lm_eval.api.model import LM, TemplateLM
    from lm_eval.models.api_models import TemplateAPI
    from lm_eval.models.huggingface import HFLM

TokenPair: TypeAlias = tuple[None, list[int], list[int]]
"""Tokens that stand before, and those to score; the first entry is for lm_eval's cache."""


def set_rank(lm: LM, rank: int) -> None:
    """Set the number of a model's process.

    Seen in lm_eval 0.4.13: `lm_eval.api.model.LM._rank`.
    """
    lm._rank = rank


def world_size(lm: LM) -> int:
    """The count of processes that share a run.

    Seen in lm_eval 0.4.13: `lm_eval.api.model.LM._world_size`.
    """
    size: int = lm._world_size
    return size


def set_world_size(lm: LM, size: int) -> None:
    """Set how many processes share a run.

    Seen in lm_eval 0.4.13: `lm_eval.api.model.LM._world_size`.
    """
    lm._world_size = size


def detected_batch_size(lm: HFLM) -> int:
    """The largest batch that fits into memory, found by trying.

    Seen in lm_eval 0.4.13: `lm_eval.models.huggingface.HFLM._detect_batch_size`.
    """
    size: int = lm._detect_batch_size()
    return size


def wrap_detection(lm: LM, wrap: Callable[[Callable[..., int]], Callable[..., int]]) -> None:
    """Put a function around a model's search for its batch size, if it has one.

    Seen in lm_eval 0.4.13: `lm_eval.models.huggingface.HFLM._detect_batch_size`.
    """
    if hasattr(lm, "_detect_batch_size"):
        lm._detect_batch_size = wrap(lm._detect_batch_size)


def logits(lm: HFLM, tokens: torch.Tensor) -> torch.Tensor:
    """The logits of one forward pass over B rows of T tokens, in the shape (B, T or more, vocabulary).

    Seen in lm_eval 0.4.13: `lm_eval.models.huggingface.HFLM._model_call`.
    """
    found: torch.Tensor = lm._model_call(tokens)
    return found


def token_likelihoods(lm: TemplateLM, pairs: Sequence[TokenPair]) -> list[float]:
    """The natural logarithms of the likelihoods of tokens behind others.

    Seen in lm_eval 0.4.13: `lm_eval.api.model.TemplateLM._loglikelihood_tokens`.
    """
    return [float(likelihood) for likelihood, _ in lm._loglikelihood_tokens(list(pairs))]


def limit_window(lm: HFLM, tokens: int) -> None:
    """Set a model's window; without it the window is read from the model's configuration.

    Seen in lm_eval 0.4.13: `lm_eval.models.huggingface.HFLM._max_length`.
    """
    lm._max_length = tokens


def truncates(lm: TemplateAPI) -> bool:
    """Whether a backend cuts prompts that are too long.

    Seen in lm_eval 0.4.13: `lm_eval.models.api_models.TemplateAPI._truncate`.
    """
    truncate: bool = lm._truncate
    return truncate


def end_string(lm: TemplateAPI) -> str | None:
    """The end of a text as a backend was told it; None if it was not.

    Seen in lm_eval 0.4.13: `lm_eval.models.api_models.TemplateAPI._eos_string`.
    """
    end: str | None = lm._eos_string
    return end
