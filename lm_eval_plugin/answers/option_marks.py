"""Every mention of an option in a plain text as one character, its mark.

`The answer is B. 56, not (C)` and `the answer is the second option, not 58` both become `the answer is ②, not ③` (the real
marks are private characters of Unicode), so that whoever reads what is said of an option need not know how it was named.
What only looks like an option stays as it is: an article, a pronoun, a variable, `vitamin C`, a number that is calculated
with. A number that no option has becomes the mark `OTHER`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import lru_cache

from lm_eval_plugin.answers.judgements import of_judgements
from lm_eval_plugin.answers.option_texts import NUMBER, literal_with_unit, option_of, pattern_of, texts_of, values_of
from lm_eval_plugin.answers.plain_text import plain
from lm_eval_plugin.answers.quantities import LITERAL
from lm_eval_plugin.dialogue.question import LETTERS, Question

_FIRST = 0xE000
MARKS = {letter: chr(_FIRST + place) for place, letter in enumerate(LETTERS)}
OTHER = chr(_FIRST + len(LETTERS))
"""The mark of a number that is none of the options."""
OPTION = f"[{MARKS['A']}-{MARKS['Z']}]"
"""The pattern of an option's mark."""
ANY = f"[{MARKS['A']}-{OTHER}]"
"""The pattern of any mark."""
LETTER_OF = {mark: letter for letter, mark in MARKS.items()}

_CHINESE = "一-鿿぀-ヿ가-힣"
# Chinese, Japanese and Korean have no spaces around a letter.
_BEFORE, _AFTER = rf"(?<![^\W{_CHINESE}])", rf"(?![^\W{_CHINESE}])"
_CALCULATED_BEFORE = re.compile(r"(?:[\d)a-z] ?[-+*/^] ?| x |\^|\d[a-z] ?= ?)\Z")
_CALCULATED_AFTER = re.compile(r" ?[-+*/^] ?[\d(]| x [\d(]")
_AROUND = 8
_LITERAL = re.compile(LITERAL)
_SPACED = re.compile(r" [/x]|/ ")
"""How many characters on each side tell a number that is calculated with."""

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_ORDINAL = re.compile(
    rf"\b(?=[tfsenl\d])(?<!my )(?:the )?(?:(?P<word>{'|'.join(_ORDINALS)})|(?P<digits>\d{{1,2}})(?:st|nd|rd|th)|(?P<last>last))"
    r" (?:option|choice|answer|statement|one)\b"
    rf"|\b(?=t)the (?P<bare>{'|'.join(_ORDINALS)}|last)(?=[.!]? ?(?:\n|$))"
    r"|\b(?:option|choice|number) (?P<number>\d{1,2})(?!\d|\.\d)",
    re.IGNORECASE,
)

_NAMES_ONE = re.compile(
    r"(?:^|[.!?:,\n(] ?|\b(?:it's|its|that's|it is|that is|answer is|answer would be|choose|pick|select|take|with|for|say|so|be"
    r"|think|not) )\Z",
    re.IGNORECASE,
)
_AROUND_ONE = 24

