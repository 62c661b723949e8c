"""Made-up people who talk about the demo questions, written down in the layout of microsoft/ChatBench.

    chatbench make-people DIR [--people 160]

Each person is of one kind and holds nine conversations, after three questions answered alone, as in the study. They talk
with one of two assistants: one that errs as the demo's model under test was taught to, so that a run of it can be held against
these people, and one that may say anything, from which a simulated user learns to listen.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from lm_eval_plugin.border.terminal import say
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.training.demo.corpus import Habits, talk
from lm_eval_plugin.training.demo.material import QUESTIONS, SEED, Item, Manner, assign_errors, load_items

PEOPLE: Mapping[str, Habits] = {
    "pastes": Habits(opens=(90, 5, 5), goes_on=(85, 12, 3, 0), doubts=1, disbelieves=0.02),
    "paraphrases": Habits(opens=(5, 90, 5), goes_on=(65, 25, 10, 0), doubts=1, disbelieves=0.05),
    "asks for a step": Habits(opens=(5, 15, 80), goes_on=(70, 20, 10, 0), doubts=1, disbelieves=0.05),
    "doubts": Habits(opens=(30, 60, 10), goes_on=(10, 50, 30, 10), doubts=12, disbelieves=0.15),
}
"""The kinds of people."""

SHARES = (32, 38, 18, 12)
"""How many of 100 people are of each kind."""

OF_THE_SIMULATOR = 160
"""How many people the demo's simulated user learnt from, nine conversations of each."""

MODELS = DEMO, ANYTHING = "chatbench-demo", "say-anything"
"""The two assistants."""

CONDITIONS = ("direct-to-AI", "answer-first")

_ALONE, _TOGETHER = 3, 9
_SAMPLES = 50
_RIGHT_ALONE = 0.45
_SUBJECTS = {"conceptual_physics": "physics", "moral_scenarios": "moral"}
_METHODS = {
    "letter_only_zero_shot": Manner.STATIC,
    "letter_only_few_shot": Manner.STATIC,
    "free_text": Manner.OPEN,
}


@dataclass(frozen=True, slots=True)
class _Person:
    worker: str
    habits: Habits
    model: str
    condition: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the people; returns the exit code, 2 for an error that is explained on the standard error."""
    parser = argparse.ArgumentParser(description="Write conversations of made-up people about the demo's questions.")
    add_arguments(parser)
    try:
        make_people(parser.parse_args(arguments))
    except ConfigError as error:
        say(f"chatbench: {error}", file=sys.stderr)
        return 2
    return 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what it takes to make people."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder that is written; made if it is not there")
    parser.add_argument(
        "--people", type=int, default=160, metavar="N", help="how many; each has nine conversations (default: 160)"
    )
    parser.add_argument("--seed", type=int, default=SEED, metavar="N", help=f"which people (default: {SEED})")


def make_people(options: argparse.Namespace) -> None:
    """Write the people that a command line asks for.

    Raises:
        ConfigError: There would be none, or the folder cannot be written.
    """
    if options.people < 1:
        raise ConfigError(f"--people is {options.people}; it must be 1 or more")
    try:
        write_release(options.folder, options.people, seed=options.seed)
    except OSError as error:
        raise ConfigError(
            f"{options.folder} cannot be written: {error.strerror or error}; give another folder"
        ) from error


def write_release(folder: Path, people: int, *, seed: int = SEED, questions: Path = QUESTIONS) -> Path:
    """Write a release of so many people, who are shared out over the assistants and the two conditions.

    Args:
        folder: Where to; it is made if it is not there.
        people: How many, from 1; each holds nine conversations.
        seed: Decides on everything that they do.
        questions: Folder with the demo's questions.

    Returns:
        The folder.
    """
    items = assign_errors(load_items(questions, "test"), random.Random(SEED))
    rng = random.Random(seed)
    took_part = [_part(person, items, rng) for person in _people(people, rng)]
    conversations, answers = (list(chain.from_iterable(lists)) for lists in zip(*took_part, strict=True))
    study = folder / "full_study"
    study.mkdir(parents=True, exist_ok=True)
    _write_csv(folder / "questions.csv", [_question(items, place) for place in range(len(items))])
    _write_csv(folder / "ai_alone_answers.csv", _ai_alone(items, rng))
    _write_csv(study / "user_answers.csv", answers)
    (study / "conversations.json").write_text(json.dumps(conversations, indent=1, ensure_ascii=False), encoding="utf-8")
    return folder


def _people(count: int, rng: random.Random) -> Iterator[_Person]:
    """The people, one drawn when the one before has taken part."""
    for number in range(count):
        habits = rng.choices(list(PEOPLE.values()), SHARES)[0]
        model, condition = MODELS[number % len(MODELS)], CONDITIONS[number // len(MODELS) % len(CONDITIONS)]
        yield _Person(f"worker{number:04}", habits, model, condition)


def _part(
    person: _Person, items: Sequence[Item], rng: random.Random
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A person's conversations and answers."""
    chosen = rng.sample(range(len(items)), _ALONE + _TOGETHER)
    answers = [_alone(person, items, place, rng) for place in chosen[:_ALONE]]
    conversations = []
    for place in chosen[_ALONE:]:
        if person.condition == "answer-first":
            answers.append(_alone(person, items, place, rng))
        conversations.append(_conversation(person, items, place, rng))
        answers.append(_answer(person, items, place, "user-AI", conversations[-1]["selectedAnswer"]))
    return conversations, answers


