"""Having simulated users answer by themselves, apart from their dialogues, which do not see it: a person alone.

A question is asked about once, and its dialogues share the answer. The likeliest letter is it; a model behind a server writes
one instead, greedily, and so does one whose backend tells no likelihoods.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.config.dialogue import DialogueConfig
from lm_eval_plugin.config.request import DialogueRequest
from lm_eval_plugin.dialogue.engine import ChatModel, Dialogue, Failure, converse
from lm_eval_plugin.dialogue.transcript import AloneAnswer, Role, StopReason, Transcript
from lm_eval_plugin.errors import JudgeError
from lm_eval_plugin.judge.reading import likeliest
from lm_eval_plugin.models.generation.servers.api import speaks_http
from lm_eval_plugin.models.likelihoods import log_likelihoods
from lm_eval_plugin.models.lm_model import HostModel, serving
from lm_eval_plugin.runner.participants import answering_alone, make_simulator, user_model
from lm_eval_plugin.simulators.answering_alone import alone_continuations
from lm_eval_plugin.simulators.loop import AnswersAlone, Situation

logger = logger_of(__name__)

_NONE = AloneAnswer(None, "generated")
_SAMPLING = ("top_k", "top_p", "min_p", "typical_p", "do_sample")

_Answers = Mapping[str, AloneAnswer]
"""By question."""


def with_answers_alone(
    transcripts: list[Transcript], requests: Sequence[DialogueRequest], user: ChatModel | None = None
) -> list[Transcript]:
    """The transcripts with what their users answer alone; as they are where that is not asked for.

    Args:
        transcripts: Finished dialogues.
        requests: What each of them was requested by; they have equal settings.
        user: Who speaks for the user; by default the simulator's own model.

    Raises:
        ConfigError: The policy cannot answer by itself.
    """
    if not requests or not requests[0].dialogue.user_alone:
        return transcripts
    about = {request.question.id: request for request in requests}
    answers = _answers(greedy(requests[0].dialogue), about, user)
    if missing := sum(answer.letter is None for answer in answers.values()):
        logger.warning(
            "Of %d of %d questions the simulated user named no letter alone; acc_user_alone leaves them out.",
            missing,
            len(answers),
        )
    return [replace(transcript, alone=answers[transcript.question_id]) for transcript in transcripts]


def greedy(config: DialogueConfig) -> DialogueConfig:
    """The configuration with a user that samples nothing, so that its letter is the likeliest here too."""
    kept = {key: value for key, value in config.simulator.gen_kwargs.items() if key not in _SAMPLING}
    simulator = config.simulator.model_copy(update={"temperature": 0.0, "gen_kwargs": kept})
    return config.model_copy(update={"simulator": simulator})


def _answers(config: DialogueConfig, about: Mapping[str, DialogueRequest], user: ChatModel | None) -> _Answers:
    simulator = answering_alone(config, make_simulator(config))
    if user is not None:
        return _generated(user, simulator, about)
    model = user_model(config.simulator, config.kv_cache, outage_s=config.outage_s)
    if not isinstance(model, HostModel):
        raise TypeError(f"{config.simulator.label} has no model, which reading its configuration refuses")
    with serving(model.lm):
        if not speaks_http(model.lm):
            try:
                return _by_likelihood(model, simulator, about)
            except JudgeError:
                logger.info("%s tells no likelihoods; it writes the letters of its answers alone.", model.name)
        return _generated(model, simulator, about)


def _by_likelihood(model: HostModel, simulator: AnswersAlone, about: Mapping[str, DialogueRequest]) -> _Answers:
    questions = [request.question for request in about.values()]
    asks = [next(simulator.answer_alone(_situation(request))) for request in about.values()]
    letters = [alone_continuations(ask.prompt(()), question) for ask, question in zip(asks, questions, strict=True)]
    found = [likeliest(scores) for scores in log_likelihoods(model, asks, letters)]
    return {
        question.id: AloneAnswer(
            None if best is None else question.letters[best[0]], "likelihood", confidence=best and best[1]
        )
        for question, best in zip(questions, found, strict=True)
    }


def _generated(model: ChatModel, simulator: AnswersAlone, about: Mapping[str, DialogueRequest]) -> _Answers:
    scripts = [_apart(request, simulator) for request in about.values()]
    return {held.question_id: held.alone or _NONE for held in converse(scripts, {Role.USER: model})}


def _apart(request: DialogueRequest, simulator: AnswersAlone) -> Dialogue:
    """A dialogue in which nothing is said to anybody, and the user answers by itself."""
    answer = yield from simulator.answer_alone(_situation(request))
    given = _NONE if isinstance(answer, Failure) else answer
    return Transcript(request.question.id, "", 0, 0, (), None, StopReason.NO_ANSWER, alone=given)


def _situation(request: DialogueRequest) -> Situation:
    return Situation(request.question, random.Random(0), request.persona().text)
