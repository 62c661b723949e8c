"""Two halves of the dialogues in turns, so that neither of two models waits for the other.

It pays where the models do not compete for one device: on two GPUs, or behind two servers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, CancelledError, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Protocol, runtime_checkable

from lm_eval_plugin.dialogue.engine import Ask, ChatModel, Dialogue, Failure, Progress, Reply, converse
from lm_eval_plugin.dialogue.transcript import Role, Transcript


def converse_in_halves(
    dialogues: Sequence[Dialogue],
    models: Mapping[Role, ChatModel],
    *,
    live: int | None = None,
    on_end: Callable[[int, Transcript], None] | None = None,
    on_round: Callable[[Progress], None] | None = None,
) -> list[Transcript]:
    """As `engine.converse`, with one half of the dialogues at one model while the other half is at the other.

    Which dialogues are held together depends on their places alone, so the result repeats. `on_end` and `on_round` are
    called by one thread at a time.
    """
    stopped = threading.Event()
    shared = {role: _OneAtATime(model, stopped) for role, model in models.items()}
    listeners = _Listeners(on_end, on_round)

    def hold(half: int) -> list[Transcript]:
        return converse(
            dialogues[half::2],
            shared,
            live=None if live is None else max(1, live // 2),
            on_end=partial(listeners.ended, half),
            on_round=partial(listeners.progressed, half),
        )

    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="dialogues") as pool:
        try:
            halves = [pool.submit(hold, half) for half in (0, 1)]
            wait(halves, return_when=FIRST_EXCEPTION)
        finally:
            # Either both have ended, or what is still running is to end: after an error, or after Ctrl-C here.
            stopped.set()
            for model in models.values():
                if isinstance(model, Cancellable):
                    model.cancel()
    transcripts = [half.result() for half in sorted(halves, key=_was_stopped)]
    return [transcripts[place % 2][place // 2] for place in range(len(dialogues))]


@runtime_checkable
class Cancellable(Protocol):
    """A model whose call can be ended from another thread."""

    def cancel(self) -> None:
        """End the call that is under way, if there is one; it raises an error there."""
        ...


class _StoppedError(Exception):
    """Another thread has ended the work."""


class _OneAtATime:
    """A model that two threads share; the second waits until the first has its replies."""

    def __init__(self, model: ChatModel, stopped: threading.Event) -> None:
        self._model = model
        self._stopped = stopped
        self._turn = threading.Lock()

    def reply(self, asks: Sequence[Ask]) -> Sequence[Reply | Failure]:
        with self._turn:
            if self._stopped.is_set():
                raise _StoppedError
            return self._model.reply(asks)


class _Listeners:
    """Whoever wants to know how far the dialogues have come, told of both halves as of one set."""

    def __init__(
        self,
        on_end: Callable[[int, Transcript], None] | None,
        on_round: Callable[[Progress], None] | None,
    ) -> None:
        self._on_end = on_end
        self._on_round = on_round
        self._telling = threading.Lock()
        self._seen = [Progress(0, 0, 0), Progress(0, 0, 0)]

    def ended(self, half: int, place: int, transcript: Transcript) -> None:
        if self._on_end is not None:
            with self._telling:
                self._on_end(2 * place + half, transcript)

    def progressed(self, half: int, progress: Progress) -> None:
        if self._on_round is None:
            return
        with self._telling:
            self._seen[half] = progress
            one, other = self._seen
            self._on_round(
                Progress(one.finished + other.finished, one.active + other.active, max(one.rounds, other.rounds))
            )


def _was_stopped(half: Future[list[Transcript]]) -> bool:
    """Whether a half ended only because the other had failed, so that it has nothing to say itself."""
    return isinstance(half.exception(), (_StoppedError, CancelledError))
