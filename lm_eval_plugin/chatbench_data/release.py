"""The data set microsoft/ChatBench, from the hub or a local folder of its layout.

    questions.csv                       the questions, with options and right answers
    full_study/conversations.json       what people and chatbots said
    full_study/user_answers.csv         what people answered; user_answers_filtered.csv, if asked for

A file is read when it is first needed. A row that cannot be used is left out, named with its file and place in a warning and
in `problems`; a column that cannot be found, or a file that is cut off, is an error.

Source: the data set's card and interactive-eval @ a90f773. Not all columns are documented; `columns.py` names those looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

from huggingface_hub import snapshot_download

from lm_eval_plugin.border.hub_errors import HTTP_ERROR, why_unavailable
from lm_eval_plugin.border.paths import check_local_path, local_or_hub
from lm_eval_plugin.chatbench_data import columns
from lm_eval_plugin.chatbench_data.columns import STUDY
from lm_eval_plugin.chatbench_data.files import Problem, good_rows, read_rows
from lm_eval_plugin.chatbench_data.records import (
    AnswerType,
    HumanConversation,
    ReleaseQuestion,
    UserAnswer,
)
from lm_eval_plugin.chatbench_data.rows import read_conversation, read_question, read_user_answer
from lm_eval_plugin.errors import ConfigError

__all__ = [
    "AnswerType",
    "HumanConversation",
    "Release",
    "ReleaseQuestion",
    "UserAnswer",
    "load_release",
]

DATASET = "microsoft/ChatBench"

Record = TypeVar("Record")


@dataclass(frozen=True)
class Release:
    """The files of a release.

    Args:
        source: Where it is from, as it was given.
        folder: Where its files are.
        study: The folder of the study in it; the pilots have folders of the same layout.
        filtered: Whether user answers are those of `user_answers_filtered.csv`.
        problems: The rows that were left out of the files that have been read so far.
    """

    source: str
    folder: Path
    study: str = STUDY
    filtered: bool = False
    problems: list[Problem] = field(default_factory=list, init=False, compare=False)

    @cached_property
    def questions(self) -> dict[str, ReleaseQuestion]:
        """The questions by id; where there is no `questions.csv`, those that the conversations carry themselves."""
        file = "questions.csv" if self._path("questions.csv").is_file() else self._of_study("conversations.json")
        rows = self._rows(file, columns.QUESTION, {"subject", "choices"})
        found: dict[str, ReleaseQuestion] = {}
        for question in self._good(file, rows, read_question):
            if found.setdefault(question.id, question) != question:
                raise ConfigError(
                    f"{self._path(file)}: the question {question.id!r} stands there twice, with different texts"
                )
        return found

    @cached_property
    def conversations(self) -> tuple[HumanConversation, ...]:
        """What people and chatbots said."""
        file = self._of_study("conversations.json")
        rows = self._rows(file, columns.CONVERSATION)
        return self._good(file, rows, partial(read_conversation, questions=self.questions))

    @property
    def has_user_answers(self) -> bool:
        """Whether there is a file of answers, which a study of one's own may lack; one that was asked for must be there."""
        return self.filtered or self._path(self._answers_file).is_file()

    @property
    def _answers_file(self) -> str:
        return self._of_study("user_answers_filtered.csv" if self.filtered else "user_answers.csv")

    @cached_property
    def user_answers(self) -> tuple[UserAnswer, ...]:
        """What people answered, alone and with a chatbot."""
        file = self._answers_file
        rows = self._rows(file, columns.USER_ANSWER, {"answer_type", "selected", "correct", "confidence"})
        return self._good(file, rows, partial(read_user_answer, questions=self.questions))

    def _rows(
        self, file: str, names: Mapping[str, tuple[str, ...]], optional: Iterable[str] = ()
    ) -> list[dict[str, object]]:
        path = self._existing(file)
        return columns.with_known_names(read_rows(path), names, optional, str(path))

    def _good(
        self, file: str, rows: list[dict[str, object]], parse: Callable[[int, Mapping[str, object]], Record]
    ) -> tuple[Record, ...]:
        records, problems = good_rows(rows, parse, file, self._path(file))
        self.problems.extend(problems)
        return records

    def _of_study(self, name: str) -> str:
        """A file of the study, which also may lie beside the questions."""
        return f"{self.study}/{name}" if not self._path(name).is_file() else name

    def _path(self, file: str) -> Path:
        return self.folder / file

    def _existing(self, file: str) -> Path:
        path = self._path(file)
        if not path.is_file():
            raise ConfigError(
                f"{self.source} has no {file}, which is needed here; a release has the layout of {DATASET}"
            )
        return path


def load_release(source: str, *, revision: str | None = None, study: str = STUDY, filtered: bool = False) -> Release:
    """A release of human conversations.

    Args:
        source: A folder in the layout of microsoft/ChatBench, or a data set's name on the hub.
        revision: Its commit, branch or tag on the hub.
        study: The folder of the study in it.
        filtered: Whether to take `user_answers_filtered.csv`.

    Raises:
        ConfigError: There is no such folder or data set, or it cannot be had.
    """
    check_local_path(source, "the data set")
    place = Path(local_or_hub(source))
    if place.is_file():
        raise ConfigError(f"{source} is a file; give the folder of a release, which has the layout of {DATASET}")
    if not place.is_dir():
        place = _downloaded(source, revision, study)
    return Release(source, place, study, filtered)


def _downloaded(name: str, revision: str | None, study: str) -> Path:
    wanted = ["questions.csv", f"{study}/*"]
    try:
        return Path(snapshot_download(name, repo_type="dataset", revision=revision, allow_patterns=wanted))
    except (OSError, ValueError, HTTP_ERROR) as error:
        raise ConfigError(
            f"the data set {name!r} cannot be had: {why_unavailable(name, error)} A data set is downloaded with `hf download "
            f"{name} --repo-type dataset --local-dir FOLDER`; then give FOLDER"
        ) from error
