"""What the numbers of a page allow to be said, in one sentence for a run and one for a ranking."""

from __future__ import annotations

from lm_eval_plugin.border.escaping import shortened
from lm_eval_plugin.comparison.standings import Outcome, Ranking, Standing
from lm_eval_plugin.report.data import RunFacts
from lm_eval_plugin.report.measures import interval_of, value_of
from lm_eval_plugin.scoring.metrics import READ_TOO_SELDOM
from lm_eval_plugin.scoring.statistics import Estimate

_LONGEST_NAME = 80


def about_run(facts: RunFacts) -> str:
    """Whether the model is right more or less often in conversation than alone, as far as its questions tell."""
    acc, static, gap = (facts.metrics.get(name) for name in ("acc", "acc_static", "acc_gap"))
    if acc is None:
        return "No dialogue of this run was scored, so nothing can be said of the model."
    said = f"In conversation the model is right in {_with_interval('acc', acc)} of {_questions(acc)}"
    if static is None or gap is None:
        return f"{said}; no static score was taken to compare it with."
    common = "on them" if gap.questions == acc.questions else f"on {_questions(gap)} with both scores"
    if gap.low is None or gap.high is None:
        return f"{said}; {common} it cannot be told from the model alone."
    if gap.low <= 0 <= gap.high:
        return f"{said}; {common} it is not told from the model alone: the gap is {_with_interval('acc_gap', gap)}."
    return f"{said}, {'more' if gap.value > 0 else 'less'} often than alone: the gap is {_with_interval('acc_gap', gap)} {common}."


def about_reading(facts: RunFacts) -> str:
    """That what rests on what replies support speaks of a minority of the dialogues; nothing where it does not."""
    read = facts.metrics.get("replies_read")
    if read is None or read.value >= READ_TOO_SELDOM:
        return ""
    return (
        f"In only {value_of('replies_read', read)} of the dialogues of {shortened(facts.name, _LONGEST_NAME)} could the option "
        "that a reply supports be read: recovered, misled and followed speak of these alone."
    )


def about_ranking(ranking: Ranking) -> str:
    """Which model is ahead, whether the questions tell it from the next, and how many lose or gain by conversation."""
    ranked = [each for each in ranking.standings if "acc" in each.estimates]
    if not ranked:
        return "No dialogue of these runs was scored, so the models cannot be ranked."
    first = f"{_name(ranked[0])} is right most often in conversation, in {_with_interval('acc', ranked[0].estimates['acc'])}"
    return "; ".join([first, *_against_next(ranked), *_by_conversation(ranked)]) + "."


def _against_next(ranked: list[Standing]) -> list[str]:
    """Whether the first is told from the second."""
    if len(ranked) < 2 or (above := ranked[1].above) is None:
        return []
    other = f"{_name(ranked[1])} ({value_of('acc', ranked[1].estimates['acc'])})"
    said = {
        Outcome.WORSE: f"the questions that both have tell it from {other}",
        Outcome.NOT_DISTINGUISHABLE: f"the questions do not tell it from {other}",
        Outcome.BETTER: f"yet on the questions that both have {other} is better",
    }
    return [said[above.outcome]]


def _by_conversation(ranked: list[Standing]) -> list[str]:
    """How many models are right more, or less, often in conversation than alone, by the intervals of their gaps."""
    gaps = [each.estimates["acc_gap"] for each in ranked if "acc_gap" in each.estimates]
    gains = sum(each.low is not None and each.low > 0 for each in gaps)
    losses = sum(each.high is not None and each.high < 0 for each in gaps)
    if not gaps:
        return []
    told = [
        f"{_of_models(count, len(gaps))} right {word} often than alone"
        for count, word in ((gains, "more"), (losses, "less"))
        if count
    ]
    return told or [f"none of the {len(gaps)} models is told from itself alone"]


def _of_models(count: int, models: int) -> str:
    part = f"all {models}" if count == models else f"{count} of {models}"
    return f"{part} models are" if models > 1 and count > 1 else f"{part} models is"


def _name(standing: Standing) -> str:
    return shortened(standing.name, _LONGEST_NAME)


def _with_interval(name: str, estimate: Estimate) -> str:
    interval = interval_of(name, estimate)
    return f"{value_of(name, estimate)} ({interval})" if interval else value_of(name, estimate)


def _questions(estimate: Estimate) -> str:
    return "the one question" if estimate.questions == 1 else f"the {estimate.questions:,} questions"
