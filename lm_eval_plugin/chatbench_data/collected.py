"""A small study of one's own: what was collected, line by line, and the same in the layout of microsoft/ChatBench.

    collected.jsonl                     what was collected, one line a session and one an answered question; written to its end only
    questions.csv                       the questions
    full_study/conversations.json       what people and the model said
    full_study/user_answers.csv         what people answered, alone and with the model, and how sure they were

The first file is the record, of which the others are made after every question. A line that was cut off is left out and said.
Nothing of a person is kept but what it typed, under a number that was drawn.
"""

from __future__ import annotations

import csv
import io
import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lm_eval_plugin.border.outside_json import UnreadableJsonError, read_json
from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.chatbench_data.columns import STUDY
from lm_eval_plugin.chatbench_data.records import ReleaseQuestion
from lm_eval_plugin.errors import ConfigError

logger = logger_of(__name__)

RECORD = "collected.jsonl"
DIRECT, ANSWER_FIRST = CONDITIONS = ("direct-to-AI", "answer-first")
_SPEAKERS = {"user": "You", "assistant": "Bot"}


@dataclass(frozen=True, slots=True)
class Session:
    """What a person is asked.

    Args:
        worker: The number that was drawn for the person.
        model: The model that it talks with.
        condition: `direct-to-AI` or `answer-first`.
        alone: The ids of the questions that it answers without the model, in their order.
        together: Those that it talks with the model about.
    """

    worker: str
    model: str
    condition: str
    alone: tuple[str, ...]
    together: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """An answer.

    Args:
        selected: The letter.
        confidence: How sure the person was.
    """

    selected: str
    confidence: int


@dataclass(frozen=True, slots=True)
class Collected:
    """What a person did with a question.

    Args:
        worker: Who.
        question_id: The question.
        alone: The answer without the model; None where it was not asked for.
        together: The answer after the conversation; None without one.
        messages: Role and content of each turn, the person's first.
    """

    worker: str
    question_id: str
    alone: Given | None = None
    together: Given | None = None
    messages: tuple[tuple[str, str], ...] = ()


class StudyFolder:
    """The folder of a study.

    Args:
        folder: Where it is; it is made when something is collected.
        questions: The questions of the study, which stay the same.

    Raises:
        ConfigError: It holds a study of other questions, or cannot be read.
    """

    def __init__(self, folder: Path, questions: Sequence[ReleaseQuestion]) -> None:
        self._folder = folder
        self._questions = {each.id: each for each in questions}
        self._table = _csv_text(map(_question_row, questions))
        there = _read(folder / "questions.csv")
        if there is not None and there != self._table:
            raise ConfigError(f"{folder} holds a study of other questions; give its questions, or another folder")
        self.sessions: dict[str, Session] = {}
        self.collected: dict[tuple[str, str], Collected] = {}
        self._read_record()

    def begin(self, session: Session) -> None:
        """Note that a person begins."""
        self._append({"session": asdict(session)})
        self.sessions[session.worker] = session

    def add(self, collected: Collected) -> None:
        """Note what a person did with a question, and write the layout anew."""
        self._append({"question": asdict(collected)})
        # Somebody else may have gone on in the meantime.
        self._read_record()
        self._write_layout()

    def _read_record(self) -> None:
        record = self._folder / RECORD
        for number, line in _lines(record):
            self._take_of(f"{record}, line {number}", line)

    def _take_of(self, where: str, line: Mapping[str, object]) -> None:
        try:
            self._take(line)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"{where}: {error!r}; it is nothing that chatbench collect writes") from error

    def _take(self, line: Mapping[str, Any]) -> None:
        if "session" in line:
            fields = line["session"]
            parts = {key: tuple(fields[key]) for key in ("alone", "together")}
            session = Session(**{**fields, **parts})
            self.sessions[session.worker] = session
            return
        fields = line["question"]
        if fields["question_id"] not in self._questions:
            raise ValueError(f"there is no question {fields['question_id']!r}")
        answers = {key: None if fields[key] is None else Given(**fields[key]) for key in ("alone", "together")}
        found = Collected(**{**fields, **answers, "messages": tuple((role, text) for role, text in fields["messages"])})
        self.collected[found.worker, found.question_id] = found

    def _append(self, line: Mapping[str, object]) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / RECORD).open("ab") as record:
                # What was cut off before stays a line of its own.
                start = b"\n" if record.tell() and not _ends_line(self._folder / RECORD) else b""
                record.write(start + json.dumps(line).encode() + b"\n")
        except OSError as error:
            raise ConfigError(f"{self._folder / RECORD} cannot be written: {error.strerror or error}") from error

    def _write_layout(self) -> None:
        conversations = [self._conversation(each) for each in self.collected.values() if each.messages]
        answers = [row for each in self.collected.values() for row in self._answers(each)]
        files = {
            "questions.csv": self._table,
            f"{STUDY}/user_answers.csv": _csv_text(answers),
            **({f"{STUDY}/conversations.json": json.dumps(conversations, indent=1)} if conversations else {}),
        }
        for name, text in files.items():
            _replace(self._folder / name, text)

    def _conversation(self, each: Collected) -> dict[str, Any]:
        held, session = self._questions[each.question_id], self.sessions[each.worker]
        return {
            "worker_id": each.worker,
            "questionID": each.question_id,
            "questionText": held.question.stem,
            "choices": list(held.question.choices),
            "choiceLabels": list(held.question.letters),
            "correctAnswer": held.gold,
            "selectedAnswer": each.together.selected if each.together else None,
            "model": session.model,
            "condition": session.condition,
            "chatHistory": [{"role": _SPEAKERS[role], "content": content} for role, content in each.messages],
        }

    def _answers(self, each: Collected) -> Iterator[dict[str, object]]:
        held, session = self._questions[each.question_id], self.sessions[each.worker]
        for kind, given in (("user-alone", each.alone), ("user-AI", each.together)):
            if given is not None:
                yield {
                    "worker_id": each.worker,
                    "model": session.model,
                    "condition": session.condition,
                    "subject": held.question.subject or "own",
                    "question_id": each.question_id,
                    "answer_type": kind,
                    "selected_answer": given.selected,
                    "correct": int(given.selected == held.gold),
                    "confidence": given.confidence,
                }


def _question_row(each: ReleaseQuestion) -> dict[str, object]:
    question = each.question
    return {
        "question_id": question.id,
        "dataset": question.subject or "own",
        "question": question.stem,
        "choices": json.dumps(question.choices),
        "answer": each.gold,
    }


def _csv_text(rows: Iterator[dict[str, object]] | Sequence[dict[str, object]]) -> str:
    held = list(rows)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(held[0]))
    writer.writeheader()
    writer.writerows(held)
    return text.getvalue()


def _lines(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate((_read(file) or "").splitlines(), 1):
        if (read := _line(f"{file}, line {number}", line)) is not None:
            yield number, read


def _line(where: str, line: str) -> Any:
    """What a line says; None for one that was cut off."""
    try:
        return read_json(line)
    except UnreadableJsonError as error:
        logger.warning("%s: %s; it may have been cut off and is left out", where, error)
        return None


def _read(file: Path) -> str | None:
    if not file.is_file():
        return None
    try:
        return file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error


def _ends_line(file: Path) -> bool:
    with file.open("rb") as record:
        record.seek(-1, os.SEEK_END)
        return record.read() == b"\n"


def _replace(file: Path, text: str) -> None:
    """Write a file whole or not at all, also where two people end a question at a time."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
        beside.write_bytes(text.encode())
        beside.replace(file)
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror or error}") from error
