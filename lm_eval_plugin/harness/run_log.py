"""A run notes itself in the file of `--use_cache`, so that `chatbench watch` and `chatbench report` can show it while it runs."""

from __future__ import annotations

import functools
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch.distributed

from lm_eval_plugin.border.dates import local_time
from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.cache.run_table import QuestionNote, RunNote, note_end, note_questions, note_start, noting
from lm_eval_plugin.config.request import DialogueRequest
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.errors import ConfigError, ModelError
from lm_eval_plugin.harness.unfinished import static_responses
from lm_eval_plugin.lm_eval_access.base import LM, Instance
from lm_eval_plugin.results.samples import task_settings
from lm_eval_plugin.runner.participants import label_of

logger = logger_of(__name__)

FINISHED = "finished"
"""The outcome of a run that nothing has ended before its time."""


class _Task(Protocol):
    @property
    def instances(self) -> Sequence[Any]: ...

    @property
    def config(self) -> Any: ...

    def question(self, doc: dict[str, Any]) -> Question: ...

    def gold_letters(self, doc: dict[str, Any]) -> frozenset[str]: ...

    def static_metrics(self, doc: dict[str, Any], results: list[Any]) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class _Log:
    """The run that goes on in this process.

    Args:
        path: Its cache file.
        note: What it has noted of itself.
        tasks: Its tasks with dialogues, by name.
        limit: How many questions a task may have, as lm_eval was given it.
    """

    path: Path
    note: RunNote
    tasks: Mapping[str, _Task]
    limit: Any


_LOG: ContextVar[_Log | None] = ContextVar("run that notes itself", default=None)


@contextmanager
def logged_run(lm: LM, tasks: Mapping[str, _Task], command: Mapping[str, Any], limit: Any) -> Iterator[None]:
    """Have a run that keeps its dialogues note when it starts and how it ends, and what is in between as its own.

    Args:
        lm: The model under test, as lm_eval hands it to `evaluate`; one without `--use_cache` notes nothing.
        tasks: The tasks with dialogues, by name.
        command: Of the command that runs: `model_source`, `model_args` and its `configuration`; empty without one.
        limit: As lm_eval was given it.
    """
    cache = getattr(lm, "cache_db", None)
    if cache is None or not tasks:
        yield
        return
    settings: dict[str, dict[str, Any]] = {name: {} for name in tasks}
    model = _model_name(lm, command)
    note = RunNote(_shared_id(), lm.rank, time.time(), model, settings, command.get("configuration", {}))
    log = _Log(Path(cache), note, tasks, limit)
    note_start(log.path, note)
    token = _LOG.set(log)
    try:
        yield
    except BaseException as error:
        _note_end(log, "interrupted" if isinstance(error, KeyboardInterrupt) else f"{type(error).__name__}: {error}")
        raise
    finally:
        _LOG.reset(token)
    _note_end(log, FINISHED)


def noting_dialogues(
    converse_until: Callable[[LM, Sequence[Instance]], list[str]],
) -> Callable[[LM, Sequence[Instance]], list[str]]:
    """`converse_until`, before which a run that notes itself says what it asks; its dialogues are noted as its own."""

    @functools.wraps(converse_until)
    def converse(lm: LM, requests: Sequence[Instance]) -> list[str]:
        log = _LOG.get()
        if log is None:
            return converse_until(lm, requests)
        note_start(log.path, replace(log.note, tasks={name: _settings(task, log) for name, task in log.tasks.items()}))
        questions = [note for name, task in log.tasks.items() for note in _questions(name, task)]
        note_questions(log.path, log.note.run, questions)
        with noting(log.note.run):
            return converse_until(lm, requests)

    return converse


def _note_end(log: _Log, outcome: str) -> None:
    try:
        note_end(log.path, log.note.run, log.note.rank, outcome)
    except ConfigError as error:
        # Why the run ended, or what it found, is still to be said.
        logger.warning("How the run ended cannot be noted: %s", error)


def _shared_id() -> str:
    """An id of the run, the same in all of its processes."""
    own = [f"{local_time(time.time()):%Y-%m-%dT%H-%M-%S}-{secrets.token_hex(3)}"]
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.broadcast_object_list(own)
    return own[0]


def _model_name(lm: LM, command: Mapping[str, object]) -> str:
    """The model under test as lm_eval names it in its results."""
    given = command.get("model_args") or {}
    named = given.get("pretrained") or given.get("model") if isinstance(given, Mapping) else None
    own = getattr(lm, "pretrained", None)
    return str(named or command.get("model_source") or (own if isinstance(own, str) else type(lm).__name__))


def _settings(task: _Task, log: _Log) -> dict[str, Any]:
    asked = next(request for request in task.instances if request.request_type == "converse_until")
    request = DialogueRequest.from_arguments(asked.arguments)
    return task_settings(
        request,
        simulator=label_of(request.dialogue),
        version=(task.config.metadata or {}).get("version"),
        num_fewshot=task.config.num_fewshot,
        limit=log.limit,
    )


def _questions(name: str, task: _Task) -> Iterator[QuestionNote]:
    requests: dict[int, list[Any]] = {}
    for request in task.instances:
        requests.setdefault(request.doc_id, []).append(request)
    for doc_id, asked in sorted(requests.items()):
        *static, dialogue = sorted(asked, key=lambda request: request.idx)
        question = task.question(dialogue.doc)
        yield QuestionNote(
            task=name,
            place=doc_id,
            question_id=question.id,
            subject=question.subject,
            stem=question.stem,
            choices=question.choices,
            gold=sorted(task.gold_letters(dialogue.doc)),
            acc_static=_static_score(task, dialogue.doc, static),
        )


def _static_score(task: _Task, doc: dict[str, Any], static: Sequence[Any]) -> float | None:
    """The static score of a question; None before its requests are answered, and where the answers are none."""
    if not static or not all(request.resps for request in static):
        return None
    try:
        return task.static_metrics(doc, static_responses(static)).get("acc_static")
    except ModelError:
        # The task says so itself when it comes to this question.
        return None
