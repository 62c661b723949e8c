"""A user that a language model plays: what the model is asked in a turn, and what becomes of what it writes.

How the prompt is worded and how an answer looks is the matter of a script, one for each kind of simulator; that the model
may think before it speaks, and is asked again when it does what no person would, is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from lm_eval_plugin.answers.final_answer import FinalAnswer
from lm_eval_plugin.dialogue.engine import Ask, Failure, Prompt, Reply
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import AloneAnswer, Event, Message, Role
from lm_eval_plugin.simulators.answering_alone import belief_text, read_alone
from lm_eval_plugin.simulators.guardrails import faults, leaks_answer
from lm_eval_plugin.simulators.loop import Situation, Turn

THINK = (
    "Before you write, think for yourself: what do you know by now, what do you make of what the AI system said, and what "
    "do you still need? Nobody will see this. Write only these thoughts, in three sentences at most."
)
"""What the model is told where it may think before it speaks."""

THOUGHTS = "What you think, which the AI system does not see: {thoughts}"


class Aim(str, Enum):
    """What the model is asked for: private thoughts, its next message or answer, or the answer and nothing else.

    ALONE: its answer without help, before there is a conversation or apart from it.
    """

    THINK = "think"
    SPEAK = "speak"
    ANSWER = "answer"
    ALONE = "alone"


@dataclass(frozen=True, slots=True)
class Draft:
    """What the model wrote, read.

    Args:
        text: The message without what the model wrote around it; empty if there is none.
        answer: The final answer, if it is one.
        marker: Whether a piece of the prompt's structure stood in it, at which it was cut.
        ended: Whether the model says that the conversation is over, without an answer.
    """

    text: str
    answer: FinalAnswer | None = None
    marker: bool = False
    ended: bool = False


class Script(Protocol):
    """The wording of one kind of simulator."""

    def prompt(self, situation: Situation, history: tuple[Message, ...], aim: Aim, thoughts: str) -> Prompt:
        """What the model is shown.

        Args:
            situation: The question, and who the user is.
            history: The conversation so far, or the part of it that fits.
            aim: What the model is to write.
            thoughts: What it thought before, empty if it does not think.
        """
        ...

    def read(self, text: str, situation: Situation, history: tuple[Message, ...], aim: Aim) -> Draft:
        """Part what the model wrote into a message and an answer; any text can be read."""
        ...


@dataclass(frozen=True, slots=True)
class ModelUser:
    """A user policy with a model.

    Args:
        label: Names policy and model in transcripts.
        script: The wording.
        chain_of_thought: Whether the model thinks before every message; its thoughts are kept as the message's reasoning.
        reasks: How often a message that no person would send is asked for again, from 0; a greedy model would only repeat it.
        opener: Makes the first message from the question, for a user whose first message is fixed.
        sends_nothing: Whether an empty message is sent, and does not end the dialogue.
    """

    label: str
    script: Script
    chain_of_thought: bool = False
    reasks: int = 0
    opener: Callable[[Question], str] | None = None
    sends_nothing: bool = False

    @property
    def guarded(self) -> bool:
        """Whether guardrails watch its turns."""
        return True

    def turn(
        self, situation: Situation, history: tuple[Message, ...], *, forced: bool
    ) -> Generator[Ask, Reply | Failure, Turn]:
        """Take the next turn: a message, or an answer."""
        if self.opener is not None and not history:
            return Turn(Message(Role.USER, self.opener(situation.question)))
        thoughts: Reply | None = None
        if self.chain_of_thought:
            thought = yield self._ask(situation, history, Aim.THINK, "")
            if isinstance(thought, Failure):
                return Turn(None, failed=thought.stop_reason)
            thoughts = thought
        return (yield from self._speak(situation, history, Aim.ANSWER if forced else Aim.SPEAK, thoughts))

    def answer_alone(self, situation: Situation) -> Generator[Ask, Reply | Failure, AloneAnswer | Failure]:
        """Answer the question without help; what names no letter is asked for again as often as a message would be."""
        attempts = 0
        while True:
            reply = yield self.ask_alone(situation)
            if isinstance(reply, Failure):
                return reply
            answer = self.read_alone(reply.text, situation)
            attempts += 1
            if answer.letter is not None or attempts > self.reasks:
                return answer

    def ask_alone(self, situation: Situation) -> Ask:
        """The ask for its answer without help."""
        return self._ask(situation, (), Aim.ALONE, "")

    def read_alone(self, text: str, situation: Situation) -> AloneAnswer:
        """What the model answered without help."""
        written = self.script.read(text, situation, (), Aim.ALONE).text
        return AloneAnswer(read_alone(written, situation.question), "generated", written)

    def _speak(
        self, situation: Situation, history: tuple[Message, ...], aim: Aim, thoughts: Reply | None
    ) -> Generator[Ask, Reply | Failure, Turn]:
        events: list[Event] = []
        drafts: list[Reply] = []
        private = thoughts.text if thoughts else ""
        attempts, trimmed = 0, thoughts is not None and thoughts.trimmed
        while True:
            reply = yield self._ask(situation, history, aim, private)
            if isinstance(reply, Failure):
                return Turn(None, trimmed=trimmed, events=tuple(events), failed=reply.stop_reason)
            drafts.append(reply)
            trimmed = trimmed or reply.trimmed
            draft = self.script.read(reply.text, situation, history, aim)
            if draft.ended and history and aim is Aim.SPEAK:
                aim = Aim.ANSWER
                continue
            seen = _events(draft, situation, history, private)
            events += seen
            attempts += 1
            if not seen or draft.answer is not None or attempts > self.reasks:
                break
        if _leaks(draft, situation, history):
            events.append(Event.ANSWER_LEAK)
        message = _message(draft.text, thoughts, drafts) if draft.text or self.sends_nothing else None
        return Turn(message, draft.answer, trimmed, tuple(events), forced=aim is Aim.ANSWER)

    def _ask(self, situation: Situation, history: tuple[Message, ...], aim: Aim, thoughts: str) -> Ask:
        return Ask(Role.USER, history, lambda shown: self.script.prompt(situation, shown, aim, thoughts))


def _events(draft: Draft, situation: Situation, history: tuple[Message, ...], thoughts: str) -> list[Event]:
    seen = [Event.MARKER] if draft.marker else []
    private = (situation.persona, belief_text(situation), thoughts)
    # An answer that the assistant had given in the same words is no echo.
    return seen if draft.answer is not None else [*seen, *faults(draft.text, situation.question, history, private)]


def _leaks(draft: Draft, situation: Situation, history: tuple[Message, ...]) -> bool:
    """Whether an answer is stated before the assistant has said anything, by a user that has none of its own to state."""
    stated = not situation.belief and leaks_answer(draft.text, situation.question, history)
    return stated or (draft.answer is not None and not history)


def _message(text: str, thoughts: Reply | None, drafts: Sequence[Reply]) -> Message:
    last = drafts[-1]
    parts = (thoughts.reasoning, thoughts.text, last.reasoning) if thoughts else (last.reasoning,)
    seconds, batch = _time([thoughts, *drafts] if thoughts else drafts)
    return Message(Role.USER, text, last.tokens, seconds, "\n\n".join(part for part in parts if part), batch)


def _time(replies: Sequence[Reply]) -> tuple[float | None, float | None]:
    """Seconds and batch of what was written one after the other, so that it bears of the time what its parts bear."""
    seconds = [reply.seconds for reply in replies if reply.seconds is not None]
    batches = [reply.batch for reply in replies if reply.batch]
    if len(seconds) < len(replies):
        return None, None
    total = round(sum(seconds), 3)
    if len(batches) < len(replies):
        return total, None
    borne = sum(second / batch for second, batch in zip(seconds, batches, strict=True))
    return total, round(total / borne, 3) if borne else max(batches)
