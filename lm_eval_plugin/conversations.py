"""Holding the dialogues that the host requests: `converse_until`, the host's fifth request type.

It is attached to the host's `LM`, so that every backend can be the assistant; the user is a simulator with a model of
its own, which every process loads once.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from tqdm import tqdm

from lm_eval_plugin.chat_format import ChatFormat, PlainFormat, TemplateFormat, has_chat_template, is_chat_api
from lm_eval_plugin.configuration import DialogueConfig
from lm_eval_plugin.engine import ChatModel, Progress, Reply, converse, watched
from lm_eval_plugin.errors import ConfigError, SimulatorError
from lm_eval_plugin.host_model import HostModel, serving
from lm_eval_plugin.judge import judge_dialogues, read_letters
from lm_eval_plugin.person import Person
from lm_eval_plugin.question import Question
from lm_eval_plugin.request import DialogueRequest
from lm_eval_plugin.simulated_user import judge_model, label_of, make_simulator, user_model
from lm_eval_plugin.simulator_config import read_simulator
from lm_eval_plugin.simulators.dialogue import dialogue
from lm_eval_plugin.simulators.personas import people_of
from lm_eval_plugin.transcript import Event, Message, Role, StopReason, Transcript

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
        transcripts = _judged(
            hold(lm, [(read[instance], repeat) for instance, repeat in group]), [read[job[0]] for job in group]
        )
        held.update(zip(group, (transcript.to_json() for transcript in transcripts), strict=True))
    return [held[job] for job in jobs]


def free_text(request: DialogueRequest) -> DialogueRequest:
    """The request for the static score in free text: the question with its options, and one reply."""
    asks_once = read_simulator({"policy": "scripted", "habits": ["asks_once"]}, "free_text")
    settings = {"simulator": asks_once, "repeats": 1, "persona": [], "chain_of_thought": False}
    return replace(request, dialogue=request.dialogue.model_copy(update=settings))


def _judged(transcripts: list[Transcript], requests: Sequence[DialogueRequest]) -> list[Transcript]:
    """The transcripts as a judge leaves them, if there is one for them."""
    config = requests[0].dialogue
    if config.judge is None:
        return transcripts
    static = "asks_once" in config.simulator.habits
    if static and not config.judge.reads_free_text:
        return transcripts
    judge = judge_model(config.judge)
    with serving(judge.lm):
        return (read_letters if static else judge_dialogues)(judge, transcripts, [each.question for each in requests])


def check_simulator(config: DialogueConfig, questions: Iterable[Question]) -> None:
    """Load a simulator and make sure that its model's window holds every question, before anything is run.

    Raises:
        ModelError: Its model cannot be loaded.
        SimulatorError: Its adapter does not fit, or a question does not.
        JudgeError: The judge, if there is one, cannot be loaded or used.
    """
    if config.judge is not None:
        judge_model(config.judge)
    model = user_model(config.simulator)
    if not isinstance(model, HostModel):
        return
    too_long = [
        (needed, question.id)
        for question in questions
        for needed, room in [_first_prompt(model, config, question)]
        if needed > room
    ]
    if too_long:
        needed, question_id = max(too_long)
        raise SimulatorError(
            f"{len(too_long)} questions do not fit into the window of simulator {label_of(config)!r}: the longest, "
            f"{question_id}, takes {needed} tokens and {model.window} less {model.max_tokens} for a message are there. "
            "Use a simulator with a larger window, lower its max_tokens, or leave these questions out with --samples"
        )


def _first_prompt(model: HostModel, config: DialogueConfig, question: Question) -> tuple[int, int]:
    """Tokens that the user's first prompt takes, and those that there are for it."""
    longest = max(people_of(config.persona), key=lambda person: len(person.text))
    script = dialogue(
        question, make_simulator(config), assistant_system="", max_turns=1, repeat=0, seed=0, persona=longest
    )
    ask = next(script)
    if ask.role is Role.ASSISTANT:
        # A user whose first message is fixed asks its model from the second on.
        ask = script.send(Reply("?"))
    needed, room = model.room(ask) or (0, 0)
    script.close()
    # Thoughts, as long as they may be, stand in the prompt of the message.
    return needed + model.max_tokens * config.chain_of_thought, room


def _numbered(requests: Sequence[Instance]) -> list[tuple[int, int]]:
    """For each request the identity of its instance and which of the instance's repeats it is."""
    seen: Counter[int] = Counter()
    jobs = []
    for instance in requests:
        jobs.append((id(instance), min(seen[id(instance)], (instance.repeats or 1) - 1)))
        seen[id(instance)] += 1
    return jobs


