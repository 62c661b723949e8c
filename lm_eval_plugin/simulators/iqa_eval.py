"""IQA-EVAL: a model that is told to imitate a person who asks one sub-question a turn.

It ends the dialogue by writing `So, the answer is: X` anywhere in its message, before the first reply as well.

Source: Li et al. 2024 (IQA-EVAL); interactive-eval @ a90f773 (one system message, the history headed `YOU:` and
`ASSISTANT:`). Deviations: the wording is this project's own; the history stands in a user message behind the system
message, since most chat templates want one; a person can be described and may think before it speaks (ablations). The
user's temperature is 1.0 and its messages have at most 1000 tokens, as in ChatBench; the forced answer is ChatBench's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lm_eval_plugin.answers.final_answer import FinalAnswer, final_answer
from lm_eval_plugin.dialogue.engine import Chat, Prompt
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.quoting import indent_headings
from lm_eval_plugin.dialogue.transcript import Message, Role
from lm_eval_plugin.simulators.answering_alone import alone_chat, belief_text
from lm_eval_plugin.simulators.cleaning import clean
from lm_eval_plugin.simulators.loop import Situation
from lm_eval_plugin.simulators.model_user import THINK, THOUGHTS, Aim, Draft

_HEADINGS = {Role.USER: "YOU:", Role.ASSISTANT: "ASSISTANT:"}

_PERSON = (
    "Imitate a person who wants to answer the multiple-choice question below with the help of an AI assistant.\n"
    "In each turn ask the assistant one sub-question, no more, and put all the information into it that is needed to answer "
    "it, the question and its options included: the assistant sees nothing but your messages.\n"
    'As soon as you can tell the answer, write "So, the answer is: {letters}".\n\n{question}'
)
_FIRST = "Nothing has been said yet. Write your first message, as YOU."
_NEXT = "Write your next message, as YOU."
_LAST = 'You cannot ask any more. Write only "So, the answer is: {letters}".'
_STATED = re.compile(r"\bso,?\s+the\s+answer\s+is\b\s*(?P<colon>:?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class IqaEval:
    """The wording of IQA-EVAL, for a model that follows instructions."""

    def prompt(self, situation: Situation, history: tuple[Message, ...], aim: Aim, thoughts: str) -> Prompt:
        """The system message, and the conversation so far with what is to be written now."""
        if aim is Aim.ALONE:
            return alone_chat(situation, _harmless)
        question = situation.question
        person = _PERSON.format(letters=question.letter_choice, question=_harmless(question.text))
        about = f"\n\nAbout you: {_harmless(situation.persona)}" if situation.persona else ""
        believed = "".join(f"\n\n{text}" for text in [belief_text(situation)] if text)
        turns = [f"{_HEADINGS[turn.role]} {_harmless(turn.content)}" for turn in history]
        thought = [THOUGHTS.format(thoughts=_harmless(thoughts))] if thoughts else []
        request = "\n\n".join([*turns, *thought, _instruction(question, history, aim)])
        return Chat(person + about + believed, (Message(Role.USER, request),))

    def read(self, text: str, situation: Situation, history: tuple[Message, ...], aim: Aim) -> Draft:
        """The message, which is the answer if it says `So, the answer is: X` anywhere."""
        cleaned, marker = clean(text)
        return Draft(cleaned, _stated(cleaned, situation.question, aim), marker)


def _stated(text: str, question: Question, aim: Aim) -> FinalAnswer | None:
    """The answer that a message states; forced, `Answer: X` is one as well."""
    for match in reversed(list(_STATED.finditer(text))):
        rest = text[match.end() :]
        stated = final_answer(f"Answer: {rest}", question)
        # Without the colon it is the answer only if it names a letter and asks nothing: "so the answer is B?" is a question.
        if match["colon"] or (stated is not None and stated.letter is not None and "?" not in rest):
            return stated
    return final_answer(text, question) if aim is Aim.ANSWER else None


def _instruction(question: Question, history: tuple[Message, ...], aim: Aim) -> str:
    if aim is Aim.THINK:
        return THINK
    if aim is Aim.ANSWER:
        return _LAST.format(letters=question.letter_choice)
    return _NEXT if history else _FIRST


def _harmless(text: str) -> str:
    """The text with nothing in it that could pass for a heading of the prompt."""
    return indent_headings(text, _HEADINGS.values())
