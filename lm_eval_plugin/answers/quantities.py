"""Quantities as exact fractions, so that 3/8, 0.375 and 37.5% are one; nothing that a text says is ever evaluated.

A quantity is one literal in plain form: digits with at most one point, a fraction of two whole numbers, a percentage, a
power of ten behind a number, the root of a square, or a whole number in English words. At most 40 digits and exponents up
to 400 are read, so that no text makes a number that takes long.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from math import isqrt

_DIGITS, _EXPONENT = 40, 400

LITERAL = (
    rf"-?√?\(?(?:\d{{1,{_DIGITS}}}(?:\.\d{{1,{_DIGITS}}})?)\)?(?: ?/ ?\d{{1,{_DIGITS}}}(?![\d.]))?"
    r"(?: x 10\^\(?-?\d{1,3}\)?)?%?"
)
"""The pattern of a quantity in a plain text."""

_LITERAL = re.compile(
    rf"(?P<sign>-?)(?P<root>√?)\(?(?P<whole>\d{{1,{_DIGITS}}})(?:\.(?P<part>\d{{1,{_DIGITS}}}))?\)?"
    rf"(?: ?/ ?(?P<below>\d{{1,{_DIGITS}}}))?(?: x 10\^\(?(?P<power>-?\d{{1,3}})\)?)?(?P<percent>%?)"
)
_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
_SMALL = (*_UNITS.split(), "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SPELLED = 10_000


@lru_cache(maxsize=4096)
def quantity(text: str) -> Fraction | None:
    """The value of a quantity in plain form; None for any other text, or beyond the bounds."""
    match = _LITERAL.fullmatch(text.strip())
    if match is None:
        return None
    digits = match["whole"] + (match["part"] or "")
    power = int(match["power"] or 0)
    if len(digits) > _DIGITS or abs(power) > _EXPONENT:
        return None
    value = Fraction(int(digits), 10 ** len(match["part"] or ""))
    if match["root"]:
        root = _root(value)
        if root is None:
            return None
        value = root
    if match["below"]:
        if int(match["below"]) == 0:
            return None
        value /= int(match["below"])
    value *= Fraction(10) ** power
    if match["percent"]:
        value /= 100
    return -value if match["sign"] else value


def _root(value: Fraction) -> Fraction | None:
    """The root of a square; None of anything else."""
    above, below = isqrt(value.numerator), isqrt(value.denominator)
    return Fraction(above, below) if (above**2, below**2) == (value.numerator, value.denominator) else None


def in_words(number: int) -> str | None:
    """A whole number below ten thousand in English words, as a pattern that allows for hyphens and `and`."""
    if not 0 <= number < _SPELLED:
        return None
    if number < len(_SMALL):
        return _SMALL[number]
    if number < 100:
        rest = number % 10
        return _TENS[number // 10] + (rf"[- ]{_SMALL[rest]}" if rest else "")
    size, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    rest = number % size
    head = rf"{in_words(number // size)} {name}" if number // size > 1 else rf"(?:one|a) {name}"
    return head + (rf"(?:,| and)? {in_words(rest)}" if rest else "")
