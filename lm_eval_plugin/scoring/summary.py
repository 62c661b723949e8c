"""What a run amounts to, and how sure one can be of it: what stands under `chatbench` in the host's results JSON.

    {"chatbench": {"version": 1, "settings": {"prompting": "chat template"},
                   "tasks": {"chatbench_demo": {
                       "questions": 48, "dialogues": 48, "unscored": 0,
                       "metrics": {"acc": {"value": 0.667, "standard_error": 0.069, "low": 0.525, "high": 0.782, ...}, ...},
                       "against_static": {"difference": 0.104, "low": -0.06, "high": 0.27, "p_value": 0.36, ...},
                       "against_user_alone": {"cells": {"wrong_alone_right_together": {"value": 0.31, ...}, ...}, "test": {...}},
                       "against_human": {"simulated": {"pearson": {"value": 0.51, ...}, "error": {...}}, "static": {...}},
                       "waiting": {"assistant": {"median_s": 0.4, "p95_s": 0.5, "batch": 48, "tokens_per_second": 310.0}, ...},
                       "user_language": {"messages": 50, "words_per_message": 17.2, "distinct_in_100_words": 58.1}}},
                   "groups": {"chatbench_mmlu": {
                       "questions": 1878, "composition": {"moral_scenarios": 895, ...},
                       "metrics": {"acc": {...}, "acc_subjects": {...}, ...},
                       "against_static": {...}}}}}

A value is the mean over questions of the question's mean over its repeats, as lm_eval's table shows it. `acc_subjects` is the
mean over a group's subjects, each counting the same; `composition` says how many questions each has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

import numpy as np
from scipy.stats import hypergeom

from lm_eval_plugin.config.protocol_label import is_of_paper
from lm_eval_plugin.dialogue.transcript import Message, Role, Transcript
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.scoring.agreement import agreement, complete
from lm_eval_plugin.scoring.alone_and_together import alone_and_together
from lm_eval_plugin.scoring.kinds import Kind
from lm_eval_plugin.scoring.metrics import METRICS, QuestionRecord, accuracy, question_scores, words_of
from lm_eval_plugin.scoring.statistics import Estimate, mean_estimate, paired_test, pooled_estimate

VERSION = 1
"""Version of the summary's form."""

_DRAWN = 100


def summarize(records: Sequence[QuestionRecord]) -> dict[str, object]:
    """The summary of one task.

    Args:
        records: Its questions, at least one.
    """
    transcripts = [held for record in records for held in record.transcripts]
    scored = [held for record in records for held in record.scored]
    return {
        "questions": len(records),
        "dialogues": len(transcripts),
        "unscored": len(transcripts) - len(scored),
        "metrics": _shown_first(estimates(records), transcripts),
        **_against_static([records]),
        **_against_alone([records]),
        **_against_human(records),
        "waiting": {role.value: _waiting(scored, role) for role in Role},
        "user_language": user_language(_user_messages(scored)),
    }


def summarize_group(tasks: Sequence[Sequence[QuestionRecord]]) -> dict[str, object]:
    """The summary of a group of tasks: every question counts the same, and each task is a stratum.

    Args:
        tasks: The questions of each task.
    """
    together = [record for records in tasks for record in records]
    return {
        "questions": len(together),
        "composition": composition(together),
        "metrics": _shown_first(group_estimates(tasks), [held for record in together for held in record.transcripts]),
        **_against_static(tasks),
        **_against_alone(tasks),
    }


def _shown_first(metrics: Mapping[str, Estimate], transcripts: Sequence[Transcript]) -> dict[str, dict[str, object]]:
    """The metrics as JSON; under the paper's protocol its own accuracy comes first."""
    paper = all(is_of_paper(held.simulator) for held in transcripts)
    names = sorted(metrics, key=lambda name: paper and name != "acc_answered")
    return {name: asdict(metrics[name]) for name in names}


def composition(records: Iterable[QuestionRecord]) -> dict[str, int]:
    """How many questions each subject has, the largest first."""
    return dict(
        sorted(Counter(record.question.subject for record in records).items(), key=lambda each: (-each[1], each[0]))
    )


