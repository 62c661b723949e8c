"""What nobody else must read, and what is written, logged, hashed or shown in its place.

A key's name tells whether its value is secret; of an address, its user, its password and what its query holds are, but for
parameters that are known to be none. What stands there instead is `***`, and in one process a number tells two secrets of
otherwise equal settings apart. It is never made from the secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

MASK = "***"

_SECRETS = frozenset(
    (
        "apikey",
        "apikeys",
        "accesskey",
        "secretkey",
        "auth",
        "authorization",
        "bearer",
        "jwt",
        "pat",
        "sig",
        "signature",
        "header",
        "headers",
        "cookie",
        "cookies",
        "secret",
        "secrets",
        "credential",
        "credentials",
        "password",
        "passwords",
        "passwd",
        "passphrase",
        "passcode",
        "pwd",
        "userpwd",
    )
)
"""Last words of the names of secrets."""

_TEXTS_OF_TOKENIZERS = frozenset(
    (
        "bos",
        "eos",
        "pad",
        "unk",
        "sep",
        "cls",
        "mask",
        "begin",
        "start",
        "end",
        "stop",
        "special",
        "image",
        "prefix",
        "suffix",
    )
)
"""What stands before `token` where it is a text that a tokenizer knows."""

_KEEPERS_OF_TOKENS = frozenset(("auth", "access", "api", "bearer", "hf", "secret", "session", "refresh"))
"""What stands before `tokens` where these are no number of tokens."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

_OPEN_PARAMETERS = frozenset(("api-version", "api_version", "version", "deployment", "model", "region"))
"""Parameters of an address's query that are no secrets."""

