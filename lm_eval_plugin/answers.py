"""Reading an answer out of what a user or an assistant said.

A user's final answer has a fixed form and is read strictly: a text that states no letter gives none. An assistant may
put it in any way, so a reply that could mean two options is undecided, not guessed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

from lm_eval_plugin.question import Question

_OPEN, _CLOSE = r"[\[(*_\"']*", r"[\])*_\"']*"
_LONE = r"(?![\w'’])"
# "A or B" and "A, and B" name two letters, which is none.
_NO_OTHER = (
    rf"(?!{_CLOSE}\s*(?:,|/|&|\bor\b|\band\b)\s*(?:(?:or|and)\s+)?{_OPEN}(?:[A-Z]{_LONE}|[a-z][\s\])*.]*(?:$|\n)))"
)
# A lone "I" is usually the pronoun and "A" the article, so they are letters only where no noun or verb can follow.
_LETTER = rf"(?P<letter>[B-HJ-Z]|[AI](?!\s+(?!(?:because|since|as|is)\b)[a-z])){_LONE}{_NO_OTHER}"

_FINAL = re.compile(r"[*_]*answer[*_]*\s*:[*_]*(?P<answer>.*)", re.IGNORECASE | re.DOTALL)
_ANSWER = re.compile(rf"\s*(?i:option|choice)?\s*{_OPEN}(?:{_LETTER}|(?P<small>[a-z])(?=[).:]|{_CLOSE}\s*$))")

_NAMED = rf"(?:\s*(?i:option|choice))?\s*{_OPEN}{_LETTER}"
_VERDICT = re.compile(
    rf"\b(?i:answer|(?:correct|right|best)\s+(?:option|choice))\b[*_]*\s*(?i::|is:?|would\s+be|should\s+be)[*_]*{_NAMED}"
)
_BOXED = re.compile(r"\\boxed\{(?:\\text(?:bf)?\{)?\s*\(?(?P<letter>[A-Z])\)?\s*\}")
_CALLED_RIGHT = re.compile(
    rf"\b(?i:option|choice)?\s*{_OPEN}(?P<letter>[A-Z]){_LONE}{_CLOSE}\s+is\s+(?:correct|right)\b"
)
_CONCLUSION = re.compile(
    rf"\b(?i:so|thus|therefore|hence|choose|pick|select|go\s+with|it\s+is|it's|that\s+is|must\s+be),?{_NAMED}"
    # What is calculated with is a variable.
    r"(?!\s*[=+*/^<>]|\s+[-−]\s)"
)
_LEADING = re.compile(rf"\s*{_OPEN}{_LETTER}(?:{_CLOSE}[.):,]|[\])*_\"']+\s|{_CLOSE}\s*$)")
_CLAUSE_END = re.compile(r"[.,;:!?\n]|\bbut\b", re.IGNORECASE)
_NEGATION = re.compile(r"\b(?:not|never|neither|nor|cannot)\b|n['’]t\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """What a user answered: one of the question's letters, or None for an answer that names none of them."""

    letter: str | None


def final_answer(text: str, question: Question) -> FinalAnswer | None:
    """Read the user's final answer, `Answer: X`; None if the text is not one.

    Source: interactive-eval @ a90f773, where a reply that starts with `Answer: ` ends the dialogue and its first
    character must be one of the letters. Deviations: the letter must stand by itself, so `Answer: Because ...` does not
    answer B, and alone, so `Answer: A or B` is none; emphasis, brackets, `option` before it, the case of `Answer` and a
    small letter that is marked as one (`b`, `b) 56`) do not matter.
    """
    match = _FINAL.match(text.strip())
    if match is None:
        return None
    found = _ANSWER.match(match["answer"])
    letter = found["letter"] or found["small"].upper() if found else None
    return FinalAnswer(letter if letter and letter in question.letters else None)


def named_option(reply: str, question: Question) -> str | None:
    r"""The one option that an assistant's reply names, or None where it names none or more than one.

    The most explicit statement counts: a box (`\boxed{B}`), else a verdict (`the answer is B`, `B is correct`), else a
    conclusion (`so B`), else a letter that the reply begins with (`B. 56`), else the text of exactly one option. What a
    clause negates it does not name.
    """
    for pattern in (_BOXED, _VERDICT, _CALLED_RIGHT, _CONCLUSION):
        stated = {match["letter"] for match in pattern.finditer(reply) if not _negated(reply, match.start())}
        if pattern is _CONCLUSION:
            # A letter may be a variable here ("so P = 3"); in a verdict it is an option or a mistake.
            stated &= set(question.letters)
        if stated:
            return stated.pop() if len(stated) == 1 and stated <= set(question.letters) else None
    leading = _LEADING.match(reply)
    if leading and leading["letter"] in question.letters:
        return leading["letter"]
    return _option_by_text(reply, question)


def states_answer(text: str, question: Question) -> bool:
    """Whether a text says outright that one of the options is the answer: by letter, or by the option's text.

    Only a box, a verdict (`the answer is B`, `B is correct`, `the answer is 56`) or a line `Answer: B` counts.
    """
    if any((said := final_answer(line, question)) and said.letter for line in text.splitlines()):
        return True
    named = {
        match["letter"]
        for pattern in (_BOXED, _VERDICT, _CALLED_RIGHT)
        for match in pattern.finditer(text)
        if not _negated(text, match.start())
    }
    return bool(named & set(question.letters)) or any(
        re.search(rf"\banswer\s*(?:is|:|=)\s*{re.escape(choice.strip())}(?!\w)", text, re.IGNORECASE)
        for choice in question.choices
    )


def _negated(text: str, place: int) -> bool:
    """Whether a negation stands before the place in the same clause."""
    return _NEGATION.search(_CLAUSE_END.split(text[:place])[-1]) is not None


def _option_by_text(reply: str, question: Question) -> str | None:
    """The letter of the only option whose text stands in the reply as a whole; a longer option hides a shorter one."""
    letters = defaultdict(list)
    for letter, choice in zip(question.letters, question.choices, strict=True):
        letters[choice.strip().lower()].append(letter)
    rest, found = reply, []
    for choice in sorted(letters, key=len, reverse=True):
        shape = re.compile(rf"(?<![\w./−-])(?<!\d,){re.escape(choice)}(?!\w|[.,/]\d)", re.IGNORECASE)
        if any(not _negated(rest, match.start()) for match in shape.finditer(rest)):
            found += letters[choice]
        rest = shape.sub(" ", rest)
    return found[0] if len(found) == 1 else None
