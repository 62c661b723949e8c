"""Runs as logs of Inspect, which `inspect view` opens; they are written by Inspect's own library, the extra `inspect`.

A log is of one task of one run: a sample is a question, its epochs are the repeats. The scores `acc` and `acc_static` are those of
the run; what else is known of a dialogue is in the sample's metadata.
"""

from __future__ import annotations

import hashlib
import importlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from lm_eval_plugin.border.text_border import all_encodable
from lm_eval_plugin.dialogue.transcript import AloneAnswer, Message, Role, StopReason, Transcript
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.results.runs import Run, TaskRun
from lm_eval_plugin.scoring.metrics import METRICS, QuestionRecord, accuracy
from lm_eval_plugin.scoring.statistics import Estimate, mean_estimate
from lm_eval_plugin.scoring.summary import scores_of

_SCORED = ("acc", "acc_static")


def write_inspect_logs(runs: Iterable[Run], folder: Path) -> int:
    """Write a log of each task of each run to a folder, under a name as Inspect gives it.

    Args:
        runs: Taken one at a time, so they need not be in memory together.
        folder: Is made.

    Returns:
        How many dialogues were written.

    Raises:
        ConfigError: Inspect is not installed, or the folder cannot be written.
    """
    inspect_ai = _inspect()
    written = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for run in runs:
            for name, task in run.tasks.items():
                log = _log(inspect_ai, run, name, task)
                inspect_ai.log.write_eval_log(log, str(folder / _file_name(run, name, log.eval.task_id)))
                written += len(log.samples)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error}") from error
    return written


