"""What an option's text looks like in a reply, and what it is worth where it is a quantity.

An option is named by its text, in any case and with any spaces; by a number in words; by a person's last name; by either part
of `NaCl, sodium chloride` where all options name one thing twice; by the plural of a Latin word; and as a quantity by every
number of the same value, or that comes to it when rounded to as many decimals: 19.47 degrees for 19.5°.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache

from lm_eval_plugin.answers.plain_text import plain
from lm_eval_plugin.answers.quantities import LITERAL, in_words, quantity
from lm_eval_plugin.dialogue.question import Question

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:/\d+)?%?")
_QUANTITY = re.compile(r"(?P<number>-?\d[\d.]*(?: x 10\^-?\d+)?) (?P<unit>°?[^\W\d_]\S{0,12})")
_COUNTED = re.compile(r"(?P<how>all|none) of (?:the above|these|them|those)", re.IGNORECASE)
_UNKNOWN = re.compile(r"\A[a-zA-Z] ?= ?")
_NO_PART = r"(?-i:(?![.,/]\d|\^))"


@lru_cache(maxsize=256)
def texts_of(question: Question) -> Mapping[str, str]:
    """The options' texts in plain form, without a full stop."""
    plain_texts = (" ".join(plain(choice).split()).rstrip(". ") for choice in question.choices)
    return dict(zip(question.letters, plain_texts, strict=True))


def pattern_of(text: str, question: Question) -> str:
    """The pattern of whatever names an option by its text, without how it begins and ends."""
    return f"{_shape(text)}{_alias(text, question)}"


_NAME = re.compile(r"(?:[A-Z][\w'.-]* ){1,3}(?P<last>[A-Z][\w'-]{3,})")
_IN_WORDS_FROM = 4
"""Smaller numbers stand in every text, `one of the two`, without being an answer."""


def _alias(text: str, question: Question) -> str:
    """What else means an option's text, as the rest of a pattern: a number in words, a person's last name."""
    whole = _UNKNOWN.sub("", text)
    if whole.isdigit() and int(whole[:6]) >= _IN_WORDS_FROM and len(whole) <= 4:
        return rf"|{in_words(int(whole))}(?! (?:hundred|thousand|million|times|and a half))"
    if parts := _parts(question).get(text):
        return "".join(f"|{re.escape(part)}" for part in parts)
    if latin := _LATIN.fullmatch(text):
        return f"|{re.escape(latin[1])}{_PLURALS[latin[2].lower()]}"
    name = _NAME.fullmatch(text)
    if (
        name
        and sum(
            re.search(rf"\b{re.escape(name['last'])}\b", part) is not None
            for part in (question.stem, *question.choices)
        )
        == 1
    ):
        return rf"|{re.escape(name['last'])}"
    return ""


_LATIN = re.compile(r"([^\W\d_]{4,20})(on|um|us|is)")
_PLURALS = {"on": "a", "um": "a", "us": "i", "is": "es"}


@lru_cache(maxsize=256)
def _parts(question: Question) -> Mapping[str, tuple[str, ...]]:
    """The two parts of options that all name one thing twice, as `NaCl, sodium chloride` does; none where a part is shared."""
    texts = [text for text in texts_of(question).values() if text]
    pairs = [_TWICE.fullmatch(text) for text in texts]
    parts = [part.casefold() for pair in pairs if pair for part in (pair["one"], pair["other"])]
    if None in pairs or len(set(parts)) < 2 * len(question.choices):
        return {}
    return {text: (pair["one"], pair["other"]) for text, pair in zip(texts, pairs, strict=True) if pair}


_TWICE = re.compile(r"(?P<one>[^,()]{2,40}?) ?(?:, ?|\()(?P<other>[^,()]{2,40})\)?")


