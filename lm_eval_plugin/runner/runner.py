"""Holding the dialogues that the host requests: `converse_until`, and `free_text_until` for a single reply.

It is attached to the host's `LM`, so that every backend can be the assistant; the user is a simulator with a model of
its own, which every process loads once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from lm_eval_plugin.answers.final_answer import ANSWER_HEAD
from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.cache.dialogue_store import DialogueKey, DialogueStore, dialogue_key
from lm_eval_plugin.config.condition import ANSWER_FIRST, DIRECT
from lm_eval_plugin.config.dialogue import DialogueConfig, check_devices_of
from lm_eval_plugin.config.judge import JudgeConfig
from lm_eval_plugin.config.request import DialogueRequest
from lm_eval_plugin.config.simulator import read_simulator
from lm_eval_plugin.dialogue.engine import ChatModel, Reply
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import Role, StopReason, Transcript
from lm_eval_plugin.errors import ServerGoneError, SimulatorError
from lm_eval_plugin.judge import judge_dialogues, read_letters
from lm_eval_plugin.lm_eval_access.base import LM, Instance
from lm_eval_plugin.models.lm_model import HostModel, serving
from lm_eval_plugin.models.model_identity import model_identity
from lm_eval_plugin.runner.announcement import Pace, announce
from lm_eval_plugin.runner.interruption import interruptible
from lm_eval_plugin.runner.participants import answering_first, judge_model, label_of, make_simulator, user_model
from lm_eval_plugin.runner.reading import check_reader, read_by
from lm_eval_plugin.runner.run_dialogues import Job, hold
from lm_eval_plugin.runner.unloading import by_simulator
from lm_eval_plugin.runner.users_alone import with_answers_alone
from lm_eval_plugin.runner.warnings import warn, warn_of_unread
from lm_eval_plugin.simulators.loop import dialogue
from lm_eval_plugin.simulators.personas import people_of

logger = logger_of(__name__)


def converse_until(lm: LM, requests: Sequence[Instance]) -> list[str]:
    """Hold the requested dialogues between a model under test and simulated users.

    With `--use_cache`, a dialogue that ended in an earlier run is not held again, and each that ends is kept at once.

    Args:
        lm: The model under test, any backend of the host.
        requests: Instances whose arguments are those of a `DialogueRequest`; the host passes one N times for its N
            repeats. Copies beyond them, with which the host pads a process's share, cost no dialogue.

    Returns:
        The transcripts as JSON, in the order of the requests.
    """
    return _transcripts(lm, requests, _judged)


def free_text_until(lm: LM, requests: Sequence[Instance]) -> list[str]:
    """Have a model reply once to questions with their options, and a judge read the replies where it is to.

    Args:
        lm: The model under test, any backend of the host.
        requests: Instances whose arguments are those of a request that `free_text` made.

    Returns:
        The transcripts as JSON, in the order of the requests.
    """
    return _transcripts(lm, requests, _read)


def _transcripts(
    lm: LM,
    requests: Sequence[Instance],
    finish: Callable[[list[Transcript], Sequence[DialogueRequest]], list[Transcript]],
) -> list[str]:
    """The transcripts of the requests, as a judge leaves them."""
    # The host passes the same instance once for every repeat; reading it once is enough.
    once = {id(instance): instance for instance in requests}
    read = {key: DialogueRequest.from_arguments(instance.arguments) for key, instance in once.items()}
    settings = {key: request.settings_key() for key, request in read.items()}
    jobs = _numbered(requests)
    groups: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for job in dict.fromkeys(jobs):
        groups[settings[job[0]]].append(job)
    held: dict[tuple[int, int], str] = {}
    with DialogueStore.beside(lm) as store:
        if finish is _judged and lm.rank == 0:
            announce(list(read.values()), None if store is None else store.path, lm.world_size)
        for group in by_simulator(groups, read):
            asked = [(read[instance], repeat) for instance, repeat in group]
            ended: dict[int, Transcript] = {}
            try:
                transcripts = finish(_held(lm, asked, store, ended), [request for request, _ in asked])
            except ServerGoneError as error:
                error.finished = {**held, **{group[place]: each.to_json() for place, each in ended.items()}}
                raise
            held.update(zip(group, (transcript.to_json() for transcript in transcripts), strict=True))
    return [held[job] for job in jobs]


def _held(lm: LM, jobs: Sequence[Job], store: DialogueStore | None, ended: dict[int, Transcript]) -> list[Transcript]:
    """The transcripts of the jobs, kept as they end where there is a store and a key for each, else put into `ended`."""
    keys = None if store is None else _keys(lm, jobs)
    if store is not None and keys is not None:
        transcripts = _resumed(lm, jobs, keys, store)
    else:
        with interruptible(total=len(jobs), finished=lambda: len(ended), kept_in=None):
            transcripts = _paced(lm, jobs, ended.__setitem__)
    warn(transcripts)
    return transcripts


def _paced(lm: LM, jobs: Sequence[Job], on_end: Callable[[int, Transcript], None], found: int = 0) -> list[Transcript]:
    """The transcripts of the jobs; on the way the first process says how long they will take."""
    pace = Pace(len(jobs), jobs[0][0].dialogue.max_turns) if jobs and lm.rank == 0 else None
    if pace is None:
        return hold(lm, jobs, on_end=on_end, found=found)

    def end(place: int, transcript: Transcript) -> None:
        on_end(place, transcript)
        pace.ended(place, transcript)

    return hold(lm, jobs, on_message=pace.heard, on_end=end, found=found)


def _resumed(lm: LM, jobs: Sequence[Job], keys: Sequence[DialogueKey], store: DialogueStore) -> list[Transcript]:
    """The transcripts of the jobs: those that are kept, and the rest held and kept now."""
    done: dict[int, Transcript] = {}
    for place, key in enumerate(keys):
        if (kept := _kept(store, key)) is not None:
            # A model that lies elsewhere now has another label.
            done[place] = replace(kept, simulator=label_of(jobs[place][0].dialogue))
    if done:
        logger.info("%d of %d dialogues are in %s already.", len(done), len(jobs), store.path)
    missing = [place for place in range(len(jobs)) if place not in done]
    own_keys = [key.key for key in keys]

    def keep(place: int, transcript: Transcript) -> None:
        # What a model failed at is tried again.
        if transcript.stop_reason is StopReason.MODEL_ERROR:
            store.note_failed(transcript.to_json())
        else:
            store.put(own_keys[missing[place]], transcript.to_json())

    # The store itself is asked: a signal may come while a dialogue is being put, before or after it is there for good.
    with interruptible(total=len(jobs), finished=lambda: store.count(own_keys), kept_in=store.path):
        held = _paced(lm, [jobs[place] for place in missing], keep, found=len(done))
    done.update(zip(missing, held, strict=True))
    return [done[place] for place in range(len(jobs))]


def _kept(store: DialogueStore, key: DialogueKey) -> Transcript | None:
    """The transcript that is kept under a key; one of an earlier release is kept under its key of today from now on."""
    if (found := _read_kept(store, key.key)) is not None or key.earlier is None:
        return found
    if (found := _read_kept(store, key.earlier)) is not None:
        store.put(key.key, found.to_json())
    return found


def _read_kept(store: DialogueStore, key: str) -> Transcript | None:
    """A kept transcript; none, with a warning, where it is damaged."""
    text = store.get(key)
    if text is None:
        return None
    try:
        return Transcript.from_json(text)
    except (ValueError, TypeError) as error:
        logger.warning(
            "%s: the dialogue that is kept under %s is damaged and is held again (%s).", store.path, key, error
        )
        return None


def _keys(lm: LM, jobs: Sequence[Job]) -> list[DialogueKey] | None:
    """Under which the dialogues are kept; None, with a warning, where a backend does not tell which model it runs."""
    user = user_model(jobs[0][0].dialogue.simulator)
    models = {"the model under test": lm, **({"the simulator": user.lm} if isinstance(user, HostModel) else {})}
    identities = {name: model_identity(model) for name, model in models.items()}
    if unknown := [name for name, identity in identities.items() if identity is None]:
        logger.warning(
            "--use_cache keeps no dialogues: the backend of %s does not tell which model it runs.",
            " and ".join(unknown),
        )
        return None
    assistant, *simulator = (identity for identity in identities.values() if identity is not None)
    return [dialogue_key(request, repeat, assistant, simulator[0] if simulator else {}) for request, repeat in jobs]


_PLAIN = {"persona": [], "chain_of_thought": False, "condition": DIRECT, "user_alone": False}
"""A user with nothing switched on."""


def free_text(request: DialogueRequest) -> DialogueRequest:
    """The request for the static score in free text: the question with its options, and one reply."""
    asks_once = read_simulator({"policy": "scripted", "habits": ["asks_once"]}, "free_text")
    # Not a user whom somebody chose, whatever that user's habits are: the request type tells the two apart.
    settings = {"simulator": asks_once, "repeats": 1, "protocol": "default", **_PLAIN}
    return replace(request, dialogue=request.dialogue.model_copy(update=settings))


def _judged(transcripts: list[Transcript], requests: Sequence[DialogueRequest]) -> list[Transcript]:
    """The transcripts with what their users answer alone, what their reader reads and a judge's verdicts, where asked for."""
    transcripts = with_answers_alone(transcripts, requests)
    questions = [request.question for request in requests]
    transcripts = read_by(requests[0].dialogue, transcripts, questions)
    warn_of_unread(transcripts, questions)
    judge = requests[0].dialogue.judge
    return transcripts if judge is None else _finished_by(judge, judge_dialogues, transcripts, requests)