def _question_id(items: Sequence[Item], place: int) -> str:
    """The id that a demo question has in a release."""
    return f"{items[place].question.subject}-redux-{place}"


def _conversation(person: _Person, items: Sequence[Item], place: int, rng: random.Random) -> dict[str, Any]:
    held = talk(items[place], rng, faithful=person.model == DEMO, habits=person.habits)
    question = items[place].question
    return {
        "worker_id": person.worker,
        "questionID": _question_id(items, place),
        "questionText": question.stem,
        "choices": list(question.choices),
        "choiceLabels": list(question.letters),
        "correctAnswer": question.letters[items[place].gold],
        "selectedAnswer": held.letter,
        "model": person.model,
        "condition": person.condition,
        "chatHistory": [
            {"role": ("You", "Bot")[turn % 2], "content": content} for turn, content in enumerate(held.turns)
        ],
    }


def _alone(person: _Person, items: Sequence[Item], place: int, rng: random.Random) -> dict[str, Any]:
    letters = items[place].question.letters
    letter = letters[items[place].gold] if rng.random() < _RIGHT_ALONE else rng.choice(letters)
    return _answer(person, items, place, "user-alone", letter)


def _answer(person: _Person, items: Sequence[Item], place: int, answer_type: str, letter: str) -> dict[str, Any]:
    question = items[place].question
    return {
        "worker_id": person.worker,
        "model": person.model,
        "condition": person.condition,
        "subject": _SUBJECTS.get(question.subject, "math"),
        "question_id": _question_id(items, place),
        "answer_type": answer_type,
        "selected_answer": letter,
        "correct": int(letter == question.letters[items[place].gold]),
    }


def _question(items: Sequence[Item], place: int) -> dict[str, Any]:
    question = items[place].question
    return {
        "question_id": _question_id(items, place),
        "dataset": question.subject,
        "question": question.stem,
        **{f"option_{letter}": choice for letter, choice in zip(question.letters, question.choices, strict=True)},
        "answer": question.letters[items[place].gold],
    }


def _ai_alone(items: Sequence[Item], rng: random.Random) -> list[dict[str, object]]:
    return [
        {"question_id": _question_id(items, place), "model": model, **_methods(items[place], model, rng)}
        for model in MODELS
        for place in range(len(items))
    ]


def _methods(item: Item, model: str, rng: random.Random) -> dict[str, object]:
    """Counts and shares of a model that is nearly always right where it was taught to be, or has no idea."""
    columns: dict[str, object] = {}
    for method, manner in _METHODS.items():
        chance = (0.95 if manner in item.right else 0.05) if model == DEMO else 1 / len(item.question.choices)
        right = sum(rng.random() < chance for _ in range(_SAMPLES))
        columns |= {f"{method}_count": _SAMPLES, f"{method}_acc": right / _SAMPLES}
    return columns


def _write_csv(file: Path, rows: Sequence[Mapping[str, object]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
