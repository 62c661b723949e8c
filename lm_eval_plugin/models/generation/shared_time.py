"""Wall time that texts share which are produced at the same time: what each of them took of it, in whose company."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lm_eval_plugin.models.generation import Generated


@dataclass(frozen=True, slots=True)
class Written:
    """A text and when it was produced.

    Args:
        text: It.
        began, ended: In seconds of `time.perf_counter`.
        reasoning: What the model thought before, where the backend tells it apart.
    """

    text: str
    began: float
    ended: float
    reasoning: str = ""


def with_shares(written: Sequence[Written | None]) -> list[Generated | None]:
    """Texts, each with the time that it took and with how many it shared that, so that it bears seconds / batch of it.

    Every second is divided evenly among the texts that were under way in it. So all that they bear is the time in which any
    of them was; what nothing came of, as a request that failed, bears nothing.

    Args:
        written: B texts; None for one that was not to be had.
    """
    begins = np.sort([each.began for each in written if each is not None])
    ends = np.sort([each.ended for each in written if each is not None])
    moments = np.unique(np.concatenate([begins, ends]))
    under_way = begins.searchsorted(moments[:-1], side="right") - ends.searchsorted(moments[:-1], side="right")
    # Where nothing is under way there is nobody to bear it.
    borne = np.concatenate([[0.0], (np.diff(moments) / under_way.clip(min=1)).cumsum()])

    def shared(each: Written) -> Generated:
        first, last = moments.searchsorted([each.began, each.ended])
        seconds, share = each.ended - each.began, float(borne[last] - borne[first])
        batch = max(1.0, round(seconds / share, 3)) if share else 1.0
        return Generated(each.text, round(seconds, 3), batch, each.reasoning)

    return [None if each is None else shared(each) for each in written]