def estimates(records: Sequence[QuestionRecord]) -> dict[str, Estimate]:
    """Every metric that can be told, with its standard error and 95 % interval."""
    scored = [question_scores(record) for record in records]
    scores = {name: [each[name] for each in scored if name in each] for name in METRICS}
    return {name: mean_estimate(values, METRICS[name].kind) for name, values in scores.items() if values}


def group_estimates(tasks: Sequence[Sequence[QuestionRecord]]) -> dict[str, Estimate]:
    """Every metric over all questions, each task a stratum, and behind `acc` the mean over subjects."""
    return with_subjects(
        pooled_metrics([estimates(records) for records in tasks]), [record for records in tasks for record in records]
    )


def pooled_metrics(tasks: Sequence[Mapping[str, Estimate]]) -> dict[str, Estimate]:
    """The metrics over all questions, each task a stratum.

    Args:
        tasks: The metrics of each task.
    """
    parts = {name: [task[name] for task in tasks if name in task] for name in METRICS}
    return {name: pooled_estimate(held, METRICS[name].kind) for name, held in parts.items() if held}


def with_subjects(metrics: Mapping[str, Estimate], records: Iterable[QuestionRecord]) -> dict[str, Estimate]:
    """The metrics, and behind `acc` its mean over subjects; without it where there is but one."""
    over_subjects = acc_subjects(records)
    shown: dict[str, Estimate] = {}
    for name, estimate in metrics.items():
        shown[name] = estimate
        if name == "acc" and over_subjects is not None:
            shown["acc_subjects"] = over_subjects
    return shown


def acc_subjects(records: Iterable[QuestionRecord]) -> Estimate | None:
    """acc_subjects = mean over subjects of the subject's `acc`, each counting the same; None for fewer than two."""
    by_subject: dict[str, list[QuestionRecord]] = {}
    for record in records:
        by_subject.setdefault(record.question.subject, []).append(record)
    scores = [[each for each in scores_of(held, "acc") if each] for held in by_subject.values()]
    parts = [mean_estimate(each, Kind.SHARE) for each in scores if each]
    return pooled_estimate(parts, Kind.SHARE, tasks_alike=True) if len(parts) > 1 else None


def scores_of(records: Iterable[QuestionRecord], name: str) -> list[list[float]]:
    """The scores of a metric, question by question; an empty list for a question without one."""
    return [question_scores(record, name).get(name, []) for record in records]


def compare(
    first: Sequence[QuestionRecord], second: Sequence[QuestionRecord], where: str, metric: str = "acc"
) -> dict[str, Any] | None:
    """The paired test of two runs on the questions that both have: difference = first - second.

    Args:
        first: The questions of one run.
        second: Those of the other.
        where: Names the runs in errors.
        metric: What is compared.

    Returns:
        None if no common question has the metric in both runs.

    Raises:
        ConfigError: The runs have no question in common.
    """
    others = {record.question.id: record for record in second}
    pairs = [(record, others[record.question.id]) for record in first if record.question.id in others]
    if not pairs:
        raise ConfigError(f"{where}: the runs have no question in common")
    one = scores_of([pair[0] for pair in pairs], metric)
    other = scores_of([pair[1] for pair in pairs], metric)
    both = [(here, there) for here, there in zip(one, other, strict=True) if here and there]
    if not both:
        return None
    return asdict(paired_test([pair[0] for pair in both], [pair[1] for pair in both], METRICS[metric].kind))


def _against_static(tasks: Sequence[Sequence[QuestionRecord]]) -> dict[str, object]:
    """The paired test of interactive against static accuracy, over the questions that have both; each task a stratum."""
    both = [
        ([accuracy(held, record.gold) for held in record.scored], [record.acc_static], task)
        for task, records in enumerate(tasks)
        for record in records
        if record.scored and record.acc_static is not None
    ]
    if not both:
        return {}
    acc, static, strata = zip(*both, strict=True)
    return {"against_static": asdict(paired_test(acc, static, Kind.SHARE, strata=strata))}


