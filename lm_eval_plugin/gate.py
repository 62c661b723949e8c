"""Whether a candidate is worse than a baseline beyond what is tolerated, with evidence and not by a fixed difference.

Both runs' dialogues are paired by question and repeat. A question's drop d is the mean over its pairs of baseline -
candidate, the other way round for a metric of which less is better. The test asks of the mean drop D over Q questions:

    H0: D <= max_drop,  t = (mean d - max_drop) / SE,  SE = s / sqrt(Q),  p = P(T_{Q - 1} >= t)

and the candidate fails if the corrected p is at most alpha. s is the standard deviation of d, but at least that of one
gain and one loss of the smallest step (1 / repeats of the scores' range) among Q + 2 questions: no spread in the data is
not no uncertainty.

One t test serves right-or-wrong scores too. By exact enumeration, with 20, 50, 100 and 400 questions, max_drop 0, 0.02
and 0.05 and a discordant share from 0.2 to 60 %, it rejects at most 5.3 % where 5 % was asked for; Tango's score test for
matched shares (Statistics in Medicine 17, 1998) rejects up to 7.3 % where few questions are discordant.

Two drops say what the size can do, both with 80 % power at the alpha that the correction leaves:

    detectable = (t_{1 - alpha} + z_{0.8}) SE               the smallest drop that can be told from none
    fails_at   = max_drop + detectable                      the smallest true drop that fails

A gate whose detectable drop exceeds max_drop is blind: it passes only if the interval lies below max_drop, otherwise it
cannot tell.

Several checks are corrected so that a candidate that is not worse anywhere fails with at most alpha: Holm's correction
over the metrics and, if there are several tasks, half of alpha for all tasks pooled and half for each task by itself.

Sources: as `statistics`; for the shifted test, Wellek, "Testing Statistical Hypotheses of Equivalence and Noninferiority"
(2010). The figures are in `tests/benchmarks/gate.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from math import fsum, isfinite, sqrt
from statistics import NormalDist

import numpy as np
from scipy import special

from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.metrics import HIGHER_IS_BETTER, QuestionRecord
from lm_eval_plugin.runs import Run, TaskRun, differing_settings
from lm_eval_plugin.statistics import holm
from lm_eval_plugin.strict import nearest
from lm_eval_plugin.summary import scores_of

POOLED = "all tasks"
"""Names the check of all tasks together, each question counting the same."""

POWER = 0.8

_OF_SOME_DIALOGUES = {"recovered", "misled", "followed"}  # without a score they do not apply; nothing failed

_Pair = tuple[float, float]
_Key = tuple[str, int]
_Dialogues = Mapping[_Key, QuestionRecord]
_Both = tuple[_Dialogues, _Dialogues]


class Verdict(Enum):
    """What a check says of the candidate."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    FAIL = "fail"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Limits:
    """What the gate tolerates.

    Args:
        max_drop: In the metric's units, from 0 up.
        alpha: How often a candidate whose drop is max_drop may fail; above 0 and below 0.5.
        max_unscored: The share of a task's dialogues that may lack a score, from 0 to 1.
    """

    max_drop: float = 0.02
    alpha: float = 0.05
    max_unscored: float = 0.05

    def __post_init__(self) -> None:
        if not (isfinite(self.max_drop) and self.max_drop >= 0):
            raise ConfigError(f"the largest drop is {self.max_drop}; give a number from 0 up")
        if not 0 < self.alpha < 0.5:
            raise ConfigError(f"alpha is {self.alpha}; give a number above 0 and below 0.5")
        if not 0 <= self.max_unscored <= 1:
            raise ConfigError(f"the largest unscored share is {self.max_unscored}; give a number from 0 to 1")


@dataclass(frozen=True, slots=True)
class Check:
    """One metric of one task, or of all tasks.

    Attributes:
        metric: Its name.
        task: The task's name, or `POOLED`.
        questions: How many have a score on both sides.
        pairs: How many dialogues of theirs have one.
        unscored: Share of the dialogues without a score where one was due, on the side that has more of them.
        baseline: Mean over questions.
        candidate: Likewise.
        drop: What the candidate is worse by, in the metric's units; below 0 it is better.
        low: Lower end of the interval of the drop, at the level 1 - 2 alpha; None for a single question.
        high: Upper end, likewise.
        p_value: One-sided, of a drop of at most max_drop; None for a single question.
        corrected: The p-value after the correction for several checks; at most alpha fails.
        detectable: The smallest drop that can be told from none with 80 % power; None for a single question.
        fails_at: The smallest true drop that fails with 80 % power, likewise.
        verdict: What follows.
    """

    metric: str
    task: str
    questions: int
    pairs: int
    unscored: float
    baseline: float
    candidate: float
    drop: float
    low: float | None
    high: float | None
    p_value: float | None
    corrected: float | None
    detectable: float | None
    fails_at: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class GateResult:
    """What a gate says of two runs.

    Attributes:
        baseline: Names the run that the candidate is held against.
        candidate: Names the run that is checked.
        limits: What was tolerated.
        differences: What keeps the runs from being comparable and was allowed, one sentence each.
        checks: The pooled checks first, if there are several tasks, then task by task.
    """

    baseline: str
    candidate: str
    limits: Limits
    differences: tuple[str, ...]
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict:
        """Fail if any check does; else cannot tell if a check of everything together cannot; else pass.

        One task of many is small, so that it cannot tell says nothing against the whole.
        """
        if any(check.verdict is Verdict.FAIL for check in self.checks):
            return Verdict.FAIL
        pooled = [check for check in self.checks if check.task == POOLED]
        blind = any(check.verdict is Verdict.CANNOT_TELL for check in pooled or self.checks)
        return Verdict.CANNOT_TELL if blind else Verdict.PASS


