"""Whether a candidate run is worse than a baseline beyond what is tolerated, with evidence and not by a fixed difference.

Both runs' dialogues are paired by question and repeat; `comparison.checks` says what follows from the pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lm_eval_plugin.comparison.checks import Check, Limits, Pair, Pairs, Verdict, decided, is_pooled
from lm_eval_plugin.config.strict import nearest
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.results.by_simulator import named_alike, simulators_of
from lm_eval_plugin.results.runs import Run, TaskRun, differing_settings
from lm_eval_plugin.scoring.metrics import METRICS, QuestionRecord
from lm_eval_plugin.scoring.summary import scores_of

_OF_SOME_DIALOGUES = {
    "replies_read",
    "recovered",
    "misled",
    "followed",
}  # without a score they do not apply; nothing failed

_Key = tuple[str, int]
_Dialogues = Mapping[_Key, QuestionRecord]
_Both = tuple[_Dialogues, _Dialogues]


@dataclass(frozen=True, slots=True)
class GateResult:
    """What a gate says of two runs.

    Attributes:
        baseline: Names the run that the candidate is held against.
        candidate: Names the run that is checked.
        limits: What was tolerated.
        same_run: Whether candidate and baseline are one and the same run, so that nothing was compared.
        differences: What keeps the runs from being comparable and was allowed, one sentence each.
        checks: The pooled checks first, if there are several tasks, then task by task.
    """

    baseline: str
    candidate: str
    limits: Limits
    same_run: bool
    differences: tuple[str, ...]
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict:
        """Fail if any check does; else cannot tell if a check of everything together cannot; else pass.

        One task of many is small, so that it cannot tell says nothing against the whole.
        """
        if any(check.verdict is Verdict.FAIL for check in self.checks):
            return Verdict.FAIL
        pooled = [check for check in self.checks if is_pooled(check)]
        blind = any(check.verdict is Verdict.CANNOT_TELL for check in pooled or self.checks)
        return Verdict.CANNOT_TELL if blind else Verdict.PASS


def gate(
    baseline: Run,
    candidate: Run,
    metrics: Sequence[str] = ("acc",),
    limits: Limits | None = None,
    *,
    allow_differences: bool = False,
) -> GateResult:
    """Check every metric in every task, and in all tasks pooled.

    Args:
        baseline: What the candidate is held against.
        candidate: What is checked.
        metrics: Names of `METRICS`.
        limits: The defaults if None.
        allow_differences: Compare what the runs have in common although they differ in more than the model.

    Raises:
        ConfigError: The gate cannot be asked: a metric is unknown or missing, no question is common, the runs are not
            comparable, or too much was not scored.
    """
    limits = limits or Limits()
    baseline, candidate = named_alike(baseline, candidate)
    names = _known(metrics)
    held = {name: _dialogues_of_both(name, baseline, candidate) for name in _shared_tasks(baseline, candidate)}
    differences = _differences(baseline, candidate, held)
    if differences and not allow_differences:
        raise ConfigError(
            f"the runs are not comparable: {'; '.join(differences)}. Repeat one as the other, or give --allow-differences"
        )
    common = {name: _common(name, *both) for name, both in held.items()}
    groups: dict[str, dict[str, Pairs]] = {
        task: {metric: _pairs(pairs, metric, f"task {task}", limits.max_unscored) for metric in names}
        for task, pairs in common.items()
    }
    return GateResult(
        f"{baseline.model} ({baseline.where})",
        f"{candidate.model} ({candidate.where})",
        limits,
        _same_run(baseline, candidate),
        tuple(differences),
        decided(groups, limits, simulators_of(groups)),
    )


def _same_run(first: Run, second: Run) -> bool:
    """Whether two runs are one, or a copy of it: times are part of the dialogues, so two runs do not have the same ones."""
    same_place = first.where.resolve() == second.where.resolve()
    copied = (first.model, first.date) == (second.model, second.date)
    return (same_place or copied) and first.tasks == second.tasks


def _known(metrics: Sequence[str]) -> list[str]:
    for name in metrics:
        if name not in METRICS:
            raise ConfigError(f"there is no metric {name!r}{nearest(name, METRICS)}")
    if not metrics:
        raise ConfigError(f"there is no metric to check; name one or more of {', '.join(METRICS)}")
    return list(dict.fromkeys(metrics))


def _shared_tasks(first: Run, second: Run) -> list[str]:
    shared = sorted(first.tasks.keys() & second.tasks.keys())
    if not shared:
        raise ConfigError(f"the runs have no task in common: {_listed(first.tasks)} and {_listed(second.tasks)}")
    return shared


def _dialogues_of_both(task: str, first: Run, second: Run) -> _Both:
    return _dialogues(task, first.tasks[task]), _dialogues(task, second.tasks[task])


def _differences(first: Run, second: Run, held: Mapping[str, _Both]) -> list[str]:
    """What differs beside the model and the scores."""
    alone = sorted({*first.tasks} ^ {*second.tasks})
    found = [f"only one run has the task {_listed(alone)}"] if alone else []
    for name, both in held.items():
        different = [*differing_settings(first.tasks[name], second.tasks[name]), *_differing_dialogues(*both)]
        found += [f"task {name}: {what}" for what in different]
    return found


def _listed(names: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(names) or "none"


def _differing_dialogues(ours: _Dialogues, theirs: _Dialogues) -> list[str]:
    shared = ours.keys() & theirs.keys()
    alone = len(ours.keys() ^ theirs.keys())
    found = [f"{alone} dialogues stand in one run only, {len(shared)} in both"] if alone else []
    changed = {key[0] for key in shared if _asked(ours[key]) != _asked(theirs[key])}
    return [*found, f"{len(changed)} questions have another text, options or gold"] if changed else found


def _asked(record: QuestionRecord) -> object:
    return record.question, record.gold


def _dialogues(task: str, run: TaskRun) -> dict[_Key, QuestionRecord]:
    """Each dialogue as the record of a question that was asked once, by question and repeat."""
    found: dict[_Key, QuestionRecord] = {}
    for record in run.records:
        for held in record.transcripts:
            key = (record.question.id, held.repeat)
            if key in found:
                raise ConfigError(
                    f"task {task}: question {key[0]}, repeat {key[1]} stands twice in a run; pairs need one"
                )
            found[key] = replace(record, transcripts=(held,))
    return found


def _common(task: str, ours: _Dialogues, theirs: _Dialogues) -> list[tuple[_Key, QuestionRecord, QuestionRecord]]:
    common = [(key, ours[key], theirs[key]) for key in sorted(ours.keys() & theirs.keys())]
    if not common:
        raise ConfigError(f"task {task}: the runs have no question in common, repeat by repeat")
    return common


def _pairs(
    common: Sequence[tuple[_Key, QuestionRecord, QuestionRecord]], metric: str, where: str, max_unscored: float
) -> Pairs:
    sides = {"baseline": [pair[1] for pair in common], "candidate": [pair[2] for pair in common]}
    scores = {side: _scores(records, metric) for side, records in sides.items()}
    for side, values in scores.items():
        if all(value is None for value in values):
            raise ConfigError(f"{where}: the {side} has no score of {metric}; run it with what {metric} needs")
    shares = {side: _unscored(records, scores[side], metric) for side, records in sides.items()}
    for side, share in shares.items():
        if share > max_unscored:
            raise ConfigError(
                f"{where}: {share:.1%} of the {side}'s dialogues have no score of {metric}, more than the "
                f"{max_unscored:.1%} of --max-unscored; look at their stop reasons and run them again"
            )
    questions: dict[str, list[Pair]] = {}
    for (key, _, _), ours, theirs in zip(common, scores["baseline"], scores["candidate"], strict=True):
        if ours is not None and theirs is not None:
            questions.setdefault(key[0], []).append((ours, theirs))
    if not questions:
        raise ConfigError(f"{where}: no dialogue has a score of {metric} in both runs")
    return Pairs(tuple(map(tuple, questions.values())), max(shares.values()))


def _scores(records: Sequence[QuestionRecord], metric: str) -> list[float | None]:
    return [values[0] if values else None for values in scores_of(records, metric)]


def _unscored(records: Sequence[QuestionRecord], scores: Sequence[float | None], metric: str) -> float:
    due = [
        score is None and (metric not in _OF_SOME_DIALOGUES or not record.scored)
        for record, score in zip(records, scores, strict=True)
    ]
    return sum(due) / len(due)
