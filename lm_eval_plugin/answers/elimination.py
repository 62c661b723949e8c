"""Which options a plain text with marks rejects, and which it puts before all others.

| said | such as |
|---|---|
| a rejection | `not B`, `B is too small`, `we can rule out B and C`, `B ❌` |
| a preference | `B rather than C`, `unlike C, B ...`: C is rejected |
| a comparison | `B is closer than C, A and D`, asked which is closest |

`Not A, B or C` rejects all of them, `not A, B` the first. What is rejected supports nothing; the only option that is not
rejected is the answer.
"""

from __future__ import annotations

import re

from lm_eval_plugin.answers.languages import AND, NOT
from lm_eval_plugin.answers.option_marks import ANY, LETTER_OF, OPTION
from lm_eval_plugin.dialogue.question import Question

_GROUP = rf"(?P<group>{ANY}(?:{AND}{ANY}){{0,9}})"
_NOT = re.compile(
    r"\b(?:not|never|neither|nor|cannot|without|rather than|instead of|unlike|as opposed to|eliminat\w{1,3}|exclud\w{1,3}"
    rf"|rul(?:e|ed|ing) out|discard\w{{0,3}}|{NOT})\b|n't\b|不是|不选|ではな",
)
_SERIES = re.compile(rf"{OPTION}(?:{AND}(?:and |or |nor |not |the |nicht ){{0,2}}{OPTION}){{1,9}}")
_EITHER_OF = re.compile(r"\b(?:or|nor|oder|ou|and|und|et|y)\b")
_CLAUSE_END = re.compile(r"[.;:!?\n,]|\b(?:but|so|it(?:'s| is| was)|sondern)\b")
_CLAUSE = 80
"""How many characters before an option are searched for a negation."""
_REJECTED = re.compile(
    rf"{_GROUP}[\s:|.\-\")(]{{0,6}}(?:\b(?:is|are|was|were|would be|can be|seems?|looks?)\b(?: \w{{1,20}})?? ?)?"
    rf"(?:\b(?:not(?!\W{{0,3}}{ANY})|n't|wrong|incorrect|false|too|ruled out|excluded|eliminated|impossible|no|out|off|cannot|can't"
    r"|isn't)\b|❌|✗|✘)",
)
_AS_WELL = re.compile(
    rf"(?:ruled out|excluded|eliminated|wrong|incorrect|false),? and so (?:can|is|are|was|were) {_GROUP}"
)
_COMPARATIVE = r"(?:(?P<word>[a-z]{2,20}er)|more (?P<much>[a-z]{3,20}))\b"
_COMPARED = re.compile(
    rf"(?P<one>{OPTION}) (?:is|are|was|were|has|have|lies|comes)(?: \w{{1,12}}){{0,2}}? {_COMPARATIVE}"
    rf"[^.;\n{ANY[1:-1]}]{{0,60}}\bthan "
    rf"(?P<others>(?:all|any) (?:of )?(?:the |other)|(?:the )?{ANY}(?:{AND}(?:the )?{ANY}){{0,9}})",
)
_SUPERLATIVE = re.compile(r"\b(?P<word>[a-z]{2,20})est\b|\bmost (?P<much>[a-z]{3,20})")


def rejections(said: str) -> dict[str, int]:
    """Where each option was rejected last."""
    places: dict[str, int] = {}
    for pattern in (_REJECTED, _AS_WELL):
        for match in pattern.finditer(said):
            for mark in match["group"]:
                if mark in LETTER_OF:
                    places[LETTER_OF[mark]] = max(match.start(), places.get(LETTER_OF[mark], 0))
    for match in re.finditer(OPTION, said):
        clause = _CLAUSE_END.split(said[max(0, match.start() - _CLAUSE) : match.start()])[-1]
        if _NOT.search(clause):
            series = _SERIES.match(said, match.start())
            for mark in re.findall(OPTION, series[0]) if series and _EITHER_OF.search(series[0]) else match[0]:
                places[LETTER_OF[mark]] = max(match.start(), places.get(LETTER_OF[mark], 0))
    return places


def compared(said: str, question: Question) -> frozenset[str]:
    """The option that is said to have more than every other of what the question asks the most of; empty without one."""
    asked = {(match["word"] or match["much"]).lower() for match in _SUPERLATIVE.finditer(question.stem.lower())}
    most: set[str] = set()
    for match in _COMPARED.finditer(said) if asked else ():
        said_of = (match["word"] or "").lower().removesuffix("er") or (match["much"] or "").lower()
        one, others = LETTER_OF[match["one"]], {LETTER_OF[mark] for mark in re.findall(OPTION, match["others"])}
        everyone = not others or len(others | {one}) == len(question.letters)
        if everyone and said_of in asked and not _NOT.search(match[0]):
            most.add(one)
    return frozenset(most) if len(most) == 1 else frozenset()
