"""What a simulated user must not do, seen in what it wrote.

Simulators echo, repeat themselves, speak as the assistant or say aloud what they think (issues of lost_in_conversation
and tau2-bench). Each of these is recorded; it is asked for again a bounded number of times, and after that the dialogue
goes on with what there is, or ends where there is nothing. An answer before the first reply is recorded, not asked for
again: it is what the user has to say.

The patterns are this project's own. They look for what no person writes to an assistant; a text that merely resembles it
in a question that the user pastes does not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from lm_eval_plugin.answers.final_answer import final_answer
from lm_eval_plugin.answers.supported_option import concluded_option
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.reasoning import holds_marks
from lm_eval_plugin.dialogue.transcript import Event, Message, Role


def _any_of(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE | re.MULTILINE)


_SWAPPED_ROLE = _any_of(
    r"\bhow (?:can|may|could) i (?:help|assist|be of (?:help|assistance|service to)) you\b",
    r"\bwhat can i (?:help|assist) you\b",
    r"\b(?:i['’]m|i am|i['’]d be|i would be) (?:here|happy|glad) to (?:(?:help|assist) (?:you|with)\b|help[!.](?!\w))",
    # "As an AI, do you ..." is a user's question.
    r"\b(?:i['’]m|i am|as) an? (?:(?:ai |large )?language model|(?:ai|virtual) assistant|ai)\b"
    r"(?! *,? *(?:do|can|could|are|would|what|how)\b)",
    r"\banything else (?:that )?i can (?:help|assist|do for)\b",
    r"\bfeel free to ask (?:me )?(?:any |more |further )",
    r"\blet me know if you (?:have|need) (?:any (?:other |more |further )?|more |further )?(?:questions|help|assistance)\b",
    r"\bwhat would you like to know\b",
    r"\bprovide (?:me with )?(?:the|your) (?:question|problem)\b",
    r"\bi hope (?:this|that) helps\b",
    r"\bi (?:can['’]t|cannot) help (?:you )?with that\b",
)
_REASONING = _any_of(
    r"^[^\S\n]*(?:(?:private |inner )?(?:thoughts?|thinking|reasoning)|internal monologue)\s*:",
    r"\bthe (?:simulated |human )?user (?:would|should|might|wants|needs|is asking|has asked)\b",
    r"\b(?:as|i['’]m|i am) (?:a |the )?(?:simulated|role-?playing|role-?play|human) (?:user|person)\b",
    r"\bmy (?:next|first) (?:message|prompt) (?:should|would|will)\b",
    r"\b(?:my|the|your) (?:next|first) (?:message|prompt) to the ai\b",
    r"\bi (?:should|must|(?:need|have|am supposed) to) (?:write|act|respond|reply|simulate) (?:as|like) (?:a|the) "
    r"(?:\w+ )?(?:user|person|human)\b",
    r"\bi (?:should|must|need to|have to|will) (?:now )?ask the (?:ai|assistant)\b",
    r"\ba person who uses an ai system\b",
)
_LISTED = re.compile(r"(?<!\w)[A-Z][).:](?=\s)")
"""An option's letter as in a list; who lists three of them restates options, also those of another question."""

_SENTENCE = 5
"""Words from which on a sentence that returns word for word is no coincidence."""

_BARE_LETTER = re.compile(
    r"\W*(?:(?i:i think|i say|it is|it['’]s|that['’]s|option|choice|answer)\W+)*\(?(?P<letter>[A-Z])[).!]*\s*"
)


def faults(
    text: str, question: Question, history: tuple[Message, ...], private: Iterable[str] = ()
) -> tuple[Event, ...]:
    """What is wrong with a message for which the user can be asked again; empty if nothing is.

    Args:
        text: The message as it would be sent.
        question: What the user wants answered; what it says itself is not held against a user who pastes it.
        history: The conversation so far.
        private: What the user was told about itself and what it thought; no sentence of it is for the assistant.
    """
    return tuple(_faults(text, question, history, private)) if text else (Event.EMPTY,)


def leaks_answer(text: str, question: Question, history: tuple[Message, ...]) -> bool:
    """Whether the user states one of the options as the answer before the assistant has said anything.

    Restating several options states none of them, and what is asked is not stated.
    """
    if history:
        return False
    bare = _BARE_LETTER.fullmatch(text)
    if bare and bare["letter"] in question.letters:
        return True
    own = _unpasted(text, question)
    if len({mark[0] for mark in _LISTED.findall(own)}) > 2:
        return False
    if len(_option_mentions(question).findall(own)) > 1:
        own = _option_mentions(question).sub(" ", own)
    stated = final_answer(own, question)
    return (stated is not None and stated.letter is not None) or concluded_option(own, question) is not None


def own_words(text: str, question: Question) -> str:
    """The text without the stem, its lines and the option lines where it quotes them."""
    return _without(_without(text, _pasted(question)), _option_lines(question))


def _unpasted(text: str, question: Question) -> str:
    return _without(text, _pasted(question))


def _without(text: str, parts: Iterable[str]) -> str:
    for part in parts:
        text = text.replace(part, " ")
    return text


@lru_cache(maxsize=256)
def _pasted(question: Question) -> tuple[str, ...]:
    """What a user pastes of a question, the longest parts first."""
    parts = (question.text, question.stem, question.options, *question.stem.split("\n"))
    return tuple(part.strip() for part in parts if part.strip())


@lru_cache(maxsize=256)
def _option_lines(question: Question) -> tuple[str, ...]:
    return tuple(line.strip() for line in question.options.split("\n") if line.strip())


@lru_cache(maxsize=256)
def _option_mentions(question: Question) -> re.Pattern[str]:
    """An option with its letter, however it is marked."""
    pairs = zip(question.letters, question.choices, strict=True)
    return re.compile(
        "|".join(rf"(?<!\w){letter}[).:]\s*{re.escape(choice.strip())}(?!\w)" for letter, choice in pairs)
    )


def _faults(text: str, question: Question, history: tuple[Message, ...], private: Iterable[str]) -> Iterator[Event]:
    bare, last = _bare(text), {message.role: message.content for message in history}
    if bare and Role.ASSISTANT in last and bare == _bare(last[Role.ASSISTANT]) and not _asks_back(text, history):
        yield Event.ECHO
    if Role.USER in last and bare == _bare(last[Role.USER]):
        yield Event.REPEAT
    own = own_words(text, question)
    if _SWAPPED_ROLE.search(own):
        yield Event.SWAPPED_ROLE
    if _REASONING.search(own) or holds_marks(own) or any(_quotes(own, told, question) for told in private):
        yield Event.LEAKED_REASONING


def _quotes(text: str, private: str, question: Question) -> bool:
    """Whether a message holds a sentence of five words or more of a private text, word for word."""
    said = _bare(text)
    sentences = (_bare(sentence) for sentence in re.split(r"(?<=[.!?])\s+|\n", own_words(private, question)))
    return any(len(sentence.split()) >= _SENTENCE and sentence in said for sentence in sentences)


def _asks_back(text: str, history: tuple[Message, ...]) -> bool:
    """Whether a message turns what the assistant stated into a question, as people do to make sure."""
    return text.rstrip("\"' ").endswith("?") and not history[-1].content.rstrip("\"' ").endswith("?")


def _bare(text: str) -> str:
    """The text as far as two messages must differ in it not to be the same."""
    return " ".join(text.split()).casefold().strip("\"'.!? ")
