r"""Which options of a question an assistant's reply supports: by letter, by text, by number, or several of them.

A reply is made plain (`plain_text`), its mentions of options become marks (`option_marks`), and then the strongest
statement about an option decides, of several the last:

| strength | such as |
|---|---|
| verdict | `The answer is B`, `B is correct`, `choose B`, `\boxed{B}`, `B. 56 ✅` |
| alone | the reply begins with `B.`, or its last line is `B` |
| conclusion | `so B`, `it is B`, `= 56`, `that leaves B` |
| mention | the only option that a clause asserts (`mentions`), or the only one that is left |

A reply that hints, rejects or asks back (`tutoring`) is read for verdicts alone. Where the question asks for what is not so,
false or least so (`polarity`), `negated` reads; pairs of judgements, as in moral scenarios, are read by `judgements`.

What a clause rejects (`not B`, `B is too small`) it does not support. After a correction (`Wait, ...`) what was said before
it no longer counts. `B or C` is undecided; `both B and C` supports both. A plain function of text: no model, no chance.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from lm_eval_plugin.answers.judgements import judged_option, of_judgements
from lm_eval_plugin.answers.mentions import asserted
from lm_eval_plugin.answers.negated import lacking
from lm_eval_plugin.answers.option_marks import ANY, LETTER_OF, MARKS, OPTION, OTHER, given, marked
from lm_eval_plugin.answers.plain_text import own_statements, plain
from lm_eval_plugin.answers.polarity import Polarity, polarity_of
from lm_eval_plugin.answers.tutoring import leaves_it_to_the_user, suggests_a_step
from lm_eval_plugin.dialogue.question import Question

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
        rf"(?:\b(?:answers?|solution|antwort|lösung|respuesta|réponse)(?:'s)?\b|答案)"
        rf"(?:[^.\n:?!,{MARKS['A']}-{OTHER}]{{0,40}}?{_IS})?{_FILL}{_GROUP}"
    ),
    # The best option is B.
    rf"\b(?:correct|right|best|richtig|correcta)\b(?: \w+)?,? ?{_IS}{_FILL}{_GROUP}",
    # I'd go with B.
    (
        r"(?:\b(?:choose|pick|select|go(?:ing)? (?:with|for)|stick with|settle on|take|opt for|i'd|leans? towards?|wähle"
        rf"|elijo)\b|选){_FILL}{_GROUP}"
    ),
    # B is the right one.
    (
        rf"{_GROUP} (?:is|are|must be|would be|seems|as)(?: (?:clearly|definitely|both|all|indeed|the|a|my|most)){{0,3}}"
        r" (?:correct|right|best|answer|the only|it)\b"
    ),
    # B fits.
    rf"{_GROUP} (?:fits|applies|holds|wins)\b",
    # B. 56 - yes
    rf"{_GROUP}[\s:|.,\-\")=]{{0,6}}(?:✅|✓|✔|☑|\b(?:correct|yes|right|it is)\b)",
)
_OUTRIGHT = (
    # Of these it does not matter what the question asks for: `B is correct` may speak of a statement, `the answer is B` not.
    _VERDICTS[0],
    r"\b(?:correct|right|best|false|incorrect)\b(?: (?:answer|option|choice|letter))?,? ?" + rf"{_IS}{_FILL}{_GROUP}",
    _VERDICTS[2],
    (
        rf"{_GROUP} (?:is|would be|must be|seems) (?:clearly |definitely )?(?:the|my) (?:right |correct |best |final )?"
        r"(?:answer|choice|option|one)\b"
    ),
)
_CONCLUSIONS = (
    (
        r"(?:\b(?:so|thus|therefore|hence|is|are|be|it's|its|that's|leaves|leaving|remains|say|think|guess|gives|giving|makes"
        r"|get|gets|equals?|works out (?:to|at)|adds? up to|totals?|averages(?: out)?(?: to)?|comes out (?:as|at|to)|amounts to"
        r"|come to|means|mean|matches|corresponds to|comes to|simplifies to|only|probably|ist|est|es|font|donc)\b,?"
        rf"|=|≈|等于|是)(?: (?:in|at|on)\b)?{_FILL}{_GROUP}(?! ?[+*/^]| x )"
    ),
    rf"\b(?:but|sondern) (?:from |by |in |with )?{_FILL}{_GROUP}(?=[.,;!\n]|$)",
    # It stands for B, it was written by B.
    rf"\b(?:it|that|this)(?:'s| is| was| stands| refers)(?: \w{{1,20}})? (?:by|for|to) (?:the )?{_GROUP}",
)
_RESULTS = (
    rf"(?:\b(?:i get|we get|gives|giving|makes|equals?|comes out as|comes to|leaves)\b|=){_FILL}{_GROUP}(?! ?[+*/^]| x )",
)
"""What comes out of a calculation, an option or not."""

_FIRST = re.compile(
    rf"\W{{0,8}}?(?i:the |an? )?(?P<group>{OPTION})(?!{_AND}{OPTION})(?= ?(?:[^\w ]|because\b|since\b|as\b|(?:does|did|do)\b|$))"
)
_LAST = re.compile(
    rf"(?:\n|(?<!say)(?<!says)[.!?:;] |\w - )[^\w\n]{{0,8}}?(?P<group>{OPTION})[^\w{MARKS['A']}-{OTHER}]{{0,20}}\Z"
)
_AT_LINE_START = re.compile(rf"\n[^\w\n{MARKS['A']}-{OTHER}]{{0,8}}({OPTION})")

_NOT = re.compile(
    r"\b(?:not|never|neither|nor|cannot|without|rather than|instead of|eliminate|exclude|rule out|discard|nicht|pas|no es)\b"
    r"|n't\b|不是|不选",
    re.IGNORECASE,
)
_SERIES = re.compile(rf"{OPTION}(?:{_AND}(?:and |or |nor )?(?:the )?{OPTION}){{1,9}}", re.IGNORECASE)
_EITHER_OF = re.compile(r"\b(?:or|nor|oder|ou|and)\b", re.IGNORECASE)
_CLAUSE_END = re.compile(r"[.;:!?\n,]|\b(?:but|so|it's|sondern)\b", re.IGNORECASE)
_CLAUSE = 80
"""How many characters before an option are searched for a negation."""
_REJECTED = re.compile(
    rf"{_GROUP}[\s:|.\-\")(]{{0,6}}(?:\b(?:is|are|was|were|would be|can be|seems?|looks?)\b(?: \w{{1,20}})?? ?)?"
    rf"(?:\b(?:not(?!\W{{0,3}}{ANY})|n't|wrong|incorrect|false|too|ruled out|excluded|eliminated|impossible|no|out|cannot|can't"
    r"|isn't)\b|❌|✗|✘)",
    re.IGNORECASE,
)
_REASON = re.compile(rf"{OPTION}[^.\n]{{0,60}}\b(?:because|since|as)\b[^.\n]{{0,80}}\Z")
"""`It is 225, because 10 x 15 = 150` gives a reason for what it said."""
_UNREAL = re.compile(
    rf"{ANY}[^.\n]{{0,30}}(?:\bwould\b|'d\b)[^.\n]{{0,30}}\Z"
    r"|\b(?:people|students|everyone|everybody|somebody)\b[^.\n]{0,30}\Z"
)
"""`250 would be 2.5 x 10^2` says what another option would take, `most people say 250` what others think."""
_GOES_ON = re.compile(
    r",? (?:but (?:we|you|this|that|the question)|so (?:take|add|subtract|you|we|now|go|try)|and now|now|you(?:'re| are| were)"
    r"|short\b)",
    re.IGNORECASE,
)
"""`The area is 36, but we want the way around` is a step on the way."""
_CORRECTION = re.compile(
    r"(?:^|[.!?…\n,-])\s?(?:but |oh,? |hmm,? )?(?:wait|actually|sorry|correction|apologies)\b"
    r"|\b(?:scratch that|i apologi[sz]e|i (?:made a mistake|was wrong|meant|mean|miscounted)|let me (?:re\w+|double[- ]?check))\b"
    rf"|(?:[.!?…\n]|\bbut) ?no[,:](?=[^.\n]{{0,200}}{OPTION})",
    re.IGNORECASE,
)
_TAKEN_BACK = re.compile(r"\b(?:wrong|incorrect|mistake|not right|not correct|isn't right)\b", re.IGNORECASE)


def named_options(reply: str, question: Question) -> frozenset[str]:
    """The letters that a reply supports at its end; empty for none or undecided, several if it says that several hold."""
    whole = plain(_ends(reply))
    text = own_statements(whole, question.stem)
    said = marked(text, question)
    reading = _Reading(question, polarity_of(question.stem), leaves_it_to_the_user(whole), whole)
    if of_judgements(question):
        return _outright(said, reading) or judged_option(text, question) or _supported(said, reading) or frozenset()
    correction = max((match.end() for match in _CORRECTION.finditer(said)), default=0)
    if correction:
        corrected = _supported(said[correction:], reading)
        if corrected is not None or _TAKEN_BACK.search(said, correction):
            return corrected or frozenset()
    return _supported(said, reading) or frozenset()


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


@dataclass(frozen=True, slots=True)
class _Reading:
    """What decides how a text about a question is read.

    Args:
        question: The question.
        polarity: What it asks for.
        guides: Whether the reply leaves the answer to the user, so that only a verdict counts.
        whole: The reply in plain form; one that suggests a step is read for more than mere mentions.
    """

    question: Question
    polarity: Polarity
    guides: bool
    whole: str


def _supported(said: str, reading: _Reading) -> frozenset[str] | None:
    """The options that the strongest and last statement supports; None if no option is spoken of."""
    if reading.polarity is not Polarity.POSITIVE:
        outright = _outright(said, reading)
        return outright if outright is not None or reading.guides else lacking(said, reading.question, reading.polarity)
    rejected = _rejections(said)
    statements = [
        each for each in _statements(said, rejected) if not reading.guides or each.strength is _Strength.VERDICT
    ]
    if statements:
        return max(statements, key=lambda statement: (statement.strength, statement.end)).letters
    return None if reading.guides else _only_one_left(said, frozenset(rejected), reading)


def _outright(said: str, reading: _Reading) -> frozenset[str] | None:
    """The options of the last verdict, or of a letter that stands alone, whatever the question asks for; None without one."""
    statements = [
        _Statement(
            _Strength.VERDICT, match.end(), frozenset(LETTER_OF[mark] for mark in match["group"] if mark in LETTER_OF)
        )
        for match in (*_found(_OUTRIGHT, said), *(() if reading.guides else _standing_alone(said)))
    ]
    kept = [each for each in statements if len(each.letters) == 1]
    return max(kept, key=lambda each: each.end).letters if kept else None


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
    # A number on the way to the answer is no answer, and neither is one in a reason for it.
    for match in _found(_CONCLUSIONS, said):
        before = said[max(0, match.start("group") - 2 * _CLAUSE) : match.start("group")]
        aside = _UNREAL.search(before) or _REASON.search(before) or _GOES_ON.match(said, match.end())
        if match["group"] != OTHER and not aside:
            yield _Strength.CONCLUSION, match


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
            # `Not A, B or C` rejects all of them, `not A, B` the first.
            series = _SERIES.match(said, match.start())
            for mark in re.findall(OPTION, series[0]) if series and _EITHER_OF.search(series[0]) else match[0]:
                places[LETTER_OF[mark]] = max(match.start(), places.get(LETTER_OF[mark], 0))
    return places


def _only_one_left(said: str, rejected: frozenset[str], reading: _Reading) -> frozenset[str] | None:
    """The only option that a sentence asserts, else the only one that is not rejected; None without one.

    Where something comes out that is no option, as in `I get 1. 56 less 6`, what is merely mentioned is not the answer.
    """
    if any(match["group"] == OTHER for match in _found(_RESULTS, said)):
        return None
    found = asserted(said, reading.question, rejected | given(reading.question))
    if found and not suggests_a_step(reading.whole):
        return found if len(found) == 1 else frozenset()
    left = frozenset(reading.question.letters) - rejected
    return left if len(left) == 1 else None
