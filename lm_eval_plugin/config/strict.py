"""Records that are read from YAML or JSON: frozen, with nothing in them that nobody knows.

What does not fit is a `ConfigError` that names the key, the nearest valid name and the allowed values.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from lm_eval_plugin.border.text_border import all_encodable
from lm_eval_plugin.errors import ConfigError


class Strict(BaseModel):
    """A record with these keys, of these types, and no others."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @classmethod
    def known_keys(cls) -> list[str]:
        """The keys as a user writes them."""
        return list(cls.model_fields)


def as_list(value: Any) -> Any:
    """A text as a list of it; anything else as it is."""
    return [value] if isinstance(value, str) else value


_OWN_KEYS = {
    "until": "until",
    "temperature": "temperature",
    "do_sample": "temperature (0 for greedy decoding)",
    **dict.fromkeys(
        ("max_tokens", "max_gen_toks", "max_new_tokens", "max_completion_tokens", "max_length"), "max_tokens"
    ),
}


def _no_own_keys(gen_kwargs: dict[str, Any]) -> dict[str, Any]:
    """Refuse what has a key of its own: it would go past the checks of window and stop strings."""
    for key, own in _OWN_KEYS.items():
        if key in gen_kwargs:
            raise ValueError(f"{key} does not belong into gen_kwargs; set {own} beside it")
    return gen_kwargs


GenKwargs = Annotated[dict[str, Any], AfterValidator(_no_own_keys)]
"""What else a backend's `generate_until` takes, as the host spells it, but for what has a key of its own."""


StrictType = TypeVar("StrictType", bound=Strict)


def validated(kind: type[StrictType], values: Mapping[str, Any], where: str) -> StrictType:
    """The record of these values.

    Args:
        kind: Which record.
        values: As YAML or JSON gave them.
        where: Names the source in errors.

    Raises:
        ConfigError: A key that is not known, or a value of the wrong type or range; one line for each.
    """
    try:
        return kind.model_validate(all_encodable(values))
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(kind, problem, where) for problem in error.errors())) from None


_MOST_NAMED = 24
_SHORTEST = 3
"""Characters that a name must have for its beginning another word to mean something."""
_A_SLIP = 0.8
"""From this ratio on, a name differs by a slip of the hand."""


def nearest(name: object, known: Iterable[str]) -> str:
    """The end of a sentence that says which name was meant, if one is near, and which there are."""
    names = list(known)
    close = _meant(str(name), names)
    meant = f"; did you mean {close!r}?" if close else ";"
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"{meant} Known: {', '.join(names[:_MOST_NAMED])}{more}"


def _meant(name: str, names: list[str]) -> str | None:
    """The name that is nearest; what is longer or shorter than one by its end alone, as accuracy than acc, means that one."""
    whole = name.lower()
    begun = [known for known in names if len(known) >= _SHORTEST and whole.startswith(known.lower())]
    close = difflib.get_close_matches(whole, names, n=1, cutoff=0.5)
    best = difflib.SequenceMatcher(None, close[0], whole).ratio() if close else 0.0
    if begun and best < _A_SLIP:
        return max(begun, key=len)
    return close[0] if close else None


def _explain(kind: type[Strict], problem: Any, where: str) -> str:
    path = [str(part) for part in problem["loc"]]
    if problem["type"] == "extra_forbidden":
        return f"{where} has no key {'.'.join(path)!r}{nearest(path[-1], _keys_at(kind, path[:-1]))}"
    if not path:
        return f"{where}: {problem['ctx']['error']}"
    message = problem["ctx"]["error"] if problem["type"] == "value_error" else problem["msg"]
    return f"{where}.{'.'.join(path)} is {problem['input']!r}: {message}"


def _keys_at(kind: type[Strict], path: Iterable[str]) -> list[str]:
    """The keys that the record at the path may hold."""
    for part in path:
        given = kind.model_fields[part].annotation if part in kind.model_fields else None
        # A record that may be left out is a union with None.
        inner = [each for each in (given, *get_args(given)) if isinstance(each, type) and issubclass(each, Strict)]
        kind = inner[0] if inner else kind
    return kind.known_keys()
