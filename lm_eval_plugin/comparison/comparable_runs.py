"""Which runs can be compared: those with common questions, and in what two of them differ besides the model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lm_eval_plugin.comparison.standings import Entry
from lm_eval_plugin.results.runs import differing_settings


def with_common_questions(entries: Sequence[Entry], metric: str) -> list[list[Entry]]:
    """The runs in as many parts as it takes for each two of a part to have a common question; the largest run first."""
    parts: list[list[Entry]] = []
    for entry in sorted(entries, key=lambda each: (-_size(each, metric), each.model, each.date, each.folder)):
        part = next((part for part in parts if all(_comparable(entry, other, metric) for other in part)), None)
        if part is None:
            parts.append([entry])
        else:
            part.append(entry)
    return parts


def _size(entry: Entry, metric: str) -> int:
    return sum(bool(scores) for questions in entry.scores[metric].values() for scores in questions.values())


def _comparable(entry: Entry, other: Entry, metric: str) -> bool:
    """Whether some question has the metric in both runs, or if one run lacks it everywhere, is in both."""
    if common_scores(entry, other, metric):
        return True
    told = _size(entry, metric) and _size(other, metric)
    return not told and any(
        questions.keys() & other.scores[metric].get(task, {}).keys() for task, questions in entry.scores[metric].items()
    )


def common_scores(above: Entry, entry: Entry, metric: str) -> list[tuple[Sequence[float], Sequence[float], str]]:
    """The scores of the questions that have the metric in both runs, with their task."""
    return [
        (scores, theirs[question], task)
        for task, theirs in entry.scores[metric].items()
        for question, scores in above.scores[metric].get(task, {}).items()
        if scores and theirs.get(question)
    ]


def differences(first: str, reference: Entry, name: str, entry: Entry) -> Iterable[str]:
    """In what two runs differ besides the model."""
    both = f"{name} and {first}"
    for here, ours, theirs in ((name, entry, reference), (first, reference, entry)):
        alone = [task for task in ours.settings if task not in theirs.settings]
        if alone:
            yield f"{both}: only {here} has {', '.join(alone)}"
    common = [task for task in reference.settings if task in entry.settings]
    differing: dict[str, list[str]] = {}
    for task in common:
        for difference in differing_settings(entry.settings[task], reference.settings[task]):
            differing.setdefault(difference, []).append(task)
    for difference, tasks in differing.items():
        others = f" and {len(tasks) - 1} more" if len(tasks) > 1 else ""
        yield f"{both}, {tasks[0]}{others}: {difference}"
    for task in common:
        held, wanted = (set(each.scores["acc"][task]) for each in (entry, reference))
        if held != wanted:
            yield (
                f"{both}, {task}: not the same questions, {len(held & wanted)} in common, {len(held - wanted)} only in "
                f"the one and {len(wanted - held)} only in the other"
            )
