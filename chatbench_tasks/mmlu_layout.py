"""Checking a data set that is given in place of cais/mmlu, row by row, before anything is run on it.

Each row holds `question` (a text), `choices` (4 texts) and `answer` (0 to 3); there is a split to test on and one that
few-shot examples come from.

Source: the data set cais/mmlu.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lm_eval_plugin.errors import ConfigError

COLUMNS = ("question", "choices", "answer")
CHOICES = 4
"""Options of an MMLU question, which its prompt template counts on."""


def check_mmlu_layout(splits: Mapping[str, Any], needed: Iterable[str], where: str) -> None:
    """Check the splits that a task uses.

    Args:
        splits: Data sets by the names of their splits, each with `column_names` and rows that are mappings.
        needed: The names of the splits that must be there.
        where: Names the data set in errors.

    Raises:
        ConfigError: A split or column is missing, or a row is bad; it names split and row, counted from 0.
    """
    for split in needed:
        if split not in splits:
            raise ConfigError(f"{where} has no split {split!r}; it has {', '.join(splits)}")
        missing = [column for column in COLUMNS if column not in splits[split].column_names]
        if missing:
            raise ConfigError(
                f"{where}, split {split!r} has no column {', '.join(missing)}; it has "
                f"{', '.join(splits[split].column_names)} and needs {', '.join(COLUMNS)}"
            )
        for number, row in enumerate(splits[split]):
            if problem := _problem(row):
                raise ConfigError(f"{where}, split {split!r}, row {number}: {problem}")


def _problem(row: Mapping[str, Any]) -> str | None:
    question, choices, answer = (row[column] for column in COLUMNS)
    if not isinstance(question, str) or not question.strip():
        return f"question is {question!r}; it must be a text"
    if not isinstance(choices, list) or len(choices) != CHOICES:
        return f"choices is {choices!r}; it must be a list of {CHOICES} texts"
    if any(not isinstance(choice, str) or not choice.strip() for choice in choices):
        return f"choices is {choices!r}; each must be a text"
    if isinstance(answer, bool) or not isinstance(answer, int) or not 0 <= answer < CHOICES:
        return f"answer is {answer!r}; it must be a number from 0 to {CHOICES - 1}"
    return None
