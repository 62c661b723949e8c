r"""Which options of a question an assistant's reply supports: by letter, by text, by number, or several of them.

A reply is made plain (`plain_text`), its mentions of options become marks (`option_marks`), and then the strongest
statement about an option decides, of several the last:

| strength | such as |
|---|---|
| verdict | `The answer is B`, `B is correct`, `choose B`, `\boxed{B}`, `B. 56 ✅` |
| alone | the reply begins with `B.`, or its last line is `B` |
| conclusion | `so B`, `it is B`, `= 56`, `that leaves B` |
| mention | the only option that is spoken of and not rejected, or the only one that is left |

What a clause rejects (`not B`, `B is too small`) it does not support. After a correction (`Wait, ...`) what was said before
it no longer counts. `B or C` is undecided; `both B and C` supports both. A plain function of text: no model, no chance.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from lm_eval_plugin.answers.option_marks import ANY, LETTER_OF, MARKS, OPTION, OTHER, given, marked
from lm_eval_plugin.answers.plain_text import own_statements, plain
from lm_eval_plugin.question import Question

_END = 10_000
"""How many characters of a long reply are read at each end, where answers stand; what lies between is not read."""


class _Strength(IntEnum):
    """How outright a statement names an option, from the weakest."""

    CONCLUSION = 1
    ALONE = 2
    VERDICT = 3


@dataclass(frozen=True, slots=True)
class _Statement:
    """How strong a statement is, where it ends, and the options that it supports: none if it leaves open which."""

    strength: _Strength
    end: int
    letters: frozenset[str]


_AND = r"\s?(?:,\s(?:and|or)\b|,|/|&|\b(?:and|or|nor|und|oder|et|ou|y)\b|和|或)\s?"
_GROUP = rf"(?P<group>{ANY}(?:{_AND}{ANY}){{0,9}})"
_EITHER = re.compile(r"\b(?:or|oder|ou)\b|/|或")
_FILL = (
    r"(?:[\s\"'(\[:|]|\b(?:definitely|clearly|probably|likely|most|simply|then|just|the|only|indeed|both|about"
    r"|approximately|exactly|actually|still|therefore|options?|la|le|el|die)\b){0,6}"
)
_IS = r"(?:\b(?:is|are|be|remains?|ist|est|es|sind|son)\b|:|是|为)"
_VERDICTS = (
    # The answer is B.
    (
        rf"(?:\b(?:answers?|solution|antwort|lösung|respuesta|réponse)\b|答案)"
        rf"(?:[^.\n:?!,{MARKS['A']}-{OTHER}]{{0,40}}?{_IS})?{_FILL}{_GROUP}"
    ),
    # The best option is B.
    rf"\b(?:correct|right|best|richtig|correcta)\b(?: \w+)?,? ?{_IS}{_FILL}{_GROUP}",
    # I'd go with B.
    rf"(?:\b(?:choose|pick|select|go(?:ing)? with|take|opt for|leans? towards?|wähle|elijo)\b|选){_FILL}{_GROUP}",
    # B is the right one.
    (
        rf"{_GROUP} (?:is|are|must be|would be|seems|as)(?: (?:clearly|definitely|both|all|indeed|the|a|my|most)){{0,3}}"
        r" (?:correct|right|best|answer|only)\b"
    ),
    # B. 56 - yes
    rf"{_GROUP}[\s:|.,\-\")=]{{0,6}}(?:✅|✓|✔|☑|\b(?:correct|yes|right|it is)\b)",
)
_CONCLUSIONS = (
    (
        r"(?:\b(?:so|thus|therefore|hence|is|are|be|it's|its|that's|leaves|leaving|remains|say|think|guess|gives|giving|makes"
        r"|get|gets|equals?|means|mean|matches|corresponds to|comes to|simplifies to|only|probably|ist|est|es|font|donc)\b,?"
        rf"|=|≈|等于|是){_FILL}{_GROUP}(?! ?[+*/^]| x )"
    ),
    rf"\b(?:but|sondern) {_FILL}{_GROUP}(?=[.,;!\n]|$)",
)
_RESULTS = (
    rf"(?:\b(?:i get|we get|gives|giving|makes|equals?|comes out as|comes to|leaves)\b|=){_FILL}{_GROUP}(?! ?[+*/^]| x )",
)
"""What comes out of a calculation, an option or not."""

_FIRST = re.compile(rf"\W{{0,8}}?(?P<group>{OPTION})(?!{_AND}{OPTION})(?= ?(?:[^\w ]|because\b|since\b|as\b|$))")
_LAST = re.compile(rf"\n[^\w\n]{{0,8}}?(?P<group>{OPTION})[^\w{MARKS['A']}-{OTHER}]{{0,20}}\Z")
_AT_LINE_START = re.compile(rf"\n[^\w\n{MARKS['A']}-{OTHER}]{{0,8}}({OPTION})")

_NOT = re.compile(
    r"\b(?:not|never|neither|nor|cannot|without|rather than|instead of|eliminate|exclude|rule out|discard|nicht|pas|no es)\b"
    r"|n't\b|不是|不选",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r"[.;:!?\n,]|\b(?:but|so|it's|sondern)\b", re.IGNORECASE)
_CLAUSE = 80
"""How many characters before an option are searched for a negation."""
_REJECTED = re.compile(
    rf"{_GROUP}[\s:|.\-\")(]{{0,6}}(?:\b(?:is|are|was|were|would be|can be|seems?|looks?)\b(?: \w{{1,20}})?? ?)?"
    rf"(?:\b(?:not(?!\W{{0,3}}{ANY})|n't|wrong|incorrect|false|too|ruled out|excluded|eliminated|impossible|no|out|cannot|can't"
    r"|isn't)\b|❌|✗|✘)",
    re.IGNORECASE,
)
_CORRECTION = re.compile(
    r"(?:^|[.!?…\n,-])\s?(?:but |oh,? |hmm,? )?(?:wait|actually|sorry|correction|apologies)\b"
    r"|\b(?:scratch that|i apologi[sz]e|i (?:made a mistake|was wrong|meant|mean|miscounted)|let me (?:re\w+|double[- ]?check))\b"
    rf"|(?:[.!?…\n]|\bbut) ?no[,:](?=[^.\n]{{0,200}}{OPTION})",
    re.IGNORECASE,
)
_TAKEN_BACK = re.compile(r"\b(?:wrong|incorrect|mistake|not right|not correct|isn't right)\b", re.IGNORECASE)


def named_options(reply: str, question: Question) -> frozenset[str]:
    """The letters that a reply supports at its end; empty for none or undecided, several if it says that several hold."""
    text = own_statements(plain(_ends(reply)), question.stem)
    said = marked(text, question)
    correction = max((match.end() for match in _CORRECTION.finditer(said)), default=0)
    if correction:
        corrected = _supported(said[correction:], question)
        if corrected is not None or _TAKEN_BACK.search(said, correction):
            return corrected or frozenset()
    return _supported(said, question) or _described(text, question)


def named_option(reply: str, question: Question) -> str | None:
    """The one option that a reply supports, or None where it supports none or more than one."""
    letters = named_options(reply, question)
    return next(iter(letters)) if len(letters) == 1 else None


def concluded_option(text: str, question: Question) -> str | None:
    """The one option that a text states as the answer: by a verdict, a conclusion or by itself, not by mentioning it."""
    said = marked(own_statements(plain(_ends(text)), question.stem), question)
    # Every first message of a user is read so, and most speak of no option.
    if not re.search(OPTION, said):
        return None
    statements = list(_statements(said, _rejections(said)))
    letters = max(statements, key=lambda each: (each.strength, each.end)).letters if statements else frozenset()
    return next(iter(letters)) if len(letters) == 1 else None


def _ends(reply: str) -> str:
    return reply if len(reply) <= 2 * _END else f"{reply[:_END]}\n{reply[-_END:]}"


def _supported(said: str, question: Question) -> frozenset[str] | None:
    """The options that the strongest and last statement supports; None if no option is spoken of."""
    rejected = _rejections(said)
    statements = list(_statements(said, rejected))
    if statements:
        return max(statements, key=lambda statement: (statement.strength, statement.end)).letters
    return _only_one_left(said, frozenset(rejected), question)


def _statements(said: str, rejected: Mapping[str, int]) -> Iterator[_Statement]:
    """The statements that name an option, or a number that is none, without what is rejected there or later."""
    for strength, match in _matches(said):
        letters = frozenset(LETTER_OF[mark] for mark in match["group"] if mark in LETTER_OF)
        kept = frozenset(letter for letter in letters if rejected.get(letter, -1) < match.start())
        if kept or not letters:
            undecided = len(kept) > 1 and _EITHER.search(match["group"])
            yield _Statement(strength, match.end(), frozenset() if undecided else kept)


def _matches(said: str) -> Iterator[tuple[_Strength, re.Match[str]]]:
    yield from ((_Strength.VERDICT, match) for match in _found(_VERDICTS, said))
    yield from ((_Strength.ALONE, match) for match in _standing_alone(said))
    # A number on the way to the answer is no answer.
    yield from ((_Strength.CONCLUSION, match) for match in _found(_CONCLUSIONS, said) if match["group"] != OTHER)


def _found(patterns: tuple[str, ...], said: str) -> Iterator[re.Match[str]]:
    for pattern in patterns:
        yield from re.finditer(pattern, said, re.IGNORECASE)


def _standing_alone(said: str) -> list[re.Match[str]]:
    """The option that a reply begins with and the one that is its last line, unless they differ or begin a list."""
    first, last = _FIRST.match(said), _LAST.search(said, max(0, len(said) - 40))
    if first and first["group"] == MARKS["A"] and any(mark != MARKS["A"] for mark in _AT_LINE_START.findall(said)):
        first = None
    found = [match for match in (first, last) if match]
    return found if len({match["group"] for match in found}) == 1 else []


def _rejections(said: str) -> dict[str, int]:
    """Where each option was rejected last."""
    places = {
        LETTER_OF[mark]: match.start()
        for match in _REJECTED.finditer(said)
        for mark in match["group"]
        if mark in LETTER_OF
    }
    for match in re.finditer(OPTION, said):
        clause = _CLAUSE_END.split(said[max(0, match.start() - _CLAUSE) : match.start()])[-1]
        if _NOT.search(clause):
            places[LETTER_OF[match[0]]] = max(match.start(), places.get(LETTER_OF[match[0]], 0))
    return places


def _only_one_left(said: str, rejected: frozenset[str], question: Question) -> frozenset[str] | None:
    """The only option that is mentioned and not rejected, else the only one that is not rejected.

    Where something comes out that is no option, as in `I get 1. 56 less 6`, what is merely mentioned is not the answer.
    """
    if any(match["group"] == OTHER for match in _found(_RESULTS, said)):
        return None
    standing = {LETTER_OF[mark] for mark in re.findall(OPTION, said)} - rejected - given(question)
    if standing:
        return frozenset(standing) if len(standing) == 1 else frozenset()
    left = frozenset(question.letters) - rejected
    return left if len(left) == 1 else None


# Options that say of two statements whether they hold, as in moral scenarios and in `Statement 1 | ... Statement 2 | ...`.

_OPPOSITE = {"wrong": "not wrong", "not wrong": "wrong", "true": "false", "false": "true"}
_VALUE = re.compile(r"(?:(?P<not>\bnot|n't)(?: \w{1,20}){0,2} |\b)(?P<value>wrong|true|false)\b", re.IGNORECASE)
_ABOUT = re.compile(
    r"\b(?P<only>only )?(?:the )?(?:(?:scenario|statement) (?P<number>[12])|(?P<word>first|second)|(?P<both>both|neither))\b"
    r"(?P<rest>(?:(?!\b(?:(?:scenario|statement) [12]|first|second)\b)[^.\n]){0,200})",
    re.IGNORECASE,
)


def _described(text: str, question: Question) -> frozenset[str]:
    """The option such as `Wrong, Not wrong` whose parts a text says of the first and of the second statement."""
    pairs = {choice.casefold(): letter for letter, choice in zip(question.letters, question.choices, strict=True)}
    if not all(set(pair.split(", ")) <= set(_OPPOSITE) for pair in pairs):
        return frozenset()
    values: dict[int, str] = {}
    for about in _ABOUT.finditer(text):
        if value := _VALUE.search(about["rest"]):
            values |= _said_of(about, value)
    return frozenset(pairs.get(f"{values.get(1)}, {values.get(2)}", ""))


def _said_of(about: re.Match[str], value: re.Match[str]) -> dict[int, str]:
    """What a clause says of statement 1, of statement 2, or of both."""
    said = value["value"].lower()
    if bool(value["not"]) != ((about["both"] or "").lower() == "neither"):
        said = _OPPOSITE[said]
    if about["both"]:
        return {1: said, 2: said}
    place = int(about["number"] or ("first", "second").index(about["word"].lower()) + 1)
    return {place: said, 3 - place: _OPPOSITE[said]} if about["only"] else {place: said}
