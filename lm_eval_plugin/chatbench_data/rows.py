"""From a row of a ChatBench release to a record, or to the reason why it cannot be one."""

from __future__ import annotations

import ast
import contextlib
import itertools
from collections.abc import Mapping
from typing import Any

from lm_eval_plugin.border.outside_json import read_json
from lm_eval_plugin.chatbench_data.columns import OPTIONS, ROLES, plain
from lm_eval_plugin.chatbench_data.files import BadRowError
from lm_eval_plugin.chatbench_data.records import (
    AnswerType,
    HumanConversation,
    ReleaseQuestion,
    UserAnswer,
)
from lm_eval_plugin.dialogue.question import LETTERS, Question
from lm_eval_plugin.dialogue.transcript import Message, Role


def read_question(_place: int, row: Mapping[str, Any]) -> ReleaseQuestion:
    """The question of a row."""
    question_id = _text(row, "question_id")
    subject = row["subject"] or question_id.partition("-redux-")[0]
    try:
        question = Question(question_id, str(subject), row["stem"], _choices(row))
    except ValueError as error:
        raise BadRowError(str(error)) from error
    return ReleaseQuestion(question, _gold(row["gold"], question))


def read_conversation(
    place: int, row: Mapping[str, Any], questions: Mapping[str, ReleaseQuestion]
) -> HumanConversation:
    """The conversation of a row."""
    about = _known(row, questions)
    return HumanConversation(
        row=place,
        worker=_text(row, "worker"),
        question_id=about.id,
        model=_text(row, "model"),
        condition=_text(row, "condition"),
        messages=read_turns(row["turns"]),
        selected=_selected(row["selected"], about.question),
    )


def read_user_answer(place: int, row: Mapping[str, Any], questions: Mapping[str, ReleaseQuestion]) -> UserAnswer:
    """The answer of a row; whether it is right is read, or told from the letter where the file does not say."""
    about = _known(row, questions)
    selected = _selected(row["selected"], about.question) if row["selected"] is not None else None
    if row["correct"] is None and selected is None:
        raise BadRowError("it says neither what was selected nor whether that is right")
    return UserAnswer(
        row=place,
        worker=_text(row, "worker"),
        question_id=about.id,
        model=_text(row, "model"),
        condition=_text(row, "condition"),
        answer_type=_answer_type(row["answer_type"]),
        selected=selected,
        correct=selected == about.gold if row["correct"] is None else _truth(row["correct"]),
        confidence=row["confidence"] or None,
    )


def read_turns(turns: object) -> tuple[Message, ...]:
    """The turns of a conversation.

    Raises:
        BadRowError: There is none, one is not of the form, empty or of nobody known, the assistant begins, or someone has two
            in a row. Turns are counted from 0.
    """
    if not isinstance(turns, list) or not turns:
        raise BadRowError(f"its turns are {str(turns)[:60]}; they must be a list of at least one")
    messages = tuple(_message(turn, place) for place, turn in enumerate(turns))
    if messages[0].role is Role.ASSISTANT:
        raise BadRowError("the conversation begins with the assistant")
    for place, (one, other) in enumerate(itertools.pairwise(messages)):
        if one.role is other.role:
            raise BadRowError(f"turns {place} and {place + 1} are both of the {one.role.value}")
    return messages


def _message(turn: object, place: int) -> Message:
    if not isinstance(turn, dict) or not {"role", "content"} <= turn.keys():
        raise BadRowError(f"turn {place} is {str(turn)[:60]}; it must have role and content")
    role = ROLES.get(str(turn["role"]).lower())
    if role is None:
        raise BadRowError(f"turn {place} is of {turn['role']!r}; known are {', '.join(ROLES)}")
    if not isinstance(turn["content"], str) or not turn["content"].strip():
        raise BadRowError(f"turn {place} is empty")
    return Message(Role(role), turn["content"])


def _known(row: Mapping[str, object], questions: Mapping[str, ReleaseQuestion]) -> ReleaseQuestion:
    question_id = _text(row, "question_id")
    if question_id not in questions:
        raise BadRowError(f"there is no question with the id {question_id!r}")
    return questions[question_id]


def _text(row: Mapping[str, object], column: str) -> str:
    if row[column] is None or not str(row[column]).strip():
        raise BadRowError(f"its {column.replace('_', ' ')} is missing")
    return str(row[column]).strip()


def _choices(row: Mapping[str, Any]) -> tuple[Any, ...]:
    if row["choices"] is None:
        return _choices_apart(row)
    listed = row["choices"] if isinstance(row["choices"], list) else _literal(row["choices"])
    if not isinstance(listed, list):
        raise BadRowError(f"its choices are {str(row['choices'])[:60]!r}; they must be a list")
    return tuple(listed)


def _literal(text: str) -> object:
    """A list as JSON or Python writes it; None if it is neither."""
    with contextlib.suppress(ValueError):
        return read_json(text)
    with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError):
        return ast.literal_eval(text)
    return None


def _choices_apart(row: Mapping[str, object]) -> tuple[object, ...]:
    for prefix in OPTIONS:
        columns = [plain(f"{prefix}{letter}") for letter in LETTERS]
        if columns[0] in row:
            return tuple(row[column] for column in columns if row.get(column) is not None)
    raise BadRowError("it has no choices, neither as a list nor in columns of their own")


def _gold(given: object, question: Question) -> str:
    """The right letter, given as a letter, as a place from 0 (as in cais/mmlu) or as the text of an option."""
    said = str(given).strip()
    if said.isdecimal() and int(said) < len(question.choices):
        return question.letters[int(said)]
    return _letter(said, question, "right answer")


def _selected(given: object, question: Question) -> str:
    """The letter chosen, given as a letter or as the text of an option."""
    return _letter(str(given).strip(), question, "selected answer")


def _letter(said: str, question: Question, what: str) -> str:
    if said in tuple(question.letters):
        return said
    if question.choices.count(said) == 1:
        return question.letters[question.choices.index(said)]
    raise BadRowError(f"the {what} is {said!r}; it must be {question.letter_choice}")


def _answer_type(given: object) -> AnswerType | None:
    """With the chatbot if its name speaks of AI (`user-AI`, `userAIAnswer`), without it if of the user alone."""
    if given is None:
        return None
    said = plain(str(given))
    if "ai" in said:
        return AnswerType.WITH_AI
    if "user" in said or "alone" in said:
        return AnswerType.ALONE
    raise BadRowError(f"the answer type is {given!r}; it must speak of the user alone or of AI")


_TRUTHS = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}


def _truth(given: object) -> bool:
    truth = _TRUTHS.get(str(given).strip().lower())
    if truth is None:
        raise BadRowError(f"correct is {given!r}; it must be 0 or 1")
    return truth
