"""The loop that holds many dialogues at once, one batched call per model and round.

A dialogue is a generator: it yields an `Ask`, is sent the `Reply` (or a `Failure`), and returns its `Transcript`. It
never calls a model, so the same script runs against a language model, a scripted one or a person, and the driver alone
decides what is batched with what.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lm_eval_plugin.transcript import Message, Role, StopReason, Transcript


@dataclass(frozen=True, slots=True)
class Chat:
    """A prompt for a model that takes part as itself: its system message, then the conversation, oldest first.

    Args:
        system: What the model is told to be.
        messages: What was said, in the roles in which the model sees it.
        speaker: Whose turn it is to speak; a model that plays the user in its own role speaks as `USER`.
        prefill: How the model's message begins; the reply holds what follows. A chat API does not take it.
    """

    system: str
    messages: tuple[Message, ...]
    speaker: Role = Role.ASSISTANT
    prefill: str = ""


Prompt = str | Chat
"""What a model is shown: a finished text to continue, or a chat that the model's own format turns into one."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for one turn.

    Args:
        role: Which of the models is to speak.
        history: The conversation so far, oldest first.
        prompt: Turns a history into what the model is shown. It is called again with a shorter history when the whole
            one does not fit into the model's window.
    """

    role: Role
    history: tuple[Message, ...]
    prompt: Callable[[tuple[Message, ...]], Prompt]


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's turn.

    Args:
        text: What it says.
        tokens: Its length in tokens of the model; None where that is not known.
        seconds: Wall time of the call that produced it.
        reasoning: What the model thought before.
        trimmed: Whether the model was shown less than the whole history.
        batch: How many replies the call produced.
    """

    text: str
    tokens: int | None = None
    seconds: float | None = None
    reasoning: str = ""
    trimmed: bool = False
    batch: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """No turn could be had; the dialogue ends for this reason (`CONTEXT` or `MODEL_ERROR`)."""

    stop_reason: StopReason


Dialogue = Generator[Ask, Reply | Failure, Transcript]


class ChatModel(Protocol):
    """Whoever can take a turn in many dialogues at once."""

    def reply(self, asks: Sequence[Ask]) -> Sequence[Reply | Failure]:
        """Answer B asks of B dialogues with B replies, in their order."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a set of dialogues has come, after a round."""

    finished: int
    active: int
    rounds: int


def converse(
    dialogues: Iterable[Dialogue],
    models: Mapping[Role, ChatModel],
    on_round: Callable[[Progress], None] | None = None,
) -> list[Transcript]:
    """Run all dialogues to their end; in a round every model is called once, with all the asks that wait for it.

    Args:
        dialogues: Fresh generators, one per dialogue.
        models: Who speaks for which role; a role that no dialogue asks for may be absent.
        on_round: Told about the progress after every round.

    Returns:
        The transcripts, in the order of the dialogues.
    """
    running = list(dialogues)
    transcripts: dict[int, Transcript] = {}
    pending: dict[int, Ask] = {}

    def advance(index: int, reply: Reply | Failure | None) -> None:
        try:
            # A generator that has not started yet accepts None alone, which is what the first call sends.
            pending[index] = running[index].send(reply)  # type: ignore[arg-type]
        except StopIteration as end:
            transcripts[index] = end.value
            pending.pop(index, None)

    for index in range(len(running)):
        advance(index, None)
    rounds = 0
    while pending:
        for role in Role:
            waiting = [index for index, ask in pending.items() if ask.role is role]
            if waiting:
                replies = models[role].reply([pending[index] for index in waiting])
                for index, reply in zip(waiting, replies, strict=True):
                    advance(index, reply)
        rounds += 1
        if on_round is not None:
            on_round(Progress(finished=len(transcripts), active=len(pending), rounds=rounds))
    return [transcripts[index] for index in range(len(running))]


def watched(script: Dialogue, on_message: Callable[[Message], None]) -> Dialogue:
    """The same dialogue, with every message told as soon as the other side may reply to it, and the last at the end."""
    told, reply = 0, None
    while True:
        try:
            ask = script.send(reply)  # type: ignore[arg-type]  # None starts a generator
        except StopIteration as end:
            transcript: Transcript = end.value
            for message in transcript.messages[told:]:
                on_message(message)
            return transcript
        for message in ask.history[told:]:
            on_message(message)
        told = len(ask.history)
        reply = yield ask
