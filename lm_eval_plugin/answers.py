"""Reading an answer out of what a user or an assistant said.

A user's final answer has a fixed form and is read strictly: a text that states no letter gives none. An assistant may
put it in any way, so a reply that could mean two options is undecided, not guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lm_eval_plugin.question import Question

_FINAL = re.compile(r"\**answer:\s*(?P<answer>.*)", re.IGNORECASE | re.DOTALL)
_LETTER = re.compile(
    r"""[\[(*]*(?P<letter>[A-Z])(?![\w'’])(?!\s*(?:,|/|&|\bor\b|\band\b)\s*(?:or\s+)?[\[(*]*[A-Z](?![\w'’]))
      | [\[(*]*(?P<small>[a-z])[\])*.]*\s*$""",
    re.VERBOSE,
)

_OPEN, _CLOSE = r"[\[(*\"']*", r"[\])*\"']*"
# A lone "I" is usually the pronoun, so it counts as a letter only where no further word follows.
_NAMED = rf"(?:\s*(?i:option|choice))?\s*{_OPEN}(?P<letter>[A-HJ-Z]|I(?!\s+[a-z]))(?![\w'’]){_CLOSE}"
_VERDICT = re.compile(
    rf"\b(?i:answer|(?:correct|right|best)\s+(?:option|choice))\b\s*(?i::|is|is:|would\s+be|should\s+be){_NAMED}"
)
_CONCLUSION = re.compile(
    rf"\b(?i:so|thus|therefore|hence|choose|pick|select|go\s+with|it\s+is|it's|that\s+is|must\s+be),?{_NAMED}"
)
_LEADING = re.compile(rf"\s*{_OPEN}(?P<letter>[A-Z])(?:{_CLOSE}[.):,]|[\])*\"']+\s|{_CLOSE}\s*$)")


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """What a user answered: one of the question's letters, or None for an answer that names none of them."""

    letter: str | None


def final_answer(text: str, question: Question) -> FinalAnswer | None:
    """Read the user's final answer, `Answer: X`; None if the text is not one.

    Source: interactive-eval @ a90f773, where a reply that starts with `Answer: ` ends the dialogue and its first
    character must be one of the letters. Deviations: the letter must stand by itself, so `Answer: Because ...` does not
    answer B; brackets around it, a small letter with nothing behind it and the case of `Answer` do not matter; two letters
    (`Answer: A or B`) are no answer.
    """
    match = _FINAL.match(text.strip())
    if match is None:
        return None
    found = _LETTER.match(match["answer"].strip())
    letter = found["letter"] or found["small"].upper() if found else None
    return FinalAnswer(letter if letter and letter in question.letters else None)


def named_option(reply: str, question: Question) -> str | None:
    """The one option that an assistant's reply names, or None where it names none or more than one.

    The most explicit statement counts: a verdict (`the answer is B`), else a conclusion (`so B`), else a letter that the
    reply begins with (`B. 56`), else the text of exactly one option.
    """
    for pattern in (_VERDICT, _CONCLUSION):
        stated = {match["letter"] for match in pattern.finditer(reply) if match["letter"] in question.letters}
        if stated:
            return stated.pop() if len(stated) == 1 else None
    leading = _LEADING.match(reply)
    if leading and leading["letter"] in question.letters:
        return leading["letter"]
    return _option_by_text(reply, question)


def _option_by_text(reply: str, question: Question) -> str | None:
    """The letter of the only option whose text stands in the reply as whole words; a longer option hides a shorter."""
    rest, found = reply, set()
    for letter, choice in sorted(zip(question.letters, question.choices, strict=True), key=lambda pair: -len(pair[1])):
        shape = re.compile(rf"(?<![\w.]){re.escape(choice.strip())}(?!\w|\.\d)", re.IGNORECASE)
        if shape.search(rest):
            found.add(letter)
            rest = shape.sub(" ", rest)
    return found.pop() if len(found) == 1 else None
