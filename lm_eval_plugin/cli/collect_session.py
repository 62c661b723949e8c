"""A person at the terminal who answers the questions of a small study, some alone and some with the model."""

from __future__ import annotations

import random
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lm_eval_plugin.border.text_border import all_encodable
from lm_eval_plugin.chatbench_data.collected import (
    ANSWER_FIRST,
    CONDITIONS,
    Collected,
    Given,
    Session,
    StudyFolder,
)
from lm_eval_plugin.chatbench_data.records import ReleaseQuestion
from lm_eval_plugin.dialogue.transcript import Role, StopReason

if TYPE_CHECKING:
    from lm_eval_plugin.dialogue.question import Question
    from lm_eval_plugin.dialogue.transcript import Transcript

SURE = range(1, 6)
"""How sure a person may be: from 1, guessed, to 5, certain."""

_ENDS = (StopReason.ANSWERED, StopReason.FORCED, StopReason.INVALID)

Talk = Callable[["Question"], "Transcript"]
"""Has the person talk with the model about a question."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where the person reads and types.

    Args:
        say: Shows a line.
        read: Asks for a line with a prompt; raises `EOFError` when there is nothing more to read.
    """

    say: Callable[[str], None]
    read: Callable[[str], str]


def new_session(
    study: StudyFolder,
    questions: Sequence[ReleaseQuestion],
    model: str,
    condition: str | None,
    *,
    alone: int,
    together: int,
) -> Session:
    """A session of a new person: its questions drawn and in random order, its condition the one that fewer people have.

    Args:
        study: The people so far.
        questions: Of the study.
        model: The model that it will talk with.
        condition: Given; None to draw it among those that fewest people who talk with this model have.
        alone: How many questions it answers alone at first, as far as there are any left.
        together: How many it talks with the model about.
    """
    dice = random.Random(secrets.randbits(64))
    order = dice.sample([each.id for each in questions], len(questions))
    talked = Counter(each.condition for each in study.sessions.values() if each.model == model)
    fewest = [each for each in CONDITIONS if talked[each] == min(talked[other] for other in CONDITIONS)]
    return Session(
        worker=f"{dice.getrandbits(32):08x}",
        model=model,
        condition=condition or dice.choice(fewest),
        alone=tuple(order[together : together + alone]),
        together=tuple(order[:together]),
    )


class Sitting:
    """One person's session, from where it was left.

    Args:
        session: What it is asked.
        study: Where its answers go, each at once.
        questions: Of the study, by id.
        terminal: Where it types.
        talk: Has it talk with the model.
    """

    def __init__(
        self,
        session: Session,
        study: StudyFolder,
        questions: Mapping[str, ReleaseQuestion],
        terminal: Terminal,
        talk: Talk,
    ) -> None:
        self._session = session
        self._study = study
        self._questions = questions
        self._terminal = terminal
        self._talk = talk

    def left(self) -> list[str]:
        """The ids of the questions that are not answered yet, in their order."""
        asked = [*self._session.alone, *self._session.together]
        return [each for each in asked if (self._session.worker, each) not in self._study.collected]

    def run(self) -> None:
        """Ask what is left.

        Raises:
            EOFError: The person closed the input; what it had answered is kept.
        """
        asked = len(self._session.alone) + len(self._session.together)
        for question_id in self.left():
            self._terminal.say(f"\nQuestion {asked - len(self.left()) + 1} of {asked}")
            question = self._questions[question_id].question
            if question_id in self._session.alone:
                self._keep(question_id, alone=self._alone(question))
            else:
                self._with_model(question)

    def _with_model(self, question: Question) -> None:
        first = self._alone(question) if self._session.condition == ANSWER_FIRST else None
        self._terminal.say("Now talk with the AI about it; write at least one message.")
        transcript = self._talk(question)
        if transcript.stop_reason is StopReason.MODEL_ERROR:
            self._terminal.say("The AI did not reply; this question is asked again when you go on another time.")
            return
        messages = [(held.role.value, held.content) for held in transcript.messages]
        if transcript.stop_reason in _ENDS:
            messages.pop()
        if not any(role == Role.ASSISTANT.value for role, _ in messages):
            self._terminal.say("You wrote no message; this question is asked again when you go on another time.")
            return
        letter = transcript.answer or self._letter(question, "Your answer")
        self._keep(question.id, alone=first, together=Given(letter, self._sure()), messages=tuple(messages))

    def _alone(self, question: Question) -> Given:
        self._terminal.say(f"\n{question.text}\n")
        return Given(self._letter(question, "Your answer, without the AI"), self._sure())

    def _letter(self, question: Question, what: str) -> str:
        letters = list(question.letters)
        return self._one_of(letters, f"{what} ({question.letter_choice})")

    def _sure(self) -> int:
        named = [str(each) for each in SURE]
        return int(self._one_of(named, f"How sure are you? {SURE[0]} (guessed) to {SURE[-1]} (certain)"))

    def _one_of(self, known: Sequence[str], prompt: str) -> str:
        while (typed := self._terminal.read(f"{prompt}: ").strip().upper().removesuffix(".")) not in known:
            self._terminal.say(f"Please type one of {', '.join(known)}.")
        return typed

    def _keep(
        self,
        question_id: str,
        *,
        alone: Given | None = None,
        together: Given | None = None,
        messages: tuple[tuple[str, str], ...] = (),
    ) -> None:
        held = all_encodable(list(map(list, messages)))
        self._study.add(
            Collected(self._session.worker, question_id, alone, together, tuple((role, text) for role, text in held))
        )
