"""Waiting for a server that has answered before and does not any more, as one that is restarted does not.

A request that fails for good may be its prompt's fault, or the server's. A prompt that was answered before tells: if it is
answered again, the server is well; else nothing more is sent until it is, or until there is no more patience.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from enum import Enum

from lm_eval_plugin.border.terminal import logger_of

logger = logger_of(__name__)

_BETWEEN_PROBES_S = 2.0


class Found(Enum):
    """What became of the server.

    WELL: it answers, so the request failed by itself.
    BACK: it was gone and answers again, or came back after the request was sent; the request is to be sent again.
    GONE: it has not come back in time.
    """

    WELL = "well"
    BACK = "back"
    GONE = "gone"


class Outage:
    """How long one server is waited for.

    Args:
        what: Names the server in messages.
        patience_s: How long to wait each time, in seconds; 0 for not at all.
    """

    def __init__(self, what: str, patience_s: float) -> None:
        self._what = what
        self._patience_s = patience_s
        self._came_back = 0.0
        self._gone = False

    @property
    def patient(self) -> bool:
        """Whether a server is waited for at all."""
        return self._patience_s > 0

    async def wait(self, probe: Callable[[], Awaitable[bool]], since: float, together: asyncio.Lock) -> Found:
        """Find out about the server, and wait for it where it is gone.

        Args:
            probe: Whether it answers.
            since: When the request that failed was sent, by `time.monotonic`.
            together: Held while one request waits for all that have failed.
        """
        async with together:
            if self._gone:
                return Found.GONE
            if self._came_back > since:
                return Found.BACK
            if await probe():
                return Found.WELL
            return await self._waited(probe)

    async def _waited(self, probe: Callable[[], Awaitable[bool]]) -> Found:
        began = time.monotonic()
        logger.warning(
            "%s does not answer any more; it is waited for, up to %.0f s (outage_s), and the dialogues then go on.",
            self._what,
            self._patience_s,
        )
        while (left := began + self._patience_s - time.monotonic()) > 0:
            await asyncio.sleep(min(_BETWEEN_PROBES_S, left))
            if await probe():
                self._came_back = time.monotonic()
                logger.warning("%s answers again, after %.0f s.", self._what, self._came_back - began)
                return Found.BACK
        self._gone = True
        return Found.GONE
