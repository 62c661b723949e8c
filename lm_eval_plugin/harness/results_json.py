"""What is added to the results of a run of the host, once it has all questions of all processes together."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from lm_eval.api.metrics import mean, mean_stderr

from lm_eval_plugin.harness.results_table import SWITCHED_ON_ALONE
from lm_eval_plugin.results.samples import of_first_filter, read_records
from lm_eval_plugin.scoring.metrics import DIRECTIONS, QuestionRecord, readings
from lm_eval_plugin.scoring.summary import summarize_run


@contextmanager
def quiet_about_absent_scores(tasks: Container[str]) -> Iterator[None]:
    """Keep the host from warning that not every question has every metric, which is meant here: some do not apply.

    How many questions each metric is taken over stands in the summary.
    """
    host = logging.getLogger("lm_eval.evaluator_utils")

    def concerns_others(record: logging.LogRecord) -> bool:
        uneven = re.match(r"\[(?P<task>[^]]+)\] Metrics were not scored", record.getMessage())
        return uneven is None or uneven["task"] not in tasks

    host.addFilter(concerns_others)
    try:
        yield
    finally:
        host.removeFilter(concerns_others)


class _Task(Protocol):
    @property
    def settled_metrics(self) -> Collection[str]: ...

    def gold_letters(self, doc: dict[str, Any]) -> frozenset[str]: ...


def add_summary(results: dict[str, Any], tasks: Mapping[str, _Task]) -> None:
    """Add `gold` and `readings` to the samples of the tasks with dialogues, and their summary to the results under `chatbench`.

    Args:
        results: As the host's `evaluate` returns them, with samples.
        tasks: The tasks with dialogues, by name.
    """
    samples = {name: results["samples"][name] for name in tasks}
    for logged in samples.values():
        # Several processes have every other question each; together they are in the order of one.
        logged.sort(key=lambda sample: sample["doc_id"])
    for name, task in tasks.items():
        for sample in samples[name]:
            sample["gold"] = sorted(task.gold_letters(sample["doc"]))
    _settle(results, samples, tasks)
    records = {name: read_records(each, f"task {name}") for name, each in samples.items() if each}
    for name, read in records.items():
        _note_readings(samples[name], read)
    groups = {name: _tasks_below(name, results["group_subtasks"]) for name in results["group_subtasks"]}
    summary = summarize_run(records, groups)
    results["chatbench"] = summary
    for name, group in summary["groups"].items():
        for metric in (each for each in _OF_GROUPS if each in group["metrics"]):
            _show_of_group(results, name, metric, group["metrics"][metric])


def _note_readings(samples: Sequence[dict[str, Any]], records: Sequence[QuestionRecord]) -> None:
    """Log which options each reply supports, on which `recovered`, `misled` and `followed` rest; "AC" for A and C."""
    # lm_eval logs a document once for every filter of its static side; a record is of the first.
    of_document = {
        sample["doc_id"]: record
        for (_, sample), record in zip(of_first_filter(enumerate(samples)), records, strict=True)
    }
    for sample in samples:
        record = of_document[sample["doc_id"]]
        read = [readings(held, record.question) for held in record.transcripts]
        sample["readings"] = [["".join(sorted(letters)) for letters in replies] for replies in read]


_OF_GROUPS = ("acc_subjects", *SWITCHED_ON_ALONE)
"""What lm_eval does not aggregate, since no task file lists what not every run has."""


def _show_of_group(results: dict[str, Any], group: str, metric: str, estimate: Mapping[str, Any]) -> None:
    """Give a metric a line beside `acc` in lm_eval's rows of a group that it aggregates itself."""
    rows = [results[part][group] for part in ("results", "groups") if group in results.get(part, {})]
    rows = [row for row in rows if "acc,none" in row]
    if not rows:
        return
    error = estimate["standard_error"]
    shown = {f"{metric},none": estimate["value"], f"{metric}_stderr,none": "N/A" if error is None else error}
    for row in rows:
        row.update(shown)
    results.setdefault("higher_is_better", {}).setdefault(group, {})[metric] = DIRECTIONS.get(metric, True)


def _tasks_below(group: str, children: Mapping[str, list[str]]) -> list[str]:
    """The tasks of a group and of the groups in it."""
    return [name for child in children.get(group, []) for name in (_tasks_below(child, children) or [child])]


def _settle(results: dict[str, Any], samples: Mapping[str, list[dict[str, Any]]], tasks: Mapping[str, _Task]) -> None:
    """Give the metrics of a run in several processes the values that they have in one.

    The host gathers from the processes only what each of them has, so there a question reports None for what does not apply
    to it; here that is taken out again, and mean and standard error are those of the questions that have one.
    """
    for task, logged in samples.items():
        for name in tasks[task].settled_metrics:
            known = [sample[name] for sample in logged if sample.get(name) is not None]
            _replace(results["results"][task], name, known)
            for sample in logged:
                if name in sample and sample[name] is None:
                    del sample[name]
                    sample["metrics"] = [metric for metric in sample["metrics"] if metric != name]


def _replace(row: dict[str, object], name: str, known: list[float]) -> None:
    for key in [key for key in row if key.partition(",")[0] == name]:
        spread = f"{name}_stderr,{key.partition(',')[2]}"
        if not known:
            row.pop(key)
            row.pop(spread, None)
            continue
        row[key] = mean(known)
        row[spread] = mean_stderr(known) if len(known) > 1 else "N/A"
