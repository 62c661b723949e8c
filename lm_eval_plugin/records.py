"""The questions of a run, read back from the samples that the host logs.

A sample is a dictionary: `resps` holds the responses of its requests in their order, the dialogues last; `arguments` what
was requested; `gold` the right letters as the dialogues show the options, which this package adds to the host's fields;
and every metric of the question under its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.metrics import QuestionRecord
from lm_eval_plugin.request import DialogueRequest
from lm_eval_plugin.transcript import Transcript


def read_records(samples: Iterable[Mapping[str, Any]], where: str) -> list[QuestionRecord]:
    """The records of a task's samples.

    Args:
        samples: As the host holds them in memory, or as a line of its `samples_*.jsonl` has them.
        where: Names their source in errors.

    Raises:
        ConfigError: A sample is not one of a dialogue, or lacks a field.
    """
    return [_record(sample, f"{where}, sample {number}") for number, sample in enumerate(_of_first_filter(samples))]


def _of_first_filter(samples: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """One sample a document: the host logs a document once for every filter of its static side."""
    listed = list(samples)
    return [sample for sample in listed if sample.get("filter") == listed[0].get("filter")]


def _record(sample: Mapping[str, Any], where: str) -> QuestionRecord:
    try:
        request = dialogue_request(sample)
        # Padding of the host's data parallelism can add responses beyond the repeats.
        transcripts = tuple(Transcript.from_json(text) for text in sample["resps"][-1][: request.dialogue.repeats])
        return QuestionRecord(request.question, frozenset(sample["gold"]), transcripts, sample.get("acc_static"))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{where}: not a sample of a dialogue ({type(error).__name__}: {error}); give the samples_*.jsonl of a task with a "
            "dialogue, as this release writes them"
        ) from error


def dialogue_request(sample: Mapping[str, Any]) -> DialogueRequest:
    """The request for the dialogues of a sample."""
    arguments = sample["arguments"]
    if isinstance(arguments, Mapping):
        # The host's file names them gen_args_0, gen_args_1, ... and each part arg_0, arg_1.
        last = arguments[f"gen_args_{len(arguments) - 1}"]
        return DialogueRequest.from_arguments((last["arg_0"], last["arg_1"]))
    return DialogueRequest.from_arguments(arguments[-1])
