"""What a simulated user answers without help: how its model is asked, how that is read, and what it keeps of it.

It is asked before its dialogue (`condition: answer_first`), and then keeps the answer as its belief, or apart from its
dialogue, which does not see it (`user_alone`). The prompt holds the question and who the user is, and no conversation.

Source: ChatBench, user study: in the condition answer-first a person answers a question alone before it talks with the
model. The wording is this project's own, and no released simulator was trained on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lm_eval_plugin.answers.final_answer import ANSWER_HEAD, behind_head, final_answer
from lm_eval_plugin.dialogue.engine import Chat, Prompt
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import Message, Role
from lm_eval_plugin.simulators.loop import Situation

_PERSON = "You are a person who answers the question below by yourself, without any help.\n\n{question}"
_REQUEST = 'Write only "Answer: {letters}".'
_BELIEF = (
    "Before this conversation you answered the question by yourself: {letter}. That is what you believe, until something "
    "convinces you of another option."
)


def alone_text(situation: Situation, harmless: Callable[[str], str]) -> str:
    """Who the user is that answers by itself, and the question with its options.

    Args:
        situation: The question, and who the user is.
        harmless: Takes out of a text what could pass for the prompt's structure.
    """
    person = _PERSON.format(question=harmless(situation.question.text))
    return f"{person}\n\nAbout you: {harmless(situation.persona)}" if situation.persona else person


def alone_request(question: Question) -> str:
    """What the user is told to write."""
    return _REQUEST.format(letters=question.letter_choice)


def alone_chat(situation: Situation, harmless: Callable[[str], str]) -> Chat:
    """The prompt for a model that follows instructions."""
    return Chat(alone_text(situation, harmless), (Message(Role.USER, alone_request(situation.question)),))


def alone_continuations(prompt: Prompt, question: Question) -> list[str]:
    """How a prompt goes on with each of the question's letters, in their order."""
    written = prompt.prefill if isinstance(prompt, Chat) else prompt
    head = "" if written.endswith(ANSWER_HEAD) else f"{ANSWER_HEAD} "
    return [f"{head}{letter}" for letter in question.letters]


def read_alone(text: str, question: Question) -> str | None:
    """The letter of an answer, `Answer: X` or what stands behind that head; None if it names none of the letters.

    A marked letter with which the rest begins counts whatever follows it, as for the letter-only static score: "B) 91 C) 96"
    answers B, and "A person would take C" nothing.
    """
    answer = final_answer(behind_head(text, question), question)
    if answer is not None and answer.letter is not None:
        return answer.letter
    begins = re.match(r"([A-Z])[).:]", text.strip().removeprefix(ANSWER_HEAD).strip())
    return begins[1] if begins and begins[1] in question.letters else None


def belief_text(situation: Situation) -> str:
    """What the user believes, for its prompts in the dialogue; empty where it did not answer before."""
    return _BELIEF.format(letter=situation.belief) if situation.belief else ""
