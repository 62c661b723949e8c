"""A table of a run's conversations for Weights & Biases, where lm_eval's `--wandb_args` has begun a run there."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.border.text_border import all_encodable
from lm_eval_plugin.dialogue.transcript import StopReason, Transcript
from lm_eval_plugin.results.samples import read_records
from lm_eval_plugin.scoring.metrics import QuestionRecord, accuracy, user_turns

logger = logger_of(__name__)

NAME = "chatbench/conversations"

MOST = 10_000
"""Rows of a table; more are not shown there."""

COLUMNS = (
    "task",
    "question_id",
    "subject",
    "question",
    "options",
    "gold",
    "acc_static",
    "simulator",
    "repeat",
    "answer",
    "right",
    "stop_reason",
    "user_turns",
    "conversation",
)


def log_conversations(samples: Mapping[str, Sequence[Mapping[str, object]]], most: int = MOST) -> int:
    """Log the conversations of a run to the run that Weights & Biases has open in this process, if there is one.

    Args:
        samples: Of each task with dialogues, as lm_eval has them, with `gold`.
        most: How many rows the table has at most.

    Returns:
        How many conversations are in the table; 0 without an open run.
    """
    wandb = sys.modules.get("wandb")
    if wandb is None or getattr(wandb, "run", None) is None:
        return 0
    rows = [list(row) for row in _rows(samples)]
    if len(rows) > most:
        logger.warning("%s at Weights & Biases holds the first %d of %d conversations.", NAME, most, len(rows))
    wandb.run.log({NAME: wandb.Table(columns=list(COLUMNS), data=rows[:most])})
    return len(rows[:most])


def _rows(samples: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[Sequence[Any]]:
    for task, logged in samples.items():
        for record in read_records(logged, f"task {task}") if logged else ():
            for held in record.transcripts:
                yield all_encodable(_row(task, record, held))


def _row(task: str, record: QuestionRecord, held: Transcript) -> list[object]:
    question = record.question
    failed = held.stop_reason is StopReason.MODEL_ERROR
    return [
        task,
        question.id,
        question.subject,
        question.stem,
        _lines(zip(question.letters, question.choices, strict=True)),
        "".join(sorted(record.gold)),
        record.acc_static,
        held.simulator,
        held.repeat,
        held.answer,
        None if failed else bool(accuracy(held, record.gold)),
        held.stop_reason.value,
        int(user_turns(held)),
        _lines((message.role.value, message.content) for message in held.messages),
    ]


def _lines(pairs: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"{name}: {text}" for name, text in pairs)