@dataclass(frozen=True, slots=True)
class Pairs:
    """The scores of a metric, paired.

    Args:
        questions: Of each question with a pair, its pairs of baseline and candidate.
        unscored: As in `Check`.
    """

    questions: tuple[tuple[_Pair, ...], ...]
    unscored: float = 0.0


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
        metrics: Names of `HIGHER_IS_BETTER`.
        limits: The defaults if None.
        allow_differences: Compare what the runs have in common although they differ in more than the model.

    Raises:
        ConfigError: The gate cannot be asked: a metric is unknown or missing, no question is common, the runs are not
            comparable, or too much was not scored.
    """
    limits = limits or Limits()
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
        tuple(differences),
        decided(groups, limits),
    )


def decided(groups: Mapping[str, Mapping[str, Pairs]], limits: Limits) -> tuple[Check, ...]:
    """The checks of paired scores, corrected for how many they are.

    Args:
        groups: For each task, the pairs of every metric.
        limits: What is tolerated.
    """
    families = [[(task, metric, pairs) for task, held in groups.items() for metric, pairs in held.items()]]
    if len(groups) > 1:
        metrics = next(iter(groups.values()))
        families.insert(0, [(POOLED, name, _pooled([held[name] for held in groups.values()])) for name in metrics])
    checks: list[Check] = []
    for family in families:
        alpha = limits.alpha / (len(families) * len(family))
        held = [_check(metric, task, pairs, limits, alpha) for task, metric, pairs in family]
        adjusted = holm([1.0 if check.p_value is None else check.p_value for check in held])
        checks += [_judged(check, len(families) * p, limits) for check, p in zip(held, adjusted, strict=True)]
    return tuple(checks)


def _known(metrics: Sequence[str]) -> list[str]:
    for name in metrics:
        if name not in HIGHER_IS_BETTER:
            raise ConfigError(f"there is no metric {name!r}{nearest(name, HIGHER_IS_BETTER)}")
    if not metrics:
        raise ConfigError(f"there is no metric to check; name one or more of {', '.join(HIGHER_IS_BETTER)}")
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
    questions: dict[str, list[_Pair]] = {}
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


def _pooled(parts: Sequence[Pairs]) -> Pairs:
    """All questions as one pile: what differs between tasks widens the interval a little and never narrows it."""
    questions = tuple(question for part in parts for question in part.questions)
    return Pairs(questions, max(part.unscored for part in parts))


def _check(metric: str, task: str, held: Pairs, limits: Limits, alpha: float) -> Check:
    """The check before the correction; `alpha` is what the correction leaves it at the least."""
    columns = np.array(sorted(tuple(_mean(side) for side in zip(*pairs, strict=True)) for pairs in held.questions))
    baseline, candidate = (fsum(column) / len(columns) for column in columns.T)
    drops = columns[:, 0] - columns[:, 1] if HIGHER_IS_BETTER[metric] else columns[:, 1] - columns[:, 0]
    questions, drop = len(drops), fsum(drops) / len(drops)
    check = Check(
        *(metric, task, questions, sum(map(len, held.questions)), held.unscored, baseline, candidate, drop),
        *(None, None, None, None, None, None, Verdict.CANNOT_TELL),
    )
    if questions == 1:
        return check
    freedom, error = questions - 1, max(float(drops.std(ddof=1)), _least_spread(held)) / sqrt(questions)
    half = _quantile(freedom, limits.alpha) * error
    detectable = (_quantile(freedom, alpha) + NormalDist().inv_cdf(POWER)) * error
    return replace(
        check,
        low=drop - half,
        high=drop + half,
        p_value=float(special.stdtr(freedom, (limits.max_drop - drop) / error)),
        detectable=detectable,
        fails_at=limits.max_drop + detectable,
    )


def _mean(values: Sequence[float]) -> float:
    return fsum(values) / len(values)


def _least_spread(held: Pairs) -> float:
    """The standard deviation if but one question gained and one lost the smallest step."""
    scores = [score for pairs in held.questions for pair in pairs for score in pair]
    step = max(1.0, max(scores) - min(scores)) / max(map(len, held.questions))
    return step * sqrt(2 / (len(held.questions) + 2))


def _quantile(freedom: int, alpha: float) -> float:
    return -float(special.stdtrit(freedom, alpha))


def _judged(check: Check, corrected: float, limits: Limits) -> Check:
    if check.p_value is None or check.detectable is None or check.high is None:
        return check
    corrected = min(1.0, corrected)
    if corrected <= limits.alpha:
        verdict = Verdict.FAIL
    elif check.detectable <= limits.max_drop or check.high < limits.max_drop:
        verdict = Verdict.PASS
    else:
        verdict = Verdict.CANNOT_TELL
    return replace(check, corrected=corrected, verdict=verdict)
