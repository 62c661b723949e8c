"""One try of one request to a server: the backend makes the payload and the headers and reads the reply."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from lm_eval.models.api_models import TemplateAPI

from lm_eval_plugin.border.masking import is_secret, masked_text, secrets_of_address
from lm_eval_plugin.border.outside_json import read_json
from lm_eval_plugin.models.generation import Prompted
from lm_eval_plugin.models.generation.servers.errors import StatusError, UnreadableReplyError
from lm_eval_plugin.models.generation.servers.replies import ServerText, server_texts
from lm_eval_plugin.models.generation.shared_time import Written

_SAID = 2000
"""Bytes of an error's body that are looked at."""

_SEEDS = 2**31
"""How many seeds every server that takes seeds can tell apart."""


class ApiClient:
    """Asks the server of a backend of the host.

    Args:
        lm: The backend.
    """

    def __init__(self, lm: TemplateAPI) -> None:
        self._lm = lm
        self._address = str(lm.base_url)
        address = urlsplit(self._address)
        names_user = address.username is not None
        # A name and a password in the address go before the backend's key, as they do where the host sends the request.
        self._headers = {
            key: text for key, text in lm.header.items() if not (names_user and key.lower() == "authorization")
        }
        self._proxy = None if proxy_bypass(address.hostname or "") else getproxies().get(address.scheme)

    def session(self, at_once: int) -> aiohttp.ClientSession:
        """Connections for a number of requests at once."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=at_once, ssl=self._lm.verify_certificate),
            timeout=aiohttp.ClientTimeout(total=self._lm.timeout),
        )

    async def send(
        self, session: aiohttp.ClientSession, batch: Sequence[Prompted], gen_kwargs: Mapping[str, Any]
    ) -> list[Written | None]:
        """Ask once for the replies to B prompts; None for one without a text, which is not the same as an empty text.

        Raises:
            StatusError: The server answered with an error.
            UnreadableReplyError: It answered with something else than B replies.
            aiohttp.ClientError: It could not be reached, or the connection broke.
            asyncio.TimeoutError: It took longer than the backend's `timeout`.
        """
        payload = self._payload(batch, gen_kwargs)
        began = time.perf_counter()
        async with session.post(self._address, json=payload, headers=self._headers, proxy=self._proxy) as response:
            body = await response.read()
        ended = time.perf_counter()
        if not response.ok:
            raise StatusError(response.status, self._said(body), response.headers.get("Retry-After"))
        texts = self._texts(body)
        if len(texts) != len(batch):
            raise UnreadableReplyError(f"{len(texts)} replies to {len(batch)} prompts")
        return [None if each.text is None else Written(each.text, began, ended, each.reasoning) for each in texts]

    def _payload(self, batch: Sequence[Prompted], gen_kwargs: Mapping[str, Any]) -> Any:
        texts = [prompt.text for prompt in batch]
        if self._lm.tokenized_requests:
            texts = self._lm.tok_encode(texts, add_special_tokens=self._lm.add_bos_token)
        seed = self._lm._seed  # noqa: SLF001  # as the host spells its own argument
        if gen_kwargs.get("temperature", 0) > 0:
            # Prompts that share a request would share its seed, and equal ones be continued alike.
            seed = batch[0].seed % _SEEDS if len(batch) == 1 else None
        # The backend takes the arguments apart.
        own = copy.deepcopy(dict(gen_kwargs))
        return self._lm._create_payload(  # noqa: SLF001
            self._lm.create_message(texts), generate=True, gen_kwargs=own, seed=seed
        )

    def _texts(self, body: bytes) -> list[ServerText]:
        try:
            return server_texts(self._lm, read_json(body))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise UnreadableReplyError(f"not a reply: {self._said(body)}") from error

    def _said(self, body: bytes) -> str:
        """The beginning of what a server sent, in one line and without what is secret, should it repeat that."""
        text = " ".join(body[:_SAID].decode(errors="replace").split())
        headers = [str(entry).removeprefix("Bearer ").strip() for key, entry in self._headers.items() if is_secret(key)]
        for secret in sorted(filter(None, [*headers, *secrets_of_address(self._address)]), key=len, reverse=True):
            text = text.replace(secret, "***")
        return masked_text(text)[:200]
