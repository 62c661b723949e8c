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
from collections.abc import Iterator

from lm_eval_plugin.answers import states_answer
from lm_eval_plugin.question import Question
from lm_eval_plugin.transcript import Event, Message, Role

_SWAPPED_ROLE = re.compile(
    r"\bhow (?:can|may|could) i (?:help|assist|be of)\b|\bwhat can i (?:help|assist) you\b"
    r"|\b(?:i['’]m|i am|i['’]d be|i would be) (?:here|happy|glad) to (?:help|assist)\b|\bas an ai\b"
    r"|\banything else (?:that )?i can (?:help|assist|do for)\b|\blet me know if you (?:have|need) (?:any|more|further|help)\b",
    re.IGNORECASE,
)
_REASONING = re.compile(
    r"^\s*(?:my |private |inner )?(?:thoughts?|thinking|reasoning|internal monologue)\s*:|</?think(?:ing)?>"
    r"|\bthe (?:simulated |human )?user (?:would|should|might|wants|needs|is asking|has asked)\b"
    r"|\b(?:as|i['’]m|i am) (?:a |the )?(?:simulated|role-?playing|role-?play|human) (?:user|person)\b"
    r"|\b(?:my|the) (?:next|first) (?:message|prompt) (?:should|would|will|to the ai)\b"
    r"|\bi (?:need|have|should|must|am supposed) to (?:write|act|respond|reply|simulate) (?:as|like) (?:a|the)\b",
    re.IGNORECASE | re.MULTILINE,
)


def faults(text: str, question: Question, history: tuple[Message, ...]) -> tuple[Event, ...]:
    """What is wrong with a message for which the user can be asked again; empty if nothing is.

    Args:
        text: The message as it would be sent.
        question: What the user wants answered; what it says itself is not held against a user who pastes it.
        history: The conversation so far.
    """
    return tuple(_faults(text, question, history)) if text else (Event.EMPTY,)


def leaks_answer(text: str, question: Question, history: tuple[Message, ...]) -> bool:
    """Whether the user states one of the options as the answer before the assistant has said anything."""
    return not history and states_answer(own_words(text, question), question)


def own_words(text: str, question: Question) -> str:
    """The text without the stem and the option lines where it quotes them."""
    for quoted in (question.text, question.stem, question.options, *question.options.split("\n")):
        text = text.replace(quoted.strip(), " ")
    return text


def _faults(text: str, question: Question, history: tuple[Message, ...]) -> Iterator[Event]:
    said = {message.role: _bare(message.content) for message in history}
    if _bare(text) == said.get(Role.ASSISTANT):
        yield Event.ECHO
    if _bare(text) == said.get(Role.USER):
        yield Event.REPEAT
    own = own_words(text, question)
    if _SWAPPED_ROLE.search(own):
        yield Event.SWAPPED_ROLE
    if _REASONING.search(own):
        yield Event.LEAKED_REASONING


def _bare(text: str) -> str:
    """The text as far as two messages must differ in it not to be the same."""
    return " ".join(text.split()).casefold().strip("\"'.!? ")
