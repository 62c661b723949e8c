"""What a reply supports where the question asks for the option that is NOT so, is FALSE, or is LEAST so.

There `9 is not prime` names the answer and `2 is prime` does not. Read, in this order, after a verdict:

| said | such as |
|---|---|
| the lack | `B is not prime`, `B is false`, `all except B`, `B is the least dense` |
| elimination | every other option is said to have the property |
| a conclusion | `so B`, `it's B`, `that leaves B` |

What is denied must be what the question asks about: `Portugal is not in Africa` says nothing of Europe.
"""

from __future__ import annotations

import re

from lm_eval_plugin.answers.mentions import CLAUSE, content, content_shared, shares, words_besides
from lm_eval_plugin.answers.option_marks import LETTER_OF, MARKS, OPTION, OTHER
from lm_eval_plugin.answers.polarity import Polarity
from lm_eval_plugin.dialogue.question import Question

_X = rf"(?P<x>{OPTION})"
_BEFORE = r"(?:the |an? )?[\"'(*]{0,2}"
_BEHIND = r"[\"')\]*]{0,2}"
_ANSWER = r"(?:the )?(?:right |correct |best |final )?(?:answer|choice|option|one(?! of (?:them|the))|pick)\b"
_SUBJECT = (
    r"(?:^|(?<=[.!?;:\n])|(?<=[.!?;:\n,] )|(?<=\bbut )|(?<=\bonly )|(?<=\bwhile )|(?<=\bsince )|(?<=\bas ))(?:the )?"
)
_NO_VERDICT = rf"(?! (?:{_ANSWER}|(?:it|that|what|this|our|so|correct|right)\b))"
_BE = r"(?:is|are|was|were|does|do|did|has|have|had|can|could|will|would)"


def _compiled(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern) for pattern in patterns)


_DENIED = _compiled(
    # B is not prime, but not: B is not the answer.
    rf"{_X}{_BEHIND},? (?:\w+ ){{0,2}}?{_BE}(?:n't| not| never)\b{_NO_VERDICT}"
    r"(?P<rest>[^.;,\n]*)",
    rf"{_X}{_BEHIND} (?:cannot|never|lacks|has (?:none|no)|contains no|can't)\b(?! be (?:right|correct|it|the))"
    r"(?P<rest>[^.;,\n]*)",
)
_NOT_THAT = _compiled(
    # Morocco is in Africa, not in Europe. Morocco is in Africa while the others are in Europe. Only Morocco is outside Europe.
    rf"{_SUBJECT}{_X}{_BEHIND} [^.;\n{MARKS['A']}-{OTHER}]{{0,80}}?,? (?:and |but )?"
    rf"(?:not|outside)\b{_NO_VERDICT}(?P<rest>[^.;,\n]*)",
    rf"{_SUBJECT}{_X}{_BEHIND} [^.;\n]{{0,100}}\b(?:so|thus|and|which means|hence),? (?:he|she|it|they|this|that) "
    rf"{_BE}(?:n't| not){_NO_VERDICT}(?P<rest>[^.;,\n]*)",
    rf"{_X}{_BEHIND} [^.;\n{MARKS['A']}-{OTHER}]{{0,80}}?,? (?:while|whereas|unlike|but) (?:all )?(?:of )?(?:the )?"
    r"(?:others?|rest|other \w{2,9})\b(?P<rest>[^.;,\n]*)",
)
_EXCEPTED = _compiled(
    r"\b(?:except(?: for)?|other than|apart from|with the exception of|exception (?:is|being|here is)|odd one out is|but not"
    r"|\ball (?:of them )?but|\bevery(?:thing|one| one)? but"
    r"|(?:one|only one|option) (?:that is |that's )?(?:left|remaining) is)"
    rf":? (?:for )?{_BEFORE}{_X}",
    rf"\bonly {_BEFORE}{_X} {_BE}(?:n't| not)\b",
    rf"{_X}{_BEHIND} (?:is|was|would be) the (?:odd one out|exception|outlier)\b",
    rf"{_X}{_BEHIND} (?:does not|doesn't) (?:belong|fit)\b",
    # Newton lived from 1643 to 1727, so he did not.
    rf"{_SUBJECT}{_X}{_BEHIND} [^.;\n]{{0,100}}\b(?:so|thus|and|which means|hence),? (?:he|she|it|they|this|that) "
    rf"{_BE}(?:n't| not)(?=[.,;!]|\n|$)",
    r"\b(?:one|option|choice|number|item|statement|the \w{3,15}) (?:that|which|who) "
    r"[^.\n]{0,60}?(?:n't|not|never|false)\b[^.\n]{0,60}?"
    rf" (?:is|:) {_BEFORE}{_X}",
)
_FALSE = _compiled(
    rf"{_X}{_BEHIND}:? (?:(?:is|are|must be|seems|looks) )?(?:\w+ )?"
    r"(?:false|incorrect|wrong|untrue|inaccurate|a myth|not true|not correct|not accurate)\b",
    r"\b(?:false|incorrect|untrue|wrong|inaccurate) (?:one|option|statement|claim|choice|answer)?(?: here)? ?(?:is|:)(?: that)?"
    rf" {_BEFORE}{_X}",
)
_LEAST = _compiled(
    rf"{_X}{_BEHIND} (?:is|are|has|have|was|does)?(?: \w+){{0,3}}? ?(?:the )?(?:least|lowest|smallest|fewest|weakest|poorest)\b",
    rf"{_X}{_BEHIND}(?: \w+){{0,2}} (?:the )?least\b",
    rf"\b(?:least|lowest)(?: \w+){{0,3}} (?:is|:) {_BEFORE}{_X}",
    rf"{_X}{_BEHIND} [^.;\n{MARKS['A']}-{OTHER}]{{0,100}}, (?:so|which means|hence) (?:it|this|that)(?: is|'s) (?:the )?least\b",
)
_CONCLUDED = _compiled(
    r"\b(?:so|thus|therefore|hence|it's|it is|that's|that is|leaves|leaving|remains|must be"
    r"|would be|has to be|can only be|should be)\b,?"
    r"(?: (?:only|the|a|an|just|us with|option|choice|with|answer is)){0,4}"
    rf" [\"'(*]{{0,2}}{_X}(?!{_BEHIND} (?:is|are|has|was)\b)(?=[^+*/^]|$)",
)
_DENIAL = re.compile(r"\b(?:is|are|was|were|does|do|did|has|have|had|can|could)(?: not|n't)\b")
_NEGATION = re.compile(
    r"\b(?:not|never|no|none|nor|except|without|cannot|false|incorrect|wrong|untrue|only|other than|least|neither|answer|unlike)\b"
    r"|n't\b",
)
_TRUE = re.compile(r"\b(?:true|correct|right|accurate|holds?)\b|✅|✓|✔")


