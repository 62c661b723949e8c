"""Holding the dialogues that the host requests: `converse_until`, the host's fifth request type.

It is attached to the host's `LM`, so that every backend can be the assistant; the user is a simulator with a model of
its own, which every process loads once.
"""

from __future__ import annotations

import functools
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import ExitStack

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.api.registry import get_model
from lm_eval.models.openai_completions import LocalChatCompletion
from tqdm import tqdm

from lm_eval_plugin.chat_format import ChatFormat, PlainFormat, TemplateFormat
from lm_eval_plugin.configuration import SimulatorConfig
from lm_eval_plugin.engine import ChatModel, Progress, converse
from lm_eval_plugin.errors import ConfigError, SimulatorError
from lm_eval_plugin.host_model import HostModel, serving
from lm_eval_plugin.question import Question
from lm_eval_plugin.request import DialogueRequest
from lm_eval_plugin.simulators.chatbench import STOPS, ChatbenchUser, Reading
from lm_eval_plugin.simulators.dialogue import Simulator, dialogue
from lm_eval_plugin.simulators.presets import MODEL_POLICIES
from lm_eval_plugin.simulators.scripted import ScriptedUser
from lm_eval_plugin.transcript import Role, StopReason, Transcript

logger = logging.getLogger(__name__)


def converse_until(lm: LM, requests: Sequence[Instance]) -> list[str]:
    """Hold the requested dialogues between a model under test and simulated users.

    Args:
        lm: The model under test, any backend of the host.
        requests: Instances whose arguments are those of a `DialogueRequest`; the host passes one N times for its N
            repeats. Copies beyond them, with which the host pads a process's share, cost no dialogue.

    Returns:
        The transcripts as JSON, in the order of the requests.
    """
    # The host passes the same instance once for every repeat; reading it once is enough.
    once = {id(instance): instance for instance in requests}
    read = {key: DialogueRequest.from_arguments(instance.arguments) for key, instance in once.items()}
    settings = {key: request.settings_key() for key, request in read.items()}
    jobs = _numbered(requests)
    groups: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for job in dict.fromkeys(jobs):
        groups[settings[job[0]]].append(job)
    held: dict[tuple[int, int], str] = {}
    for group in groups.values():
        transcripts = _hold(lm, [(read[instance], repeat) for instance, repeat in group])
        held.update(zip(group, (transcript.to_json() for transcript in transcripts), strict=True))
    return [held[job] for job in jobs]


def check_simulator(config: SimulatorConfig, questions: Iterable[Question]) -> None:
    """Load a simulator and make sure that its model's window holds every question, before anything is run.

    Raises:
        ModelError: Its model cannot be loaded.
        SimulatorError: Its adapter does not fit, or a question does not.
    """
    model = user_model(config)
    if model is None:
        return
    simulator = make_simulator(config)
    too_long = [
        (needed, question.id)
        for question in questions
        for needed, room in [_first_prompt(model, simulator, question)]
        if needed > room
    ]
    if too_long:
        needed, question_id = max(too_long)
        raise SimulatorError(
            f"{len(too_long)} questions do not fit into the window of simulator {config.label!r}: the longest, "
            f"{question_id}, takes {needed} tokens and {model.window} less {model.max_tokens} for a message are there. "
            "Use a simulator with a larger window, lower its max_tokens, or leave these questions out with --samples"
        )


def make_simulator(config: SimulatorConfig) -> Simulator:
    """The user policy that a configuration names."""
    if config.policy == "scripted":
        return ScriptedUser(config.label)
    return ChatbenchUser(config.label, Reading(config.reading))


def user_model(config: SimulatorConfig) -> HostModel | None:
    """The model that speaks for the simulated user, loaded at its first use; None for a policy without one."""
    if config.policy not in MODEL_POLICIES:
        return None
    return _user_model(config.model_dump_json())


