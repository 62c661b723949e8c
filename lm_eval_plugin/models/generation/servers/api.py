"""Generation by a server: many requests under way at once, and none of them, however it fails, ends a run of dialogues.

When and how often a request is sent is decided here; what is sent, and how the answer is read, in `api_client`. The
host's own `generate_until` lets the first request that fails for good end the whole run, tries again what was refused,
does not wait for as long as a server asks, and reads a chat reply of an unknown shape as an empty text.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from anyio.from_thread import BlockingPortal, start_blocking_portal
from lm_eval.api.model import LM
from lm_eval.models.api_models import TemplateAPI
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from lm_eval_plugin.border.masking import without_credentials
from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.errors import ServerGoneError
from lm_eval_plugin.models.generation import Generated, Prompted
from lm_eval_plugin.models.generation.servers.circuit import Circuit
from lm_eval_plugin.models.generation.servers.client import ApiClient
from lm_eval_plugin.models.generation.servers.errors import FAILURES, StatusError, is_refusal, kind_of, may_pass
from lm_eval_plugin.models.generation.servers.outage import Found, Outage
from lm_eval_plugin.models.generation.shared_time import Written, with_shares
from lm_eval_plugin.models.loading import unreachable, without_addresses

logger = logger_of(__name__)

_PROBE_TIMEOUT_S = 10
_LONGEST_PAUSE_S = 60
_SENT_AGAIN = 2
"""How often a request is sent again after an outage; one that ends a server each time is given up."""

_backoff = wait_random_exponential(multiplier=1, max=10)


def speaks_http(lm: LM) -> bool:
    """Whether a backend leaves the sending of its requests to the host, which sends them over HTTP."""
    return isinstance(lm, TemplateAPI) and all(
        getattr(type(lm), name) is getattr(TemplateAPI, name) for name in ("generate_until", "amodel_call")
    )


@dataclass(slots=True)
class _Call:
    """What the requests of one call share.

    Args:
        session: Their connections.
        gen_kwargs: As the host's `generate_until` takes them.
        turns: How many of them may be under way.
        missed: How many prompts got no reply, by the reason.
        waiting: Held by whoever waits for a server that is gone.
        error: The first with which a request failed.
        given_up: Whether the server stopped answering and did not answer the probe either.
    """

    session: aiohttp.ClientSession
    gen_kwargs: Mapping[str, Any]
    turns: asyncio.Semaphore
    probing: asyncio.Lock = field(default_factory=asyncio.Lock)
    missed: Counter[str] = field(default_factory=Counter)
    waiting: asyncio.Lock = field(default_factory=asyncio.Lock)
    error: BaseException | None = None
    given_up: bool = False


class ApiGeneration:
    """Generation through a backend of the host that speaks HTTP with a server.

    As many requests are under way as the backend's `num_concurrent` says, each with as many prompts as its `batch_size`.
    A request is tried `max_retries` times, each try may take `timeout` seconds, and before the next one it waits for as
    long as the server asks, or for up to ten seconds; then its prompts have no reply. A server that has failed at many
    requests in a row is only asked for a single token, once a call and for ten seconds, until it answers again. One that
    has never answered is an error.

    What is sampled for the only prompt of a request is sampled with the prompt's seed, by a server that takes seeds.

    Args:
        lm: The backend; see `speaks_http`.
        name: What to call it in messages.
        outage_s: How long to wait, each time, for a server that has answered before and does not any more; see `Outage`. With 0
            its prompts have no reply.
    """

    seeded = False

    def __init__(self, lm: TemplateAPI, name: str, outage_s: float = 0) -> None:
        self._lm = lm
        self._name = name
        self._outage = Outage(f"{name} at {without_credentials(str(lm.base_url))}", outage_s)
        self._answered: Prompted | None = None
        self._at_once = max(1, lm._concurrent)  # noqa: SLF001  # as the host spells its own argument
        self._batch_size = max(1, lm._batch_size)  # noqa: SLF001
        self._client = ApiClient(lm)
        self._circuit = Circuit(limit=max(8, 2 * self._at_once))
        self._send = AsyncRetrying(
            stop=stop_after_attempt(max(1, lm.max_retries)),
            retry=retry_if_exception(may_pass),
            wait=_pause_s,
            reraise=True,
        ).wraps(self._client.send)
        self._portal: BlockingPortal | None = None

    def generate(self, prompts: Sequence[Prompted], gen_kwargs: Mapping[str, Any]) -> list[Generated | None]:
        """Generate for B prompts, in their order; None for one that got no reply, or one without a text.

        Raises:
            ModelError: The server has never replied, and did not now.
        """
        if not prompts:
            return []
        # The requests run in a thread of their own, so that they end at once when this one is interrupted.
        with start_blocking_portal() as self._portal:
            return self._portal.call(self._generate, prompts, gen_kwargs)

    def cancel(self) -> None:
        """End the call that is under way in another thread, if there is one; it raises a `CancelledError`."""
        if self._portal is not None:
            # A portal that is closed already has nothing under way.
            with suppress(RuntimeError):
                self._portal.start_task_soon(self._portal.stop, True)

    async def _generate(self, prompts: Sequence[Prompted], gen_kwargs: Mapping[str, Any]) -> list[Generated | None]:
        batches = [prompts[start : start + self._batch_size] for start in range(0, len(prompts), self._batch_size)]
        async with self._client.session(self._at_once) as session:
            call = _Call(session, gen_kwargs, asyncio.Semaphore(self._at_once))
            replies: list[Sequence[Written | None]] = await asyncio.gather(
                *(self._replies(call, batch) for batch in batches)
            )
        self._report(call, len(prompts))
        return with_shares(list(itertools.chain.from_iterable(replies)))

    async def _replies(self, call: _Call, batch: Sequence[Prompted]) -> Sequence[Written | None]:
        """What a batch of prompts gets in the end."""
        async with call.turns:
            for _ in range(_SENT_AGAIN + 1):
                if not await self._answers(call, batch[0]):
                    call.missed["not sent, as the server had stopped answering"] += len(batch)
                    return [None] * len(batch)
                sent = time.monotonic()
                try:
                    replies = await self._send(call.session, batch, call.gen_kwargs)
                except FAILURES as error:
                    if await self._is_to_be_sent_again(call, error, sent):
                        continue
                    call.missed[kind_of(error)] += len(batch)
                    self._failed(call, error)
                    return [None] * len(batch)
                self._circuit.succeeded()
                self._answered = batch[0]
                call.missed["no text"] += replies.count(None)
                return replies
        call.missed["the server stopped answering at each try"] += len(batch)
        return [None] * len(batch)

    async def _is_to_be_sent_again(self, call: _Call, error: BaseException, sent: float) -> bool:
        """Whether a request failed because the server was gone for a while.

        Raises:
            ServerGoneError: It has not come back.
        """
        answered = self._answered
        if answered is None or not self._outage.patient or is_refusal(error):
            return False
        found = await self._outage.wait(lambda: self._is_answered(call, answered), sent, call.waiting)
        if found is Found.GONE:
            raise ServerGoneError(str(unreachable(self._name, self._lm.base_url, error))) from error
        return found is Found.BACK

    async def _is_answered(self, call: _Call, prompt: Prompted) -> bool:
        """Whether the server replies to a prompt to which it has replied before."""
        try:
            await asyncio.wait_for(self._client.send(call.session, [prompt], _one_token(call)), _PROBE_TIMEOUT_S)
        except FAILURES as error:
            return is_refusal(error)
        return True

    async def _answers(self, call: _Call, prompt: Prompted) -> bool:
        """Whether the server can be counted on; where it cannot, one probe decides for the rest of the call."""
        async with call.probing:
            if self._circuit.open and not call.given_up:
                await self._probe(call, prompt)
                call.given_up = self._circuit.open
            return not (self._circuit.open and call.given_up)

    async def _probe(self, call: _Call, prompt: Prompted) -> None:
        """Ask for a single token, with the usual tries, but in little time."""
        try:
            await asyncio.wait_for(self._send(call.session, [prompt], _one_token(call)), _PROBE_TIMEOUT_S)
        except FAILURES as error:
            self._failed(call, error)
        else:
            self._circuit.succeeded()

    def _failed(self, call: _Call, error: BaseException) -> None:
        call.error = call.error or error
        if is_refusal(error):
            self._circuit.refused()
        else:
            self._circuit.failed()

    def _report(self, call: _Call, prompts: int) -> None:
        """Say how many prompts got no reply.

        Raises:
            ModelError: The server has never replied.
        """
        if call.error is not None and not self._circuit.proven:
            raise unreachable(self._name, self._lm.base_url, call.error)
        if missed := +call.missed:
            reasons = ", ".join(f"{count} x {reason}" for reason, count in missed.items())
            said = without_addresses(str(call.error or ""))
            logger.warning(
                "%s: %d of %d prompts got no reply (%s)%s",
                self._name,
                missed.total(),
                prompts,
                reasons,
                f"; the first: {said}" if said else "",
            )


def _one_token(call: _Call) -> dict[str, Any]:
    """How to generate a single token."""
    return {key: entry for key, entry in call.gen_kwargs.items() if key != "max_tokens"} | {"max_gen_toks": 1}


def _pause_s(state: RetryCallState) -> float:
    """How long to wait before the next try, in seconds: as long as the server asks, within reason."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.pause_s if isinstance(error, StatusError) else None
    return _backoff(state) if asked is None else min(asked, _LONGEST_PAUSE_S)
