"""What a ChatBench release holds: questions, conversations, and answers of people and of models alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import Message


class AnswerType(str, Enum):
    """How a person came to an answer: without the chatbot, or with it."""

    ALONE = "alone"
    WITH_AI = "with_ai"


@dataclass(frozen=True, slots=True)
class ReleaseQuestion:
    """A question of the study.

    Args:
        question: What everyone sees of it.
        gold: The letter of the right option.
    """

    question: Question
    gold: str

    @property
    def id(self) -> str:
        """Names the question in all files."""
        return self.question.id


@dataclass(frozen=True, slots=True)
class HumanConversation:
    """What a person and a chatbot said about a question.

    Args:
        row: Its place in `conversations.json`, from 0.
        worker: Who it was.
        question_id: The question.
        model: The chatbot, as the file names it (`gpt-4o`, `llama-3.1-8b`).
        condition: `answer-first` or `direct-to-AI`, as the file names it.
        messages: The turns, the person's first, strictly taking turns; the last may be of either.
        selected: The letter that the person chose in the end.
    """

    row: int
    worker: str
    question_id: str
    model: str
    condition: str
    messages: tuple[Message, ...]
    selected: str


@dataclass(frozen=True, slots=True)
class UserAnswer:
    """An answer of a person.

    Args:
        row: Its place in its file, from 0.
        worker: Who it was.
        question_id: The question.
        model: The chatbot that the person was assigned to, as the file names it.
        condition: `answer-first` or `direct-to-AI`, as the file names it.
        answer_type: With or without the chatbot; None where the file does not say.
        selected: The letter chosen; None where the file does not say.
        correct: Whether it is right.
        confidence: As the file has it; None where nobody asked.
    """

    row: int
    worker: str
    question_id: str
    model: str
    condition: str
    answer_type: AnswerType | None
    selected: str | None
    correct: bool
    confidence: str | None
