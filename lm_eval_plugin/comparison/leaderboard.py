"""Which model is better: runs ranked by a metric, those with the same simulator and the same questions among themselves.

Scores under different simulators are not comparable, so every simulator's label has a ranking of its own; nor are scores
on different questions, so runs without a common question are never in one ranking. The tasks of a run are pooled, every
question counting the same. Neighbours are tested on the questions that both have, so what decides is the same questions and
not the two intervals; each test stands for itself, and beside it the p-value adjusted for the number of tests in its ranking.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from lm_eval_plugin.comparison.comparable_runs import common_scores, differences, with_common_questions
from lm_eval_plugin.comparison.standings import AgainstAbove, Entry, Outcome, Ranking, Standing
from lm_eval_plugin.config.strict import nearest
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.results.by_simulator import plain_name
from lm_eval_plugin.results.runs import Run, TaskRun
from lm_eval_plugin.scoring.metrics import HIGHER_IS_BETTER, METRICS, QuestionRecord
from lm_eval_plugin.scoring.statistics import Estimate, holm, mean_estimate, paired_test, pooled_estimate
from lm_eval_plugin.scoring.summary import scores_of

ALPHA = 0.05
"""Two neighbours are told apart by a paired test with a smaller p-value."""

RANKED = ("acc", "acc_static")
"""The metrics by which every leaderboard states a rank."""

ALWAYS = (*RANKED, "acc_gap")
"""The metrics that every leaderboard shows."""


def shown_metrics(metric: str) -> tuple[str, ...]:
    """What a leaderboard by a metric shows.

    Raises:
        ConfigError: There is no such metric.
    """
    if metric not in HIGHER_IS_BETTER:
        raise ConfigError(f"there is no metric {metric!r} to sort by{nearest(metric, HIGHER_IS_BETTER)}")
    return (*ALWAYS, metric) if metric not in ALWAYS else ALWAYS


def entries_of(run: Run, metric: str) -> list[Entry]:
    """What of a run enters the rankings: one entry for each simulator that its tasks have."""
    tasks: dict[str, dict[str, TaskRun]] = {}
    for name, task in run.tasks.items():
        label = str(task.settings["simulator"])
        of_label = tasks.setdefault(label, {})
        plain = plain_name(name, label)
        of_label[name if plain in of_label or (plain != name and plain in run.tasks) else plain] = task
    return [_entry(run, simulator, parts, metric) for simulator, parts in tasks.items()]


def _entry(run: Run, simulator: str, tasks: Mapping[str, TaskRun], metric: str) -> Entry:
    records = [record for task in tasks.values() for record in task.records]
    dialogues = sum(len(record.transcripts) for record in records)
    return Entry(
        model=run.model,
        date=run.date,
        folder=folder_of(run),
        simulator=simulator,
        dialogues=dialogues,
        unscored=dialogues - sum(len(record.scored) for record in records),
        settings={name: TaskRun((), task.settings) for name, task in tasks.items()},
        scores={
            name: {task: _by_question(part.records, name) for task, part in tasks.items()}
            for name in shown_metrics(metric)
        },
    )


def folder_of(run: Run) -> str:
    """Where a run is: the folder of its results file, or the export that it was read from."""
    return str(run.where.parent if run.where.is_file() else run.where)


def _by_question(records: Sequence[QuestionRecord], metric: str) -> dict[tuple[str, int], Sequence[float]]:
    seen: Counter[str] = Counter()
    scores: dict[tuple[str, int], Sequence[float]] = {}
    for record, values in zip(records, scores_of(records, metric), strict=True):
        scores[record.question.id, seen[record.question.id]] = values
        seen[record.question.id] += 1
    return scores


def rank(entries: Iterable[Entry], metric: str = "acc") -> list[Ranking]:
    """The ranking of each simulator, by label.

    Args:
        entries: Of all runs, made for the same metric.
        metric: What is ranked by, the better the higher up.

    Raises:
        ConfigError: No run has the metric.
    """
    rankings = rank_all(entries, metric)
    told = {name for each in rankings for standing in each.standings for name in standing.estimates}
    if metric not in told:
        raise ConfigError(f"no run has the metric {metric!r} to sort by; of those shown there are {', '.join(told)}")
    return rankings


def rank_all(entries: Iterable[Entry], metric: str = "acc") -> list[Ranking]:
    """As `rank`, even if no run has the metric: then nobody has a rank by it."""
    listed = list(entries)
    names = _names(listed)
    groups: dict[str, list[Entry]] = {}
    for entry in listed:
        groups.setdefault(entry.simulator, []).append(entry)
    rankings = []
    for simulator in sorted(groups):
        parts = [_ranking(simulator, part, names, metric) for part in with_common_questions(groups[simulator], metric)]
        rankings += [_apart(place, parts) for place in range(len(parts))] if len(parts) > 1 else parts
    return rankings


def _apart(place: int, parts: Sequence[Ranking]) -> Ranking:
    """One of the rankings of a label, with what keeps it apart."""
    names = ", ".join(standing.name for standing in parts[place].standings)
    reason = f"{names}: no common questions with some run of the same simulator, so they are not ranked together"
    return replace(parts[place], apart=place + 1, warnings=(reason, *parts[place].warnings))


def _names(entries: Iterable[Entry]) -> dict[tuple[str, str, str], str]:
    """What to call each run."""
    runs = {(entry.model, entry.date, entry.folder) for entry in entries}
    models = Counter(model for model, _, _ in runs)
    return {run: run[0] if models[run[0]] == 1 else f"{run[0]} ({run[1]}, {run[2]})" for run in runs}


def _ranking(
    simulator: str, entries: Iterable[Entry], names: Mapping[tuple[str, str, str], str], metric: str
) -> Ranking:
    named = [(names[entry.model, entry.date, entry.folder], entry, _estimates(entry)) for entry in entries]
    direction = -1 if HIGHER_IS_BETTER[metric] else 1
    named.sort(
        key=lambda each: (metric not in each[2], direction * each[2][metric].value if metric in each[2] else 0, each[0])
    )
    against = _neighbours([entry for _, entry, _ in named], [metric in estimates for _, _, estimates in named], metric)
    ranks = {name: _ranks([estimates for _, _, estimates in named], name) for name in dict.fromkeys((*RANKED, metric))}
    standings = tuple(
        Standing(
            name=name,
            model=entry.model,
            date=entry.date,
            folder=entry.folder,
            questions=sum(map(len, entry.scores[metric].values())),
            dialogues=entry.dialogues,
            unscored=entry.unscored,
            estimates=estimates,
            ranks={by: given[place] for by, given in ranks.items() if place in given},
            above=against[place],
        )
        for place, (name, entry, estimates) in enumerate(named)
    )
    first, first_entry, _ = named[0]
    warnings = [text for name, entry, _ in named[1:] for text in differences(first, first_entry, name, entry)]
    return Ranking(simulator, standings, tuple(warnings))


def _estimates(entry: Entry) -> dict[str, Estimate]:
    """The metrics over all tasks, as a group's in the summary: every question counts the same, each task is a stratum."""
    found = {}
    for name, tasks in entry.scores.items():
        scored = [[values for values in questions.values() if values] for questions in tasks.values()]
        parts = [mean_estimate(scores, METRICS[name].kind) for scores in scored if scores]
        if parts:
            found[name] = pooled_estimate(parts, METRICS[name].kind)
    return found


