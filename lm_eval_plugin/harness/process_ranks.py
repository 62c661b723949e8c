"""Which share of the questions a process takes, where the host gets it wrong.

The host's `hf` backend numbers processes only where there are several GPUs, and by their place on their own machine. So two
processes on CPUs, or with one GPU each, would both take all questions; on two machines each share would be taken twice
and half of the questions by nobody. Here every process has the number that `accelerate launch` or `torchrun` gave it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from lm_eval.api.model import LM


def number_models() -> None:
    """Have every model that the host makes know its process's number; doing it twice does nothing."""
    for name in ("create_from_arg_string", "create_from_arg_obj"):
        made = LM.__dict__[name].__func__
        if not hasattr(made, "__wrapped__"):
            setattr(LM, name, classmethod(_numbering(made)))


def number(lm: LM) -> None:
    """Give a model the number of its process, and have it find its batch size by itself.

    To find it, the host waits for the other processes; one with less to do never comes, and all would wait.

    Args:
        lm: A backend of the host. Nothing changes for one that was not launched in several processes, or whose processes
            work as one (tensor parallel).
    """
    accelerator = getattr(lm, "accelerator", None)
    if accelerator is None or accelerator.num_processes == 1:
        return
    lm._rank, lm._world_size = accelerator.process_index, accelerator.num_processes  # noqa: SLF001
    if hasattr(lm, "_detect_batch_size"):
        lm._detect_batch_size = functools.partial(_alone, lm, lm._detect_batch_size)  # noqa: SLF001


def _alone(lm: LM, detect: Callable[..., int], *args: Any, **kwargs: Any) -> int:
    world_size, lm._world_size = lm._world_size, 1  # noqa: SLF001
    try:
        return detect(*args, **kwargs)
    finally:
        lm._world_size = world_size  # noqa: SLF001


def _numbering(made: Callable[..., LM]) -> Callable[..., LM]:
    @functools.wraps(made)
    def make(kind: type[LM], *args: Any, **kwargs: Any) -> LM:
        lm = made(kind, *args, **kwargs)
        number(lm)
        return lm

    return make
