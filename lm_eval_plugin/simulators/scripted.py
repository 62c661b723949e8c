"""A user without a model: pastes the question, asks once more if need be, and accepts what the assistant names."""

from __future__ import annotations

import random
from collections.abc import Generator
from dataclasses import dataclass

from lm_eval_plugin.answers import FinalAnswer, named_option
from lm_eval_plugin.engine import Ask, Failure, Reply
from lm_eval_plugin.question import Question
from lm_eval_plugin.simulators.dialogue import Turn
from lm_eval_plugin.transcript import Message, Role


@dataclass(frozen=True, slots=True)
class ScriptedUser:
    """The user of a benchmark pasted into a chat window: deterministic, so a baseline and a test double.

    It pastes the stem and the options, accepts the option that the reply names, asks once to confirm when the reply
    names none or several, and gives up when the second reply does not either.
    """

    label: str = "scripted"

    def turn(
        self, question: Question, history: tuple[Message, ...], *, forced: bool, rng: random.Random
    ) -> Generator[Ask, Reply | Failure, Turn | Failure]:
        """Take the next turn; it never asks a model and makes no random choice."""
        yield from ()
        if not history:
            return Turn(_says(question.text))
        letter = named_option(history[-1].content, question)
        if letter is not None:
            return Turn(_says(f"Answer: {letter}"), FinalAnswer(letter))
        if forced or len(history) > 2:
            return Turn(None)
        letters = ", ".join(question.letters[:-1]) + f" or {question.letters[-1]}"
        return Turn(_says(f"Which option is right: {letters}? Please name one letter."))


def _says(text: str) -> Message:
    return Message(Role.USER, text)
