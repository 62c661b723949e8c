"""What a question's dialogues amount to, as numbers in which unknown never becomes zero.

A measure of a dialogue is None where it does not apply; a question's metric is the mean over the dialogues to which it
does. A dialogue that ended by a model error says nothing about user or assistant and is left out of every measure but
`model_error` itself.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from lm_eval_plugin.answers.supported_option import named_options
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import JUDGED, Event, Message, Role, StopReason, Transcript
from lm_eval_plugin.scoring import alone_and_together as alone
from lm_eval_plugin.scoring.kinds import Kind

READ_TOO_SELDOM = 0.5
"""Below this share of dialogues whose replies could be read, what rests on them speaks of a minority."""

BY_READING = frozenset({"replies_read", "recovered", "misled", "followed"})
"""The metrics for which replies are read, which takes milliseconds each."""

MIRRORED_WORDS = 0.8
"""Share of the stem's words that a first message must hold to restate it."""


@dataclass(frozen=True, slots=True)
class QuestionRecord:
    """All that a question's metrics are computed from.

    Args:
        question: The question as the dialogues show it.
        gold: Its right letter, or letters.
        transcripts: Its dialogues, one per repeat.
        acc_static: The static score that interactive accuracy is compared with, from 0 to 1; None without one.
        acc_human: What people reached on it, from 0 to 1; None where that is not known.
    """

    question: Question
    gold: frozenset[str]
    transcripts: tuple[Transcript, ...]
    acc_static: float | None = None
    acc_human: float | None = None

    @property
    def scored(self) -> list[Transcript]:
        """The dialogues that count: all that did not end by a model error."""
        return [held for held in self.transcripts if held.stop_reason is not StopReason.MODEL_ERROR]


def accuracy(transcript: Transcript, gold: Collection[str]) -> float:
    """Acc = 1 if the accepted letter is a right one, else 0; a dialogue without a valid answer is wrong."""
    return alone.is_right(transcript.answer, gold)


def answer_given(transcript: Transcript) -> float:
    """answer_given = 1 if the dialogue ended with an answer, by itself or forced, a letter of the question or not, else 0.

    Source: ChatBench leaves the others out of its accuracy; interactive-eval @ a90f773.
    """
    return float(transcript.stop_reason in (StopReason.ANSWERED, StopReason.FORCED, StopReason.INVALID))


def acc_answered(transcript: Transcript, gold: Collection[str]) -> float | None:
    """acc_answered = Acc, of the dialogues that ended with an answer: the accuracy that ChatBench reports."""
    return accuracy(transcript, gold) if answer_given(transcript) else None


def answered(transcript: Transcript) -> float:
    """Answered = 1 if the user accepted one of the letters by itself, before it was forced, else 0."""
    return float(transcript.stop_reason is StopReason.ANSWERED)


def valid(transcript: Transcript) -> float:
    """Valid = 1 if the dialogue ended with one of the question's letters, by itself or forced, else 0."""
    return float(transcript.answer is not None)


def user_turns(transcript: Transcript) -> float:
    """user_turns = how many user messages the assistant replied to; the message that holds the answer is none of them."""
    return float(len(_said_by(transcript, Role.ASSISTANT)))


def supported(transcript: Transcript, question: Question) -> list[str]:
    """The option that each reply of the assistant supports, in turn; replies that support none or several are left out."""
    return [letter for letters in readings(transcript, question) if len(letters) == 1 for letter in letters]


def readings(transcript: Transcript, question: Question) -> list[frozenset[str]]:
    """The options that each reply of the assistant supports, in turn: none, one or several; as they were read, or by the rules."""
    if transcript.reads is not None:
        return [frozenset(read.letters or "") for read in transcript.reads]
    return [_named_options(message.content, question) for message in _said_by(transcript, Role.ASSISTANT)]


# Several measures, the log of the samples and the summary of a run ask the same of a reply, and reading a long one takes
# milliseconds.
_named_options = functools.lru_cache(maxsize=2**15)(named_options)


def replies_read(transcript: Transcript, question: Question) -> float | None:
    """replies_read = 1 if a reply of the assistant supports an option that can be read, else 0; of dialogues with a reply.

    Recovered, misled and followed rest on these dialogues alone.
    """
    replied = _said_by(transcript, Role.ASSISTANT)
    return float(bool(supported(transcript, question))) if replied else None


