"""What the files of ChatBench and their readers call the same thing, in one table.

Names are compared without regard to case, underscores, hyphens and spaces, so `questionID` is `question_id`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lm_eval_plugin.errors import ConfigError

STUDY = "full_study"
"""The folder of the study; the pilots have folders of the same layout."""

QUESTION: Mapping[str, tuple[str, ...]] = {
    "question_id": ("question_id", "id"),
    "subject": ("dataset", "subject"),
    "stem": ("question", "question_text", "stem"),
    "choices": ("choices", "options"),
    "gold": ("answer", "correct_answer", "gold"),
}
"""Of `questions.csv`. Options stand in one column as a list, or in columns `option_a`, `choice_a` or `a` and so on.

The subject may be missing where ids have the form `{subject}-redux-{row}`.
"""

CONVERSATION: Mapping[str, tuple[str, ...]] = {
    "worker": ("worker_id", "worker"),
    "question_id": ("question_id",),
    "model": ("model",),
    "condition": ("condition",),
    "turns": ("chat_history", "conversation", "messages"),
    "selected": ("selected_answer", "selected", "user_answer"),
}
"""Of `conversations.json`."""

USER_ANSWER: Mapping[str, tuple[str, ...]] = {
    "worker": ("worker_id", "worker"),
    "question_id": ("question_id",),
    "model": ("model",),
    "condition": ("condition",),
    "answer_type": ("answer_type",),
    "selected": ("selected_answer", "selected", "user_answer", "answer"),
    "correct": ("correct", "acc", "is_correct", "accuracy"),
    "confidence": ("confidence",),
}
"""Of `user_answers.csv` and `user_answers_filtered.csv`."""

ROLES = {
    "you": "user",
    "user": "user",
    "human": "user",
    "bot": "assistant",
    "assistant": "assistant",
    "ai": "assistant",
}
"""Who speaks in a turn, in lower case."""

OPTIONS = ("option", "choice", "")
"""What stands in front of the letter in the names of columns that hold one option each."""


def plain(name: str) -> str:
    """A column's name as it is compared."""
    return "".join(char for char in name.lower() if char not in "_- ")


def with_known_names(
    rows: Sequence[Mapping[str, object]],
    names: Mapping[str, tuple[str, ...]],
    optional: Iterable[str],
    where: str,
) -> list[dict[str, object]]:
    """The rows with their columns under the names of a table above; other columns keep theirs, as they are compared.

    Args:
        rows: The rows as they were read.
        names: A table above.
        optional: Columns that may be missing from all rows.
        where: Names the file in errors.

    Raises:
        ConfigError: No row has a column that is needed; it names those that were seen.
    """
    known = {name: [plain(alias) for alias in aliases] for name, aliases in names.items()}
    compared = [{plain(key): entry for key, entry in row.items()} for row in rows]
    seen = {key for row in compared for key in row}
    for name, aliases in known.items():
        if name not in set(optional) and not seen.intersection(aliases):
            columns = ", ".join(dict.fromkeys(key for row in rows for key in row))
            raise ConfigError(
                f"{where} has no column {' or '.join(names[name])}; it has {columns}; rename the one that is meant"
            )
    return [
        {**row, **{name: next((row[key] for key in aliases if key in row), None) for name, aliases in known.items()}}
        for row in compared
    ]
