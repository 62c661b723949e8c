"""The same dialogues with the same models here and in Inspect AI: `python tests/benchmarks/against_inspect.py`.

Needs `pip install inspect-ai`, in an environment of its own if its requirements clash. Inspect holds them as one would write
it there: one sample a dialogue, a solver in which two models of the provider `hf` take turns, as many connections and
samples as there are dialogues, greedy, `max_tokens` and stop strings on every call. What is asked and how replies are read is the
script of `simulators.dialogue`, so prompts and transcripts must be equal. Each side has a process of its own, as it would be
used, where it loads its models beforehand: the threads in which Inspect generates would otherwise slow down ours, and ours its.

Hundreds of uneven dialogues take Inspect hours. With `--stop-after 5` it is stopped after five times our time, and the line says
`over 5` if it was not done by then.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from inspect_ai import Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import Sample
from inspect_ai.model import (
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    Model,
    get_model,
)
from inspect_ai.solver import Generate, TaskState, solver
from paired import HEADING, alternated, machine, rows
from walks import Said, Sides, even, questions, ragged, said, save_walkers, simulator

from lm_eval_plugin.config.request import DialogueRequest
from lm_eval_plugin.dialogue.engine import Ask, Chat, Reply
from lm_eval_plugin.dialogue.transcript import Role, Transcript
from lm_eval_plugin.runner.participants import make_simulator
from lm_eval_plugin.runner.simulation import dialogue_config, read_question, simulate_many
from lm_eval_plugin.simulators.loop import dialogue
from lm_eval_plugin.simulators.userlm import STOPS

SIZES = (16, 64, 256)
WALKS = {"even": even, "ragged": ragged}
TARGETS = {"even": 3, "ragged": 5}


async def spoken(model: Model, ask: Ask, max_tokens: int, dialogues: int) -> Reply:
    """One turn of a model of Inspect."""
    chat = ask.prompt(ask.history)
    assert isinstance(chat, Chat)
    own = chat.speaker
    turns = [
        (ChatMessageAssistant if message.role is own else ChatMessageUser)(content=message.content)
        for message in chat.messages
    ]
    config = GenerateConfig(max_tokens=max_tokens, stop_seqs=list(STOPS), max_connections=dialogues)
    output = await model.generate([ChatMessageSystem(content=chat.system), *turns], config=config)
    return Reply(output.completion.split(STOPS[0])[0].strip())


@cache
def inspect_models(folder: Path) -> tuple[Model, Model]:
    """The assistant and the user of a folder of `save_walkers`, loaded once a process."""
    assistant, user = (
        get_model(f"hf/{name}", model_path=str(folder / name), device="cpu", do_sample=False) for name in "au"
    )
    return assistant, user


def inspect_side(folder: Path, name: str, count: int, *, seconds: int | None = None) -> list[Said]:
    """All dialogues as one evaluation of Inspect.

    Raises:
        TimeoutError: They were not done after so many seconds.
    """
    walks = WALKS[name]()
    assistant, user = inspect_models(folder)
    config = dialogue_config(simulator(folder, walks), walks.settings)
    requests = [DialogueRequest(read_question(each), config) for each in questions(count)]
    held: dict[int, Transcript] = {}

    @solver
    def conversation():
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            place = int(state.sample_id)
            request = requests[place]
            script = dialogue(
                request.question,
                make_simulator(config),
                assistant_system=request.system,
                max_turns=config.max_turns,
                repeat=0,
                seed=request.dialogue_seed(0),
                persona=request.persona(),
            )
            try:
                ask = next(script)
                while True:
                    model = user if ask.role is Role.USER else assistant
                    ask = script.send(await spoken(model, ask, walks.max_tokens, count))
            except StopIteration as end:
                held[place] = end.value
            return state

        return solve

    samples = [Sample(id=str(place), input=request.question.text) for place, request in enumerate(requests)]
    with tempfile.TemporaryDirectory() as logs:
        (log,) = evaluate(
            Task(dataset=samples, solver=conversation()),
            model=assistant,
            max_samples=count,
            max_connections=count,
            time_limit=seconds,
            display="none",
            log_dir=logs,
        )
    if log.status != "success":
        raise RuntimeError(f"Inspect ended with status {log.status}: {log.error}")
    if seconds is not None and len(held) < count:
        raise TimeoutError(f"{len(held)} of {count} dialogues were done after {seconds} s")
    return said([held[place] for place in range(count)])


@cache
def our_sides(folder: Path, name: str) -> Sides:
    """The models of a folder of `save_walkers`, loaded once a process."""
    return Sides.loaded(folder, WALKS[name]())


def ours(folder: Path, name: str, count: int) -> list[Said]:
    """All dialogues as a user of the package holds them."""
    sides, walks = our_sides(folder, name), WALKS[name]()
    return said(simulate_many(questions(count), sides.assistant, sides.simulator, progress=False, **walks.settings))


@contextmanager
def own_process() -> Iterator[Callable[..., Any]]:
    """A new process, which calls what it is given, with its arguments."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:

        def call(work: Callable[..., Any], *args: Any, **options: Any) -> Any:
            return process.submit(work, *args, **options).result()

        yield call


