"""Every number of a text in one form: `1,200` and `1200.00` are 1200, `3 out of 8` and `three eighths` 3/8, `2.5e3` 2.5 x 10^3."""

from __future__ import annotations

import re

_PERCENT = re.compile(r" ?(?:%|\b(?:percent|per cent|prozent)\b)", re.IGNORECASE)
_FORMS = (
    # 0,375 is 0.375; 1,200 and 1 200 are 1200, and 1,2 is not.
    (re.compile(r"(?<![\w.,])0,(?=\d{1,6}(?![\d,]))"), "0."),
    (re.compile(r"(?<=\d)(?<!\d{4})[, ](?=\d{3}(?![\d/]))(?<![\d.]\d{3}[, ])"), ""),
    (re.compile(r"(?<![\w.])\.(?=\d)"), "0."),
    (re.compile(r"(?<=\d)\.0{1,6}(?![\d.])"), ""),
    (re.compile(r"(?<![\d)] )\bminus (?=\d)", re.IGNORECASE), "-"),
    (re.compile(r"(?<=\d) (?:out of|over) (?=\d)", re.IGNORECASE), "/"),
)
_POWER = re.compile(
    r"(?<=\d)(?: ?(?:\*|\bx\b|\btimes\b) ?(?:10|ten)(?: ?(?:\*\*|\^) ?[{(]?(?P<sign>-?)\+?(?P<digits>\d{1,3})[})]?"
    r"| to the (?:power (?:of )?)?(?P<word>[a-z]{3,7}|\d{1,2}(?:st|nd|rd|th)?)(?: power)?| (?P<name>cubed|squared))"
    r"|e(?P<minus>-?)\+?(?P<exponent>\d{1,3})(?![\w.]))",
    re.IGNORECASE,
)
_OF_FRACTIONS = (
    "one in",
    "1 in",
    "hal",
    "quarter",
    "thirds",
    "fths",
    "ths",
    "fth",
    "hth",
    "nth",
    "out of",
    " over ",
    "one third",
    "one-third",
)
"""What every fraction in words holds; looking for these first takes a tenth of the time."""
_POWERS = {
    **dict.fromkeys(("squared", "second", "two"), "2"),
    **dict.fromkeys(("cubed", "third", "three"), "3"),
    **dict.fromkeys(("fourth", "four"), "4"),
    **dict.fromkeys(("fifth", "five"), "5"),
    **dict.fromkeys(("sixth", "six"), "6"),
}
_COUNTS = dict(
    zip(
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"],
        range(1, 13),
        strict=True,
    )
)
_PARTS = dict(
    zip(["third", "quarter", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"], (3, *range(4, 11)), strict=True)
)
_FRACTION = re.compile(
    rf"\b(?P<above>{'|'.join(_COUNTS)})[ -](?P<below>half|halves|(?:{'|'.join(_PARTS)})s?)\b"
    r"|\b(?P<one>one|1) (?:in|out of) (?:every )?(?P<of>\d{1,9})\b"
    rf"|\b(?P<some>{'|'.join(_COUNTS)}) (?:out of|over) (?P<all>{'|'.join(_COUNTS)})\b",
    re.IGNORECASE,
)


def _with_fractions(text: str) -> str:
    """A text with fractions in words as numbers: `three eighths` and `three out of eight` as 3/8."""
    return _FRACTION.sub(_in_digits, text)


def _in_digits(match: re.Match[str]) -> str:
    if match["one"]:
        return f"1/{match['of']}"
    if match["some"]:
        return f"{_COUNTS[match['some'].lower()]}/{_COUNTS[match['all'].lower()]}"
    above, below = _COUNTS[match["above"].lower()], match["below"].lower()
    if (above == 1) == (below.endswith("s") or below == "halves"):
        # `Two third places` and `one eighths` are no fractions.
        return match[0]
    return f"{above}/{2 if below.startswith('hal') else _PARTS[below.removesuffix('s')]}"


def in_one_form(text: str) -> str:
    """The text with every number in one form; words between them stay as they are."""
    small = text.lower()
    if any(word in small for word in _OF_FRACTIONS):
        text = _with_fractions(text)
    text = _POWER.sub(_power, _PERCENT.sub("%", text))
    for pattern, new in _FORMS:
        text = pattern.sub(new, text)
    return text


def _power(match: re.Match[str]) -> str:
    if match["digits"]:
        return f" x 10^{match['sign']}{match['digits']}"
    if match["exponent"]:
        return f" x 10^{match['minus']}{match['exponent']}"
    word = (match["word"] or match["name"]).lower()
    digits = word.rstrip("stndrh") if word[0].isdigit() else _POWERS.get(word)
    return f" x 10^{digits}" if digits else match[0]