_SMALL = re.compile(
    r"(?:^\W{0,3}|\b(?i:answer|answer's|it's|its|is|be|answer:|pick|choose|select) ?\(?|\()"
    r"(?P<letter>[a-z])(?=\)|[.:,!]?(?:\n|$|(?<=[.:,]) )|\Z)"
    r"|\b(?i:option|choice) \(?(?P<option>[a-z])\b(?!')",
    re.MULTILINE,
)
_CAPITAL = re.compile(
    r"(?P<title>\b(?i:options?|choice|answer|letter|statement|antwort|réponse|respuesta) )?"
    rf"\(?{_BEFORE}(?P<letter>[A-Z]){_AFTER}\)?"
)
_VARIABLE_BEFORE = re.compile(r"(?:[=+*/^<>\d] ?|\d -)\Z")
_VARIABLE_AFTER = re.compile(r" ?[=+*/^<>]| - ?[\dA-Z(]|'")
_ARTICLE_AFTER = re.compile(
    r" (?!(?:is|was|are|because|since|as|or|and|nor|but|not|here|too|rather|instead|remains|must|can|cannot|would|should"
    r"|isn't|can't|it|by|if|over)\b)[a-z]"
)
_PRONOUN_AFTER = re.compile(r"'|,| (?!(?:is|because|since|here)\b)\S")
_WORD_BEFORE = re.compile(r"([A-Za-zÀ-ɏ][\w']{1,30})[ \"'(\[*]{1,3}\Z")
_LEADS_TO_A_LETTER = re.compile(
    r"is|are|be|as|by|so|therefore|thus|hence|then|with|say|guess|think|either|neither|or|nor|and|but|not|both|than|of|in|on"
    r"|from|for|to|towards?|choose|pick|select|take|leaves|leaving|mean|remains|probably|maybe|likely|mostly|definitely|only|all"
    r"|just|again|that's|it's|its|hmm|best|answers?|answer's|reply|letter|for|correct|antwort|la|ist|est|es|réponse|respuesta|nicht|pas|und|oder|et|wähle"
    r"|cevap|svaret|svar|antwoord|risposta|resposta|är|er|je|to|jest|statement|has|it's|yes|right",
    re.IGNORECASE,
)
"""The words after which a capital by itself is an option; after another, as in `vitamin C`, it is part of a name."""

# What stands around an option's text has no case; without, and with one end for all options, their pattern is made faster.
_STARTS = r"(?-i:(?<![\w./\-√])(?<!\d,))"
_ENDS = rf"(?-i:{_AFTER})"
_NUMBERS_LISTED = re.compile(rf"{ANY}(?:, ?(?:and )?{ANY}){{2,}}")
_BETWEEN_LISTED = r"[\s.,;:|/\-*•()\"']{0,8}(?:and |or )?"
# `B. 56`, `56 (B)` and `B is 56` mention one option once.
_SAME_TWICE = re.compile(rf"({OPTION})(?!\) ?\()(?:[ .):(,|\"'\-]{{0,5}}(?:is |= ?)?\1){{1,9}}\)?")


def marked(text: str, question: Question) -> str:
    """The plain text with each mention of an option as its mark; where all options are listed, the list is left out."""
    text = re.sub(ANY, " ", text)
    if not any(_ORDINAL.search(choice) for choice in question.choices):
        text = _ORDINAL.sub(lambda match: _by_number(match, question), text)
    text = _by_text(question)(text)
    text = _SMALL.sub(lambda match: _by_small_letter(match, question), text)
    text = _CAPITAL.sub(lambda match: _by_capital(match, question), text)
    if with_unit := literal_with_unit(question):
        text = with_unit.sub(_equal(question), text)
    text = _LITERAL.sub(_equal_or_other(question), text)
    return _without_lists(_SAME_TWICE.sub(r"\1", text), question)


def given(question: Question) -> frozenset[str]:
    """The options that are numbers which the stem mentions too, so that speaking of them says little."""
    stem = plain(question.stem)
    return frozenset(
        letter
        for letter, text in texts_of(question).items()
        if NUMBER.fullmatch(text) and re.search(rf"(?<![\w.]){re.escape(text)}(?!\w|\.\w)", stem)
    )


@lru_cache(maxsize=256)
def _by_text(question: Question) -> Callable[[str], str]:
    """What puts marks for the options' texts: a longer text hides a shorter one, and one that options share is none."""
    texts = texts_of(question)
    count = Counter(text.casefold() for text in texts.values())
    usable = [
        letter
        for letter, text in texts.items()
        if text and count[text.casefold()] == 1 and not _is_letter(text, question)
    ]
    if not usable:
        return str
    usable.sort(key=lambda letter: len(texts[letter]), reverse=True)
    shapes = "|".join(f"(?P<{letter}>{pattern_of(texts[letter], question)})" for letter in usable)
    pattern = re.compile(f"{_STARTS}(?:{shapes}){_ENDS}", re.IGNORECASE)
    return lambda text: pattern.sub(
        lambda match: match[0] if _calculated(match) else MARKS[match.lastgroup or ""], text
    )


