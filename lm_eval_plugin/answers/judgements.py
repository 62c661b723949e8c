"""Two judgements that make up one option: of two scenarios whether they are wrong, of two statements whether they are true.

`Scenario 1 is fine, but the second is clearly wrong` is `Not wrong, Wrong`. A text is read clause by clause; a clause says of
whom it speaks (the first, the second, both, neither), what it says, or one of the two, and what it lacks comes from the clause
before:

| a clause | says |
|---|---|
| `Scenario 1 is wrong` | that of the first |
| `Only the first is wrong` | that of the first, and the opposite of the second |
| `Neither is wrong` | the opposite of both |
| `but Scenario 2 is not`, `the second isn't` | of the second the opposite of what was spoken of |
| `and so is the second` | of the second what was said last |
| `In Scenario 1,` and then `the act is wrong` | that of the first |

Of several judgements of one scenario the last counts. An option is read only where both are judged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from lm_eval_plugin.dialogue.question import Question


@dataclass(frozen=True, slots=True)
class _Words:
    """How a text says that something has a property, and that it has the opposite one.

    Args:
        has: The option's word for the property.
        lacks: Its word for the opposite.
        says_has: Pattern of the words that say the property.
        says_lacks: Of those that say the opposite.
    """

    has: str
    lacks: str
    says_has: re.Pattern[str]
    says_lacks: re.Pattern[str]


_FAMILIES = (
    _Words(
        "wrong",
        "not wrong",
        re.compile(
            r"\b(?:wrong(?:ly|s|doing|ful)?|immoral|unethical|unacceptable|impermissible|crosses (?:a|the) (?:moral )?line)\b"
        ),
        re.compile(
            r"\b(?:acceptable|permissible|fine|okay|ok|harmless|innocent|innocuous|benign"
            r"|harms nobody|harms no one|ethical|kind|ordinary|all right"
            r"|morally (?:right|good|neutral))\b"
        ),
    ),
    _Words(
        "true",
        "false",
        re.compile(r"\b(?:true|correct|right|holds?)\b"),
        re.compile(r"\b(?:false|incorrect|wrong|untrue)\b"),
    ),
)

_CLAUSE = re.compile(
    r"[.;\n]+|,(?! ?(?:clearly|morally)\b)|\b(?:but|while|whereas|although|though|however)\b|\band (?=so\b|in |neither\b)"
    r"|\band (?=(?:the )?(?:(?:scenario|statement) ?[12]|first|second)\b(?! (?:scenarios? |statements? )?(?:are|both|do)\b))"
)
_THING = r"(?:scenario|statement|case|situation) ?\(?"
_SAID_OF = r"(?=\W{0,8}(?:is |clearly |morally ){0,3}(?:not |wrong|true|false))"
_FIRST_OF = rf"(?:{_THING}(?:1|one|i)\b|(?:the )?first\b|^\W{{0,3}}1{_SAID_OF})"
_SECOND_OF = rf"(?:{_THING}(?:2|two|ii)\b|(?:the )?second\b|^\W{{0,3}}2{_SAID_OF})"
_WHO = (re.compile(_FIRST_OF), re.compile(_SECOND_OF))
_THINGS = r"(?:scenarios?|statements?|cases?|situations?|acts?|actions?|ones?)"
_BOTH = re.compile(
    rf"\bboth\b|\beach (?:of|scenario|statement)\b|\bthe two {_THINGS}\b|\bin either\b|\beither {_THINGS}\b"
)
_NEITHER = re.compile(
    rf"\bneither\b(?! is (?:scenario|statement|the (?:first|second))\b)|\bnone of (?:the|these|those|them)\b|\bno {_THINGS}\b"
)
_ONLY = re.compile(r"\bonly\b|\balone\b|\bjust (?:the|in|scenario|statement)\b")
_NOT = re.compile(r"\b(?:not|no|nothing|never|without|hardly|cannot|nor|lacks?)\b|n't\b")
_SAME = re.compile(r"\bso (?:is|are|does)\b|\bneither is\b|\b(?:too|also|likewise|as well)\b")
_DENIES = re.compile(r"(?:\b(?:is|are|does|do|was) not|n't)\W*$|^\W*not (?:in|for|of|so)?\b|\bnot\W*$")
_TAIL = re.compile(r",?\s(?:either|though|however|at all|as well)\W*$")
_NOT_OF = re.compile(r"\W*not (?:in |for )?(?:the )?(?:first|second|scenario|statement)")
_AFFIRMS = re.compile(r"\b(?:is|are|does|do)\W*$")


@dataclass(slots=True)
class _Judgements:
    """What was said so far.

    Args:
        words: How it is said.
        of: Whether the first and the second have the property; None where that was not said.
        spoken_of: The scenarios of a clause that said nothing of them yet.
        last: What was said last.
        own_words: The words that only the first has, and those that only the second has; none where the stem tells no two.
    """

    words: _Words
    of: list[bool | None] = field(default_factory=lambda: [None, None])
    spoken_of: frozenset[int] = frozenset()
    last: bool | None = None
    own_words: tuple[frozenset[str], ...] = ()

    def take(self, clause: str) -> None:
        """Take in one clause."""
        about = self._about(clause)
        said = self._said(clause)
        if said is None and about:
            said = self._left_out(clause)
        if said is None:
            self.spoken_of = about or (self.spoken_of if clause.strip() else frozenset())
            return
        self.last = said
        whom = about or self.spoken_of
        for which in whom:
            self.of[which] = said
        if len(whom) == 1 and _ONLY.search(clause):
            self.of[1 - next(iter(whom))] = not said
        self.spoken_of = frozenset()

    def _about(self, clause: str) -> frozenset[int]:
        if _BOTH.search(clause) or _NEITHER.search(clause):
            return frozenset({0, 1})
        named = frozenset(which for which, pattern in enumerate(_WHO) if pattern.search(clause))
        return named or self._told(clause)

    def _told(self, clause: str) -> frozenset[int]:
        """The scenario of which alone a clause takes up words, as `keeping the wallet` does of the one about a wallet."""
        words = frozenset(_WORD.findall(clause))
        shared = [which for which, own in enumerate(self.own_words) if own & words]
        return frozenset(shared) if len(shared) == 1 else frozenset()

    def _said(self, clause: str) -> bool | None:
        """Whether the clause says the property or its opposite; None if it says neither, or both."""
        has, lacks = self.words.says_has.search(clause), self.words.says_lacks.search(clause)
        found = has or lacks
        if found is None:
            return None
        negated = bool(_NEITHER.search(clause) or _NOT.search(clause[: found.start()]))
        if has and lacks:
            # `ordinary and not wrong` says one thing, `wrong, not fine` as well, and `fine and wrong` nothing.
            return False if _NOT.search(clause[: has.start()]) else None
        return bool(has) != negated

    def _left_out(self, clause: str) -> bool | None:
        """What a clause says that leaves the property to the one before it, as in `the second is not`."""
        if self.last is not None and _SAME.search(clause):
            return self.last
        text = _TAIL.sub("", clause.strip().rstrip(")*_ "))
        if self.last is None and _NOT_OF.match(text):
            return False
        if self.last is not None and _DENIES.search(text):
            return False
        if self.last is not None and _AFFIRMS.search(text):
            return True
        bare = _ONLY.sub("", text)
        if _NEITHER.fullmatch(bare.strip()):
            return False
        whole = any(pattern.fullmatch(bare.strip(" (:")) for pattern in (*_WHO, _BOTH))
        return True if whole and (_ONLY.search(text) or _BOTH.search(text)) else None


def judged_option(text: str, question: Question) -> frozenset[str]:
    """The option whose two parts a plain text says of the first and of the second; empty if it says not both."""
    words = _words_of(question.choices)
    if words is None:
        return frozenset()
    said = _Judgements(words, own_words=_own_words(question.stem))
    for clause in _CLAUSE.split(text.lower().replace("**", "")):
        said.take(clause)
    parts = [words.has if holds else words.lacks for holds in said.of if holds is not None]
    pairs = {
        choice.casefold().strip(): letter for letter, choice in zip(question.letters, question.choices, strict=True)
    }
    return frozenset(pairs.get(", ".join(parts), ""))


def of_judgements(question: Question) -> bool:
    """Whether the options of a question are pairs of judgements."""
    return _words_of(question.choices) is not None


_PARTS = re.compile(r"(?:scenario|statement) ?[12] ?[|:]", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]{4,}")


@lru_cache(maxsize=256)
def _own_words(stem: str) -> tuple[frozenset[str], ...]:
    """The words that only the first of two scenarios or statements has, and those of the second alone."""
    parts = _PARTS.split(stem)[1:]
    if len(parts) != 2:
        return ()
    first, second = (frozenset(_WORD.findall(part.lower())) for part in parts)
    return first - second, second - first


@lru_cache(maxsize=256)
def _words_of(choices: tuple[str, ...]) -> _Words | None:
    """How the judgements are said of which the options are made; None where they are made of something else."""
    pairs = [choice.casefold().strip().split(", ") for choice in choices]
    return next(
        (each for each in _FAMILIES if all(len(p) == 2 and {*p} <= {each.has, each.lacks} for p in pairs)), None
    )
