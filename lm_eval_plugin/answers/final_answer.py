"""Reading the final answer out of what a user said.

It has a fixed form and is read strictly: a text that states no letter gives none. What an assistant says, in
whatever form, is read by `named_options`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lm_eval_plugin.dialogue.question import Question

_OPEN, _CLOSE = r"[\[(*_\"'`]*", r"[\])*_\"'`]*"
_LONE = r"(?![\w'’])"
# "A or B" and "A, and B" name two letters, which is none.
_NO_OTHER = (
    rf"(?!{_CLOSE}\s*(?:,|/|&|\bor\b|\band\b)\s*(?:(?:or|and)\s+)?{_OPEN}(?:[A-Z]{_LONE}|[a-z][\s\])*.]*(?:$|\n)))"
)
# A lone "I" is usually the pronoun and "A" the article, so they are letters only where no noun or verb can follow.
_LETTER = rf"(?P<letter>[B-HJ-Z]|[AI](?!\s+(?!(?:because|since|as|is)\b)[a-z])){_LONE}{_NO_OTHER}"

_FINAL = re.compile(r"[*_]*answer[*_]*\s*:[*_]*(?P<answer>.*)", re.IGNORECASE | re.DOTALL)
_ANSWER = re.compile(rf"\s*(?:(?i:option|choice)\b)?\s*{_OPEN}(?:{_LETTER}|(?P<small>[a-z])(?=[).:]|{_CLOSE}\s*$))")

_BECAUSE = re.compile(r"\b(?:because|since|as|for)\b", re.IGNORECASE)
_OTHER = re.compile(
    r"(?<![\w'’.])(?:([B-HJ-Z]|[AI](?!\s+(?!(?:because|since|as|is|or|and)\b)[a-z]))(?![\w'’])|([a-z])\))"
)
_TAKEN_BACK = re.compile(
    r"\b(?:not|never|wrong|false|incorrect|can(?:not|['’]t)|(?<!no )doubt)\b|n['’]t\b|\bno\b(?!\s+(?:doubt|question))",
    re.IGNORECASE,
)


ANSWER_HEAD = "Answer:"
"""With what a final answer begins."""


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """What a user answered: one of the question's letters, or None for an answer that names none of them."""

    letter: str | None


def final_answer(text: str, question: Question) -> FinalAnswer | None:
    """Read the user's final answer, `Answer: X`; None if the text is not one.

    Source: interactive-eval @ a90f773, where a reply that starts with `Answer: ` ends the dialogue and its first
    character must be one of the letters. Deviations: the letter must stand by itself, so `Answer: Because ...` does not
    answer B, and alone, so neither `Answer: A or B` nor `Answer: B is wrong` is one; emphasis, brackets, `option` before
    it, the case of `Answer` and a small letter that is marked as one (`b`, `b) 56`) do not matter.
    """
    match = _FINAL.match(text.strip())
    if match is None or not match["answer"].strip(" \t\r\n*_\"'`"):
        # Whoever writes the head and nothing behind it has not answered.
        return None
    found = _ANSWER.match(match["answer"])
    letter = found["letter"] or found["small"].upper() if found else None
    if found is None or letter is None or letter not in question.letters:
        return FinalAnswer(None)
    return FinalAnswer(None if _left_open(match["answer"][found.end() :], letter, question) else letter)


def behind_head(text: str, question: Question) -> str:
    """A text that was written behind `ANSWER_HEAD`, with that head in front unless it repeats it; nothing stays nothing."""
    return f"{ANSWER_HEAD} {text}" if text and final_answer(text, question) is None else text


def _left_open(rest: str, letter: str, question: Question) -> bool:
    """Whether what follows an answer's letter names another option or takes the answer back; reasons given for it do not.

    `A B C or D` and `B is wrong, isn't it?` are no answers; `B. 56` and `B because A is too small` are.
    """
    own = question.choices[question.letters.index(letter)].strip()
    said = _BECAUSE.split(rest.replace(own, " "), maxsplit=1)[0]
    others = {(match[1] or match[2]).upper() for match in _OTHER.finditer(said)} - {letter}
    first = re.split(r"[.!\n]", said.lstrip(" .):*_"), maxsplit=1)[0]
    return bool(others & set(question.letters)) or _TAKEN_BACK.search(first) is not None