def _inspect() -> ModuleType:
    """Inspect's library.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        for part in ("log", "model", "scorer"):
            importlib.import_module(f"inspect_ai.{part}")
        return importlib.import_module("inspect_ai")
    except ImportError as error:
        raise ConfigError(
            f"--format inspect needs Inspect's library ({error}); run pip install 'chatbench-lm-eval[inspect]'"
        ) from error


def _file_name(run: Run, task: str, task_id: str) -> str:
    safe = "".join(letter if letter.isalnum() else "-" for letter in task)
    return f"{_created(run).replace(':', '-')}_{safe}_{task_id}.eval"


def _created(run: Run) -> str:
    """When the run was, as Inspect writes it."""
    day, _, clock = run.date.partition("T")
    try:
        return datetime.fromisoformat(f"{day}T{clock.replace('-', ':')}").astimezone().isoformat(timespec="seconds")
    except ValueError:
        return datetime.fromtimestamp(0).astimezone().isoformat(timespec="seconds")


def _log(inspect_ai: ModuleType, run: Run, name: str, task: TaskRun) -> Any:
    log = inspect_ai.log
    records = list(_told_apart(task.records))
    samples = [_sample(inspect_ai, run, record, held) for record in records for held in record.transcripts]
    digest = hashlib.sha256(f"{run.where}|{run.model}|{run.date}|{name}".encode(errors="replace")).hexdigest()[:22]
    dataset = log.EvalDataset(name=name, samples=len(task.records), sample_ids=_ids(records))
    epochs = max(len(record.transcripts) for record in task.records)
    return log.EvalLog(
        status="success",
        eval=log.EvalSpec(
            created=_created(run),
            task=name,
            task_id=digest,
            dataset=dataset,
            model=all_encodable(run.model),
            config=log.EvalConfig(epochs=epochs),
            metadata=all_encodable({"settings": dict(task.settings), "configuration": dict(run.configuration)}),
        ),
        results=log.EvalResults(
            total_samples=len(samples),
            completed_samples=len(samples) - sum(sample.error is not None for sample in samples),
            scores=list(_scores(log, task.records)),
        ),
        samples=samples,
    )


def _told_apart(records: Iterable[QuestionRecord]) -> Iterator[QuestionRecord]:
    """The records, with ids by which a question that is there twice is two, since Inspect keeps one sample an id and epoch."""
    seen: Counter[str] = Counter()
    for record in records:
        seen[record.question.id] += 1
        count = seen[record.question.id]
        named = record.question if count == 1 else replace(record.question, id=f"{record.question.id}#{count}")
        yield replace(record, question=named)


def _ids(records: Iterable[QuestionRecord]) -> list[str]:
    return [all_encodable(record.question.id) for record in records]


def _scores(log: ModuleType, records: Iterable[QuestionRecord]) -> Iterator[object]:
    listed = list(records)
    for name in _SCORED:
        scored = [scores for scores in scores_of(listed, name) if scores]
        if scored:
            estimate = mean_estimate(scored, METRICS[name].kind)
            metrics = {key: log.EvalMetric(name=key, value=value) for key, value in _told(estimate).items()}
            yield log.EvalScore(name=name, scorer=name, scored_samples=estimate.scores, metrics=metrics)


def _told(estimate: Estimate) -> dict[str, float]:
    error = {} if estimate.standard_error is None else {"stderr": estimate.standard_error}
    return {"mean": estimate.value, **error}


def _sample(inspect_ai: ModuleType, run: Run, record: QuestionRecord, held: Transcript) -> Any:
    failed = held.stop_reason is StopReason.MODEL_ERROR
    question = record.question
    fields = all_encodable(
        {
            "id": question.id,
            "epoch": held.repeat + 1,
            "input": question.stem,
            "choices": list(question.choices),
            "target": sorted(record.gold),
            "metadata": _metadata(record, held),
        }
    )
    return inspect_ai.log.EvalSample(
        **fields,
        messages=[_message(inspect_ai.model, message) for message in held.messages],
        output=_output(inspect_ai.model, run.model, held),
        scores=_sample_scores(inspect_ai.scorer, record, held),
        error=_error(inspect_ai.log) if failed else None,
    )


def _sample_scores(scorer: ModuleType, record: QuestionRecord, held: Transcript) -> dict[str, object]:
    scores = {}
    if held.stop_reason is not StopReason.MODEL_ERROR:
        scores["acc"] = scorer.Score(value=accuracy(held, record.gold), answer=held.answer)
    if record.acc_static is not None:
        scores["acc_static"] = scorer.Score(value=record.acc_static)
    return scores


def _metadata(record: QuestionRecord, held: Transcript) -> dict[str, object]:
    verdicts = held.verdicts or {}
    return {
        "subject": record.question.subject,
        "simulator": held.simulator,
        "persona": held.persona or None,
        "seed": held.seed,
        "answer": held.answer,
        **{name: asdict(answer) for name, answer in _answered_alone(held).items()},
        "stop_reason": held.stop_reason.value,
        "context_trimmed": held.context_trimmed,
        "events": None if held.events is None else {event.value: count for event, count in held.events.items()},
        "verdicts": {
            about: given and {"score": given.score, "reason": given.reason} for about, given in verdicts.items()
        },
    }


def _answered_alone(held: Transcript) -> dict[str, AloneAnswer]:
    given = {"belief": held.belief, "alone": held.alone}
    return {name: answer for name, answer in given.items() if answer is not None}


def _message(model: ModuleType, message: Message) -> object:
    told = {"tokens": message.tokens, "seconds": message.seconds, "batch": message.batch}
    metadata = {key: value for key, value in told.items() if value is not None}
    text = all_encodable(message.content)
    if message.role is Role.USER:
        return model.ChatMessageUser(content=text, metadata=metadata)
    thought = [model.ContentReasoning(reasoning=all_encodable(message.reasoning))] if message.reasoning else []
    content = [*thought, model.ContentText(text=text)] if thought else text
    return model.ChatMessageAssistant(content=content, metadata=metadata)


def _output(model: ModuleType, name: str, held: Transcript) -> object:
    """The assistant's last reply, which Inspect shows as the sample's output."""
    replies = [message.content for message in held.messages if message.role is Role.ASSISTANT]
    return (
        model.ModelOutput.from_content(all_encodable(name), all_encodable(replies[-1]))
        if replies
        else model.ModelOutput()
    )


def _error(log: ModuleType) -> object:
    said = "A model returned nothing; the dialogue is in no score."
    return log.EvalError(message=said, traceback=said, traceback_ansi=said)
