"""The loop that holds many dialogues at once, one batched call per model and round.

A dialogue is a generator: it yields an `Ask`, is sent the `Reply` (or a `Failure`), and returns its `Transcript`. It
never calls a model, so the same script runs against a language model, a scripted one or a person, and the driver alone
decides what is batched with what.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from lm_eval_plugin.border.text_border import encodable, is_encodable
from lm_eval_plugin.dialogue.transcript import Message, Role, StopReason, Transcript


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


class Conversation:
    """Stands for one dialogue while it is held; what a model keeps of a dialogue lives as long as this does."""

    __slots__ = ("__weakref__",)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for one turn.

    Args:
        role: Which of the models is to speak.
        history: The conversation so far, oldest first.
        prompt: Turns a history into what the model is shown. It is called again with a shorter history when the whole
            one does not fit into the model's window.
        seed: Of what the model samples for this turn, from 0 to 2**64 - 1.
        conversation: The dialogue that the ask is of; None outside of one.
    """

    role: Role
    history: tuple[Message, ...]
    prompt: Callable[[tuple[Message, ...]], Prompt]
    seed: int = 0
    conversation: Conversation | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's turn.

    Args:
        text: What it says.
        tokens: Its length in tokens of the model; None where that is not known.
        seconds: Wall time in which it was produced.
        reasoning: What the model thought before.
        trimmed: Whether the model was shown less than the whole history.
        batch: How many replies were produced at a time meanwhile, itself included, on average.
        replaced: Whether something in it could not be encoded and was replaced; see `text_border`.
        unclear: Whether the text shows something that may be a thought; see `reasoning`.
    """

    text: str
    tokens: int | None = None
    seconds: float | None = None
    reasoning: str = ""
    trimmed: bool = False
    batch: float | None = None
    replaced: bool = False
    unclear: bool = False

    def __post_init__(self) -> None:
        """Let the reply's texts pass the border, whoever made it."""
        for name in ("text", "reasoning"):
            if not is_encodable(given := getattr(self, name)):
                object.__setattr__(self, name, encodable(given))
                object.__setattr__(self, "replaced", True)


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
    *,
    live: int | None = None,
    on_end: Callable[[int, Transcript], None] | None = None,
    on_round: Callable[[Progress], None] | None = None,
) -> list[Transcript]:
    """Run all dialogues to their end; in a round every model is called once, with all the asks that wait for it.

    Args:
        dialogues: Fresh generators, one per dialogue; one is taken when there is room for it.
        models: Who speaks for which role; a role that no dialogue asks for may be absent.
        live: How many dialogues are held at once, from 1; as one ends, the next begins. None for all of them.
        on_end: Told of every transcript as soon as its dialogue has ended, with the dialogue's place.
        on_round: Told about the progress after every round.

    Returns:
        The transcripts, in the order of the dialogues.
    """
    table = _Table(dialogues, live, on_end)
    rounds = 0
    table.fill()
    while table.running:
        for role in Role:
            table.take_turns(role, models)
        rounds += 1
        table.fill()
        if on_round is not None:
            on_round(Progress(finished=len(table.transcripts), active=len(table.running), rounds=rounds))
    return [table.transcripts[place] for place in range(len(table.transcripts))]


class _Table:
    """The dialogues that are held, each with its ask, those that are still to come, and those that have ended."""

    def __init__(
        self, dialogues: Iterable[Dialogue], live: int | None, on_end: Callable[[int, Transcript], None] | None
    ) -> None:
        self._coming = enumerate(dialogues)
        self._live = live
        self._on_end = on_end
        self.running: dict[int, tuple[Dialogue, Ask]] = {}
        self.transcripts: dict[int, Transcript] = {}

    def fill(self) -> None:
        """Begin as many dialogues as there is room for."""
        while self._live is None or len(self.running) < self._live:
            entry = next(self._coming, None)
            if entry is None:
                return
            self._advance(*entry, None)

    def take_turns(self, role: Role, models: Mapping[Role, ChatModel]) -> None:
        """Let all who wait for this role hear from it."""
        waiting = [(place, script, ask) for place, (script, ask) in self.running.items() if ask.role is role]
        if not waiting:
            return
        replies = models[role].reply([ask for _, _, ask in waiting])
        for (place, script, _), reply in zip(waiting, replies, strict=True):
            self._advance(place, script, reply)

    def _advance(self, place: int, script: Dialogue, reply: Reply | Failure | None) -> None:
        try:
            # A generator that has not started yet accepts None alone, which is what the first call sends.
            self.running[place] = script, script.send(reply)  # type: ignore[arg-type]
        except StopIteration as end:
            self.running.pop(place, None)
            self.transcripts[place] = end.value
            if self._on_end is not None:
                self._on_end(place, end.value)


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


def seeded(script: Dialogue, seed: int) -> Dialogue:
    """The same dialogue, with a seed of its own for every turn that a model takes in it.

    Args:
        script: The dialogue.
        seed: The dialogue's seed; that of a turn follows from it, the role and how often the role was asked before.
    """
    conversation, asked = Conversation(), Counter[Role]()
    reply, replaced, unclear = None, False, 0
    while True:
        try:
            ask = script.send(reply)  # type: ignore[arg-type]  # None starts a generator
        except StopIteration as end:
            transcript: Transcript = end.value
            return replace(transcript, text_replaced=replaced, unclear_reasoning=unclear)
        turn_seed = _digest(f"{seed}|{ask.role.value}|{asked[ask.role]}")
        asked[ask.role] += 1
        reply = yield replace(ask, seed=turn_seed, conversation=conversation)
        if isinstance(reply, Reply):
            replaced, unclear = replaced or reply.replaced, unclear + reply.unclear


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