def _shape(text: str) -> str:
    """The pattern of an option's text; `_STARTS` is how it begins, and `_ENDS` how it ends."""
    literal = re.escape(text)
    if match := _QUANTITY.fullmatch(text):
        number, unit = re.escape(match["number"]), re.escape(match["unit"])
        # 6 N, 6N, 6 newtons, or 6 at the end of a line.
        in_full = _in_full(match["unit"])
        spelled = in_words(int(match["number"])) if match["number"].isdigit() and len(match["number"]) <= 4 else None
        number = rf"(?:{number}|{spelled})" if spelled else number
        return rf"{number}(?: ?(?:{unit}{_NO_PART}|{in_full})|(?=[.!)]{{0,3}}(?:\n|$)))"
    if NUMBER.fullmatch(text):
        return rf"{literal}{_NO_PART}(?!%)"
    if counted := _COUNTED.fullmatch(text):
        return rf"{counted['how']} of (?:the above|these|them|those){_NO_PART}"
    if len(text) <= 3 and text.isalpha():
        # `no` is an answer where nothing that it could belong to follows.
        return rf"{literal}(?= ?(?:[.,!;:)\"'\n]|$))"
    spaced = (
        r"\s?".join(map(re.escape, re.findall(r"\w+|[^\w\s]", text)))
        if "=" in text
        else r"\s".join(map(re.escape, text.split())).replace("'", "'?")
    )
    plural = "(?:e?s)?" if len(text) >= _PLURAL_FROM and text.isalpha() else ""
    return rf"{spaced}{plural}{_NO_PART}"


_DEGREES = r"(?:°|degrees?)(?: ?(?:celsius|centigrade|fahrenheit|[cf]\b))?"
_PLURAL_FROM = 4


Values = Mapping[str, Mapping[Fraction, str]]
"""For each unit the options with it by their values; the empty text stands for none."""


@lru_cache(maxsize=256)
def values_of(question: Question) -> Values:
    """The options that are quantities; a value that several have names none."""
    known = [
        (match["unit"] or "", value, letter)
        for letter, text in texts_of(question).items()
        if (match := _WITH_UNIT.fullmatch(_UNKNOWN.sub("", text))) and (value := quantity(match["number"])) is not None
    ]
    count = Counter(entry[:2] for entry in known)
    values: dict[str, dict[Fraction, str]] = {}
    for unit, value, letter in known:
        if count[unit, value] == 1:
            values.setdefault(unit, {})[value] = letter
    return values


@lru_cache(maxsize=256)
def literal_with_unit(question: Question) -> re.Pattern[str] | None:
    """The pattern of a quantity with a unit of the options; None where they have none."""
    units = [unit for unit in values_of(question) if unit]
    shapes = "|".join(rf"{re.escape(unit)}(?!\w)|{_in_full(unit)}" for unit in units)
    return re.compile(rf"(?<![\w.^/])(?P<number>{LITERAL}) ?(?P<unit>{shapes})", re.IGNORECASE) if units else None


def option_of(number: str, unit: str, values: Values) -> str | None:
    """The letter of the option that a number with a unit names by its value, or when rounded to as many decimals."""
    own = next((each for each in values if each.casefold() == unit.casefold()), None)
    if own is None:
        own = next(
            (each for each in values if each and unit and re.fullmatch(_in_full(each), unit, re.IGNORECASE)), None
        )
    value = quantity(number) if own is not None else None
    if own is None or value is None:
        return None
    if value in values[own]:
        return values[own][value]
    decimals = len(number.partition(".")[2]) if re.fullmatch(r"-?\d+\.\d+", number) else 0
    if len(number.replace(".", "").lstrip("-0").rstrip("%")) >= _SIGNIFICANT and "/" not in number:
        places = len(number.rstrip("%").partition(".")[2]) + 2 * number.endswith("%")
        coarse = {
            letter for each, letter in values[own].items() if each.denominator > 1 and round(each, places) == value
        }
        if len(coarse) == 1:
            return coarse.pop()
    near = {
        letter for each, letter in values[own].items() for places in range(1, decimals) if each == round(value, places)
    }
    return near.pop() if len(near) == 1 else None


_SIGNIFICANT = 3
"""Digits that a rounded number must have to stand for what it is rounded from: 2.78 % for 1/36."""


def _in_full(unit: str) -> str:
    """The pattern of a unit in words: `newtons` for N."""
    return _DEGREES if "°" in unit else rf"{re.escape(unit[0])}[a-z]{{2,12}}\b"


_WITH_UNIT = re.compile(rf"(?P<number>{LITERAL})(?: ?(?P<unit>°|(?<= )°?[^\W\d_]\S{{0,12}})|(?P<none>))")
