"""The questions of a run, read back from the samples that the host logs.

A sample is a dictionary: `resps` holds the responses of its requests in their order, the dialogues last; `arguments` what
was requested; `gold` the right letters as the dialogues show the options, which this package adds to the host's fields;
and every metric of the question under its name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from lm_eval_plugin.border.logged_fields import AskedFields, SampleFields, checked
from lm_eval_plugin.border.masking import masked
from lm_eval_plugin.config.condition import DIRECT
from lm_eval_plugin.config.request import DialogueRequest
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import Transcript
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.scoring.metrics import QuestionRecord

_Sample = Mapping[str, Any]
_Read = TypeVar("_Read")


class StaticResponse(NamedTuple):
    """What the model said to one request without a dialogue; a tuple, because reading makes four or more a question.

    Args:
        asked: The continuation that was scored, or what was generated: `letter` or `free text`.
        log_likelihood: Of the continuation; None for what was generated.
        text: What was generated; empty for a continuation.
    """

    asked: str
    log_likelihood: float | None
    text: str = ""


def read_records(samples: Iterable[_Sample], where: str) -> list[QuestionRecord]:
    """The records of a task's samples.

    Args:
        samples: As the host holds them in memory, or as a line of its `samples_*.jsonl` has them.
        where: Names their source in errors.

    Raises:
        ConfigError: A sample is not one of a dialogue, or lacks a field.
    """
    numbered = of_first_filter(enumerate(samples))
    return [read_question(sample, f"{where}, sample {number}")[0] for number, sample in numbered]


def of_first_filter(samples: Iterable[tuple[int, _Sample]]) -> Iterator[tuple[int, _Sample]]:
    """One sample a document: the host logs a document once for every filter of its static side."""
    first: list[object] = []
    for number, sample in samples:
        first = first or [sample.get("filter")]
        if sample.get("filter") == first[0]:
            yield number, sample


def read_question(sample: _Sample, where: str) -> tuple[QuestionRecord, tuple[StaticResponse, ...]]:
    """The record of a sample, and what the model said to its requests without a dialogue.

    Raises:
        ConfigError: As `read_records`.
    """
    return _checked(_question, sample, where)


def dialogue_request(sample: _Sample, where: str) -> DialogueRequest:
    """The request for the dialogues of a sample.

    Raises:
        ConfigError: As `read_records`.
    """
    return _checked(lambda each: DialogueRequest.from_arguments(_arguments(each)[-1]), sample, where)


Readings = tuple[tuple[str, ...], ...]
"""Which options the replies of a question's dialogues support: a text of letters for each reply of each dialogue."""


def readings_of(sample: _Sample) -> Readings | None:
    """The readings that a sample has logged; None where an earlier release wrote it."""
    logged = sample.get("readings")
    return None if logged is None else tuple(tuple(replies) for replies in logged)


_CHANGES_NO_NUMBER = {"outage_s", "max_model_errors", "metrics", "user_alone"}


def task_settings(request: DialogueRequest, **others: Any) -> dict[str, Any]:
    """What the numbers of a task depend on, as `runs.TaskRun` has it; secrets are masked.

    Args:
        request: For the dialogues about one of its questions.
        others: The simulator's label, and the task's `version`, `num_fewshot` and `limit`.
    """
    # An earlier release knew no other condition, and did not name it.
    unnamed = {"condition"} if request.dialogue.condition == DIRECT else set()
    return {
        **masked(request.dialogue.model_dump(mode="json", exclude=_CHANGES_NO_NUMBER | unnamed)),
        "system_instruction": request.system,
        "chat_template": request.chat_template,
        **others,
    }


def _checked(read: Callable[[_Sample], _Read], sample: _Sample, where: str) -> _Read:
    try:
        return read(sample)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"{where}: not a sample of a dialogue ({type(error).__name__}: {error}); give the samples_*.jsonl of a task with a "
            "dialogue, as this release writes them"
        ) from error


def _question(sample: _Sample) -> tuple[QuestionRecord, tuple[StaticResponse, ...]]:
    *asked, (_, dialogue) = _arguments(sample)
    *responses, transcripts = sample["resps"]
    static = [_static_response(each[1], said[0]) for each, said in zip(asked, responses, strict=True)]
    return _record(sample, dialogue, transcripts), tuple(static)


def _record(sample: _Sample, settings: Mapping[str, Any], transcripts: Sequence[str]) -> QuestionRecord:
    # Not read as a request: checking the same dialogue block again for every question would take a third of the time.
    asked, fields = checked(AskedFields, settings["question"]), checked(SampleFields, sample)
    question = Question(asked.id, asked.subject, asked.stem, tuple(asked.choices))
    # Padding of the host's data parallelism can add responses beyond the repeats.
    held = tuple(Transcript.from_json(text) for text in transcripts[: settings["dialogue"]["repeats"]])
    if not held:
        raise ValueError("it holds no dialogue")
    return QuestionRecord(question, frozenset(fields.gold), held, fields.acc_static, fields.acc_human)


def _static_response(asked: Any, response: Any) -> StaticResponse:
    if isinstance(asked, str):
        # lm_eval logs numbers as texts.
        likelihood = float(response[0])
        if not likelihood < math.inf:
            raise ValueError(f"resps: {response[0]!r} is no log-likelihood")
        return StaticResponse(asked.strip(), likelihood)
    if "dialogue" in asked:
        replies = Transcript.from_json(response).messages[1:]
        return StaticResponse("free text", None, replies[-1].content if replies else "")
    return StaticResponse("letter", None, str(response))


def _arguments(sample: _Sample) -> list[tuple[str, Any]]:
    """Text and rest of each request, in their order."""
    arguments = sample["arguments"]
    if not isinstance(arguments, Mapping):
        return list(arguments)
    # The host's file names them gen_args_0, gen_args_1, ... and each part arg_0, arg_1.
    named = (arguments[f"gen_args_{place}"] for place in range(len(arguments)))
    return [(each["arg_0"], each["arg_1"]) for each in named]
