"""What nobody else must read, and what is written, logged, hashed or shown in its place.

A key's name tells whether its value is secret; of an address, its user, its password and what its query holds are, but for
parameters that are known to be none. What stands there instead is `***`, and in one process a number tells two secrets of
otherwise equal settings apart. It is never made from the secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

MASK = "***"

_SECRETS = frozenset(
    (
        *(
            "api_key",
            "api_keys",
            "apikey",
            "token",
            "tokens",
            "auth",
            "auth_token",
            "hf_token",
            "bearer",
            "bearer_token",
        ),
        *("header", "headers", "extra_headers", "default_headers", "cookie", "cookies"),
        *("password", "passwd", "passphrase", "secret", "secrets", "credential", "credentials"),
    )
)
_SECRET_ENDINGS = (
    *("_key", "_keys", "_secret", "_password", "_credentials", "authorization"),
    *("access_token", "api_token", "session_token", "refresh_token", "auth_token"),
)

_OPEN_PARAMETERS = frozenset(("api-version", "api_version", "version", "deployment", "model", "region"))
"""Parameters of an address's query that are no secrets."""

_ADDRESS = re.compile(r"[A-Za-z][\w+.-]*://[^\s\"'<>,]+")
_ARGUMENT = re.compile(r"(?P<key>[\w-]+)=(?P<value>[^,\s]+)")

_CONCEALED: dict[str, dict[str, Any]] = {}
"""Settings as they are, by the JSON of what stands for them."""


def is_secret(key: object) -> bool:
    """Whether a setting may hold what nobody else must read."""
    name = str(key).lower().replace("-", "_")
    return name in _SECRETS or name.endswith(_SECRET_ENDINGS)


def masked(value: Any) -> Any:
    """Settings with stars for what may be secret: in mappings by key, in addresses, in arguments written as `key=value`."""
    if isinstance(value, Mapping):
        return {key: MASK if is_secret(key) and entry is not None else masked(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(masked(entry) for entry in value)
    return masked_text(value) if isinstance(value, str) else value


def masked_text(text: str) -> str:
    """A text with stars for what may be secret in its addresses and arguments."""
    with_addresses = _ADDRESS.sub(lambda found: _masked_address(found[0]), text)
    return _ARGUMENT.sub(
        lambda found: f"{found['key']}={MASK}" if is_secret(found["key"]) else found[0], with_addresses
    )


def without_credentials(text: str) -> str:
    """An address without the name, the password and the query that it may hold; any other text as it is."""
    address = re.match(r"(\w+://)(?:[^/@]*@)?([^?#]*)", text)
    return "".join(address.groups()) if address else text


def conceal(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings as they may be written; `reveal` gives them back in this process.

    Args:
        settings: Of JSON alone.
    """
    shown: dict[str, Any] = masked(settings)
    number = 1
    while _CONCEALED.setdefault(_key(shown), settings) != settings:
        number += 1
        shown = _numbered(masked(settings), number)
    return shown


def reveal(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings for which others stand, if this process has concealed them; else these."""
    return _CONCEALED.get(_key(settings), settings)


def _key(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, sort_keys=True)


def _numbered(value: Any, number: int) -> Any:
    if isinstance(value, Mapping):
        return {key: _numbered(entry, number) for key, entry in value.items()}
    if isinstance(value, list):
        return [_numbered(entry, number) for entry in value]
    return value.replace(MASK, f"{MASK}{number}") if isinstance(value, str) else value


def _masked_address(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        return without_credentials(address)
    user, at, host = parts.netloc.rpartition("@")
    query = [(key, value if key.lower() in _OPEN_PARAMETERS else MASK) for key, value in parse_qsl(parts.query, True)]
    shown = SplitResult(
        parts.scheme, f"{MASK}@{host}" if at and user else host, parts.path, urlencode(query, safe="*"), ""
    )
    return urlunsplit(shown) + (f"#{MASK}" if parts.fragment else "")
