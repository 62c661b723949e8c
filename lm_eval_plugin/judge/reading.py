"""Reading which options an assistant's replies support, by the rules of `answers` or by a model, noted as `reads`.

| by | asks | reads nothing where |
|---|---|---|
| rules | no model | the reply states no option that the rules reach |
| likelihood | a model for the likelihood of each letter and of "none" | none of them has the margin, or the reply does not fit |
| judge | a model for one strict verdict, a JSON object | its verdict is no such object |

What a model reads changes no accuracy of the dialogues: only the metrics that rest on what a reply supports.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from lm_eval_plugin.answers.supported_option import named_options
from lm_eval_plugin.dialogue.engine import Ask, ChatModel, Reply
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import Read, Role, Transcript
from lm_eval_plugin.judge import NO_LETTER, ask_judge, read_strict_letter

Scorer = Callable[[Sequence[Ask], Sequence[Sequence[str]]], Sequence[Sequence[float] | None]]
"""Natural logarithms of the likelihoods of what may follow each ask; None for an ask that does not fit into the window."""

_LETTERS = "letters"


@dataclass(frozen=True, slots=True)
class _Asked:
    """A reply to be read.

    Args:
        dialogue: The index of its transcript.
        message: Its index among the transcript's messages.
        text: What it says.
        question: What it is about.
    """

    dialogue: int
    message: int
    text: str
    question: Question


def by_rules(transcripts: Sequence[Transcript], questions: Sequence[Question]) -> list[Transcript]:
    """The transcripts with what the rules read."""
    replies = list(_replies(transcripts, questions))
    read = [named_options(each.text, each.question) for each in replies]
    reads = [Read(each.message, "".join(sorted(said)), "rules") for each, said in zip(replies, read, strict=True)]
    return _noted(transcripts, replies, reads)


def by_judge(model: ChatModel, transcripts: Sequence[Transcript], questions: Sequence[Question]) -> list[Transcript]:
    """The transcripts with what a model's verdicts say, all asked for in one batch."""
    replies = list(_replies(transcripts, questions))
    answers = model.reply([ask_judge("letter", _material(each)) for each in replies]) if replies else []
    reads = [
        Read(each.message, _letters(read_strict_letter(_text(answer), each.question)), "judge")
        for each, answer in zip(replies, answers, strict=True)
    ]
    return _noted(transcripts, replies, reads)


def by_likelihood(
    scorer: Scorer, margin: float, transcripts: Sequence[Transcript], questions: Sequence[Question]
) -> list[Transcript]:
    """The transcripts with the likeliest of the letters and "none", all scored in one batch.

    Args:
        scorer: Scores what may follow an ask.
        margin: The share of the likelihood that it must have, from 0 to 1.
        transcripts: Finished dialogues.
        questions: What each of them is about.
    """
    replies = list(_replies(transcripts, questions))
    words = [[*each.question.letters, NO_LETTER] for each in replies]
    scored = scorer([ask_judge(_LETTERS, _material(each)) for each in replies], words) if replies else []
    reads = [
        _likeliest(each, names, scores, margin) for each, names, scores in zip(replies, words, scored, strict=True)
    ]
    return _noted(transcripts, replies, reads)


def _likeliest(reply: _Asked, words: Sequence[str], scores: Sequence[float] | None, margin: float) -> Read:
    """P(w) = exp(l(w)) / sum over all words of exp(l); the likeliest is read where its P is the margin or more."""
    unread = Read(reply.message, None, "likelihood")
    if (best := likeliest(scores)) is None:
        return unread
    index, share = best
    return replace(unread, letters=_letters(words[index]) if share >= margin else None, confidence=share)


def likeliest(scores: Sequence[float] | None) -> tuple[int, float] | None:
    """The index of the greatest of some log-likelihoods, the first of equal ones, and its share of all their likelihood.

    Returns:
        None where there are none, one is NaN, or all are minus infinity.
    """
    if scores is None or any(math.isnan(score) for score in scores) or (best := max(scores)) == -math.inf:
        return None
    return list(scores).index(best), 1 / sum(math.exp(score - best) for score in scores)


def _replies(transcripts: Sequence[Transcript], questions: Sequence[Question]) -> Iterator[_Asked]:
    for index, (transcript, question) in enumerate(zip(transcripts, questions, strict=True)):
        for place, message in enumerate(transcript.messages):
            if message.role is Role.ASSISTANT:
                yield _Asked(index, place, message.content, question)


def _noted(transcripts: Sequence[Transcript], replies: Sequence[_Asked], reads: Sequence[Read]) -> list[Transcript]:
    """The transcripts, each with the reads of its own replies; one without a reply has none."""
    own: list[list[Read]] = [[] for _ in transcripts]
    for reply, read in zip(replies, reads, strict=True):
        own[reply.dialogue].append(read)
    return [replace(transcript, reads=tuple(each)) for transcript, each in zip(transcripts, own, strict=True)]


def _letters(verdict: str | None) -> str | None:
    return "" if verdict == NO_LETTER else verdict


def _text(answer: object) -> str | None:
    return answer.text if isinstance(answer, Reply) else None


def _material(reply: _Asked) -> str:
    """Question, options and reply as JSON, in which nothing that was said can pass for the prompt's own structure."""
    return json.dumps({"question": reply.question.text, "reply": reply.text}, ensure_ascii=False, indent=1)
