"""Runs as a table with one row a dialogue, for `datasets.load_dataset`, and back again; `export_writer` writes it.

    from datasets import load_dataset
    from lm_eval_plugin.results.export import features, read_rows

    load_dataset("parquet", data_files="runs.parquet")
    rows = load_dataset("json", data_files="runs.jsonl", features=features())["train"]
    read_rows(rows, "runs.jsonl")  # the runs, with the questions and transcripts that they were written from

`COLUMNS` says what stands in a row. What is missing is null, never zero. A reader of JSON lines guesses the types from
the first rows, so give it `features()`; a parquet file holds them. Half of a surrogate pair, which no file of text can
hold, is written as U+FFFD; nothing else changes, so the metrics of what is read back are those of the run exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
from pyarrow import parquet

from lm_eval_plugin.border.outside_json import read_json
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import AloneAnswer, Event, Message, Read, Role, StopReason, Transcript, Verdict
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.results.jsonl import json_lines
from lm_eval_plugin.results.runs import Run, TaskRun
from lm_eval_plugin.scoring.metrics import QuestionRecord

VERSION = 1
"""Version of the columns; a reader refuses a version that it does not know."""

SUFFIXES = (".parquet", ".jsonl")
"""The formats, by the end of the file's name."""

BATCH = 1_000  # rows that are in memory as a table at one time

_TYPES: Mapping[str, object] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "true or false": pa.bool_(),
    "list of texts": pa.list_(pa.string()),
    "list of {role, content, reasoning, tokens, seconds, batch}": pa.list_(
        pa.struct(
            {
                "role": pa.string(),
                "content": pa.string(),
                "reasoning": pa.string(),
                "tokens": pa.int64(),
                "seconds": pa.float64(),
                "batch": pa.float64(),
            }
        )
    ),
    "list of {event, count}": pa.list_(pa.struct({"event": pa.string(), "count": pa.int64()})),
    "list of {message, letters, by, confidence}": pa.list_(
        pa.struct({"message": pa.int64(), "letters": pa.string(), "by": pa.string(), "confidence": pa.float64()})
    ),
    "{letter, by, text, confidence}": pa.struct(
        {"letter": pa.string(), "by": pa.string(), "text": pa.string(), "confidence": pa.float64()}
    ),
    "list of {about, score, reason}": pa.list_(
        pa.struct({"about": pa.string(), "score": pa.int64(), "reason": pa.string()})
    ),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table.

    Args:
        name: Its name.
        type: What it holds, one of the names of `_TYPES`.
        meaning: What it says, and when it is null.
    """

    name: str
    type: str
    meaning: str


COLUMNS = (
    Column("version", "integer", f"version of these columns, {VERSION}"),
    Column("run", "integer", "which of the exported runs, from 0"),
    Column("model", "text", "the model under test"),
    Column("date", "text", "when the run was, as its file names have it"),
    Column("task", "text", "the task"),
    Column("settings", "text", "what scores of the task depend on, as JSON; only equal ones are comparable"),
    Column("question_index", "integer", "place of the question in the task, from 0"),
    Column("question_id", "text", "names the question across runs"),
    Column("subject", "text", "its subject"),
    Column("question", "text", "the question without its options"),
    Column("choices", "list of texts", "the options as the dialogue shows them, A first"),
    Column("gold", "list of texts", "the right letter, or letters"),
    Column("acc_static", "number", "score of the model without a dialogue, 0 to 1; null if it was not asked for"),
    Column("simulator", "text", "label of the simulated user; scores under different labels are not comparable"),
    Column("persona", "text", "who the user was told to be; null for nobody in particular"),
    Column("repeat", "integer", "which dialogue about the question, from 0"),
    Column("seed", "integer", "seed of the dialogue"),
    Column(
        "messages",
        "list of {role, content, reasoning, tokens, seconds, batch}",
        "what was said, user first; reasoning is what the model thought before, tokens its length, seconds the time in which "
        "it was produced and batch with how many at a time, itself included, on average; each null where it is not known",
    ),
    Column("answer", "text", "the accepted letter; null if there was none"),
    Column("right", "true or false", "whether the answer is a right one; null for a dialogue that a model error ended"),
    Column("stop_reason", "text", "why it ended: " + ", ".join(reason.value for reason in StopReason)),
    Column(
        "context_trimmed", "true or false", "whether a model was at some point shown less than the whole conversation"
    ),
    Column(
        "events",
        "list of {event, count}",
        "what the simulated user did that a person would not, and how often; null where nothing watched for it",
    ),
    Column(
        "verdicts",
        "list of {about, score, reason}",
        "what a judge said, from 1 to 5; score and reason are null for a verdict that could not be read, and the list is "
        "null where no judge was asked",
    ),
    Column(
        "reads",
        "list of {message, letters, by, confidence}",
        "which options each reply was read to support, by whom and with what share of the likelihood; letters is null for a "
        "reply that could not be read, and the list is null where the task names no reader",
    ),
    Column(
        "belief", "{letter, by, text, confidence}", "the user's answer before the dialogue; null where there is none"
    ),
    Column("alone", "{letter, by, text, confidence}", "the user's answer apart from it; null where there is none"),
    Column(
        "unseeded",
        "list of texts",
        "whose sampled turns another run with the same seed does not repeat: user, assistant",
    ),
)
"""The columns, in their order."""


def columns_table() -> str:
    """The columns as a Markdown table."""
    rows = [f"| `{column.name}` | {column.type} | {column.meaning} |" for column in COLUMNS]
    return "\n".join(["| column | type | meaning |", "|---|---|---|", *rows]) + "\n"


def schema() -> object:
    """The columns as pyarrow has them."""
    return pa.schema([(column.name, _TYPES[column.type]) for column in COLUMNS])


def features() -> object:
    """The columns as `datasets` has them."""
    from datasets import Features

    return Features.from_arrow_schema(schema())


def check_format(out: Path) -> None:
    """Refuse a file whose name does not say which format it has.

    Raises:
        ConfigError: It does not end with one of `SUFFIXES`.
    """
    if out.suffix not in SUFFIXES:
        raise ConfigError(f"{out} ends with {out.suffix!r}, which is no format to export to: {', '.join(SUFFIXES)}")


def read_export(path: Path) -> list[Run]:
    """The runs that `export_runs` wrote to a file, or that `datasets` made of it.

    Raises:
        ConfigError: It cannot be read, or is no such file; names the row.
    """
    check_format(path)
    return read_rows(_parquet_rows(path) if path.suffix == ".parquet" else json_lines(path), str(path))


def _parquet_rows(path: Path) -> Iterator[dict[str, object]]:
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH):
                yield from batch.to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def read_rows(rows: Iterable[Mapping[str, object]], where: str) -> list[Run]:
    """The runs of an export's rows, in whatever order; `where` of each run is that of the export.

    Args:
        rows: As a file, or `datasets`, has them.
        where: Names their source in errors.

    Raises:
        ConfigError: A row has another version, or lacks a column.
    """
    questions: dict[_Key, list[_Row]] = {}
    for number, row in enumerate(rows):
        key, held = _read(row, f"{where}, row {number}")
        questions.setdefault(key, []).append((row, held))
    return _runs(questions, Path(where))


_Key: TypeAlias = tuple[int, str, int]  # run, task, place of the question
_Row: TypeAlias = tuple[Mapping[str, Any], Transcript]


def _read(row: Mapping[str, Any], where: str) -> tuple[_Key, Transcript]:
    """The place of a row and its dialogue; what its question's record needs is looked at, too."""
    try:
        if row["version"] != VERSION:
            raise ConfigError(
                f"{where}: version {row['version']} of the columns and not {VERSION}; read it with the release that wrote it"
            )
        held = _transcript(row)
        _record([(row, held)])
        read_json(row["settings"])
        return (row["run"], row["task"], row["question_index"]), held
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{where}: not a row of an export ({type(error).__name__}: {error}); give what chatbench export wrote"
        ) from error