def recovered(transcript: Transcript, record: QuestionRecord) -> float | None:
    """Recovered = 1 if the user ended right, else 0; of dialogues in which the assistant supported a wrong option first."""
    letters = supported(transcript, record.question)
    return accuracy(transcript, record.gold) if letters and letters[0] not in record.gold else None


def misled(transcript: Transcript, record: QuestionRecord) -> float | None:
    """Misled = 1 if the user ended wrong, else 0; of dialogues in which the assistant supported a right option."""
    letters = supported(transcript, record.question)
    return 1 - accuracy(transcript, record.gold) if record.gold & set(letters) else None


def followed(transcript: Transcript, record: QuestionRecord) -> float | None:
    """Followed = 1 if the user's answer is the option that the assistant supported last, else 0; where there are both."""
    letters = supported(transcript, record.question)
    return float(transcript.answer == letters[-1]) if letters and transcript.answer is not None else None


def mirrored(transcript: Transcript, question: Question) -> float | None:
    """Mirrored = 1 if the first user message holds every option and 80 % of the stem's different words, else 0.

    Source: ChatBench, which counts conversations that mirror the benchmark (39.8 %) by hand; the rule is this project's.
    """
    first = _first_message(transcript)
    if first is None:
        return None
    said = words_of(first.content)
    options = all(_within(words_of(choice), said) for choice in question.choices)
    stem = set(words_of(question.stem))
    return float(options and len(stem & set(said)) >= MIRRORED_WORDS * len(stem))


def user_words_first(transcript: Transcript) -> float | None:
    """user_words_first = words of the first user message."""
    first = _first_message(transcript)
    return None if first is None else float(len(words_of(first.content)))


def tokens(transcript: Transcript, role: Role) -> float | None:
    """user_tokens, assistant_tokens = tokens of all messages of one speaker; None if one of them was not counted."""
    counts = [message.tokens for message in _said_by(transcript, role)]
    known = [count for count in counts if count is not None]
    return float(sum(known)) if known and len(known) == len(counts) else None


def verdict(transcript: Transcript, what: str) -> float | None:
    """Coherence, satisfaction = a judge's score from 1 to 5; None without a verdict that could be read."""
    given = (transcript.verdicts or {}).get(what)
    return None if given is None else float(given.score)


def judged(transcript: Transcript) -> float | None:
    """Judged = verdicts that could be read / verdicts asked for; None where no judge was asked."""
    asked = transcript.verdicts
    return fmean(entry is not None for entry in asked.values()) if asked else None


def event(transcript: Transcript, which: Event) -> float | None:
    """event_E = 1 if event E happened in the dialogue, else 0; None for a user that no guardrail watches."""
    return None if transcript.events is None else float(which in transcript.events)


def question_metrics(record: QuestionRecord) -> dict[str, float]:
    """The metrics of one question: means over the dialogues to which a measure applies, and the share not scored.

    Returns:
        Every metric that can be told, by name, each within the bounds of its kind. With acc_static S and acc A,
        acc_gap = A - S, flip_gain = A (1 - S), flip_loss = (1 - A) S, so acc_gap = flip_gain - flip_loss.
    """
    metrics = {name: fmean(values) for name, values in question_scores(record).items()}
    return {name: metrics[name] for name in METRICS if name in metrics}


def question_scores(record: QuestionRecord, wanted: str | None = None) -> dict[str, list[float]]:
    """The scores of one question by metric: one for each dialogue to which it applies, or one for the question as a whole.

    Args:
        record: The question.
        wanted: The metric that is asked for, which spares taking the others; None for all.
    """
    counted = record.scored
    asked = [name for name in METRICS if wanted in {None, name} or name == "acc"]
    scores = {"model_error": [1 - len(counted) / len(record.transcripts)]}
    for held in counted:
        for name in asked:
            measure = METRICS[name].measure
            if measure is not None and (value := measure(held, record)) is not None:
                scores.setdefault(name, []).append(value)
    if record.acc_static is not None:
        scores["acc_static"] = [record.acc_static]
        if counted:
            against = _against_static(fmean(scores["acc"]), record.acc_static)
            scores |= {name: [value] for name, value in against.items()}
    return scores


def _against_static(acc: float, static: float) -> dict[str, float]:
    return {"acc_gap": acc - static, "flip_gain": acc * (1 - static), "flip_loss": (1 - acc) * static}