def hold(
    assistant: LM | ChatModel,
    jobs: Sequence[tuple[DialogueRequest, int]],
    *,
    user: ChatModel | None = None,
    on_message: Callable[[int, Message], None] | None = None,
    bar: bool = True,
) -> list[Transcript]:
    """Hold dialogues that differ in their questions and repeats alone.

    Args:
        assistant: Who is talked to: a backend of the host, or whoever else can take a turn.
        jobs: Requests with equal settings, each with the number of the repeat.
        user: Who speaks for the user; by default the simulator's own model.
        on_message: Told of every message, with the place of its dialogue in `jobs`, as soon as the other side may reply.
        bar: Whether to show a progress bar.

    Returns:
        The transcripts, in the order of the jobs.
    """
    request = jobs[0][0]
    simulator = make_simulator(request.dialogue)
    with ExitStack() as stack:
        models = _speakers(assistant, user or user_model(request.dialogue.simulator), request, stack)
        stack.enter_context(torch.random.fork_rng(devices=range(torch.cuda.device_count())))
        # Ranks that drew the same noise would hold dependent dialogues.
        rank = assistant.rank if isinstance(assistant, LM) else 0
        torch.manual_seed(request.seed + rank)
        scripts = [
            dialogue(
                each.question,
                simulator,
                assistant_system=each.system,
                max_turns=request.dialogue.max_turns,
                repeat=repeat,
                seed=each.dialogue_seed(repeat),
                persona=each.persona(),
            )
            for each, repeat in jobs
        ]
        if on_message is not None:
            scripts = [watched(script, partial(on_message, place)) for place, script in enumerate(scripts)]
        people = any(isinstance(model, Person) for model in models.values())
        shown = stack.enter_context(tqdm(total=len(scripts), desc="Dialogues", disable=rank != 0 or people or not bar))

        def show(progress: Progress) -> None:
            shown.set_postfix(active=progress.active, round=progress.rounds, refresh=False)
            shown.update(progress.finished - shown.n)

        # A person has one conversation at a time.
        batches = [[script] for script in scripts] if people else [scripts]
        transcripts = [transcript for batch in batches for transcript in converse(batch, models, show)]
    _warn(transcripts)
    return transcripts


def _speakers(
    assistant: LM | ChatModel, user: ChatModel | None, request: DialogueRequest, stack: ExitStack
) -> dict[Role, ChatModel]:
    """Who speaks for which role, backends of the host made ready for many rounds until the stack is closed."""
    batch_size = None
    if isinstance(assistant, LM):
        batch_size = stack.enter_context(serving(assistant))
        settings = request.dialogue.assistant
        assistant = HostModel(
            assistant,
            name="the model under test",
            temperature=settings.temperature,
            max_tokens=settings.max_tokens,
            until=settings.until,
            gen_kwargs=settings.gen_kwargs,
            chat_format=_chat_format(assistant, chat_template=request.chat_template),
        )
    if isinstance(user, HostModel):
        own = "batch_size" in request.dialogue.simulator.model_args
        stack.enter_context(serving(user.lm, None if own else batch_size))
    return {Role.ASSISTANT: assistant, **({} if user is None else {Role.USER: user})}


def _chat_format(lm: LM, *, chat_template: bool) -> ChatFormat:
    if chat_template:
        return TemplateFormat(lm)
    if is_chat_api(type(lm)):
        raise ConfigError(
            "the model under test is a chat API, which takes chat messages only; add --apply_chat_template"
        )
    if has_chat_template(lm):
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
    _warn_of_events(transcripts)
    unheld = {
        StopReason.CONTEXT: "did not fit into a model's window even in part and ended without an answer",
        StopReason.MODEL_ERROR: "ended because a model returned no reply; they are not scored",
    }
    for reason, what in unheld.items():
        count = sum(transcript.stop_reason is reason for transcript in transcripts)
        if count:
            logger.warning("%d of %d dialogues %s (stop_reason %s).", count, len(transcripts), what, reason.value)


def _warn_of_events(transcripts: Sequence[Transcript]) -> None:
    watched_ones = [transcript.events for transcript in transcripts if transcript.events is not None]
    counts = {event: sum(event in events for events in watched_ones) for event in Event}
    if any(counts.values()):
        logger.warning(
            "The simulated user did what a person would not in some of %d dialogues (events): %s.",
            len(watched_ones),
            ", ".join(f"{event.value} in {count / len(watched_ones):.1%}" for event, count in counts.items() if count),
        )
