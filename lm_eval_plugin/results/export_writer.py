"""Writing runs as the table of `export`: in parquet, in JSON lines, or as a data set of `datasets`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from lm_eval_plugin.border.text_border import all_encodable
from lm_eval_plugin.dialogue.transcript import Event, Message, StopReason, Transcript, Verdict
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.results.export import BATCH, VERSION, check_format, schema
from lm_eval_plugin.results.runs import Run
from lm_eval_plugin.scoring.metrics import QuestionRecord, accuracy


def export_runs(runs: Iterable[Run], out: Path) -> int:
    """Write runs to a file; it appears under its name when it is whole.

    Args:
        runs: Taken one at a time, so they need not be in memory together.
        out: Ends with one of `SUFFIXES`.

    Returns:
        How many dialogues were written.

    Raises:
        ConfigError: The format is unknown, the file cannot be written, or a run holds a value that fits no column.
    """
    check_format(out)
    partial = out.with_name(f"{out.name}.part")
    written = 0
    try:
        with _writer(partial, out.suffix) as write:
            for number, run in enumerate(runs):
                for batch in _batches(run, number):
                    write(batch)
                    written += batch.num_rows
        partial.replace(out)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return written


@contextmanager
def _writer(path: Path, suffix: str) -> Iterator[Callable[[Any], Any]]:
    """What writes one batch of rows to a file."""
    if suffix == ".parquet":
        with parquet.ParquetWriter(path, schema()) as file:
            yield file.write_batch
    else:
        with path.open("w", encoding="utf-8", newline="\n") as lines:
            yield lambda batch: lines.writelines(
                f"{json.dumps(row, ensure_ascii=False)}\n" for row in batch.to_pylist()
            )


def _batches(run: Run, number: int) -> Iterator[Any]:
    rows = _rows(run, number)
    while part := list(islice(rows, BATCH)):
        yield _batch(part, run.where)


def _batch(rows: list[dict[str, object]], where: Path) -> object:
    try:
        return pa.RecordBatch.from_pylist(rows, schema())
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        place = f"questions {rows[0]['question_id']} to {rows[-1]['question_id']} of {rows[0]['task']}"
        raise ConfigError(f"{where}: a value of {place} fits no column: {error}") from error


def _rows(run: Run, number: int) -> Iterator[dict[str, Any]]:
    for task, part in run.tasks.items():
        settings = json.dumps(dict(part.settings), sort_keys=True)
        for index, record in enumerate(part.records):
            shared = {
                "version": VERSION,
                "run": number,
                "model": run.model,
                "date": run.date,
                "task": task,
                "settings": settings,
                "question_index": index,
                "subject": record.question.subject,
                "question": record.question.stem,
                "choices": list(record.question.choices),
                "gold": sorted(record.gold),
                "acc_static": record.acc_static,
            }
            for held in record.transcripts:
                yield all_encodable({**shared, **_dialogue(held, record), "question_id": record.question.id})


def _dialogue(held: Transcript, record: QuestionRecord) -> dict[str, object]:
    failed = held.stop_reason is StopReason.MODEL_ERROR
    return {
        "simulator": held.simulator,
        "persona": held.persona or None,
        "repeat": held.repeat,
        "seed": held.seed,
        "messages": [_message_row(message) for message in held.messages],
        "answer": held.answer,
        "right": None if failed else bool(accuracy(held, record.gold)),
        "stop_reason": held.stop_reason.value,
        "context_trimmed": held.context_trimmed,
        "events": None if held.events is None else _event_rows(held.events),
        "verdicts": None if held.verdicts is None else _verdict_rows(held.verdicts),
        "reads": None if held.reads is None else [asdict(read) for read in held.reads],
        "belief": None if held.belief is None else asdict(held.belief),
        "alone": None if held.alone is None else asdict(held.alone),
        "unseeded": [role.value for role in held.unseeded],
    }


def _message_row(message: Message) -> dict[str, object]:
    return {
        "role": message.role.value,
        "content": message.content,
        "reasoning": message.reasoning or None,
        "tokens": message.tokens,
        "seconds": message.seconds,
        "batch": message.batch,
    }


def _event_rows(events: Mapping[Event, int]) -> list[dict[str, object]]:
    return [{"event": event.value, "count": count} for event, count in events.items()]


def _verdict_rows(verdicts: Mapping[str, Verdict | None]) -> list[dict[str, object]]:
    return [
        {"about": about, "score": given and given.score, "reason": given and given.reason}
        for about, given in verdicts.items()
    ]
