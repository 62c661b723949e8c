"""One dialogue between a simulated user and the assistant, as a generator that the engine drives.

The loop is the protocol of the ChatBench paper: the user speaks, the assistant replies, until the user accepts an
answer; when the user's turns are used up, one last ask demands the answer.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from lm_eval_plugin.answers.final_answer import FinalAnswer
from lm_eval_plugin.dialogue.engine import Ask, Chat, Dialogue, Failure, Reply
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import AloneAnswer, Event, Message, Role, StopReason, Transcript
from lm_eval_plugin.simulators.personas import NOBODY, Persona


@dataclass(frozen=True, slots=True)
class Situation:
    """What a user brings to a dialogue; the right answer is not part of it.

    Args:
        question: What the user wants answered.
        rng: The dialogue's own source of chance, for choices that a policy itself makes.
        persona: Who the user is, as a text for its prompt; empty for nobody in particular.
        belief: The letter that it answered by itself before the dialogue; empty where it did not, or named none.
    """

    question: Question
    rng: random.Random
    persona: str = ""
    belief: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """What the user did with its turn.

    Args:
        message: What it said; None if it had nothing to say, which ends the dialogue.
        answer: Its final answer, if the message is one.
        trimmed: Whether the user's model was shown less than the whole conversation.
        events: What the guardrails saw, one entry for each time.
        forced: Whether the answer was demanded, though turns were left: the user had ended the conversation without one.
        failed: Why no turn could be had (`CONTEXT` or `MODEL_ERROR`), which ends the dialogue; None if one was.
    """

    message: Message | None
    answer: FinalAnswer | None = None
    trimmed: bool = False
    events: tuple[Event, ...] = ()
    forced: bool = False
    failed: StopReason | None = None


class Simulator(Protocol):
    """A user policy: how a person would take the next turn."""

    @property
    def label(self) -> str:
        """Names the policy and its model in transcripts and reports."""
        ...

    @property
    def guarded(self) -> bool:
        """Whether guardrails watch its turns, so that a transcript without events is one in which none happened."""
        ...

    def turn(
        self, situation: Situation, history: tuple[Message, ...], *, forced: bool
    ) -> Generator[Ask, Reply | Failure, Turn]:
        """Take one turn, asking the user's model as often as needed (not at all, for a policy without one).

        Args:
            situation: The question, and who the user is.
            history: The conversation so far, empty before the first turn.
            forced: The user's turns are used up and it must answer now.
        """
        ...


@runtime_checkable
class AnswersAlone(Protocol):
    """A user policy that can answer a question without help."""

    def answer_alone(self, situation: Situation) -> Generator[Ask, Reply | Failure, AloneAnswer | Failure]:
        """Answer the question, asking the user's model as often as needed."""
        ...


def dialogue(
    question: Question,
    simulator: Simulator,
    *,
    assistant_system: str,
    max_turns: int,
    repeat: int,
    seed: int,
    persona: Persona = NOBODY,
    alone: AnswersAlone | None = None,
) -> Dialogue:
    """The script of one dialogue.

    Args:
        question: The question that the user brings.
        simulator: The user.
        assistant_system: The assistant's system message.
        max_turns: How often the assistant is asked at most, from 1; after that the user is forced to answer once.
        repeat: Which of the question's dialogues this is, from 0.
        seed: Seeds the choices that the policy itself makes; see `engine.seeded` for what models sample.
        persona: Who the user is.
        alone: Answers the question before the dialogue, as the user who then keeps that for its belief; None for nobody.

    Source: ChatBench, section on user simulation; interactive-eval @ a90f773: ten messages of the user are replied to, and the
    eleventh ask demands the answer. Deviation: a message that is no answer to it stays, and nobody replies.
    """
    alone_first = _before_dialogue(Situation(question, random.Random(seed), persona.text), alone)
    situation, belief, failed = yield from alone_first
    history: tuple[Message, ...] = ()
    turns, trimmed = 0, False
    events: Counter[Event] = Counter()

    def end(stop_reason: StopReason, answer: str | None = None) -> Transcript:
        seen = {event: events[event] for event in Event if events[event]} if simulator.guarded else None
        return Transcript(
            *(question.id, simulator.label, repeat, seed, history, answer, stop_reason, trimmed, seen, persona.name),
            belief=belief,
        )

    if failed is not None:
        return end(failed)
    while True:
        forced = turns == max_turns
        turn = yield from simulator.turn(situation, history, forced=forced)
        trimmed = trimmed or turn.trimmed
        events.update(turn.events)
        if turn.failed is not None:
            return end(turn.failed)
        if turn.message is not None:
            history += (turn.message,)
        if turn.answer is not None:
            return end(_with_answer(turn.answer, forced=forced or turn.forced), turn.answer.letter)
        if forced or turn.message is None:
            return end(StopReason.NO_ANSWER)
        reply = yield Ask(Role.ASSISTANT, history, lambda shown: Chat(assistant_system, shown))
        if isinstance(reply, Failure):
            return end(reply.stop_reason)
        trimmed = trimmed or reply.trimmed
        history += (_said(reply),)
        turns += 1


def _before_dialogue(
    situation: Situation, alone: AnswersAlone | None
) -> Generator[Ask, Reply | Failure, tuple[Situation, AloneAnswer | None, StopReason | None]]:
    """The situation with which the user goes into the dialogue, what it answered by itself, and why it could not."""
    if alone is None:
        return situation, None, None
    answer = yield from alone.answer_alone(situation)
    if isinstance(answer, Failure):
        return situation, None, answer.stop_reason
    return replace(situation, belief=answer.letter or ""), answer, None


def _with_answer(answer: FinalAnswer, *, forced: bool) -> StopReason:
    if answer.letter is None:
        return StopReason.INVALID
    return StopReason.FORCED if forced else StopReason.ANSWERED


def _said(reply: Reply) -> Message:
    return Message(Role.ASSISTANT, reply.text, reply.tokens, reply.seconds, reply.reasoning, reply.batch)