def load(cached: Callable[..., object], *args: Any) -> None:
    """Leave in this process's cache what takes time to load."""
    cached(*args)


def bounded(work: str, contenders: Sequence[Callable[..., list[Said]]], target: float, stop_after: float) -> list[str]:
    """The lines of one repetition in which Inspect, the second of the contenders, is stopped after so many times our time.

    Raises:
        ValueError: It was done, with other dialogues.
    """
    mine, theirs = contenders
    started = time.perf_counter()
    held = mine()
    times = {"ours": [time.perf_counter() - started]}
    started = time.perf_counter()
    try:
        if theirs(seconds=math.ceil(stop_after * times["ours"][0])) != held:
            raise ValueError(f"{work}: Inspect AI came to other dialogues")
    except TimeoutError as error:
        return [
            *rows(work, times, {}),
            f"| {work} | Inspect AI | {error} | over {stop_after:g} | at least {target:g} |",
        ]
    times["Inspect AI"] = [time.perf_counter() - started]
    return rows(work, times, {"Inspect AI": target})


def measure(name: str, count: int, repetitions: int, stop_after: float | None = None) -> None:
    """Hold the dialogues on both sides and print what it took."""
    work, target = f"{count} dialogues, {name}", TARGETS[name]
    with tempfile.TemporaryDirectory() as place, own_process() as our_process, own_process() as other_process:
        folder = Path(place)
        save_walkers(folder, "llama", WALKS[name]())
        our_process(load, our_sides, folder, name)
        other_process(load, inspect_models, folder)
        mine = partial(our_process, ours, folder, name, count)
        theirs = partial(other_process, inspect_side, folder, name, count)
        if stop_after is None:
            times = alternated({"ours": mine, "Inspect AI": theirs}, repetitions)
            lines = rows(work, times, {"Inspect AI": target})
        else:
            lines = bounded(work, (mine, theirs), target, stop_after)
    print(*lines, sep="\n", flush=True)


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, help="of each line (5)")
    parser.add_argument("--dialogues", type=int, nargs="+", default=SIZES, help="numbers of dialogues (16 64 256)")
    parser.add_argument("--walks", choices=WALKS, nargs="+", default=list(WALKS), help="which dialogues (both)")
    parser.add_argument(
        "--stop-after", type=float, help="times our time after which Inspect is stopped, with one repetition"
    )
    options = parser.parse_args()
    if options.repetitions and options.stop_after:
        parser.error("--stop-after is for one repetition; leave --repetitions out")
    print(f"{torch.get_num_threads()} threads, {machine()}", HEADING, sep="\n\n", flush=True)
    for name in options.walks:
        for count in options.dialogues:
            measure(name, count, options.repetitions or 5, options.stop_after)


if __name__ == "__main__":
    main()
