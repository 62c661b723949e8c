"""What a user should know of the dialogues that were held, said once at their end."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import Event, Role, StopReason, Transcript
from lm_eval_plugin.scoring.metrics import READ_TOO_SELDOM, replies_read

logger = logger_of(__name__)


def warn(transcripts: Sequence[Transcript]) -> None:
    """Warn of dialogues that were shown in part, had empty replies, odd users, or no end."""
    trimmed = sum(transcript.context_trimmed for transcript in transcripts)
    if trimmed:
        logger.warning(
            "%d of %d dialogues did not fit into a model's window and were shown to it in part (context_trimmed).",
            trimmed,
            len(transcripts),
        )
    replies = [
        message for transcript in transcripts for message in transcript.messages if message.role is Role.ASSISTANT
    ]
    empty = sum(not message.content for message in replies)
    if empty:
        logger.warning(
            "%d of %d replies of the model under test were empty, %d of them because reasoning used up max_tokens.",
            empty,
            len(replies),
            sum(not message.content and bool(message.reasoning) for message in replies),
        )
    unclear = sum(transcript.unclear_reasoning > 0 for transcript in transcripts)
    if unclear:
        logger.warning(
            "%d of %d dialogues show what may be a model's thoughts in marks that were not closed (unclear_reasoning); "
            "think_end_token in its model_args names the mark that ends them.",
            unclear,
            len(transcripts),
        )
    _warn_of_events(transcripts)
    unheld = {
        StopReason.CONTEXT: "did not fit into a model's window even in part and ended without an answer",
        StopReason.MODEL_ERROR: "ended because a model returned no reply; they are not scored",
    }
    for reason, what in unheld.items():
        count = sum(transcript.stop_reason is reason for transcript in transcripts)
        if count:
            logger.warning("%d of %d dialogues %s (stop_reason %s).", count, len(transcripts), what, reason.value)


def warn_of_unread(transcripts: Sequence[Transcript], questions: Sequence[Question]) -> None:
    """Warn where in most dialogues no reply supports an option that can be read.

    Args:
        transcripts: Finished dialogues; those that a model error ended are in no metric, and say nothing here.
        questions: What each of them is about.
    """
    asked = zip(transcripts, questions, strict=True)
    ended = [(held, question) for held, question in asked if held.stop_reason is not StopReason.MODEL_ERROR]
    read = [share for held, question in ended if (share := replies_read(held, question)) is not None]
    if read and sum(read) < READ_TOO_SELDOM * len(read):
        logger.warning(
            "In only %d of %d dialogues with a reply the option that it supports could be read (replies_read): recovered, "
            "misled and followed speak of these alone.",
            sum(read),
            len(read),
        )


def _warn_of_events(transcripts: Sequence[Transcript]) -> None:
    watched_ones = [transcript.events for transcript in transcripts if transcript.events is not None]
    counts = {event: sum(event in events for events in watched_ones) for event in Event}
    if any(counts.values()):
        logger.warning(
            "The simulated user did what a person would not in some of %d dialogues (events): %s.",
            len(watched_ones),
            ", ".join(f"{event.value} in {count / len(watched_ones):.1%}" for event, count in counts.items() if count),
        )
