"""Two-Step: an instruction-tuned model that is prompted to write as a real user of an AI system would.

Every ask is one system and one user message; the conversation stands as text in the user message, between two rules and
headed `YOU:` and `SYSTEM:`. The model writes the user's next message or `Answer: X`.

Source: ChatBench, section on user simulation; interactive-eval @ a90f773. Deviations: the wording is this project's own;
a person can be described in the system message and private thoughts in the user message (ablations). In the paper's loop as
here ten messages are replied to and the eleventh ask demands the answer (`max_turns: 10`); its temperatures, its repeats and
its reading of answers are those of `protocol: paper`. The user's own temperature is 1.0 and its messages have at most 1000
tokens, as in the paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from lm_eval_plugin.answers.final_answer import final_answer
from lm_eval_plugin.dialogue.engine import Chat, Prompt
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.quoting import indent_headings
from lm_eval_plugin.dialogue.transcript import Message, Role
from lm_eval_plugin.simulators.answering_alone import alone_chat, belief_text
from lm_eval_plugin.simulators.cleaning import clean
from lm_eval_plugin.simulators.loop import Situation
from lm_eval_plugin.simulators.model_user import THINK, THOUGHTS, Aim, Draft

RULE = "=" * 24
HEADINGS = {Role.USER: "YOU:", Role.ASSISTANT: "SYSTEM:"}

_PERSON = (
    "You are a person who uses an AI system to find the answer to the question below. "
    "Write as you would type to it.\n\n{question}"
)
_SO_FAR = f"Your conversation with the AI system so far:\n{RULE}\n{{history}}\n{RULE}\n"
_NEXT = (
    'If you have your answer now, write only "Answer: {letters}". '
    "Otherwise write your next message to the AI system, in the style of your earlier ones."
)
_LAST = 'You cannot send any more messages. Write only "Answer: {letters}".'


class Opening(str, Enum):
    """How the user begins.

    FREE: as the model likes.
    PROBLEM: the model's message must hold the problem statement.
    """

    FREE = "Write your first message to the AI system."
    PROBLEM = "Write your first message to the AI system. It must hold the problem statement in some form."


def help_opener(_: Question) -> str:
    """The fixed first message of `two_step_help`, which asks for help with the first step and does not quote the problem.

    Source: interactive-eval @ a90f773 has such a fixed opener; the wording is this project's own.
    """
    return "I have a problem to solve. Can you help me with the first step?"


@dataclass(frozen=True, slots=True)
class TwoStep:
    """The wording of Two-Step, for a model that follows instructions."""

    opening: Opening = Opening.FREE

    def prompt(self, situation: Situation, history: tuple[Message, ...], aim: Aim, thoughts: str) -> Prompt:
        """One system and one user message."""
        if aim is Aim.ALONE:
            return alone_chat(situation, harmless)
        request = request_text(situation.question, history, aim, thoughts, opening=self.opening)
        return Chat(person_text(situation), (Message(Role.USER, request),))

    def read(self, text: str, situation: Situation, history: tuple[Message, ...], aim: Aim) -> Draft:
        """The message, which is the answer where there has been a reply and it reads `Answer: X`."""
        cleaned, marker = clean(text)
        return Draft(cleaned, final_answer(cleaned, situation.question) if history else None, marker)


def person_text(situation: Situation) -> str:
    """Who the user is, what it wants to know, the question with its options, and what it believes."""
    person = _PERSON.format(question=harmless(situation.question.text))
    about = [f"About you: {harmless(situation.persona)}"] * bool(situation.persona)
    return "\n\n".join([person, *about, *filter(None, [belief_text(situation)])])


def request_text(
    question: Question, history: tuple[Message, ...], aim: Aim, thoughts: str = "", *, opening: Opening = Opening.FREE
) -> str:
    """The conversation so far, and what is to be written now."""
    head = _SO_FAR.format(history="\n".join(f"{HEADINGS[turn.role]} {harmless(turn.content)}" for turn in history))
    thought = f"{THOUGHTS.format(thoughts=harmless(thoughts))}\n" if thoughts else ""
    return f"{head if history else ''}{thought}{_instruction(question, history, aim, opening)}"


def next_text(question: Question) -> str:
    """What the user is told to write in any turn but the first and the last."""
    return _NEXT.format(letters=question.letter_choice)


def _instruction(question: Question, history: tuple[Message, ...], aim: Aim, opening: Opening) -> str:
    if aim is Aim.THINK:
        return THINK
    if aim is Aim.ANSWER:
        return _LAST.format(letters=question.letter_choice)
    return next_text(question) if history else opening.value


def harmless(text: str) -> str:
    """The text with nothing in it that could pass for a heading or a rule of the prompt."""
    return indent_headings(text, [*HEADINGS.values(), RULE])
