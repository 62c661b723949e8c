"""Having replies read as a task's `reader` says, by the rules or by a model that is loaded for it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from lm_eval_plugin.config.dialogue import DialogueConfig
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import Transcript
from lm_eval_plugin.judge.reading import by_judge, by_likelihood, by_rules
from lm_eval_plugin.models.likelihoods import check_tells_likelihoods, log_likelihoods
from lm_eval_plugin.models.lm_model import serving
from lm_eval_plugin.runner.participants import judge_model

_NAME = "the reader"


def read_by(config: DialogueConfig, transcripts: list[Transcript], questions: Sequence[Question]) -> list[Transcript]:
    """The transcripts with `reads`, as the configuration's reader reads them; as they are where it names none.

    Raises:
        JudgeError: The reader's model cannot be loaded or used.
    """
    if config.reader is None:
        return transcripts
    if config.reader_model is None:
        return by_rules(transcripts, questions)
    model = judge_model(config.reader_model, _NAME)
    with serving(model.lm):
        if config.reader.by == "judge":
            return by_judge(model, transcripts, questions)
        return by_likelihood(partial(log_likelihoods, model), config.reader.margin, transcripts, questions)


def check_reader(config: DialogueConfig) -> None:
    """Load the reader's model, if there is one, and make sure that it can do what it is asked for.

    Raises:
        JudgeError: It cannot be loaded or used.
    """
    if config.reader is None or config.reader_model is None:
        return
    model = judge_model(config.reader_model, _NAME)
    if config.reader.by == "likelihood":
        check_tells_likelihoods(model)
