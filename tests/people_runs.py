"""Runs and studies of people over the same made-up questions, with the outcomes that a test asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from releases import answer, conversation, product, write_release
from sample_runs import sample, write_run

from lm_eval_plugin.config.dialogue import read_dialogue_block
from lm_eval_plugin.config.request import DialogueRequest
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import Message, Role, StopReason, Transcript
from lm_eval_plugin.runner.participants import label_of

QUESTIONS = [product(a, b) for a in range(2, 8) for b in range(10, 18)]
"""48 questions; B is right."""


def asked(row: Mapping[str, str], order: str = "ABCD") -> Question:
    """The question of a row of `questions.csv`, its options in any order."""
    return Question(
        f"q-{row['question_id']}", row["dataset"], row["question"], tuple(row[f"option_{each}"] for each in order)
    )


def transcript(question: Question, letter: str | None, repeat: int, *said: str, simulator: str) -> Transcript:
    """A dialogue of these messages, the user's first, that ends with an answer, or by a model error."""
    roles = (Role.USER, Role.ASSISTANT)
    messages = [Message(roles[turn % 2], text) for turn, text in enumerate(said)]
    if letter is None:
        return Transcript(question.id, simulator, repeat, 0, tuple(messages), None, StopReason.MODEL_ERROR)
    messages.append(Message(Role.USER, f"Answer: {letter}"))
    return Transcript(question.id, simulator, repeat, 0, tuple(messages), letter, StopReason.ANSWERED)


def write_outcomes(
    folder: Path,
    model: str,
    outcomes: Sequence[str],
    *,
    said: Sequence[str] = ("what is it?", "Look again."),
    dialogue: Mapping[str, Any] | None = None,
    rows: Sequence[Mapping[str, str]] = QUESTIONS,
    task: str = "chatbench_arithmetic",
    **config: Any,
) -> Path:
    """A run that asks the questions, with the letters that its dialogues ended with.

    Args:
        folder: Where it goes.
        model: The model under test.
        outcomes: For each question a letter for each dialogue; `-` for a model error.
        said: The messages of every dialogue before its answer.
        dialogue: Of its `dialogue:` block.
        rows: The questions.
        task: Its name.
        config: As `write_run` takes it.
    """
    settings = {"simulator": "scripted", "repeats": max(map(len, outcomes)), **(dialogue or {})}
    block = read_dialogue_block(settings, "run of a test")

    def one(row: Mapping[str, str], letters: str) -> dict[str, Any]:
        question = asked(row)
        held = [
            transcript(question, None if letter == "-" else letter, repeat, *said, simulator=label_of(block))
            for repeat, letter in enumerate(letters)
        ]
        return sample(DialogueRequest(question, block), row["answer"], held, 0.0)

    return write_run(folder, model, {task: [one(*each) for each in zip(rows, outcomes, strict=False)]}, **config)


def write_study(
    folder: Path,
    reached: Mapping[str, Mapping[int, float]],
    *,
    people: int = 10,
    condition: str = "direct-to-AI",
    chat: Sequence[tuple[str, str]] = (("You", "what is it?"), ("Bot", "Look again.")),
    **changes: Any,
) -> Path:
    """A study in which so many people each answered about each question; by default nobody answers two.

    Args:
        folder: Where it goes.
        reached: By model and the question's index, the share that was right.
        people: How many answer a question.
        condition: Of them all.
        chat: What each says and is told.
        changes: As `write_release` takes them.
    """
    answers, conversations = [], []
    for model, shares in reached.items():
        for index, share in shares.items():
            for person in range(people):
                letter = "B" if person < round(share * people) else "C"
                who = {"worker_id": f"w-{model}-{index}-{person}", "model": model, "condition": condition}
                answers.append(answer(QUESTIONS[index], selected_answer=letter, correct=str(int(letter == "B")), **who))
                conversations.append(conversation(QUESTIONS[index], chat, selectedAnswer=letter, **who))
    return write_release(
        folder, **{"questions": QUESTIONS, "answers": answers, "conversations": conversations, **changes}
    )