def lacking(said: str, question: Question, polarity: Polarity) -> frozenset[str] | None:
    """The options that a marked text says to lack what the question asks about, several if several; None if it says of none."""
    found = _said_to_lack(said, question, polarity) or _left(said, question, polarity) or _letters(_CONCLUDED, said)
    return found or None


def _said_to_lack(said: str, question: Question, polarity: Polarity) -> frozenset[str]:
    if polarity is Polarity.FALSE:
        return _letters((*_FALSE, *_EXCEPTED), said)
    if polarity is Polarity.LEAST:
        return _letters((*_LEAST, *_EXCEPTED), said) or _denied(said, question)
    return _letters(_EXCEPTED, said) or _denied(said, question)


def _letters(patterns: tuple[re.Pattern[str], ...], said: str) -> frozenset[str]:
    return frozenset(LETTER_OF[match["x"]] for pattern in patterns for match in pattern.finditer(said))


def _denied(said: str, question: Question) -> frozenset[str]:
    """The options of which it is denied that they have what the question asks about."""
    direct = {
        LETTER_OF[match["x"]]
        for pattern in _DENIED
        for match in pattern.finditer(said)
        if shares(match["rest"], question) or not words_besides(match["rest"], question)
    }
    direct |= {
        LETTER_OF[match["x"]]
        for pattern in _NOT_THAT
        for match in pattern.finditer(said)
        if content(question.stem) and shares(match["rest"], question)
    }
    for clause in CLAUSE.split(said):
        # Isaac Newton died in 1727, so he did not live in the 20th century.
        letters = {LETTER_OF[mark] for mark in re.findall(OPTION, clause)}
        denial = _DENIAL.search(clause)
        if len(letters) == 1 and denial and content_shared(clause[denial.end() :], question):
            direct |= letters
    return frozenset(direct)


def _left(said: str, question: Question, polarity: Polarity) -> frozenset[str]:
    """The only option that is not said to have the property, where every other one is."""
    others = len(question.letters) - 1
    if others < 2:
        return frozenset()
    has: set[str] = set()
    for clause in CLAUSE.split(said):
        letters = {LETTER_OF[mark] for mark in re.findall(OPTION, clause)}
        plain = not _NEGATION.search(clause) and (polarity is not Polarity.FALSE or _TRUE.search(clause))
        if plain and (len(letters) == others or polarity is Polarity.FALSE or shares(clause, question)):
            has |= letters
    left = frozenset(question.letters) - has
    return left if len(left) == 1 else frozenset()
