"""The fine-tuned user of ChatBench: a causal language model that continues the format of the released model cards.

    [SYSTEM] <who you are, and the question>

    <the conversation so far>

    [USER]

The model writes the user's next message and `[END]`. The markers are plain text, not tokens of the vocabulary.

Source: the model cards of microsoft/chatbench-distilgpt2, -llama3-8b and -mistral-7b for the markers; interactive-eval @
a90f773 for the Two-Step prompts that they are believed to hold. Deviations: the wording of the prompts is this project's
own, since the cards do not print theirs; how the cards mark assistant turns is not documented, so both readings that
fit them can be chosen.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum

from lm_eval_plugin.answers import final_answer
from lm_eval_plugin.engine import Ask, Failure, Reply
from lm_eval_plugin.prompts import break_tokens, indent_headings
from lm_eval_plugin.question import Question
from lm_eval_plugin.simulators.dialogue import Turn
from lm_eval_plugin.transcript import Message, Role

STOPS = ("[END]", "[USER]", "[SYSTEM]", "[ASSISTANT]")
"""Where the user's message ends: its own end marker, or the start of anyone's turn."""

_RULE = "=" * 24
_HEADINGS = {Role.USER: "YOU:", Role.ASSISTANT: "SYSTEM:"}
_MARKERS = {Role.USER: "[USER]", Role.ASSISTANT: "[ASSISTANT]"}

_PERSON = (
    "You are a person who uses an AI system to find the answer to the question below. "
    "Write as you would type to it.\n\n{question}"
)
_FIRST = "Write your first message to the AI system."
_SO_FAR = f"Your conversation with the AI system so far:\n{_RULE}\n{{history}}\n{_RULE}\n"
_NEXT = (
    'If you have your answer now, write only "Answer: {letters}". '
    "Otherwise write your next message to the AI system, in the style of your earlier ones."
)
_LAST = 'You cannot send any more messages. Write only "Answer: {letters}".'
_PREFILL = "Answer:"


class Reading(str, Enum):
    """How the conversation stands in the prompt; the cards leave it open.

    A: as text between two rules of `=`, each turn headed `YOU:` or `SYSTEM:`, with an instruction behind it (Two-Step).
    B: as the chat itself, each turn behind a marker of its role and closed by `[END]`.
    """

    A = "A"
    B = "B"


@dataclass(frozen=True, slots=True)
class ChatbenchUser:
    """The user policy of the released weights; it asks the user's model once a turn."""

    label: str = "chatbench"
    reading: Reading = Reading.A

    def turn(
        self, question: Question, history: tuple[Message, ...], *, forced: bool, rng: random.Random
    ) -> Generator[Ask, Reply | Failure, Turn | Failure]:
        """Take the next turn: a message, or an answer once there has been a reply."""
        reply = yield Ask(
            Role.USER, history, lambda shown: prompt_text(question, shown, forced=forced, reading=self.reading)
        )
        if isinstance(reply, Failure):
            return reply
        text = clean(reply.text)
        if text and forced and self.reading is Reading.B and final_answer(text, question) is None:
            # The prompt ended with the head of the answer, and the model went on from there.
            text = f"{_PREFILL} {text}"
        if not text:
            return Turn(None, trimmed=reply.trimmed)
        message = Message(Role.USER, text, reply.tokens, reply.seconds)
        return Turn(message, final_answer(text, question) if history else None, reply.trimmed)


def prompt_text(question: Question, history: tuple[Message, ...], *, forced: bool, reading: Reading = Reading.A) -> str:
    """What the user's model continues with the user's next message.

    Args:
        question: The question that the user brings.
        history: The conversation so far, or the part of it that fits.
        forced: Whether the message must be the answer.
        reading: Where the conversation stands in the prompt.
    """
    person = _PERSON.format(question=_harmless(question.text))
    letters = f"{', '.join(question.letters[:-1])} or {question.letters[-1]}"
    if reading is Reading.A:
        return f"[SYSTEM] {person}\n\n{_two_step(history, letters, forced=forced)}\n\n[USER] "
    turns = [f"{_MARKERS[message.role]} {_harmless(message.content)} [END]" for message in history]
    instruction = f"{person}\n\n{_NEXT.format(letters=letters)}"
    return "\n\n".join([f"[SYSTEM] {instruction}", *turns, f"[USER] {_PREFILL if forced else ''}"])


def clean(text: str) -> str:
    """The user's message without what the model wrote around it: later turns, quotation marks, a heading of its own.

    Source: interactive-eval @ a90f773 (strip, strip quotes, drop a leading `YOU: `). Deviations: done until nothing is
    left to do, so that `YOU: "..."` is clean too; the cut at a marker or where the model goes on in another's name.
    """
    for stop in (*STOPS, f"\n{_HEADINGS[Role.ASSISTANT]}", f"\n{_HEADINGS[Role.USER]}", f"\n{_RULE}"):
        text = text.split(stop, 1)[0]
    cleaned = ""
    while cleaned != text:
        cleaned, text = text, text.strip().strip("\"'").strip().removeprefix(_HEADINGS[Role.USER])
    return text


def _two_step(history: tuple[Message, ...], letters: str, *, forced: bool) -> str:
    if not history:
        return _FIRST
    turns = "\n".join(f"{_HEADINGS[message.role]} {_harmless(message.content)}" for message in history)
    return _SO_FAR.format(history=turns) + (_LAST if forced else _NEXT).format(letters=letters)


def _harmless(text: str) -> str:
    """The text with nothing in it that could pass for a marker, a heading or a rule of the prompt."""
    return indent_headings(break_tokens(text, STOPS), [*_HEADINGS.values(), _RULE])
