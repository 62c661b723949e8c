"""Where `chatbench simulate` has its questions from: the command line, a file, or a task."""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lm_eval_plugin.border.terminal import say
from lm_eval_plugin.config.dialogue import DEFAULT_SIMULATOR
from lm_eval_plugin.config.simulator import read_simulator
from lm_eval_plugin.config.strict import nearest
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.results.jsonl import json_objects

if TYPE_CHECKING:
    from lm_eval_plugin.config.dialogue import DialogueConfig

_ONCE = {"repeats": 1, "judge": None}
"""A question is talked about once, and nothing of it is judged."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to talk about, and its right letters where they are known; these are shown at the end, to people alone."""

    question: Question
    right: str = ""


def asked_questions(chosen: argparse.Namespace, settings: dict[str, Any]) -> tuple[list[Asked], DialogueConfig]:
    """The questions, and how to talk about them."""
    from lm_eval_plugin.runner.simulation import dialogue_config

    if sum(source is not None for source in (chosen.question, chosen.file, chosen.task)) != 1:
        raise ConfigError(
            "name one question: QUESTION with --choice, or --file, or --task (see chatbench simulate --help)"
        )
    if chosen.choice and chosen.question is None:
        raise ConfigError("--choice belongs to a QUESTION on the command line")
    if chosen.task is not None:
        return _from_task(chosen, settings)
    simulator = settings.pop("simulator", None) or _for_own_question()
    config = dialogue_config(simulator, settings).model_copy(update=_ONCE)
    if chosen.file is not None:
        return read_file(chosen.file), config
    return [_read({"question": chosen.question, "choices": chosen.choice}, "the command line")], config


def read_file(file: Path) -> list[Asked]:
    """The questions of a file of JSON or JSON lines.

    Raises:
        ConfigError: It cannot be read, holds none, or one is not of the form.
    """
    read = [_read(fields, str(file)) for fields in json_objects(file)]
    if not read:
        raise ConfigError(f"{file} holds no question; give objects with question and choices")
    return read


def _for_own_question() -> str:
    """Who brings a question of one's own, said in a line: the released simulator if it is here, else one that needs no model.

    The demo's simulator knows the demo's 48 questions alone and would talk about another one.
    """
    from lm_eval_plugin.doctor.files import is_at_hand

    if is_at_hand(read_simulator(DEFAULT_SIMULATOR, "chatbench simulate")):
        say(f"chatbench: the user is {DEFAULT_SIMULATOR}; --user names another", file=sys.stderr)
        return DEFAULT_SIMULATOR
    say(
        f"chatbench: the user is scripted, since {DEFAULT_SIMULATOR} is not in the local cache; --user {DEFAULT_SIMULATOR} "
        "downloads and takes it (0.3 GB)",
        file=sys.stderr,
    )
    return "scripted"


def _read(fields: Mapping[str, Any], where: str) -> Asked:
    from lm_eval_plugin.runner.simulation import read_question

    try:
        question = read_question(fields)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    return Asked(question, _right(fields.get("answer"), question, where))


def _right(answer: object, question: Question, where: str) -> str:
    """The letter of the right option, or several for options of one text; empty where no answer is given."""
    letters = question.letters
    if answer is None:
        return ""
    if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(letters):
        return letters[answer]
    if isinstance(answer, str) and answer in tuple(letters):
        return answer
    same = [letter for letter, choice in zip(letters, question.choices, strict=True) if choice == answer]
    if not same:
        raise ConfigError(
            f"{where}: the answer of question {question.id!r} is {answer!r}; give a letter from A to {letters[-1]}, a place "
            f"from 0 to {len(letters) - 1}, or the text of an option"
        )
    return " or ".join(same)


def _from_task(chosen: argparse.Namespace, settings: Mapping[str, Any]) -> tuple[list[Asked], DialogueConfig]:
    from lm_eval_plugin.config.dialogue import merge_blocks, read_dialogue_block

    read_dialogue_block(merge_blocks({}, settings), "chatbench simulate")
    task = _task(chosen.task, chosen.include_path, settings)
    docs = list(task.eval_docs)
    place = random.Random(chosen.seed).randrange(len(docs)) if chosen.doc is None else chosen.doc
    if not 0 <= place < len(docs):
        raise ConfigError(f"--doc is {place}; {chosen.task} has questions 0 to {len(docs) - 1}")
    right = " or ".join(sorted(task.gold_letters(docs[place])))
    return [Asked(task.question(docs[place]), right)], task.dialogue.model_copy(update=_ONCE)


def _task(name: str, include_path: str | None, settings: Mapping[str, Any]) -> Any:
    """The task of that name, with its `dialogue`, its `eval_docs`, and a `question` and the right letters of each."""
    from lm_eval_plugin.harness.for_commands import dialogue_tasks

    manager = dialogue_tasks(include_path, settings)
    if name not in manager.all_subtasks:
        raise ConfigError(f"the task {name!r} is not one to talk about{nearest(name, sorted(manager.all_subtasks))}")
    task = manager.load([name])["tasks"][name]
    if not hasattr(task, "dialogue"):
        raise ConfigError(f"the task {name!r} has no dialogue: block and its class")
    return task
