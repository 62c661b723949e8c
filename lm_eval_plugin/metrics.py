"""What a question's dialogues amount to, as numbers in which unknown never becomes zero.

Every function takes the D >= 1 transcripts of one question. A dialogue that ended by a model error says nothing about
user or assistant and is left out of every measure but `model_error` itself.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from statistics import fmean

from lm_eval_plugin.transcript import Event, Role, StopReason, Transcript

HIGHER_IS_BETTER = {
    "acc": True,
    "acc_static": True,
    "acc_gap": True,
    "answered": True,
    "valid": True,
    "user_turns": False,
    "model_error": False,
    **{f"event_{event.value}": False for event in Event},
}
"""The metrics of a question, in the order of the table, and whether more of it is better."""


def scored(transcripts: Sequence[Transcript]) -> list[Transcript]:
    """The dialogues that count: all that did not end by a model error."""
    return [transcript for transcript in transcripts if transcript.stop_reason is not StopReason.MODEL_ERROR]


def accuracy(transcript: Transcript, gold: Collection[str]) -> float:
    """Acc = 1 if the accepted letter is a right one, else 0; a dialogue without a valid answer is wrong."""
    return float(transcript.answer is not None and transcript.answer in gold)


def answered(transcript: Transcript) -> float:
    """Answered = 1 if the user accepted one of the letters by itself, before it was forced, else 0."""
    return float(transcript.stop_reason is StopReason.ANSWERED)


def valid(transcript: Transcript) -> float:
    """Valid = 1 if the dialogue ended with one of the question's letters, by itself or forced, else 0."""
    return float(transcript.answer is not None)


def user_turns(transcript: Transcript) -> float:
    """user_turns = how many user messages the assistant replied to; the message that holds the answer is none of them."""
    return float(sum(message.role is Role.ASSISTANT for message in transcript.messages))


def event_rates(transcripts: Sequence[Transcript]) -> dict[str, float]:
    """event_E = dialogues in which event E happened at least once / dialogues, from 0 to 1, for each E of `Event`.

    Empty for a user that no guardrail watches.
    """
    events = [transcript.events for transcript in transcripts if transcript.events is not None]
    return {f"event_{event.value}": fmean(event in seen for seen in events) for event in Event if events}


def question_metrics(
    transcripts: Sequence[Transcript], gold: Collection[str], acc_static: float | None
) -> dict[str, float]:
    """The metrics of one question: means over its scored dialogues, and the share that was not scored.

    Args:
        transcripts: The question's dialogues, one per repeat.
        gold: The right letter, or letters.
        acc_static: The static score, from 0 to 1; None if it was not asked for.

    Returns:
        Every metric that can be told, by name. `acc`, `acc_static`, `answered`, `valid` and `model_error` lie from 0 to
        1, `acc_gap` = acc - acc_static from -1 to 1, `user_turns` from 0 up; for a user with a model the rates `event_...`
        of what a person would not have done, from 0 to 1.
    """
    counted = scored(transcripts)
    metrics = {} if acc_static is None else {"acc_static": acc_static}
    metrics["model_error"] = 1 - len(counted) / len(transcripts)
    if counted:
        metrics["acc"] = fmean(accuracy(transcript, gold) for transcript in counted)
        metrics["answered"] = fmean(answered(transcript) for transcript in counted)
        metrics["valid"] = fmean(valid(transcript) for transcript in counted)
        metrics["user_turns"] = fmean(user_turns(transcript) for transcript in counted)
        metrics |= event_rates(counted)
        if acc_static is not None:
            metrics["acc_gap"] = metrics["acc"] - acc_static
    return {name: metrics[name] for name in HIGHER_IS_BETTER if name in metrics}