def _runs(questions: Mapping[_Key, list[_Row]], where: Path) -> list[Run]:
    tasks: dict[int, dict[str, list[QuestionRecord]]] = {}
    first: dict[tuple[int, str], Mapping[str, Any]] = {}
    for key in sorted(questions, key=lambda key: (key[0], key[2])):
        run, task, _ = key
        first.setdefault((run, task), questions[key][0][0])
        tasks.setdefault(run, {}).setdefault(task, []).append(_record(questions[key]))
    return [_run({name: first[run, name] for name in parts}, parts, where) for run, parts in tasks.items()]


def _run(rows: Mapping[str, Mapping[str, Any]], parts: Mapping[str, list[QuestionRecord]], where: Path) -> Run:
    """A run from one row of each task and the tasks' questions."""
    some = next(iter(rows.values()))
    tasks = {name: TaskRun(tuple(records), read_json(rows[name]["settings"])) for name, records in parts.items()}
    return Run(where=where, model=some["model"], date=some["date"], tasks=tasks)


def _record(held: Iterable[_Row]) -> QuestionRecord:
    ordered = sorted(held, key=lambda pair: pair[1].repeat)
    row = ordered[0][0]
    question = Question(row["question_id"], row["subject"], row["question"], tuple(row["choices"]))
    return QuestionRecord(question, frozenset(row["gold"]), tuple(held for _, held in ordered), row["acc_static"])


def _transcript(row: Mapping[str, Any]) -> Transcript:
    return Transcript(
        question_id=row["question_id"],
        simulator=row["simulator"],
        repeat=row["repeat"],
        seed=row["seed"],
        messages=tuple(_message(entry) for entry in row["messages"]),
        answer=row["answer"],
        stop_reason=StopReason(row["stop_reason"]),
        context_trimmed=row["context_trimmed"],
        events=None
        if row["events"] is None
        else {Event(entry["event"]): int(entry["count"]) for entry in row["events"]},
        persona=row["persona"] or "",
        verdicts=None
        if row["verdicts"] is None
        else {entry["about"]: _verdict(entry["score"], entry["reason"]) for entry in row["verdicts"]},
        unseeded=tuple(map(Role, row["unseeded"])),
        # An export of an earlier release has no such column.
        reads=None if row.get("reads") is None else tuple(Read(**entry) for entry in row["reads"]),
        belief=_alone_answer(row.get("belief")),
        alone=_alone_answer(row.get("alone")),
    )


def _alone_answer(entry: Mapping[str, Any] | None) -> AloneAnswer | None:
    # A reader that knows the columns from an earlier row makes a null of every field.
    return None if entry is None or entry["by"] is None else AloneAnswer(**entry)


def _message(entry: Mapping[str, Any]) -> Message:
    return Message(
        role=Role(entry["role"]),
        content=entry["content"],
        tokens=entry["tokens"],
        seconds=entry["seconds"],
        reasoning=entry["reasoning"] or "",
        batch=entry["batch"],
    )


def _verdict(score: int | None, reason: str | None) -> Verdict | None:
    return None if score is None else Verdict(score, reason or "")