def _against_alone(tasks: Sequence[Sequence[QuestionRecord]]) -> dict[str, object]:
    """The user alone and together with the model, over the dialogues whose user answered alone."""
    found = alone_and_together(tasks)
    return {} if found is None else {"against_user_alone": found}


def _against_human(records: Sequence[QuestionRecord]) -> dict[str, object]:
    """How well the accuracies foretell that of people, over the questions that have both."""
    people = [record.acc_human for record in records]
    sides = {name: complete(zip(side, people, strict=True)) for name, side in foretelling(records).items()}
    found = {name: asdict(agreement(*pairs)) for name, pairs in sides.items() if pairs[0]}
    return {"against_human": found} if found else {}


def foretelling(records: Sequence[QuestionRecord]) -> dict[str, list[float | None]]:
    """The accuracies that may foretell what people reach, question by question; None for a question without a score.

    Dialogues without an answer are left out of the simulated one, as the paper leaves them out.
    """
    acc = [fmean(scores) if scores else None for scores in scores_of(records, "acc_answered")]
    return {"simulated": acc, "static": [record.acc_static for record in records]}


def _waiting(transcripts: Sequence[Transcript], role: Role) -> dict[str, float] | None:
    """How long a message of a role takes, in seconds of wall time; None if nothing was measured.

    It is produced with others at the same time, on which its own time depends: `batch` is the median of their number.
    Throughput is the tokens of all messages over the time in which any was produced, of which each message bears its share;
    thoughts and drafts that were not taken count for the time and not for the tokens.
    """
    timed = [
        (message.seconds, message.batch, message.tokens)
        for transcript in transcripts
        for message in transcript.messages
        if message.role is role and message.seconds is not None and message.batch
    ]
    if not timed:
        return None
    seconds, batches = [entry[0] for entry in timed], [entry[1] for entry in timed]
    busy = sum(second / batch for second, batch in zip(seconds, batches, strict=True))
    counts = [entry[2] for entry in timed if entry[2] is not None]
    waiting = {
        "median_s": float(np.median(seconds)),
        "p95_s": float(np.percentile(seconds, 95)),
        "batch": float(np.median(batches)),
    }
    return {**waiting, "tokens_per_second": sum(counts) / busy} if counts and busy else waiting


def _user_messages(transcripts: Iterable[Transcript]) -> list[str]:
    """What the users said, without the message that holds the answer."""
    return [message.content for transcript in transcripts for message in _before_answer(transcript)]


def _before_answer(transcript: Transcript) -> list[Message]:
    users = [message for message in transcript.messages if message.role is Role.USER]
    return users[: sum(message.role is Role.ASSISTANT for message in transcript.messages)]


def user_language(messages: Sequence[str]) -> dict[str, float] | None:
    """Length and vocabulary of messages; None if there are none.

    words_per_message = words / messages; distinct_in_100_words = different words to expect among 100 that are drawn from
    all, sum over words w of 1 - C(N - n_w, 100) / C(N, 100), so that runs of different size compare; left out below 100.

    Source: the hypergeometric measure of lexical diversity (McCarthy and Jarvis 2007, HD-D), there with 42 words.
    """
    counts = Counter(word for message in messages for word in words_of(message))
    total = counts.total()
    if not messages:
        return None
    length = {"messages": len(messages), "words_per_message": total / len(messages)}
    if total < _DRAWN:
        return length
    absent = hypergeom.pmf(0, total, np.array(list(counts.values())), _DRAWN)
    return {**length, "distinct_in_100_words": float(len(counts) - absent.sum())}


def summarize_run(tasks: Mapping[str, Sequence[QuestionRecord]], groups: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """What stands under `chatbench` in the results.

    Args:
        tasks: The questions of each task with dialogues.
        groups: The names of the tasks in each group; tasks without dialogues are passed over.
    """
    members = {name: [tasks[child] for child in children if child in tasks] for name, children in groups.items()}
    return {
        "version": VERSION,
        "tasks": {name: summarize(records) for name, records in tasks.items()},
        "groups": {name: summarize_group(parts) for name, parts in members.items() if parts},
    }
