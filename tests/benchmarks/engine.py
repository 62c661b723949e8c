"""The engine by itself, with models that answer at once: `python tests/benchmarks/engine.py`.

Turns a second and time per dialogue: dialogues of 10 rounds and the answer, every turn asked of a model, over models that
return a text that is there already. 10,000 dialogues are held as a run holds them, 256 at once as with batches of 64, in turn
with 100 times 100, so the machine is alike for both; a line shows what they take if all are held at once. The user says what
its model says; a line shows beside it what the policy `userlm` with its guardrails makes of it. Memory: what Python holds of
1,000 dialogues in their last round, by tracemalloc, less the texts themselves, for each. Share outside of the models: the wall
time of 64 even dialogues of the tiny Llamas (`dialogues.py`) that is not spent in model calls, which lead from prompts to
replies as texts, as the host's `generate_until` does; and the share outside of transformers' `generate` alone, which leaves out
tokens and what is kept of earlier turns, moved into and out of the batch.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from dialogues import DIALOGUES, ours
from paired import machine, spread
from walks import Sides, even

from lm_eval_plugin.answers.final_answer import FinalAnswer
from lm_eval_plugin.dialogue.engine import Ask, Chat, Dialogue, Failure, Progress, Reply, converse, seeded
from lm_eval_plugin.dialogue.garbage_collection import collecting_seldom
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import Message, Role
from lm_eval_plugin.models.generation.local.generator import LocalGeneration
from lm_eval_plugin.simulators.loop import Simulator, Situation, Turn, dialogue
from lm_eval_plugin.simulators.model_user import ModelUser
from lm_eval_plugin.simulators.userlm import UserLM

ROUNDS = 10
TURNS = 2 * ROUNDS + 1
FEW, MANY = 100, 10_000
LIVE = 256
REPETITIONS = 9
SAYINGS = [f"Let me think about step {place} of it." for place in range(ROUNDS)]


@dataclass(frozen=True, slots=True)
class Parrot:
    """A participant that says the next of its lines."""

    lines: Sequence[str]

    def reply(self, asks: Sequence[Ask]) -> list[Reply]:
        return [Reply(self.lines[len(ask.history) // 2]) for ask in asks]


ANSWER = "Answer: A"
MODELS = {Role.USER: Parrot([*(f"{line} Is it so?" for line in SAYINGS), ANSWER]), Role.ASSISTANT: Parrot(SAYINGS)}


@dataclass(frozen=True, slots=True)
class Mouthpiece:
    """A user that says what its model says."""

    label: str = "mouthpiece"
    guarded: bool = False

    def turn(
        self, situation: Situation, history: tuple[Message, ...], *, forced: bool
    ) -> Generator[Ask, Reply | Failure, Turn]:
        reply = yield Ask(Role.USER, history, lambda shown: Chat("Ask.", shown, speaker=Role.USER))
        return Turn(Message(Role.USER, reply.text), FinalAnswer("A") if reply.text == ANSWER else None)


def scripts(count: int, user: Simulator) -> Iterator[Dialogue]:
    """Fresh dialogues."""
    for place in range(count):
        question = Question(str(place), "arithmetic", f"What is {place} times 7?", ("54", "56", "58", "63"))
        script = dialogue(question, user, assistant_system="Help.", max_turns=ROUNDS + 1, repeat=0, seed=place)
        yield seeded(script, place)


def seconds(count: int, user: Simulator, live: int | None = None) -> float:
    """What so many dialogues take, all or some of them at once.

    Raises:
        ValueError: A dialogue was not held to its end.
    """
    started = time.perf_counter()
    with collecting_seldom():
        transcripts = converse(scripts(count, user), MODELS, live=live)
    took = time.perf_counter() - started
    if {len(transcript.messages) for transcript in transcripts} != {TURNS}:
        raise ValueError(f"a dialogue has another length than {TURNS} turns")
    return took


def bytes_per_dialogue(count: int = 1_000) -> float:
    """What a dialogue in its last round takes beside its texts."""
    held: list[int] = []

    def note(progress: Progress) -> None:
        if progress.rounds == ROUNDS:
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])

    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    converse(scripts(count, Mouthpiece()), MODELS, on_round=note)
    tracemalloc.stop()
    return (held[0] - before) / count


def outside_models(folder: Path) -> list[tuple[float, float]]:
    """Shares of wall time, once for each of some repetitions: outside of model calls, and of transformers' `generate`."""
    walks = even()
    sides = Sides.made(folder, "llama", walks)
    calls, generating = [0.0], [0.0]
    for name in ("encode", "generate"):
        setattr(LocalGeneration, name, _timed(getattr(LocalGeneration, name), calls))
    for model in (sides.assistant.model, sides.user.model):
        model.generate = _timed(model.generate, generating)
    ours(sides, walks)
    shares = []
    for _ in range(REPETITIONS):
        calls[0] = generating[0] = 0.0
        started = time.perf_counter()
        ours(sides, walks)
        took = time.perf_counter() - started
        shares.append((1 - calls[0] / took, 1 - generating[0] / took))
    return shares


def _timed(work, spent: list[float]):
    def timed(*arguments, **options):
        started = time.perf_counter()
        try:
            return work(*arguments, **options)
        finally:
            spent[0] += time.perf_counter() - started

    return timed


def main() -> None:
    """Measure and print one line for each."""
    print(machine(), flush=True)
    user = Mouthpiece()
    seconds(MANY, user, LIVE)
    rounds = [
        (sum(seconds(FEW, user) for _ in range(MANY // FEW)), seconds(MANY, user, LIVE), seconds(MANY, user))
        for _ in range(REPETITIONS)
    ]
    turns = [MANY * TURNS / held for _, held, _ in rounds]
    print(f"turns a second, {MANY:,} dialogues: {spread(turns, 0)}; at least 20,000")
    guarded = [FEW * TURNS / seconds(FEW, ModelUser("user", UserLM())) for _ in range(REPETITIONS)]
    print(f"turns a second with the policy userlm and its guardrails: {spread(guarded, 0)}")
    ratios = [held / few for few, held, _ in rounds]
    print(f"time per dialogue, {MANY:,} / {FEW}: {spread(ratios, 3)}; at most 1.1")
    ratios = [whole / few for few, _, whole in rounds]
    print(f"time per dialogue, {MANY:,} at once / {FEW}: {spread(ratios, 3)}")
    print(f"memory per live dialogue, its texts not counted: {bytes_per_dialogue() / 1024:.1f} KiB; below 10 KiB")
    with tempfile.TemporaryDirectory() as folder:
        shares = outside_models(Path(folder))
    calls, generating = ([100 * share for share in kind] for kind in zip(*shares, strict=True))
    print(f"outside of model calls, {DIALOGUES} dialogues: {spread(calls, 1)} %; at most 3 %")
    print(f"outside of transformers' generate: {spread(generating, 1)} %")


if __name__ == "__main__":
    main()