def _is_letter(text: str, question: Question) -> bool:
    return len(text) == 1 and text.upper() in question.letters


def _calculated(match: re.Match[str]) -> bool:
    """Whether a number or a variable is part of a calculation and not its result."""
    before = match.string[max(0, match.start() - _AROUND) : match.start()]
    after = match.string[match.end() : match.end() + _AROUND]
    short = len(match[0]) == 1 or NUMBER.fullmatch(match[0]) is not None
    goes_on = (short or match[0][-1].isdigit()) and _CALCULATED_AFTER.match(after)
    return bool(goes_on or (short and _CALCULATED_BEFORE.search(before)))


def _by_number(match: re.Match[str], question: Question) -> str:
    if (match["bare"] or match[0].lower().endswith("statement")) and of_judgements(question):
        # `The second` is a scenario there, or a statement.
        return match[0]
    if (match["bare"] or match[0].endswith(" one")) and not _NAMES_ONE.search(
        match.string[max(0, match.start() - _AROUND_ONE) : match.start()]
    ):
        # `Earth is the third one` is about planets, and so is `Earth is the third`.
        return match[0]
    digits, word = match["digits"] or match["number"], (match["word"] or match["bare"] or match["last"] or "").lower()
    place = int(digits) if digits else len(question.letters) if word == "last" else _ORDINALS.index(word) + 1
    return MARKS[LETTERS[place - 1]] if 1 <= place <= len(question.letters) else match[0]


def _by_small_letter(match: re.Match[str], question: Question) -> str:
    small = match["letter"] or match["option"]
    if small.upper() not in question.letters or small in texts_of(question).values():
        return match[0]
    return match[0][:-1] + MARKS[small.upper()]


def _by_capital(match: re.Match[str], question: Question) -> str:
    letter, before = match["letter"], match.string[max(0, match.start() - 40) : match.start()]
    after = match.string[match.end() : match.end() + 24]
    variable = _VARIABLE_BEFORE.search(before) or _VARIABLE_AFTER.match(after)
    if letter not in question.letters or variable:
        return match[0]
    if match[0] == letter and (_is_word(letter, after) or _in_name(before)):
        return match[0]
    return MARKS[letter]


def _is_word(letter: str, after: str) -> bool:
    """Whether it is the article or the pronoun."""
    return bool((letter == "A" and _ARTICLE_AFTER.match(after)) or (letter == "I" and _PRONOUN_AFTER.match(after)))


def _in_name(before: str) -> bool:
    word = _WORD_BEFORE.search(before)
    return word is not None and not _LEADS_TO_A_LETTER.fullmatch(word[1])


def _equal(question: Question) -> Callable[[re.Match[str]], str]:
    """What puts the mark of the option whose number a number with the options' unit equals, or comes to when rounded."""
    values = values_of(question)

    def mark(match: re.Match[str]) -> str:
        letter = option_of(match["number"], match["unit"], values)
        return match[0] if letter is None or match[0][:1].isalpha() else MARKS[letter]

    return mark


def _equal_or_other(question: Question) -> Callable[[re.Match[str]], str]:
    """What puts the mark of the option that a number equals, in whatever form it stands there, or the mark of no option."""
    values = values_of(question)

    def mark(match: re.Match[str]) -> str:
        before, after = (
            match.string[max(0, match.start() - 1) : match.start()],
            match.string[match.end() : match.end() + 1],
        )
        if before.isalnum() or after.isalpha() or _calculated(match):
            return match[0]
        letter = option_of(match[0], "", values)
        if letter is not None:
            return MARKS[letter]
        return NUMBER.sub(OTHER, match[0]) if _SPACED.search(match[0]) else OTHER

    return mark


def _without_lists(text: str, question: Question) -> str:
    """The text without the lists of all options in order, and with options among other numbers as such numbers."""
    if len(question.letters) > 2:
        every = _BETWEEN_LISTED.join(MARKS[letter] for letter in question.letters)
        text = re.sub(rf"{every}(?!\s?,?\s?{OPTION})", "\n", text)
    return _NUMBERS_LISTED.sub(lambda match: OTHER if OTHER in match[0] else match[0], text)
