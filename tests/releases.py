"""Small releases of human conversations in the layout of microsoft/ChatBench, to be broken in one place at a time."""

from __future__ import annotations

import csv
import json
from pathlib import Path

CHAT = (("You", "what is 7 x 8"), ("Bot", "It is 56."), ("You", "sure?"), ("Bot", "Yes, 56."))
"""Two turns of a person, each replied to."""


def product(a: int, b: int) -> dict:
    """A question in the layout of `questions.csv`; the right option is B."""
    options = {"option_A": str(a + b + 100), "option_B": str(a * b), "option_C": str(a * b + 200), "option_D": "none"}
    named = {"question_id": f"arithmetic-redux-{a * 10 + b}", "dataset": "arithmetic"}
    return {**named, "question": f"What is {a} x {b}?", **options, "answer": "B"}


QUESTIONS = [product(a, b) for a in (2, 3) for b in (4, 5, 6, 7, 8)]


def conversation(question: dict = QUESTIONS[0], chat=CHAT, **changes) -> dict:
    """An entry of `conversations.json` in the study's own words."""
    entry = {
        "worker_id": "w0",
        "questionID": question["question_id"],
        "questionText": question["question"],
        "choices": [question[f"option_{letter}"] for letter in "ABCD"],
        "choiceLabels": list("ABCD"),
        "correctAnswer": question["answer"],
        "selectedAnswer": "B",
        "model": "gpt-4o",
        "condition": "answer-first",
        "chatHistory": [{"role": role, "content": content} for role, content in chat],
    }
    return {key: value for key, value in {**entry, **changes}.items() if value is not ...}


def answer(question: dict = QUESTIONS[0], **changes) -> dict:
    """A row of `user_answers.csv`."""
    row = {
        "worker_id": "w0",
        "model": "gpt-4o",
        "condition": "answer-first",
        "subject": "math",
        "question_id": question["question_id"],
        "answer_type": "user-AI",
        "selected_answer": "B",
        "correct": "1",
        "confidence": "",
    }
    return {key: value for key, value in {**row, **changes}.items() if value is not ...}


def write_csv(file: Path, rows: list[dict]) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_release(folder: Path, *, questions=QUESTIONS, conversations=None, answers=None) -> Path:
    """Write a release; by default one good conversation and answer for each question."""
    study = folder / "full_study"
    study.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "questions.csv", questions)
    write_csv(study / "user_answers.csv", answers or [answer(question) for question in questions])
    held = conversations or [conversation(question) for question in questions]
    (study / "conversations.json").write_text(json.dumps(held), encoding="utf-8")
    return folder