def _said_by(transcript: Transcript, role: Role) -> Sequence[Message]:
    return [message for message in transcript.messages if message.role is role]


def _first_message(transcript: Transcript) -> Message | None:
    return transcript.messages[0] if transcript.messages else None


def words_of(text: str) -> list[str]:
    """The words and numbers of a text, in lower case; signs between them make no difference."""
    return re.findall(r"\w+(?:['’]\w+)*", text.lower())


def _within(part: list[str], whole: list[str]) -> bool:
    """Whether the words of a part stand in the whole, one behind the other."""
    return any(whole[start : start + len(part)] == part for start in range(len(whole) - len(part) + 1))


Measure = Callable[[Transcript, QuestionRecord], float | None]


@dataclass(frozen=True, slots=True)
class Metric:
    """What a metric of a question is.

    Args:
        kind: What its scores are, which decides on its interval.
        higher_is_better: Its direction, by which a leaderboard sorts and the gate compares; see `NEUTRAL`.
        measure: How it is taken of one dialogue; None for a metric of the question as a whole.
    """

    kind: Kind
    higher_is_better: bool
    measure: Measure | None = None


def _verdict_on(what: str) -> Measure:
    return lambda held, _: verdict(held, what)


def _share_with(which: Event) -> Measure:
    return lambda held, _: event(held, which)


METRICS: Mapping[str, Metric] = {
    "acc": Metric(Kind.SHARE, True, lambda held, record: accuracy(held, record.gold)),
    "acc_answered": Metric(Kind.SHARE, True, lambda held, record: acc_answered(held, record.gold)),
    "answer_given": Metric(Kind.SHARE, True, lambda held, _: answer_given(held)),
    "acc_static": Metric(Kind.SHARE, True),
    "acc_gap": Metric(Kind.DIFFERENCE, True),
    "flip_gain": Metric(Kind.SHARE, True),
    "flip_loss": Metric(Kind.SHARE, False),
    "acc_user_alone": Metric(Kind.SHARE, True, alone.acc_user_alone),
    "uplift": Metric(Kind.DIFFERENCE, True, alone.uplift),
    "alone_wrong_together_right": Metric(Kind.SHARE, True, alone.alone_wrong_together_right),
    "alone_right_together_wrong": Metric(Kind.SHARE, False, alone.alone_right_together_wrong),
    "valid_user_alone": Metric(Kind.SHARE, True, lambda held, _: alone.valid_user_alone(held)),
    "answered": Metric(Kind.SHARE, True, lambda held, _: answered(held)),
    "valid": Metric(Kind.SHARE, True, lambda held, _: valid(held)),
    "replies_read": Metric(Kind.SHARE, True, lambda held, record: replies_read(held, record.question)),
    "recovered": Metric(Kind.SHARE, True, recovered),
    "misled": Metric(Kind.SHARE, False, misled),
    "followed": Metric(Kind.SHARE, True, followed),
    "mirrored": Metric(Kind.SHARE, True, lambda held, record: mirrored(held, record.question)),
    "user_turns": Metric(Kind.COUNT, False, lambda held, _: user_turns(held)),
    "user_tokens": Metric(Kind.COUNT, False, lambda held, _: tokens(held, Role.USER)),
    "assistant_tokens": Metric(Kind.COUNT, False, lambda held, _: tokens(held, Role.ASSISTANT)),
    "user_words_first": Metric(Kind.COUNT, False, lambda held, _: user_words_first(held)),
    **{what: Metric(Kind.SCORE, True, _verdict_on(what)) for what in JUDGED},
    "judged": Metric(Kind.SHARE, True, lambda held, _: judged(held)),
    "model_error": Metric(Kind.SHARE, False),
    **{f"event_{which.value}": Metric(Kind.SHARE, False, _share_with(which)) for which in Event},
}
"""The metrics of a question, in the order in which they are shown. A metric is what stands here and nothing else."""

HIGHER_IS_BETTER = {name: metric.higher_is_better for name, metric in METRICS.items()}
"""Whether more of a metric is better."""

NEUTRAL = frozenset({"followed", "mirrored", "user_turns", "user_tokens", "assistant_tokens", "user_words_first"})
"""What is neither better nor worse for being more, so that no table shows a direction."""

DIRECTIONS = {name: None if name in NEUTRAL else better for name, better in HIGHER_IS_BETTER.items()}
"""Whether more of a metric is better, as lm_eval's results and table say it; None for what is neutral."""