def _read(transcripts: list[Transcript], requests: Sequence[DialogueRequest]) -> list[Transcript]:
    """The transcripts of free-text replies as their reader reads them, or as a judge does, if it is to."""
    transcripts = read_by(requests[0].dialogue, transcripts, [request.question for request in requests])
    judge = requests[0].dialogue.judge
    if judge is None or not judge.reads_free_text:
        return transcripts
    return _finished_by(judge, read_letters, transcripts, requests)


def _finished_by(
    config: JudgeConfig,
    finish: Callable[[ChatModel, Sequence[Transcript], Sequence[Question]], list[Transcript]],
    transcripts: Sequence[Transcript],
    requests: Sequence[DialogueRequest],
) -> list[Transcript]:
    judge = judge_model(config)
    with serving(judge.lm):
        return finish(judge, transcripts, [each.question for each in requests])


def check_simulator(config: DialogueConfig, questions: Iterable[Question]) -> None:
    """Load a simulator and make sure that its model's window holds every question, before anything is run.

    Raises:
        ModelError: Its model cannot be loaded, or a device is not there.
        SimulatorError: Its adapter does not fit, or a question does not.
        JudgeError: The judge or the reader's model, if there is one, cannot be loaded or used.
    """
    check_devices_of(config)
    if config.judge is not None:
        judge_model(config.judge)
    check_reader(config)
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
    simulator = make_simulator(config)
    longest = max(people_of(config.persona), key=lambda person: len(person.text))
    script = dialogue(
        question,
        simulator,
        assistant_system="",
        max_turns=1,
        repeat=0,
        seed=0,
        persona=longest,
        alone=answering_first(config, simulator),
    )
    ask = next(script)
    if config.condition == ANSWER_FIRST:
        ask = script.send(Reply(f"{ANSWER_HEAD} {question.letters[0]}"))
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
