"""The same dialogues with the same models here and in Inspect AI: `python tests/benchmarks/against_inspect.py`.

Needs `pip install inspect-ai`, in an environment of its own if its requirements clash. Inspect holds them as one would write
it there: one sample a dialogue, a solver in which two models of the provider `hf` take turns, as many connections and
samples as there are dialogues, greedy, `max_tokens` and stop strings on every call. What is asked and how replies are read is the
script of `simulators.dialogue`, so prompts and transcripts must be equal. Both sides load their models beforehand.

Hundreds of uneven dialogues take Inspect hours. With `--stop-after 5` it is stopped after five times our time, and the line says
`over 5` if it was not done by then.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

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
from walks import Said, Sides, Walks, even, questions, ragged, said

from lm_eval_plugin.engine import Ask, Chat, Reply
from lm_eval_plugin.request import DialogueRequest
from lm_eval_plugin.simulated_user import make_simulator
from lm_eval_plugin.simulation import dialogue_config, read_question, simulate_many
from lm_eval_plugin.simulators.dialogue import dialogue
from lm_eval_plugin.simulators.userlm import STOPS
from lm_eval_plugin.transcript import Role, Transcript

SIZES = (16, 64, 256)
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


def inspect_side(
    assistant: Model, user: Model, sides: Sides, walks: Walks, count: int, *, seconds: int | None = None
) -> list[Said]:
    """All dialogues as one evaluation of Inspect.

    Raises:
        TimeoutError: They were not done after so many seconds.
    """
    config = dialogue_config(sides.simulator, walks.settings)
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


def ours(sides: Sides, walks: Walks, count: int) -> list[Said]:
    """All dialogues as a user of the package holds them."""
    return said(simulate_many(questions(count), sides.assistant, sides.simulator, progress=False, **walks.settings))


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


def measure(walks: Walks, sizes: Sequence[int], repetitions: int, stop_after: float | None = None) -> None:
    """Hold the dialogues on both sides and print what it took."""
    target = TARGETS[walks.name]
    with tempfile.TemporaryDirectory() as folder:
        sides = Sides.made(Path(folder), "llama", walks)
        models = [
            get_model(f"hf/{name}", model_path=str(Path(folder) / side), device="cpu", do_sample=False)
            for name, side in (("assistant", "a"), ("user", "u"))
        ]
        for count in sizes:
            work = f"{count} dialogues, {walks.name}"
            mine, theirs = partial(ours, sides, walks, count), partial(inspect_side, *models, sides, walks, count)
            if stop_after is None:
                times = alternated({"ours": mine, "Inspect AI": theirs}, repetitions)
                lines = rows(work, times, {"Inspect AI": target})
            else:
                lines = bounded(work, (mine, theirs), target, stop_after)
            print(*lines, sep="\n", flush=True)


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5, help="of each line (5)")
    parser.add_argument("--dialogues", type=int, nargs="+", default=SIZES, help="numbers of dialogues (16 64 256)")
    parser.add_argument("--walks", choices=TARGETS, nargs="+", default=list(TARGETS), help="which dialogues (both)")
    parser.add_argument(
        "--stop-after", type=float, help="times our time after which Inspect is stopped, with one repetition"
    )
    options = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, {machine()}", HEADING, sep="\n\n", flush=True)
    for name in options.walks:
        measure({"even": even, "ragged": ragged}[name](), options.dialogues, options.repetitions, options.stop_after)


if __name__ == "__main__":
    main()
