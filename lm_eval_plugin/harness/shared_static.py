"""Static requests that another task of the run has made already: those of one question under several simulators.

Of the model alone nothing depends on the simulated user, so the tasks of several simulators ask it once. The second task has a
request that stands for the first one's: it has its arguments and its responses, and lm_eval runs nothing for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from lm_eval_plugin.lm_eval_access.base import LM, Instance

REQUEST_TYPE = "shared_static"


class SharedRequest(Instance):
    """A request whose responses are those of another.

    Args:
        own: The request that it takes the place of.
        source: The one that is run.
    """

    def __init__(self, own: Instance, source: Instance) -> None:
        self.source = source
        metadata = (own.task_name, own.doc_id, own.repeats)
        super().__init__(REQUEST_TYPE, own.doc, own.arguments, own.idx, metadata)

    @property
    def resps(self) -> list[Any]:
        """The responses of its source, in a list of its own; lm_eval adds what `shared_static` returns to it, which is nothing."""
        return list(self.source.resps)

    @resps.setter
    def resps(self, _: list[Any]) -> None:
        """Nothing, where lm_eval makes a new request's list."""


def asked(request: Instance) -> Instance:
    """The request that is run: itself, or the source of one that is shared."""
    return request.source if isinstance(request, SharedRequest) else request


def is_dialogue(request: Instance) -> bool:
    """Whether a request's responses are transcripts."""
    return asked(request).request_type in ("converse_until", "free_text_until")


def shared_static(_: LM, requests: Sequence[Instance]) -> list[None]:
    """Nothing: what was requested has been said to others. A request type of lm_eval, attached to its `LM`."""
    return [None] * len(requests)


def sharing(requests: Iterable[Instance], others: Iterable[Instance]) -> list[Instance]:
    """The requests, each that another is equal to in type and arguments in its place.

    Args:
        requests: Of one task.
        others: Of the tasks that are run before it.
    """
    sources = {_key(each): each for each in others if each.request_type not in ("converse_until", REQUEST_TYPE)}
    found = [(each, sources.get(_key(each))) for each in requests]
    return [each if source is None else SharedRequest(each, source) for each, source in found]


def _key(request: Instance) -> str:
    return json.dumps(
        [request.request_type, request.doc_id, request.idx, request.repeats, request.arguments], default=str
    )