def _ranks(estimates: Sequence[Mapping[str, Estimate]], metric: str) -> dict[int, int]:
    """The rank of each place that has the metric: 1 + how many are better."""
    sign = 1 if HIGHER_IS_BETTER[metric] else -1
    values = {place: sign * each[metric].value for place, each in enumerate(estimates) if metric in each}
    return {place: 1 + sum(other > value for other in values.values()) for place, value in values.items()}


def _neighbours(entries: Sequence[Entry], told: Sequence[bool], metric: str) -> list[AgainstAbove | None]:
    """Each run against the one above it, and the p-values adjusted for all of them.

    Args:
        entries: From the best down.
        told: Whether each has the metric.
        metric: What is ranked by.
    """
    found = [
        _against(entries[place - 1], entry, metric) if place and told[place] else None
        for place, entry in enumerate(entries)
    ]
    tested = [(place, each.test.p_value) for place, each in enumerate(found) if each and each.test.p_value is not None]
    for (place, _), adjusted in zip(tested, holm([p_value for _, p_value in tested]), strict=True):
        above = found[place]
        found[place] = above and replace(above, adjusted=adjusted)
    return found


def _against(above: Entry, entry: Entry, metric: str) -> AgainstAbove:
    first, second, tasks = zip(*common_scores(above, entry, metric), strict=True)
    test = paired_test(first, second, METRICS[metric].kind, strata=tasks)
    if test.p_value is None or test.p_value >= ALPHA:
        return AgainstAbove(Outcome.NOT_DISTINGUISHABLE, test)
    as_ranked = (test.difference > 0) == HIGHER_IS_BETTER[metric]
    return AgainstAbove(Outcome.WORSE if as_ranked else Outcome.BETTER, test)
