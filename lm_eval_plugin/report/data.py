"""What the page says of runs, without how it is shown; its dialogues are in `transcripts`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum, sqrt
from typing import Any, TypeVar

from lm_eval_plugin.comparison.leaderboard import folder_of
from lm_eval_plugin.comparison.standings import Ranking
from lm_eval_plugin.dialogue.transcript import StopReason, Transcript
from lm_eval_plugin.results.runs import Progress, Run
from lm_eval_plugin.scoring.alone_and_together import cells_alone
from lm_eval_plugin.scoring.kinds import Kind
from lm_eval_plugin.scoring.metrics import METRICS, QuestionRecord, accuracy, user_turns
from lm_eval_plugin.scoring.statistics import Estimate, mean_estimate, pooled_estimate
from lm_eval_plugin.scoring.summary import estimates, pooled_metrics, scores_of, with_subjects

_Value = TypeVar("_Value", int, StopReason)

UNKNOWN, WRONG, RIGHT = "unknown", "wrong", "right"
"""What an answer can be: unknown where nothing was scored, or where the score is neither 0 nor 1."""


@dataclass(frozen=True, slots=True)
class SubjectScores:
    """A subject of a run.

    Args:
        subject: Its name.
        questions: How many it has, scored or not.
        acc: Interactive accuracy; None where nothing was scored.
        acc_static: Static accuracy, likewise.
    """

    subject: str
    questions: int
    acc: Estimate | None
    acc_static: Estimate | None


@dataclass(frozen=True, slots=True)
class Part:
    """The dialogues of a run that have something in common.

    Args:
        name: What they have in common.
        dialogues: How many they are.
        share: Which part of a question's dialogues they are, on average.
    """

    name: str
    dialogues: int
    share: Estimate


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the page says of one run.

    Args:
        name: What to call it.
        date: When it was.
        folder: Where it is, as the rankings have it.
        simulators: The labels of its simulated users.
        questions: How many there are.
        dialogues: How many dialogues about them.
        unscored: How many of those ended by a model error.
        subjects: Its subjects, by name.
        cells: How many dialogues are `right` or `wrong` before and after, or `unknown`: keys are (static, interactive).
        turns: The dialogues of each number of user turns, from the least to the greatest, those that no dialogue has among them.
        stops: The dialogues that ended for each reason, the most frequent first.
        alone: The four cells of the user alone and together with the model, by name; empty where no user answered alone.
        metrics: Every metric that can be told, over all tasks.
        progress: How far it is, of a run that was read from its cache.
        configuration: Key and value of everything that it was run with; a key that differs between tasks has the task in it.
    """

    name: str
    date: str
    folder: str
    simulators: tuple[str, ...]
    questions: int
    dialogues: int
    unscored: int
    subjects: tuple[SubjectScores, ...]
    cells: Mapping[tuple[str, str], int]
    turns: tuple[Part, ...]
    stops: tuple[Part, ...]
    alone: Mapping[str, Estimate]
    metrics: Mapping[str, Estimate]
    progress: Progress | None
    configuration: tuple[tuple[str, str], ...]


def run_facts(run: Run) -> RunFacts:
    """What there is to say of a run."""
    records = [record for task in run.tasks.values() for record in task.records]
    held = [(record, transcript) for record in records for transcript in record.transcripts]
    return RunFacts(
        name=run.model,
        date=run.date,
        folder=folder_of(run),
        simulators=tuple(sorted({transcript.simulator for _, transcript in held})),
        questions=len(records),
        dialogues=len(held),
        unscored=sum(transcript.stop_reason is StopReason.MODEL_ERROR for _, transcript in held),
        subjects=_subjects(records),
        cells=Counter((static_outcome(record), outcome(transcript, record)) for record, transcript in held),
        turns=_turns(records),
        stops=_stops(records),
        alone=cells_alone([task.records for task in run.tasks.values()]),
        metrics=_metrics(run),
        progress=run.progress,
        configuration=tuple(_configuration(run)),
    )


def _turns(records: Sequence[QuestionRecord]) -> tuple[Part, ...]:
    parts = _parts([[int(user_turns(transcript)) for transcript in record.transcripts] for record in records])
    some = next(iter(parts.values()))
    return tuple(
        replace(parts[length], name=str(length)) if length in parts else _empty(str(length), some)
        for length in range(min(parts), max(parts) + 1)
    )


def _empty(name: str, some: Part) -> Part:
    """A part to which no dialogue belongs, beside another part of the same dialogues."""
    return Part(name, 0, _share(Counter(), some.share.questions, some.share.scores))


def _stops(records: Sequence[QuestionRecord]) -> tuple[Part, ...]:
    parts = _parts([[transcript.stop_reason for transcript in record.transcripts] for record in records])
    named = [replace(part, name=reason.value) for reason, part in parts.items()]
    return tuple(sorted(named, key=lambda part: (-part.dialogues, part.name)))


