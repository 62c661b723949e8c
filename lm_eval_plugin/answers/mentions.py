"""Which option a reply asserts where it gives no verdict: in a clause that takes up what the question asks.

`Insulin is made by the pancreas` takes up the question of what makes insulin; `The liver stores glucose` merely mentions an
option. A clause asserts an option if it names no other that is not rejected and holds half of the question's own words, or
its superlative. It does not where it denies something (`the deepest, but not the longest`), speaks of a part or of what would
be, or says of the option something else besides (`100 °C is the boiling point of water`, asked for that of ethanol).
"""

from __future__ import annotations

import re
from functools import lru_cache

from lm_eval_plugin.answers.option_marks import LETTER_OF, OPTION, OTHER
from lm_eval_plugin.dialogue.question import Question

CLAUSE = re.compile(
    r"[.!?;](?=\s|$)|\n+|,? \b(?:but|while|whereas|although|though|however|yet)\b"
    # Although Venus is hotter, Mercury is closest: the comma ends the first clause.
    rf"|(?:(?<=\n)|(?<=\. )|\A)(?:although|though|while|whereas|even though|unlike|in contrast to|rather than)\b[^.,;\n]{{0,120}},"
    # Toronto is the largest city, Ottawa is the capital.
    rf"|, (?:and )?(?=(?:the )?{OPTION} (?!and\b|or\b|nor\b)[a-z])",
)
"""What ends a clause of a plain text with marks."""

_WORD = re.compile(r"[^\W\d_]{3,}")
_SAME = 5
"""Words that begin with the same five letters are taken for the same word: `produces` and `production`."""
_ENDING = re.compile(r"(?:ing|ed|es|s|e)$")
_SHORTEST = 3
_EMPTY_WORDS = """
the and which what who whom whose when where why how does did has have had was were are can could will would should may might
must this that these those following statement statements option options choice choices answer correct true best one most
many much type kind called known being been its their there than from with for into about above below all any not except
among place says state states
stand take takes around
"""
_EMPTY = frozenset(_EMPTY_WORDS.split())
_SUPERLATIVE = re.compile(
    r"(?P<next>\b(?:second|third|fourth|fifth|next|\d(?:nd|rd|th)) )?(?P<word>\b[^\W\d_]{3,}est\b|\b(?:most|least) [^\W\d_]{3,})",
)
_NO_SUPERLATIVE = frozenset(
    [
        "interest",
        "forest",
        "test",
        "best",
        "request",
        "harvest",
        "west",
        "protest",
        "contest",
        "guest",
        "nest",
        "rest",
        "digest",
    ]
)
_DENIED = re.compile(r"\b(?:not|never|no(?!,)|nor|cannot)\b|n't\b")
_UNREAL = re.compile(
    r"\b(?:would|you'd|it'd|they'd|could|might|guess|common|often|people (?:say|think)|many think|only|just|alone|half|part"
    r"|too|less than|more than|what you|you get by|comes from|twice|double|triple|plus|minus|times|forget|careful|confuse\w*"
    r"|also|reverse|opposite)\b",
)
_ABOUT_IT = re.compile(
    rf"{OPTION}(?: (?:who|that|which))? (?P<verb>[a-z]+) (?:it|this|that|them)\b"
    rf"|\b(?:it|this|that) (?:is|was|were) (?P<passive>[a-z]+) (?:by|in|from) (?:the )?{OPTION}",
)
_VALUE_OF = re.compile(
    rf"(?<!\bof the )(?<!\bof )\b(?P<word>[a-z]{{3,20}}) (?:is|was|were|are|equals) (?:[a-z]{{1,12}} ){{0,2}}?{OPTION}",
)
_AS_SUBJECT = re.compile(rf"(?:^|[,:] ?)\W{{0,3}}(?:the |an? )?{OPTION}[\"')]? (?P<rest>[a-z'][^,]*)")
_REASON = re.compile(r"\b(?:because|since|as|which|where|after|before|around)\b.*", re.DOTALL)
_KIND = re.compile(r"\b(?:which|what)(?: of (?:these|the following))? (?P<kind>[^\W\d_]{3,20})")
_FEW_WORDS = 4
_MANY = 3
"""Words of the question that a clause takes up by no chance."""


