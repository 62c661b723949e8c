"""What can come back from a server instead of a reply, and whether another try may help."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

import aiohttp

_PASSING = frozenset((408, 409, 425, 429))
"""Statuses that are called the client's fault and yet pass: timed out, in conflict, too early, too many requests."""


class StatusError(Exception):
    """A server answered with an error.

    Args:
        status: The HTTP status, 400 or above.
        said: What the server said about it.
        retry_after: The header of this name, if there is one.
    """

    def __init__(self, status: int, said: str, retry_after: str | None = None) -> None:
        super().__init__(f"HTTP {status}: {said}" if said else f"HTTP {status}")
        self.status = status
        self.pause_s = _pause_s(retry_after)


class UnreadableReplyError(Exception):
    """A server answered with something that holds no reply, or with fewer replies than prompts."""


FAILURES = (StatusError, UnreadableReplyError, aiohttp.ClientError, asyncio.TimeoutError)
"""How a request can fail."""


def is_refusal(error: BaseException) -> bool:
    """Whether the server turned the request down, and will do so again."""
    return isinstance(error, StatusError) and error.status < 500 and error.status not in _PASSING


def may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed if it is sent again."""
    return isinstance(error, FAILURES) and not is_refusal(error)


def kind_of(error: BaseException) -> str:
    """What to count an error under."""
    return f"HTTP {error.status}" if isinstance(error, StatusError) else type(error).__name__


def _pause_s(retry_after: str | None) -> float | None:
    """How long a server asks to wait, in seconds from now; None if it does not say.

    Source: RFC 9110, section 10.2.3: a number of seconds or a date.
    """
    if retry_after is None:
        return None
    with suppress(ValueError):
        return max(0.0, float(retry_after))
    # A date without a time zone cannot be compared.
    with suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(timezone.utc)).total_seconds())
    return None
