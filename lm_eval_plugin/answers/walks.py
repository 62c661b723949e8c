"""A walk through the options, one after the other, each with what speaks for or against it.

    A. Oxygen - this is given off, so incorrect.     - [ ] Oxygen        Oxygen: no.
    B. Carbon dioxide - taken up. Correct.           - [x] Carbon dioxide     Carbon dioxide: yes.

A part begins with an option at the start of a line or sentence and ends where the next part begins. It speaks for its option
(`correct`, `yes`, `✓`, `matches`), against it (`wrong`, `no`, `✗`, `does not apply`), or for neither. A walk supports the option
that alone is spoken for where most others are spoken against, or that alone is not spoken against. Where a question asks for
what is not so, the option that alone is spoken against is the answer, and only where all others are spoken for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lm_eval_plugin.answers.option_marks import LETTER_OF, OPTION, OTHER
from lm_eval_plugin.answers.polarity import Polarity
from lm_eval_plugin.dialogue.question import Question

_PART = re.compile(
    rf"(?:\A|\n|(?<=[.;!?] )|(?<=: )|(?<=, )(?={OPTION} ?[:✅✓✔☑❌✗✘(]))[ \-*•·>(\[\d.)]{{0,6}}(?P<box>[☑☐])? ?(?:statement |the )?"
    rf"(?P<option>{OPTION})",
)
_FOR = re.compile(
    r"[✅✓✔☑]|\b(?:correct|right|true|yes|fits|matches|applies|best|this is (?:it|the (?:answer|one))|accurate|valid)\b",
)
_AGAINST = re.compile(
    r"[❌✗✘☐]|\b(?:incorrect|wrong|false|not|no(?!t\b)|never|non-|unrelated|irrelevant|untrue|inaccurate|invalid|impossible|neither|nor"
    r"|cannot|fails?|lacks?|too (?:small|big|large|high|low))\b|n't\b",
)
_SIGN = re.compile(r"[✅✓✔☑❌✗✘☐]")
_LONGEST = 400
"""How many characters of a part are read; what speaks for or against an option stands near it."""


@dataclass(frozen=True, slots=True)
class Walk:
    """What a walk amounts to.

    Args:
        start: Where its last part begins.
        letters: The option that it supports; empty if it supports none.
        several: Whether it speaks for several options, so that what speaks for one of them is no verdict.
    """

    start: int
    letters: frozenset[str]
    several: bool = False


def walked(said: str, question: Question, polarity: Polarity) -> Walk | None:
    """What a walk through the options of a question supports; None for a text that is none."""
    parts = list(_PART.finditer(said))
    letters = [LETTER_OF[part["option"]] for part in parts]
    if len(parts) < max(2, len(question.letters) - 1) or len(set(letters)) < len(letters):
        return None
    ends = [part.start() for part in parts[1:]] + [len(said)]
    speaks = {
        letter: _speaks_for(f"{part['box'] or ''}{said[part.end() : min(end, part.end() + _LONGEST)]}")
        for letter, part, end in zip(letters, parts, ends, strict=True)
    }
    chosen = _lacking(speaks, question) if polarity is not Polarity.POSITIVE else _having(speaks, question)
    several = sum(each is True for each in speaks.values()) > 1
    return Walk(parts[-1].start(), frozenset({chosen} if chosen else ()), several)


def _speaks_for(part: str) -> bool | None:
    """Whether a part speaks for its option or against it; None where it does neither, or both."""
    signs = _SIGN.search(part)
    if signs:
        return signs[0] in "✅✓✔☑"
    own = re.split(rf"[{OPTION[1:-1]}{OTHER}]", part)[0] if re.match(rf".{{0,3}}{OPTION}", part) else part
    against, speaks = _AGAINST.search(own), _FOR.search(own)
    if against:
        return None if speaks and speaks.start() < against.start() else False
    return True if speaks else None


def _having(speaks: dict[str, bool | None], question: Question) -> str | None:
    named_for = [letter for letter, each in speaks.items() if each is True]
    against = {letter for letter, each in speaks.items() if each is False}
    others = len(question.letters) - 1
    if len(named_for) == 1 and 2 * len(against) >= others:
        return named_for[0]
    left = set(question.letters) - against
    return next(iter(left)) if not named_for and len(left) == 1 and len(against) == others else None


def _lacking(speaks: dict[str, bool | None], question: Question) -> str | None:
    against = [letter for letter, each in speaks.items() if each is False]
    named_for = [letter for letter, each in speaks.items() if each is True]
    return against[0] if len(against) == 1 and len(named_for) == len(question.letters) - 1 else None
