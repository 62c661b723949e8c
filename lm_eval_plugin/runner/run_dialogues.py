"""Holding dialogues of equal settings: who speaks for which role, how many at a time, and with what chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import torch
from tqdm import tqdm

from lm_eval_plugin.border.terminal import logger_of, warn_once
from lm_eval_plugin.config.protocol import PAPER
from lm_eval_plugin.config.request import DialogueRequest
from lm_eval_plugin.dialogue.alternation import converse_in_halves
from lm_eval_plugin.dialogue.engine import ChatModel, Dialogue, Progress, converse, seeded, watched
from lm_eval_plugin.dialogue.garbage_collection import collecting_seldom
from lm_eval_plugin.dialogue.transcript import Message, Role, Transcript
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.lm_eval_access.base import LM
from lm_eval_plugin.models.chat_format import ChatFormat, PlainFormat, TemplateFormat, has_chat_template, is_chat_api
from lm_eval_plugin.models.lm_model import HostModel, serving
from lm_eval_plugin.models.person import Person
from lm_eval_plugin.runner.participants import answering_first, make_simulator, user_model
from lm_eval_plugin.simulators.loop import Simulator, dialogue

logger = logger_of(__name__)

_WAVES = 4
"""Dialogues that are held at once for each prompt that a model takes at once, so that prompts of like length share a batch."""

Job = tuple[DialogueRequest, int]
"""A request and which of its repeats to hold."""


def hold(
    assistant: LM | ChatModel,
    jobs: Sequence[Job],
    *,
    user: ChatModel | None = None,
    on_message: Callable[[int, Message], None] | None = None,
    on_end: Callable[[int, Transcript], None] | None = None,
    bar: bool = True,
    found: int = 0,
) -> list[Transcript]:
    """Hold dialogues that differ in their questions and repeats alone.

    Args:
        assistant: Who is talked to: a backend of the host, or whoever else can take a turn.
        jobs: What to hold; their requests have equal settings.
        user: Who speaks for the user; by default the simulator's own model.
        on_message: Told of every message, with the place of its dialogue in `jobs`, as soon as the other side may reply.
        on_end: Told of every transcript, with its place in `jobs`, as soon as its dialogue has ended.
        bar: Whether to show a progress bar.
        found: How many dialogues beside these are there already, for the bar.

    Returns:
        The transcripts, in the order of the jobs.
    """
    if not jobs:
        return []
    request = jobs[0][0]
    simulator = make_simulator(request.dialogue)
    rank = assistant.rank if isinstance(assistant, LM) else 0
    with ExitStack() as stack:
        user = user or user_model(
            request.dialogue.simulator,
            request.dialogue.kv_cache,
            parts_reasoning=request.dialogue.protocol != PAPER,
            outage_s=request.dialogue.outage_s,
        )
        models, at_once = _speakers(assistant, user, request, stack)
        people = any(isinstance(model, Person) for model in models.values())
        if getattr(assistant, "batch_size", None) == 1 and at_once == _WAVES < len(jobs) and not people and rank == 0:
            logger.warning(
                "The model under test takes one prompt at a time. With --batch_size 16 or more (a server: num_concurrent=16 "
                "in --model_args) many dialogues get their replies together, which is several times as fast."
            )
        unseeded = tuple(role for role, model in models.items() if isinstance(model, HostModel) and not model.seeded)
        # What such a model samples comes from the process's own generator. Another process, or one that goes on with what
        # is left, begins with another dialogue, and so with other noise.
        stack.enter_context(torch.random.fork_rng(devices=range(torch.cuda.device_count())))
        torch.manual_seed(request.dialogue_seed(jobs[0][1]))
        stack.enter_context(collecting_seldom())
        scripts = [_script(job, simulator, unseeded) for job in jobs]
        if on_message is not None:
            scripts = [watched(script, partial(on_message, place)) for place, script in enumerate(scripts)]
        total = len(scripts) + found
        shown = stack.enter_context(
            tqdm(total=total, initial=found, desc="Dialogues", disable=rank != 0 or people or not bar)
        )

        def show(progress: Progress) -> None:
            shown.set_postfix(active=progress.active, round=progress.rounds, refresh=False)
            shown.update(found + progress.finished - shown.n)

        run = converse_in_halves if _apart(models) else converse
        # A person has one conversation at a time.
        return run(scripts, models, live=1 if people else at_once, on_end=on_end, on_round=show)


def _script(job: Job, simulator: Simulator, unseeded: tuple[Role, ...]) -> Dialogue:
    """A dialogue in which every turn has a seed of its own."""
    request, repeat = job
    seed = request.dialogue_seed(repeat)
    script = dialogue(
        request.question,
        simulator,
        assistant_system=request.system,
        max_turns=request.dialogue.max_turns,
        repeat=repeat,
        seed=seed,
        persona=request.persona(),
        alone=answering_first(request.dialogue, simulator),
    )
    transcript = yield from seeded(script, seed)
    replaced = transcript.text_replaced or request.text_replaced
    return replace(transcript, unseeded=unseeded, text_replaced=replaced)


def _speakers(
    assistant: LM | ChatModel, user: ChatModel | None, request: DialogueRequest, stack: ExitStack
) -> tuple[dict[Role, ChatModel], int | None]:
    """Who speaks for which role, and how many dialogues to hold at once; None for all.

    Backends of the host are ready for many rounds until the stack is closed.
    """
    batch_size, sizes = None, []
    if isinstance(assistant, LM):
        batch_size = stack.enter_context(serving(assistant))
        sizes.append(batch_size)
        assistant = assistant_model(assistant, request)
    if isinstance(user, HostModel):
        own = "batch_size" in request.dialogue.simulator.model_args
        sizes.append(stack.enter_context(serving(user.lm, None if own else batch_size)))
    models = {Role.USER: user, Role.ASSISTANT: assistant}
    return {role: model for role, model in models.items() if model is not None}, max(sizes) * _WAVES if sizes else None


def assistant_model(lm: LM, request: DialogueRequest) -> HostModel:
    """The model under test, as a request has it talk.

    Raises:
        ConfigError: It is a chat API, and the request does not ask for a chat template.
    """
    settings = request.dialogue.assistant
    return HostModel(
        lm,
        name="the model under test",
        temperature=settings.temperature,
        max_tokens=settings.max_tokens,
        until=settings.until,
        gen_kwargs=settings.gen_kwargs,
        chat_format=_chat_format(lm, chat_template=request.chat_template),
        kept_bytes=request.dialogue.kv_cache,
        outage_s=request.dialogue.outage_s,
    )


def _chat_format(lm: LM, *, chat_template: bool) -> ChatFormat:
    if chat_template:
        return TemplateFormat(lm)
    if is_chat_api(type(lm)):
        raise ConfigError(
            "the model under test is a chat API, which takes chat messages only; add --apply_chat_template"
        )
    if has_chat_template(lm):
        warn_once(
            logger,
            lm,
            "THE MODEL HAS A CHAT TEMPLATE THAT IS NOT USED: it talks as a plain `User:` / `Assistant:` transcript, for which it "
            "was not trained, so its accuracy here is not that of its chats. Add --apply_chat_template, unless that is meant.",
        )
    return PlainFormat(lm)


def _apart(models: Mapping[Role, ChatModel]) -> bool:
    """Whether both roles have a model, and the two compete for no device and no server."""
    places = [model.places if isinstance(model, HostModel) else frozenset() for model in models.values()]
    return len(places) == len(Role) and all(places) and frozenset.isdisjoint(*places)
