"""The record of a dialogue: what was said, what the user answered and why it ended.

A transcript is the response that the host stores with a sample, and every measure is computed from it. As JSON:

    {"version": 1, "question_id": "chatbench_demo-5f0c2a91d3", "simulator": "demo", "repeat": 0, "seed": 2714063398,
     "messages": [{"role": "user", "content": "What is 7 x 8?", "tokens": 8, "seconds": 0.41},
                  {"role": "assistant", "content": "It is 56, so B.", "tokens": 9, "seconds": 0.38},
                  {"role": "user", "content": "Answer: B", "tokens": 3, "seconds": 0.2}],
     "answer": "B", "stop_reason": "answered", "context_trimmed": false, "events": {"repeat": 1}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from lm_eval_plugin.border.logged_fields import TranscriptFields, VerdictFields, checked
from lm_eval_plugin.border.outside_json import read_json

VERSION = 1
"""Version of the JSON form; a reader refuses a version that it does not know."""


class Role(str, Enum):
    """Who speaks: the person, simulated or real, or the model under test."""

    USER = "user"
    ASSISTANT = "assistant"


_ROLES = {role.value: role for role in Role}


class StopReason(str, Enum):
    """Why a dialogue ended.

    ANSWERED: the user accepted one of the question's letters by itself.
    FORCED: the user named one of the letters only when it was asked for its answer, its turns being used up or ended.
    INVALID: the user gave an answer that is not one of the question's letters.
    NO_ANSWER: the user gave no answer, though it was forced or had nothing left to say.
    CONTEXT: the conversation no longer fitted into a model's window, even trimmed.
    MODEL_ERROR: a model returned no reply; the dialogue is not scored.
    """

    ANSWERED = "answered"
    FORCED = "forced"
    INVALID = "invalid"
    NO_ANSWER = "no_answer"
    CONTEXT = "context"
    MODEL_ERROR = "model_error"


class Event(str, Enum):
    """What a simulated user did that a person would not; each is counted where it happens.

    EMPTY: it said nothing.
    ECHO: it said what the assistant had just said.
    REPEAT: it said again what it had said in its turn before.
    SWAPPED_ROLE: it spoke as the assistant ("How can I help you?").
    LEAKED_REASONING: its message held what it thought or was told to be, or spoke of itself as a simulation.
    MARKER: its message held a piece of its prompt's structure; what follows it was cut off.
    ANSWER_LEAK: it stated an option as the answer before the assistant had said anything.
    """

    EMPTY = "empty"
    ECHO = "echo"
    REPEAT = "repeat"
    SWAPPED_ROLE = "swapped_role"
    LEAKED_REASONING = "leaked_reasoning"
    MARKER = "marker"
    ANSWER_LEAK = "answer_leak"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of one speaker.

    Args:
        role: Who said it.
        content: What the other side sees, exactly as it was said.
        tokens: Its length in the model's own tokens; None where that is not known.
        seconds: Wall time in which it was produced, with what the model thought first and drafts that were not taken; None
            for a speaker without a model.
        reasoning: What the model thought before it spoke, seen by nobody else; empty if it showed nothing.
        batch: How many messages were produced at a time meanwhile, itself included, on average, on which its time depends;
            None where that is not known.
    """

    role: Role
    content: str
    tokens: int | None = None
    seconds: float | None = None
    reasoning: str = ""
    batch: float | None = None


JUDGED = ("coherence", "satisfaction")
"""What a judge says of a dialogue, a verdict on each."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge says of a dialogue.

    Args:
        score: From 1, the worst, to 5.
        reason: Why, in the judge's words.
    """

    score: int
    reason: str


