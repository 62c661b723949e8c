"""Models that say what a test tells them to, and the shortest way to hold a dialogue with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lm_eval_plugin.dialogue.engine import Ask, Failure, Prompt, Reply, converse
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import Role, Transcript
from lm_eval_plugin.simulators.chatbench import ChatbenchFormat, Reading
from lm_eval_plugin.simulators.loop import AnswersAlone, Simulator, dialogue
from lm_eval_plugin.simulators.model_user import ModelUser
from lm_eval_plugin.simulators.personas import NOBODY, Persona

PRODUCT = Question("product", "arithmetic", "What is 7 x 8?", ("54", "56", "58", "63"))
"""The question of most tests; its options are A to D."""


@dataclass
class ScriptedModel:
    """A `ChatModel` made of a function; it keeps what it was shown and how many asks each call held.

    Args:
        answer: What to reply to an ask; a plain text stands for a `Reply` with it.
    """

    answer: Callable[[Ask], Reply | Failure | str]
    shown: list[Prompt] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)

    def reply(self, asks: Sequence[Ask]) -> list[Reply | Failure]:
        self.batches.append(len(asks))
        self.shown.extend(ask.prompt(ask.history) for ask in asks)
        replies = [self.answer(ask) for ask in asks]
        return [Reply(reply) if isinstance(reply, str) else reply for reply in replies]


def saying(*lines: Reply | Failure | str) -> ScriptedModel:
    """A model that says its lines one after the other, in every dialogue anew; asked once more, it is an error."""
    return ScriptedModel(lambda ask: lines[sum(message.role is ask.role for message in ask.history)])


def chatbench_user(label: str = "chatbench", reading: Reading = Reading.A, **settings: Any) -> ModelUser:
    """The user of the released weights, without a model of its own."""
    return ModelUser(label, ChatbenchFormat(reading), **settings)


def hold(
    user: ScriptedModel,
    assistant: ScriptedModel,
    *,
    question: Question = PRODUCT,
    simulator: Simulator | None = None,
    system: str = "Help.",
    max_turns: int = 10,
    repeat: int = 0,
    seed: int = 0,
    persona: Persona = NOBODY,
    alone: AnswersAlone | None = None,
) -> Transcript:
    """One dialogue between two scripted models."""
    script = dialogue(
        question,
        simulator or chatbench_user(),
        assistant_system=system,
        max_turns=max_turns,
        repeat=repeat,
        seed=seed,
        persona=persona,
        alone=alone,
    )
    return converse([script], {Role.USER: user, Role.ASSISTANT: assistant})[0]


def said(transcript: Transcript) -> list[str]:
    """What was said, in turn, without who said it."""
    return [message.content for message in transcript.messages]