# Two, so that a run that compares two simulators does not load them again and again.
@functools.lru_cache(maxsize=2)
def _user_model(config_json: str) -> HostModel:
    config = SimulatorConfig.model_validate_json(config_json)
    if config.backend == "hf":
        from lm_eval_plugin.quantized import load_quantized

        lm: LM = load_quantized(config.model_args, config.quantization)
        # Without these, transformers would cut the distribution as the checkpoint's generation defaults say.
        whole = {"top_k": 0, "top_p": 1.0} if config.temperature > 0 else {}
    else:
        lm, whole = get_model(config.backend).create_from_arg_obj(dict(config.model_args)), {}
    if isinstance(lm, LocalChatCompletion):
        raise ConfigError(
            f"simulator {config.label}: the policy {config.policy} continues a text, which the chat API {config.backend!r} "
            "cannot; use local-completions or another backend that completes texts"
        )
    return HostModel(
        lm,
        name=f"simulator {config.label}",
        temperature=config.temperature,
        max_tokens=config.max_tokens,
        until=STOPS,
        gen_kwargs={**whole, **config.gen_kwargs},
    )


def _first_prompt(model: HostModel, simulator: Simulator, question: Question) -> tuple[int, int]:
    script = dialogue(question, simulator, assistant_system="", max_turns=1, repeat=0, seed=0)
    ask = next(script)
    script.close()
    return model.room(ask) or (0, 0)


def _numbered(requests: Sequence[Instance]) -> list[tuple[int, int]]:
    """For each request the identity of its instance and which of the instance's repeats it is."""
    seen: Counter[int] = Counter()
    jobs = []
    for instance in requests:
        jobs.append((id(instance), min(seen[id(instance)], (instance.repeats or 1) - 1)))
        seen[id(instance)] += 1
    return jobs


def _hold(lm: LM, group: Sequence[tuple[DialogueRequest, int]]) -> list[Transcript]:
    """Hold dialogues that differ in their questions and repeats alone."""
    request = group[0][0]
    config = request.dialogue
    simulator = make_simulator(config.simulator)
    with ExitStack() as stack:
        batch_size = stack.enter_context(serving(lm))
        assistant = HostModel(
            lm,
            name="the model under test",
            temperature=config.assistant.temperature,
            max_tokens=config.assistant.max_tokens,
            until=config.assistant.until,
            gen_kwargs=config.assistant.gen_kwargs,
            chat_format=_chat_format(lm, chat_template=request.chat_template),
        )
        models: dict[Role, ChatModel] = {Role.ASSISTANT: assistant}
        if (user := user_model(config.simulator)) is not None:
            models[Role.USER] = user
            stack.enter_context(serving(user.lm, None if "batch_size" in config.simulator.model_args else batch_size))
        stack.enter_context(torch.random.fork_rng(devices=range(torch.cuda.device_count())))
        # Ranks that drew the same noise would hold dependent dialogues.
        torch.manual_seed(request.seed + lm.rank)
        scripts = [
            dialogue(
                each.question,
                simulator,
                assistant_system=each.system,
                max_turns=config.max_turns,
                repeat=repeat,
                seed=each.dialogue_seed(repeat),
            )
            for each, repeat in group
        ]
        bar = stack.enter_context(tqdm(total=len(scripts), desc="Dialogues", disable=lm.rank != 0))

        def show(progress: Progress) -> None:
            bar.set_postfix(active=progress.active, round=progress.rounds, refresh=False)
            bar.update(progress.finished - bar.n)

        transcripts = converse(scripts, models, show)
    _warn(transcripts)
    return transcripts


def _chat_format(lm: LM, *, chat_template: bool) -> ChatFormat:
    if chat_template:
        return TemplateFormat(lm)
    if isinstance(lm, LocalChatCompletion):
        raise ConfigError(
            "the model under test is a chat API, which takes chat messages only; add --apply_chat_template"
        )
    if getattr(getattr(lm, "tokenizer", None), "chat_template", None):
        logger.warning("The model has a chat template that is not used; add --apply_chat_template to talk through it.")
    return PlainFormat(lm)


def _warn(transcripts: Sequence[Transcript]) -> None:
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
    unheld = {
        StopReason.CONTEXT: "did not fit into a model's window even in part and ended without an answer",
        StopReason.MODEL_ERROR: "ended because a model returned no reply; they are not scored",
    }
    for reason, what in unheld.items():
        count = sum(transcript.stop_reason is reason for transcript in transcripts)
        if count:
            logger.warning("%d of %d dialogues %s (stop_reason %s).", count, len(transcripts), what, reason.value)