def asserted(said: str, question: Question, rejected: frozenset[str]) -> frozenset[str]:
    """The options that the clauses of a marked text assert."""
    found: set[str] = set()
    subject = _AS_SUBJECT.search(said)
    alone = subject is None or len(said.split()) <= _FEW_WORDS // 2 or not _says_besides(subject["rest"], question)
    if alone and len(said.split()) <= _FEW_WORDS and not _UNREAL.search(said) and not _DENIED.search(said):
        # A reply that says hardly anything else.
        found |= {LETTER_OF[mark] for mark in re.findall(OPTION, said)} - rejected
    for clause in CLAUSE.split(said):
        letters = {LETTER_OF[mark] for mark in re.findall(OPTION, clause)} - rejected
        if len(letters) == 1 and _asserts(clause, question):
            found |= letters
    return frozenset(found)


def shares(text: str, question: Question) -> bool:
    """Whether a text takes up a word of a question that says what it is about; true of a question that has none."""
    own = content(question.stem)
    return not own or bool(own & _stems(text))


def content_shared(text: str, question: Question) -> bool:
    """Whether a text holds at least half of the words of a question that say what it is about."""
    own = content(question.stem)
    return len(own & _stems(text)) * 2 >= len(own) > 0


@lru_cache(maxsize=256)
def content(stem: str) -> frozenset[str]:
    """The beginnings of the words of a question that say what it is about."""
    return _stems(stem)


def words_besides(text: str, question: Question) -> bool:
    """Whether a text has words that say something and are none of the question's."""
    return bool(_stems(text) - content(question.stem))


def _asserts(clause: str, question: Question) -> bool:
    if _DENIED.search(clause) or any(match[0] not in question.stem.lower() for match in _UNREAL.finditer(clause)):
        return False
    subject = _AS_SUBJECT.search(clause)
    own = content(question.stem)
    if not own:
        # Of a bare number only what it is can be said, and that may be anything.
        return subject is None and OTHER not in clause and not re.search(r"\d", clause)
    if _answers(clause, own) or _superlatives(question.stem) & _superlatives(clause) or _takes_up(clause, question):
        return True
    if subject is not None and _says_besides(subject["rest"], question):
        return False
    told = _REASON.sub("", clause)
    shared, besides = own & _stems(clause), OTHER in told or words_besides(told, question)
    # What takes up just half of the question and speaks of something else besides may answer another one.
    return len(shared) * 2 > len(own) or (len(shared) * 2 == len(own) and not besides)


def _takes_up(clause: str, question: Question) -> bool:
    """Whether a clause says all that is asked, or so much that what it says besides only adds to it."""
    own, said = content(question.stem), _stems(clause)
    asked = own - _kind(question.stem)
    return (len(asked) > 1 and asked <= said) or (len(own & said) >= _MANY and len(own & said) * 2 > len(own))


@lru_cache(maxsize=256)
def _kind(stem: str) -> frozenset[str]:
    """What kind of thing a question asks for, which an answer need not repeat: `gas` in `Which gas do plants take up?`."""
    match = _KIND.search(stem.lower())
    return _stems(match["kind"]) if match else frozenset()


def _says_besides(rest: str, question: Question) -> bool:
    """Whether what is said of an option, before any reason, has a number or words that are not the question's."""
    told = _REASON.sub("", rest)
    return OTHER in told or words_besides(told, question)


def _answers(clause: str, own: frozenset[str]) -> bool:
    """Whether a clause says what something of the question is, or who or what did it."""
    value, about = _VALUE_OF.search(clause), _ABOUT_IT.search(clause)
    told = [value["word"]] if value is not None else []
    told += [about["verb"] or about["passive"]] if about is not None else []
    return any(_stem(word.lower()) in own for word in told)


def _stems(text: str) -> frozenset[str]:
    return frozenset(_stem(word) for word in map(str.lower, _WORD.findall(text)) if word not in _EMPTY)


def _stem(word: str) -> str:
    """What words that differ in their ends have in common: `makes` and `making`, `produces` and `production`."""
    short = _ENDING.sub("", word)
    return (short if len(short) >= _SHORTEST else word)[:_SAME]


def _superlatives(text: str) -> frozenset[str]:
    found = (match["word"].lower() for match in _SUPERLATIVE.finditer(text.lower()) if not match["next"])
    return frozenset(word for word in found if word not in _NO_SUPERLATIVE)