@dataclass(frozen=True, slots=True)
class Read:
    """Which options a reply of the assistant was read to support.

    Args:
        message: The index of the reply in the transcript's messages.
        letters: The options, in the order of their letters; empty if the reply supports none, None if it could not be read.
        by: Who read it: `rules`, `likelihood` or `judge`.
        confidence: The share of the likelihood that what was read has, from 0 to 1; None where the reader tells none.
    """

    message: int
    letters: str | None
    by: str
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class AloneAnswer:
    """What a simulated user answered without help.

    Args:
        letter: The option; None where it named none of the question's letters, or its model gave no reply.
        by: How it was told: `generated`, or `likelihood` for the likeliest letter.
        text: What it wrote; empty for a likelihood.
        confidence: The share of the letters' likelihood that the likeliest has, from 0 to 1; None for what was generated.
    """

    letter: str | None
    by: str
    text: str = ""
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """A finished dialogue.

    Args:
        question_id: The question that it is about.
        simulator: Label of the simulated user; scores under different labels are not comparable.
        repeat: Which of the question's dialogues this is, from 0.
        seed: Seed of the choices that the user's policy itself makes, and of what the models sample in each of their turns.
        messages: What was said, user first; the user's last message holds its answer, if it gave one.
        answer: The accepted letter, or None.
        stop_reason: Why the dialogue ended.
        context_trimmed: Whether a model was at some point shown less than the whole conversation.
        events: How often the user did what a person would not, attempts included that were asked for again; None for a
            user that no guardrail watches, such as a script or a person.
        persona: Who the user was told to be: a name of `simulators.personas` or a text; empty for nobody in particular.
        verdicts: What a judge says of each thing that it was asked about, None where it gave no verdict that can be read;
            None altogether where no judge was asked.
        unseeded: The roles whose models sampled by a chance of their own, so that another run with the same seed says
            something else; empty if the dialogue repeats.
        text_replaced: Whether a text from outside (a reply, the question, the persona, the system message) held something
            that UTF-8 cannot hold, in place of which U+FFFD stands.
        unclear_reasoning: How many replies show something that may be a thought of the model; see `reasoning`.
        reads: Which options each reply of the assistant was read to support, in turn, where the task names a reader; None
            where it names none, so that the rules read.
        belief: What the user answered before the dialogue, and believed in it; None in the condition `direct`.
        alone: What the user answered apart from the dialogue, which did not see it; None where it was not asked.
    """

    question_id: str
    simulator: str
    repeat: int
    seed: int
    messages: tuple[Message, ...]
    answer: str | None
    stop_reason: StopReason
    context_trimmed: bool = False
    events: Mapping[Event, int] | None = None
    persona: str = ""
    verdicts: Mapping[str, Verdict | None] | None = None
    unseeded: tuple[Role, ...] = ()
    text_replaced: bool = False
    unclear_reasoning: int = 0
    reads: tuple[Read, ...] | None = None
    belief: AloneAnswer | None = None
    alone: AloneAnswer | None = None

    def to_json(self) -> str:
        """The transcript as one line of JSON; what was not asked for is left out."""
        fields: dict[str, Any] = {
            "version": VERSION,
            "question_id": self.question_id,
            "simulator": self.simulator,
            "repeat": self.repeat,
            "seed": self.seed,
            "messages": [_message_fields(message) for message in self.messages],
            "answer": self.answer,
            "stop_reason": self.stop_reason.value,
            "context_trimmed": self.context_trimmed,
        }
        if self.events is not None:
            fields["events"] = {event.value: count for event, count in self.events.items()}
        if self.persona:
            fields["persona"] = self.persona
        if self.verdicts is not None:
            fields["verdicts"] = {name: verdict and asdict(verdict) for name, verdict in self.verdicts.items()}
        if self.unseeded:
            fields["unseeded"] = [role.value for role in self.unseeded]
        if self.text_replaced:
            fields["text_replaced"] = True
        if self.unclear_reasoning:
            fields["unclear_reasoning"] = self.unclear_reasoning
        if self.reads is not None:
            fields["reads"] = [asdict(read) for read in self.reads]
        given = {"belief": self.belief, "alone": self.alone}
        fields |= {name: asdict(answer) for name, answer in given.items() if answer is not None}
        return json.dumps(fields, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Transcript:
        """Read back what `to_json` wrote.

        Raises:
            ValueError: The text is not a transcript of a version that this code knows.
        """
        fields: dict[str, Any] = read_json(text)
        if not isinstance(fields, dict) or fields.get("version") != VERSION:
            raise ValueError(
                f"not a transcript of version {VERSION}: {text[:80]!r}; read it with the release that wrote it"
            )
        try:
            read = checked(TranscriptFields, fields)
        except ValueError as error:
            raise ValueError(f"a transcript's {error}") from error
        return cls(
            question_id=read.question_id,
            simulator=read.simulator,
            repeat=read.repeat,
            seed=read.seed,
            messages=tuple(
                Message(_ROLES[each.role], each.content, each.tokens, each.seconds, each.reasoning, each.batch)
                for each in read.messages
            ),
            answer=read.answer,
            stop_reason=StopReason(read.stop_reason),
            context_trimmed=read.context_trimmed,
            events=None if read.events is None else {Event(name): count for name, count in read.events.items()},
            persona=read.persona,
            verdicts=_verdicts(read.verdicts),
            unseeded=tuple(_ROLES[role] for role in read.unseeded),
            text_replaced=read.text_replaced,
            unclear_reasoning=read.unclear_reasoning,
            reads=None if read.reads is None else tuple(Read(**dict(each)) for each in read.reads),
            belief=None if read.belief is None else AloneAnswer(**dict(read.belief)),
            alone=None if read.alone is None else AloneAnswer(**dict(read.alone)),
        )


def _verdicts(given: Mapping[str, VerdictFields | None] | None) -> dict[str, Verdict | None] | None:
    return (
        None
        if given is None
        else {name: None if each is None else Verdict(each.score, each.reason) for name, each in given.items()}
    )


def _message_fields(message: Message) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "role": message.role.value,
        "content": message.content,
        "tokens": message.tokens,
        "seconds": message.seconds,
    }
    if message.reasoning:
        fields["reasoning"] = message.reasoning
    if message.batch is not None:
        fields["batch"] = message.batch
    return fields
