"""What names an option outright, from a verdict to a conclusion, in a plain text with marks.

| strength | such as |
|---|---|
| verdict | `The answer is B`, `B is correct`, `choose B`, a box with B, `B. 56 ✅` |
| alone | the reply begins with `B.`, or its last line is `B` |
| conclusion | `so B`, `it is B`, `= 56`, `that leaves B` |

Each pattern has the options that it names as its group `group`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from lm_eval_plugin.answers.languages import AND, ANSWER, BE, EITHER, RIGHT
from lm_eval_plugin.answers.option_marks import ANY, LETTER_OF, MARKS, OPTION, OTHER


class Strength(IntEnum):
    """How outright a statement names an option, from the weakest."""

    CONCLUSION = 1
    ALONE = 2
    VERDICT = 3


@dataclass(frozen=True, slots=True)
class Statement:
    """Where a statement ends, and the options that it supports: none if it leaves open which."""

    end: int
    letters: frozenset[str]


GROUP = rf"(?P<group>{ANY}(?:{AND}{ANY}){{0,9}})"
"""The pattern of the options that are named together."""

_FILL = (
    r"(?:[\s\"'(\[:|]|\b(?:definitely|clearly|probably|likely|most|simply|then|just|the|only|indeed|both|about"
    r"|approximately|exactly|actually|still|therefore|options?|statement|letter|la|le|el|die|a|o)\b){0,6}"
)
_NO_CALCULATION = r"(?! ?[+*/^]| x )"
_ANSWER_IS = rf"{ANSWER}(?:[^.\n:?!,{MARKS['A']}-{OTHER}]{{0,40}}?{BE})?{_FILL}{GROUP}"
_CHOICE = (
    r"(?:\b(?:choose|pick|select|go(?:ing)? (?:with|for)|stick with|settle on|opt for"
    r"|(?:i|i'd|i'll|would|let's|we) take|i'd|leans? towards?|wähle"
    rf"|elijo)\b|选|選){_FILL}{GROUP}"
)


def _compiled(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern) for pattern in patterns)


_VERDICTS = _compiled(
    # The answer is B.
    _ANSWER_IS,
    # The best option is B.
    rf"\b(?:correct|right|best|{RIGHT})\b(?: \w+)?,? ?{BE}{_FILL}{GROUP}",
    # I'd go with B.
    _CHOICE,
    # B is the right one.
    (
        rf"{GROUP} (?:is|are|must be|would be|seems|as)(?: (?:clearly|definitely|both|all|indeed|the|a|my|most)){{0,3}}"
        r" (?:correct|right|best|answer|the only|it)\b(?! (?:that|who|which)\b)"
    ),
    # B fits, but not: the nucleus holds the DNA.
    rf"{GROUP} (?:fits|applies|holds|wins)(?= (?:here|best|well|exactly|perfectly|the (?:facts|description|bill))\b|[.,;!)]|\n|$)",
    # B. 56 - yes
    rf"{GROUP}[\s:|.,\-\")=]{{0,6}}(?:✅|✓|✔|☑|\b(?:correct|yes|right|it is(?=[.!,]|\n|$))\b)",
)
OUTRIGHT = _compiled(
    # Of these it does not matter what the question asks for: `B is correct` may speak of a statement, `the answer is B` not.
    _ANSWER_IS,
    rf"\b(?:correct|right|best|false|incorrect|{RIGHT})\b(?: (?:answer|option|choice|letter|one))?,? ?{BE}{_FILL}{GROUP}",
    _CHOICE,
    (
        rf"{GROUP} (?:is|would be|must be|seems) (?:clearly |definitely )?(?:the|my) (?:right |correct |best |final )?"
        r"(?:answer|choice|option|one)\b(?! (?:that|who|which)\b)"
    ),
)
"""The verdicts that hold whatever a question asks for."""

_LEADS = (
    r"so|thus|therefore|hence|is|are|be|it's|its|that's|leaves|leaving|remains|say|think|guess|gives|giving|makes"
    r"|get|gets|equals?|works out (?:to|at)|adds? up to|totals?|averages(?: out)?(?: to)?|comes out (?:as|at|to)|amounts to"
    r"|come to|means|mean|matches|corresponds to|comes to|simplifies to|only|probably|closest to|nearest to|(?:known|described) as"
    r"|called|according to|(?:it|that|this) was|(?:instance|example|case|form|kind|type) of|constitutes|finally|down to"
    r"|ist|est|es|font|donc"
)
_CONCLUSIONS = _compiled(
    rf"(?:\b(?:{_LEADS})\b,?|=|≈|→|⇒|等于|是)(?: (?:in|at|on)\b)?{_FILL}{GROUP}{_NO_CALCULATION}",
    rf"\b(?:but|sondern) (?:from |by |in |with )?{_FILL}{GROUP}(?=[.,;!\n]|$)",
    # It stands for B, it was written by B, it describes B.
    rf"\b(?:it|that|this)(?:'s| is| was| stands| refers)(?: \w{{1,20}})? (?:by|for|to) (?:the )?{GROUP}",
    rf"\b(?:it|that|this) (?:describes|suggests|indicates|sounds like|looks like|points to) (?:the |an? )?{GROUP}",
    # The novel is by B. So the company must sell B.
    rf"\bthe \w{{2,15}} (?:is|was)(?: \w{{2,12}})? by (?:the )?{GROUP}",
    rf"\b(?:so|thus|therefore|hence),? [^.,;:\n={MARKS['A']}-{OTHER}]{{1,60}}?\b(?:must|should|will|has to|have to|needs? to|can)"
    rf" (?!be\b|not\b)\w{{2,12}} (?:at |for |to )?{GROUP}{_NO_CALCULATION}",
    # It is needed B: She needs B of them.
    rf"\b(?:you|we|they|he|she|one) needs? {_FILL}{GROUP}",
    rf"(?:^|[.!?\n] ?)(?:sounds|looks) like (?:the |an? )?{GROUP}",
    rf"\b(?:goes|rises?|falls?|grows?|increases?|decreases?|drops?|changes?)\b"
    rf"[^.\n{MARKS['A']}-{OTHER}]{{0,60}}(?:{OTHER}, )?\bto {GROUP}",
    rf"\b(?:exactly|in total|altogether),? {GROUP}",
)
_RESULTS = _compiled(
    rf"(?:\b(?:i get|we get|gives|giving|makes|equals?|comes out as|comes to|leaves)\b|=){_FILL}{GROUP}{_NO_CALCULATION}"
)
"""What comes out of a calculation, an option or not."""

_FIRST = re.compile(
    rf"\W{{0,8}}?(?:the |an? )?(?P<group>{OPTION})(?!{AND}{OPTION})(?!\)? ?[(=*/+^→x]\W)"
    rf"(?= ?(?:[^\w ]|because\b|since\b|as\b|(?:does|did|do)\b|[a-z]{{2,15}}[.,;!]|$))"
)
_LAST = re.compile(
    rf"(?:\n|(?<!say)(?<!says)[.!?:;] |\w - )[^\w\n]{{0,8}}?(?P<group>{OPTION})[^\w{MARKS['A']}-{OTHER}]{{0,20}}\Z"
)
_AT_LINE_START = re.compile(rf"\n[^\w\n{MARKS['A']}-{OTHER}]{{0,8}}({OPTION})")

_CLAUSE = 80
_REASON = re.compile(rf"{OPTION}[^.\n]{{0,60}}\b(?:because|since|as)\b[^.\n]{{0,80}}\Z")
"""`It is 225, because 10 x 15 = 150` gives a reason for what it said."""
_UNREAL = re.compile(
    rf"{ANY}[^.\n]{{0,30}}(?:\bwould\b|'d\b)[^.\n]{{0,30}}\Z"
    r"|\b(?:people|students|everyone|everybody|somebody)\b[^.\n]{0,30}\Z"
)
"""`250 would be 2.5 x 10^2` says what another option would take, `most people say 250` what others think."""
_GOES_ON = re.compile(
    r",? (?:but (?:we|you|this|that|the question)|so (?:take|add|subtract|you|we|now|go|try)|and now|now|you(?:'re| are| were)"
    r"|short\b|(?:and|or) (?:then )?(?:after|twice|finally)\b|for the first\b|after (?:one|two|three|the first)\b)",
)
"""`The area is 36, but we want the way around` is a step on the way."""


def statements(strength: Strength, said: str, rejected: Mapping[str, int]) -> Iterator[Statement]:
    """The statements of one strength that name an option, or a number that is none, without what is rejected there or later."""
    for match in _matches(strength, said):
        letters = _letters(match)
        kept = frozenset(letter for letter in letters if rejected.get(letter, -1) < match.start())
        if kept or not letters:
            undecided = len(kept) > 1 and EITHER.search(match["group"])
            yield Statement(match.end(), frozenset() if undecided else kept)


def outright(said: str, *, alone: bool) -> frozenset[str] | None:
    """The option of the last verdict that holds whatever a question asks for; None without one.

    Args:
        said: A plain text with marks.
        alone: Whether an option that the text begins or ends with is such a verdict, too.
    """
    named = [*_found(OUTRIGHT, said), *(_standing_alone(said) if alone else ())]
    ends = {match.end(): letters for match in named if len(letters := _letters(match)) == 1}
    return ends[max(ends)] if ends else None


def comes_to_no_option(said: str) -> bool:
    """Whether something comes out that is no option."""
    return any(match["group"] == OTHER for match in _found(_RESULTS, said))


def _letters(match: re.Match[str]) -> frozenset[str]:
    return frozenset(LETTER_OF[mark] for mark in match["group"] if mark in LETTER_OF)


def _matches(strength: Strength, said: str) -> Iterator[re.Match[str]]:
    if strength is Strength.VERDICT:
        yield from _found(_VERDICTS, said)
    elif strength is Strength.ALONE:
        yield from _standing_alone(said)
    else:
        yield from (match for match in _found(_CONCLUSIONS, said) if not _aside(match))


def _aside(match: re.Match[str]) -> bool:
    """Whether a conclusion is a number on the way to the answer, or stands in a reason for it."""
    said, start = match.string, match.start("group")
    before = said[max(0, start - 2 * _CLAUSE) : start]
    beside = _UNREAL.search(before) or _REASON.search(before) or _GOES_ON.match(said, match.end())
    return bool(beside) or not _letters(match)


def _found(patterns: Iterable[re.Pattern[str]], said: str) -> Iterator[re.Match[str]]:
    """Where one of the patterns stands."""
    for pattern in patterns:
        yield from pattern.finditer(said)


def _standing_alone(said: str) -> list[re.Match[str]]:
    """The option that a reply begins with and the one that is its last line, unless they differ or begin a list."""
    first, last = _FIRST.match(said), _LAST.search(said, max(0, len(said) - 40))
    if first and first["group"] == MARKS["A"] and any(mark != MARKS["A"] for mark in _AT_LINE_START.findall(said)):
        first = None
    alone = [match for match in (first, last) if match]
    return alone if len({match["group"] for match in alone}) == 1 else []
