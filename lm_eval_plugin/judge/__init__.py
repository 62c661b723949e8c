"""A language model that judges finished dialogues; its prompts are the text files of this folder.

A verdict is one strict JSON object; whatever else the judge writes is no verdict, which is None and never a default. What a
judge says changes no accuracy: it is recorded beside the dialogue. Only a letter that it reads out of a free-text static
reply, where that is asked for, is a score; a reply of which its verdict cannot be read has none. `reading` has replies of
dialogues read, by a model or by the rules.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files

from lm_eval_plugin.border.outside_json import UnreadableJsonError, read_json
from lm_eval_plugin.dialogue.engine import Ask, Chat, ChatModel, Reply
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import JUDGED, Message, Role, StopReason, Transcript, Verdict

NO_LETTER = "none"
"""A judge's word for a reply that decides for no option, or for several."""

_FENCE = "```"


def judge_dialogues(
    model: ChatModel, transcripts: Sequence[Transcript], questions: Sequence[Question]
) -> list[Transcript]:
    """The transcripts with verdicts on each of `JUDGED`; those that ended by a model error stay as they are.

    Args:
        model: The judge; it is asked everything in one batch.
        transcripts: Finished dialogues.
        questions: What each of them is about.
    """
    places = [place for place, held in enumerate(transcripts) if held.stop_reason is not StopReason.MODEL_ERROR]
    asked = [(place, what) for place in places for what in JUDGED]
    texts = _replies(
        model, [ask_judge(what, _dialogue_json(transcripts[place], questions[place])) for place, what in asked]
    )
    verdicts = dict(zip(asked, map(read_verdict, texts), strict=True))
    judged = list(transcripts)
    for place in places:
        judged[place] = replace(judged[place], verdicts={what: verdicts[place, what] for what in JUDGED})
    return judged


def read_letters(
    model: ChatModel, transcripts: Sequence[Transcript], questions: Sequence[Question]
) -> list[Transcript]:
    """The transcripts of single free-text replies as the judge reads them.

    One that decides for an option is answered with its letter, one that decides for none ends with `NO_ANSWER`, and one of which
    the judge's verdict cannot be read with `INVALID`; those that ended by a model error stay as they are.
    """
    places = [place for place, held in enumerate(transcripts) if held.stop_reason is not StopReason.MODEL_ERROR]
    texts = _replies(
        model, [ask_judge("letter", _dialogue_json(transcripts[place], questions[place])) for place in places]
    )
    read = list(transcripts)
    for place, text in zip(places, texts, strict=True):
        letter = read_letter_verdict(text, questions[place])
        ended = {None: StopReason.INVALID, NO_LETTER: StopReason.NO_ANSWER}.get(letter, StopReason.ANSWERED)
        answer = letter if ended is StopReason.ANSWERED else None
        read[place] = replace(read[place], answer=answer, stop_reason=ended)
    return read


def read_verdict(text: str | None) -> Verdict | None:
    """A judge's reply as a verdict; None for anything but one JSON object with a score from 1 to 5 and a reason."""
    fields = _json_object(text, {"score", "reason"})
    if fields is None or type(fields["score"]) is not int or not 1 <= fields["score"] <= 5:
        return None
    reason = fields["reason"]
    return Verdict(fields["score"], reason) if isinstance(reason, str) and reason.strip() else None


def read_letter_verdict(text: str | None, question: Question) -> str | None:
    """What a judge read out of a reply: a letter of the question, `NO_LETTER`, or None if the verdict cannot be read.

    Source: interactive-eval @ a90f773, which cuts a verdict to its outermost braces and drops what cannot be read.
    """
    if text is None:
        return None
    try:
        fields = read_json(text[text.find("{") : text.rfind("}") + 1], strict=True)
    except UnreadableJsonError:
        return None
    letter = fields.get("letter") if isinstance(fields, dict) else None
    if not isinstance(letter, str):
        return None
    if letter.strip().lower() == NO_LETTER:
        return NO_LETTER
    return letter.strip() if letter.strip() in set(question.letters) else None


def read_strict_letter(text: str | None, question: Question) -> str | None:
    """As `read_letter_verdict`, of a verdict that is one JSON object with a letter and at most a reason, and nothing else."""
    fields = _json_object(text, {"letter", "reason"}) or _json_object(text, {"letter"})
    return None if fields is None else read_letter_verdict(json.dumps(fields), question)


def _json_object(text: str | None, keys: set[str]) -> dict[str, object] | None:
    if text is None:
        return None
    try:
        fields = read_json(_unfenced(text.strip()), strict=True)
    except UnreadableJsonError:
        return None
    return fields if isinstance(fields, dict) and fields.keys() == keys else None


def _unfenced(text: str) -> str:
    """The text without the fence of code that may stand around it."""
    if len(text) < 2 * len(_FENCE) or not (text.startswith(_FENCE) and text.endswith(_FENCE)):
        return text
    return text.removeprefix(_FENCE).removesuffix(_FENCE).removeprefix("json").strip()


def _replies(model: ChatModel, asks: Sequence[Ask]) -> list[str | None]:
    replies = model.reply(asks) if asks else []
    return [reply.text if isinstance(reply, Reply) else None for reply in replies]


def ask_judge(prompt: str, material: str) -> Ask:
    """What a model is asked by one of this folder's prompts about some material."""
    system = files(__package__).joinpath(f"{prompt}.txt").read_text(encoding="utf-8").strip()

    def shown(_: tuple[Message, ...]) -> Chat:
        return Chat(system, (Message(Role.USER, material),))

    return Ask(Role.ASSISTANT, (), shown)


def _dialogue_json(transcript: Transcript, question: Question) -> str:
    """The dialogue as JSON, in which nothing that was said can pass for the prompt's own structure."""
    speakers = {Role.USER: "person", Role.ASSISTANT: "assistant"}
    turns = [{speakers[message.role]: message.content} for message in transcript.messages]
    return json.dumps({"question": question.text, "conversation": turns}, ensure_ascii=False, indent=1)