def _parts(of_questions: Sequence[Sequence[_Value]]) -> dict[_Value, Part]:
    """The dialogues of each value, given the value of each dialogue of each question."""
    dialogues: Counter[_Value] = Counter()
    shares: dict[_Value, Counter[float]] = {}
    for values in of_questions:
        for value, count in Counter(values).items():
            dialogues[value] += count
            shares.setdefault(value, Counter())[count / len(values)] += 1
    questions = len(of_questions)
    return {value: Part("", dialogues[value], _share(shares[value], questions, dialogues.total())) for value in shares}


def _share(shares: Counter[float], questions: int, dialogues: int) -> Estimate:
    """`mean_estimate` of the questions' shares, given how many questions have which share above 0; it takes no time."""
    counted = [*shares.items(), (0.0, questions - shares.total())]
    mean = fsum(share * count for share, count in counted) / questions
    squares = fsum(count * (share - mean) ** 2 for share, count in counted)
    error = sqrt(squares / (questions - 1) / questions) if questions > 1 else None
    return pooled_estimate([Estimate(mean, error, None, None, questions, dialogues)], Kind.SHARE)


def static_outcome(record: QuestionRecord) -> str:
    """Whether the answer without a dialogue is right."""
    return UNKNOWN if record.acc_static is None else {0.0: WRONG, 1.0: RIGHT}.get(record.acc_static, UNKNOWN)


def outcome(transcript: Transcript, record: QuestionRecord) -> str:
    """Whether the answer that the user took is right; a dialogue without one is wrong."""
    if transcript.stop_reason is StopReason.MODEL_ERROR:
        return UNKNOWN
    return RIGHT if accuracy(transcript, record.gold) else WRONG


def _subjects(records: Iterable[QuestionRecord]) -> tuple[SubjectScores, ...]:
    by_subject: dict[str, list[QuestionRecord]] = {}
    for record in records:
        by_subject.setdefault(record.question.subject, []).append(record)
    return tuple(
        SubjectScores(subject, len(held), _estimate(held, "acc"), _estimate(held, "acc_static"))
        for subject, held in sorted(by_subject.items())
    )


def _estimate(records: Sequence[QuestionRecord], metric: str) -> Estimate | None:
    scored = [scores for scores in scores_of(records, metric) if scores]
    return mean_estimate(scored, METRICS[metric].kind) if scored else None


def _metrics(run: Run) -> dict[str, Estimate]:
    """Every metric over all tasks, each a stratum; of several also the mean over subjects."""
    pooled = pooled_metrics([_task_metrics(run, name) for name in run.tasks])
    records = [record for task in run.tasks.values() for record in task.records]
    return with_subjects(pooled, records) if len(run.tasks) > 1 else pooled


def _task_metrics(run: Run, task: str) -> dict[str, Estimate]:
    """The metrics of a task as the run has summed them up, since that takes minutes for some thousand dialogues.

    Their intervals are not taken over: an earlier release made some of them otherwise.
    """
    records, summary = run.tasks[task].records, run.summaries.get(task, {})
    if summary.get("questions") != len(records) or "metrics" not in summary:
        return estimates(records)
    return {name: _stored(records, name, each) for name, each in summary["metrics"].items() if name in METRICS}


def _stored(records: Sequence[QuestionRecord], name: str, stored: Mapping[str, Any]) -> Estimate:
    """A metric of a summary; taken again where an earlier release did not note what its interval needs."""
    complete = "least" in stored or math.isfinite(METRICS[name].kind.reach)
    again = None if complete else _estimate(records, name)
    return again or Estimate(**stored)


def _configuration(run: Run) -> Iterable[tuple[str, str]]:
    yield "results file", str(run.where)
    yield "date", run.date
    yield "tasks", ", ".join(run.tasks)
    settings = {name: dict(_flat(task.settings)) for name, task in run.tasks.items()}
    for key in dict.fromkeys(key for each in settings.values() for key in each):
        values = {name: each.get(key, "") for name, each in settings.items()}
        if len(set(values.values())) == 1:
            yield key, next(iter(values.values()))
        else:
            yield from ((f"{key} of {name}", value) for name, value in values.items())
    yield from _flat(run.configuration)


def _flat(values: Mapping[str, object], prefix: str = "") -> Iterable[tuple[str, str]]:
    """The values of nested mappings as `outer.inner` and text."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def comparability(rankings: Sequence[Ranking]) -> list[str]:
    """Why runs of the page are not comparable."""
    found = []
    labels = list(dict.fromkeys(ranking.simulator for ranking in rankings))
    if len(labels) > 1:
        found.append(
            f"The runs have {len(labels)} different simulated users ({', '.join(labels)}). Each has a ranking of its own: scores "
            "under different simulated users are not comparable."
        )
    return [*found, *(warning for ranking in rankings for warning in ranking.warnings)]