_ADDRESS = re.compile(r"[A-Za-z][\w+.-]*://[^\s\"'<>,]+")
_WHOLE_ADDRESS = re.compile(r"[A-Za-z][\w+.-]*://(?:(?!://).)*", re.DOTALL)
_USER_WITHOUT_SCHEME = re.compile(r"(?<![\w/*])[^\s/:@=,\"']+:[^\s/@,]+@(?=[\w.\[])")
_KEY = re.compile(r"""(?<![\w-])(?P<key>[\w-]+)["']?\s*[=:]\s*""")
_MASKED = re.compile(r"\*{3}\d*(?!\w)")
_VALUE = re.compile(
    r""" (?P<quote>["'])(?:\\.|(?!(?P=quote))[^\\])*(?:(?P=quote)|\Z|\\)
    | (?:Bearer|Basic|Token|Digest)\s+[^\s,"']+ | [^,\s"'}]+""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_BRACKETS = {"{": "}", "[": "]"}

_KNOWN_SHAPE = re.compile(r"(?<=Bearer )[^\s,\"'*]+|\bsk-[\w-]{16,}|\bhf_[A-Za-z0-9]{30,}|\bgh[pousr]_[A-Za-z0-9]{30,}")

_CONCEALED: dict[str, dict[str, Any]] = {}
"""Settings as they are, by the JSON of what stands for them."""


def is_secret(key: object) -> bool:
    """Whether a setting may hold what nobody else must read, by the words of its name."""
    *before, last = [word.lower() for word in _WORD.findall(str(key))] or [""]
    if last == "token":
        return not before or before[-1] not in _TEXTS_OF_TOKENIZERS
    if last == "tokens":
        return not before or before[-1] in _KEEPERS_OF_TOKENS
    return last in _SECRETS or (last in ("key", "keys") and bool(before))


def masked(value: Any) -> Any:
    """Settings with stars for what may be secret: in mappings by key, in addresses, in arguments written as `key=value`."""
    if isinstance(value, Mapping):
        return {key: MASK if is_secret(key) and entry is not None else masked(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(masked(entry) for entry in value)
    return masked_text(value) if isinstance(value, str) else value


def masked_text(text: str) -> str:
    """A text with stars for what may be secret in its addresses, its arguments and headers, and for keys of known shapes."""
    if _WHOLE_ADDRESS.fullmatch(text) and ("@" in text or not re.search(r"\s", text)):
        # A setting that is an address may hold in it what ends an address in a sentence.
        text = _masked_address(text)
    else:
        text = _ADDRESS.sub(lambda found: _masked_address(found[0]), text)
    text = _USER_WITHOUT_SCHEME.sub(f"{MASK}@", text)
    return _KNOWN_SHAPE.sub(MASK, _masked_arguments(text))


def _masked_arguments(text: str) -> str:
    shown, read = [], 0
    while (key := _KEY.search(text, read)) is not None:
        shown.append(text[read : key.end()])
        read = key.end()
        if is_secret(key["key"]) and not _MASKED.match(text, read):
            end, quote = _end_of_value(text, read)
            shown.append(f"{quote}{MASK}{quote}" if end > read else "")
            read = end
    return "".join(shown) + text[read:]


def _end_of_value(text: str, start: int) -> tuple[int, str]:
    """Where a value ends, and the quotes around it; one whose quotes or brackets are not closed ends with the text."""
    if text[start : start + 1] in _BRACKETS:
        return _end_of_brackets(text, start), ""
    found = _VALUE.match(text, start)
    return (found.end(), found["quote"] or "") if found else (start, "")


def _end_of_brackets(text: str, start: int) -> int:
    depth = 0
    for index in range(start, len(text)):
        depth += (text[index] in _BRACKETS) - (text[index] in _BRACKETS.values())
        if not depth:
            return index + 1
    return len(text)


def without_credentials(text: str) -> str:
    """An address without the name, the password and the query that it may hold; any other text masked."""
    parts = _parts(text) if re.match(r"\w+://", text) else None
    return masked_text(text) if parts is None else masked_text(f"{parts.scheme}{parts.host}{parts.path}")


def secrets_of_address(address: str) -> list[str]:
    """What an address holds that is secret, as it stands there and as it reads without its escapes."""
    parts = _parts(address)
    parameters = [
        parameter for parameter in re.split("[&;]", parts.query[1:]) if _masked_parameter(parameter) != parameter
    ]
    given = [*parts.user.split(":", 1)[1:], *(parameter.partition("=")[2] or parameter for parameter in parameters)]
    return [text for each in given if each for text in {each, unquote(each)}]


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


class _Parts(NamedTuple):
    """An address, its scheme with `://` and its query and fragment with the sign before them."""

    scheme: str
    user: str
    host: str
    path: str
    query: str
    fragment: str


def _parts(address: str) -> _Parts:
    """The parts of an address, which may be one that cannot be used; `urlsplit` refuses those or shows a password in them."""
    scheme, sign, rest = address.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    # A name, a colon and no port: the password holds a sign that ends the name of a server.
    cut_off = re.search(r":[^\]]*[^\d\]]", authority) is not None
    user, _, rest = rest.rpartition("@") if cut_off and "@" not in authority else ("", "", rest)
    if not user:
        user, _, host = authority.rpartition("@")
        rest = host + rest[len(authority) :]
    found = re.fullmatch(r"([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?", rest, re.DOTALL)
    host, path, query, fragment = (found[number] or "" for number in range(1, 5)) if found else (rest, "", "", "")
    return _Parts(scheme + sign, user, host, path, query, fragment)


def _masked_address(address: str) -> str:
    parts = _parts(address)
    user = f"{MASK}@" if parts.user else ""
    query = "&".join(map(_masked_parameter, re.split("[&;]", parts.query[1:])))
    return f"{parts.scheme}{user}{parts.host}{parts.path}{'?' if query else ''}{query}{f'#{MASK}' if parts.fragment else ''}"


def _masked_parameter(parameter: str) -> str:
    key, sign, value = parameter.partition("=")
    is_open = key.lower() in _OPEN_PARAMETERS and re.fullmatch(r"[\w.:/-]*", value)
    return parameter if is_open or not parameter else f"{key}={MASK}" if sign else MASK
