"""Which share of the questions a process takes, where the host gets it wrong.

The host's `hf` backend numbers processes only where there are several GPUs, and by their place on their own machine. So two
processes on CPUs, or with one GPU each, would both take all questions; on two machines each share would be taken twice
and half of the questions by nobody. Here every process has the number that `accelerate launch` or `torchrun` gave it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from lm_eval_plugin.lm_eval_access.base import LM
from lm_eval_plugin.lm_eval_access.private_names import set_rank, set_world_size, world_size, wrap_detection


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
    set_rank(lm, accelerator.process_index)
    set_world_size(lm, accelerator.num_processes)
    wrap_detection(lm, lambda detect: functools.partial(_alone, lm, detect))


def _alone(lm: LM, detect: Callable[..., int], *args: object, **kwargs: object) -> int:
    processes = world_size(lm)
    set_world_size(lm, 1)
    try:
        return detect(*args, **kwargs)
    finally:
        set_world_size(lm, processes)


def _numbering(made: Callable[..., LM]) -> Callable[..., LM]:
    @functools.wraps(made)
    def make(kind: type[LM], *args: object, **kwargs: object) -> LM:
        lm = made(kind, *args, **kwargs)
        number(lm)
        return lm

    return make
