"""Runs of `chatbench_human` over a small release, with a model under test that says what a test tells it to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lm_eval
from lm_eval.api.model import LM
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager

from lm_eval_plugin.harness.tasks_folder import tasks_folder

TASK = "chatbench_human"


class Pupil(LM):
    """Names one option of each question in talk, and finds one the likeliest by itself.

    Args:
        says: The letter named, by a text that stands in the question.
        static: The likeliest letter, likewise; what it says if None.
    """

    tokenizer = None
    loglikelihood_rolling = None

    def __init__(self, says: Mapping[str, str], static: Mapping[str, str] | None = None):
        super().__init__()
        self.says, self.static = says, static or says

    def generate_until(self, requests, disable_tqdm=False):
        return [f"It is {letter_for(request.args[0], self.says)}." for request in requests]

    def loglikelihood(self, requests):
        pairs = [request.args for request in requests]
        likeliest = [(letter_for(context, self.static), continuation.strip()) for context, continuation in pairs]
        return [(-1.0 if letter == asked else -2.0, False) for letter, asked in likeliest]


def letter_for(text: str, letters: Mapping[str, str]) -> str:
    (letter,) = {letter for part, letter in letters.items() if part in text}
    return letter


def evaluate(lm: LM | str, data: Path, /, *, dialogue: Mapping[str, Any] | None = None, **people: Any) -> dict:
    """Run the task with a scripted user, unless `dialogue` names another."""
    settings = {"dataset": str(data), "simulator": "scripted", **(dialogue or {})}
    metadata = {"dialogue": settings, "human": people}
    manager = TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata=metadata)
    return lm_eval.simple_evaluate(lm, tasks=[TASK], task_manager=manager, bootstrap_iters=0)


def logged(results: dict, folder: Path, model: str = "pupil") -> Path:
    """Write a run as `lm_eval --log_samples --output_path FOLDER` does."""
    plain = json.loads(json.dumps(results, default=str))
    tracker = EvaluationTracker(output_path=str(folder))
    tracker.general_config_tracker.model_name_sanitized = model
    samples = plain.pop("samples")
    tracker.save_results_aggregated(results=plain, samples=samples)
    for task, entries in samples.items():
        tracker.save_results_samples(task_name=task, samples=entries)
    return folder
