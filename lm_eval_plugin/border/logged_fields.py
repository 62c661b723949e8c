"""The shape of what a run has logged: every field that is read, checked once, with an error that names it.

Whoever wrote a file may have been cut off, edited it, or be another release. What is checked here can be relied on everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

_Text = Annotated[str, Field(strict=True)]
_Count = Annotated[int, Field(strict=True, ge=0)]
_Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
_Amount = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
_Truth = Annotated[bool, Field(strict=True)]
_Whole = Annotated[int, Field(strict=True)]
_Letter = Annotated[str, Field(strict=True, min_length=1, max_length=1)]


class _Logged(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class MessageFields(_Logged):
    """A message of a transcript; a field that is not known is another release's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Literal["user", "assistant"]
    content: _Text
    tokens: _Count | None = None
    seconds: _Amount | None = None
    reasoning: _Text = ""
    batch: _Amount | None = None


class VerdictFields(_Logged):
    """A judge's verdict."""

    score: Annotated[int, Field(strict=True, ge=1, le=5)]
    reason: _Text


class ReadFields(_Logged):
    """What a reply was read to support."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    message: _Count
    letters: _Text | None
    by: Literal["rules", "likelihood", "judge"]
    confidence: _Share | None


class AloneAnswerFields(_Logged):
    """What a simulated user answered without help."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    letter: _Letter | None
    by: Literal["generated", "likelihood"]
    text: _Text = ""
    confidence: _Share | None = None


class TranscriptFields(_Logged):
    """A transcript as JSON."""

    question_id: _Text
    simulator: _Text
    repeat: _Count
    seed: _Whole
    messages: list[MessageFields]
    answer: _Letter | None
    stop_reason: Literal["answered", "forced", "invalid", "no_answer", "context", "model_error"]
    context_trimmed: _Truth
    events: dict[str, _Count] | None = None
    persona: _Text = ""
    verdicts: dict[str, VerdictFields | None] | None = None
    unseeded: list[Literal["user", "assistant"]] = []
    text_replaced: _Truth = False
    unclear_reasoning: _Count = 0
    reads: list[ReadFields] | None = None
    belief: AloneAnswerFields | None = None
    alone: AloneAnswerFields | None = None


class SampleFields(_Logged):
    """A line of a samples file, as far as it is read."""

    gold: Annotated[list[_Letter], Field(min_length=1)]
    resps: Annotated[list[list[Any]], Field(min_length=1)]
    acc_static: _Share | None = None
    acc_human: _Share | None = None
    readings: list[list[_Text]] | None = None


class AskedFields(_Logged):
    """The question of a request."""

    id: _Text
    subject: _Text
    stem: _Text
    choices: list[_Text]


_Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class _EstimateFields(_Logged):
    # A field that is not known would be one that is missing under a damaged name.
    model_config = ConfigDict(extra="forbid", frozen=True)

    value: _Number
    standard_error: _Amount | None
    low: _Number | None
    high: _Number | None
    questions: Annotated[int, Field(strict=True, ge=1)]
    scores: Annotated[int, Field(strict=True, ge=1)]
    least: _Number | None = None


class _TaskSummary(_Logged):
    questions: _Count
    metrics: dict[str, _EstimateFields] = {}


class _Summary(_Logged):
    version: _Whole
    tasks: dict[str, _TaskSummary] = {}


class ResultsFields(_Logged):
    """A results file, as far as it is read."""

    config: dict[str, Any]
    versions: dict[str, Any]
    n_shot: Annotated[dict[str, Any], Field(alias="n-shot")]
    chatbench: _Summary = _Summary(version=1)
    model_name: _Text | None = None
    model_source: _Text | None = None


_Fields = TypeVar("_Fields", bound=BaseModel)


def checked(kind: type[_Fields], given: object) -> _Fields:
    """The fields of something that was logged.

    Raises:
        ValueError: It has not this shape; the message names the first field that is wrong, and what stands there.
    """
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "it"
        found = "" if first["type"] == "missing" else f", not {_short(first['input'])}"
        raise ValueError(f"{where}: {first['msg'][:1].lower()}{first['msg'][1:]}{found}") from None


def _short(value: object) -> str:
    text = f"a mapping of {len(value)} keys" if isinstance(value, Mapping) else repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
