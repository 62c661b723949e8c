"""A person at the terminal plays the user.

The person sees the question with its options, and the assistant's replies as they come; what it types is the message,
and `Answer: X` ends the dialogue.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from lm_eval_plugin.answers.final_answer import final_answer
from lm_eval_plugin.dialogue.engine import Ask, Failure, Reply
from lm_eval_plugin.dialogue.transcript import Message, Role
from lm_eval_plugin.simulators.loop import Situation, Turn


@dataclass(frozen=True, slots=True)
class HumanUser:
    """The user policy of a person; whoever speaks for the user's role (`person.Person`) types its messages."""

    label: str = "human"

    @property
    def guarded(self) -> bool:
        """Whether guardrails watch its turns."""
        return False

    def turn(
        self, situation: Situation, history: tuple[Message, ...], *, forced: bool
    ) -> Generator[Ask, Reply | Failure, Turn]:
        """Take the next turn; saying nothing ends the dialogue without an answer."""
        reply = yield Ask(Role.USER, history, lambda shown: _shown(situation, shown, forced=forced))
        if isinstance(reply, Failure):
            return Turn(None, failed=reply.stop_reason)
        text = reply.text.strip()
        if not text:
            return Turn(None)
        answer = final_answer(text, situation.question)
        if answer is None and forced and text.upper() in list(situation.question.letters):
            text = f"Answer: {text.upper()}"
            answer = final_answer(text, situation.question)
        return Turn(Message(Role.USER, text, seconds=reply.seconds), answer if history else None)


def _shown(situation: Situation, history: tuple[Message, ...], *, forced: bool) -> str:
    """What the person is shown before it types: the question at first, the assistant's last reply after that."""
    question = situation.question
    if not history:
        return (
            f"Your question:\n\n{question.text}\n\n"
            f'Ask the assistant, and when you have made up your mind, write "Answer: {question.letter_choice}".'
        )
    if forced:
        return f'{history[-1].content}\n\n(You have no more messages. Write "Answer: {question.letter_choice}".)'
    return history[-1].content
