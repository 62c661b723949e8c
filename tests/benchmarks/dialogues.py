"""Dialogues of two local models, against the same one at a time and in lock-step: `python tests/benchmarks/dialogues.py`.

- ours: `simulate_many`, both models with the `hf` backend;
- one at a time, as on the model cards: one prompt, one `generate` with the stop strings, one turn after the other;
- lock-step: the same engine, each round one call of the host's `generate_until` a model, in batches of 64.

Models, dialogues and lengths: `walking_models.py` and `walks.py`. The transcripts of all contenders must be equal. In the second
ragged run the user ends its messages with a stop string, as the released simulators do, and not with an end token.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from lm_eval.models.huggingface import HFLM
from paired import HEADING, alternated, machine, rows
from transformers import StoppingCriteriaList, StopStringCriteria
from walking_models import END, STOP
from walks import Said, Sides, Walks, even, questions, ragged, said

from lm_eval_plugin.dialogue.engine import Ask, Reply
from lm_eval_plugin.models.chat_format import TemplateFormat
from lm_eval_plugin.models.lm_model import HostModel
from lm_eval_plugin.runner.simulation import simulate_many
from lm_eval_plugin.simulators.userlm import STOPS

DIALOGUES = 64


class OneAtATime:
    """A participant as the model cards show it: one prompt, one `generate`."""

    def __init__(self, lm: HFLM, max_tokens: int) -> None:
        self._lm = lm
        self._format = TemplateFormat(lm)
        self._max_tokens = max_tokens
        self._stops = StoppingCriteriaList([StopStringCriteria(lm.tokenizer, list(STOPS))])

    def reply(self, asks: Sequence[Ask]) -> list[Reply]:
        return [self._reply(ask) for ask in asks]

    def _reply(self, ask: Ask) -> Reply:
        tokenizer, model = self._lm.tokenizer, self._lm.model
        inputs = tokenizer(self._format.render(ask.prompt(ask.history)), return_tensors="pt").to(model.device)
        with torch.inference_mode():
            output = model.generate(
                **inputs, max_new_tokens=self._max_tokens, do_sample=False, stopping_criteria=self._stops
            )
        text = tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return Reply(text.split(STOP)[0].strip())


class LockStep(HFLM):
    """The host's backend with a `generate_until` of its own, which is the host's: the plugin leaves all to it."""

    def generate_until(self, requests, disable_tqdm=False):
        return super().generate_until(requests, disable_tqdm=disable_tqdm)

    @classmethod
    def over(cls, lm: HFLM) -> LockStep:
        """With the model of another one."""
        return cls(pretrained=lm.model, tokenizer=lm.tokenizer, batch_size=64)


def ours(sides: Sides, walks: Walks) -> list[Said]:
    """All dialogues at once, as a user of the package holds them."""
    return said(simulate_many(questions(DIALOGUES), sides.assistant, sides.simulator, progress=False, **walks.settings))


def one_at_a_time(sides: Sides, walks: Walks) -> list[Said]:
    """One dialogue after the other."""
    assistant, user = (OneAtATime(lm, walks.max_tokens) for lm in (sides.assistant, sides.user))
    settings = {"user": user, "progress": False, **walks.settings}
    return said([simulate_many([each], assistant, sides.simulator, **settings)[0] for each in questions(DIALOGUES)])


def lock_step(assistant: HFLM, user: HFLM, sides: Sides, walks: Walks) -> list[Said]:
    """All dialogues at once through the host's own generation."""
    speaker = HostModel(
        user,
        name="the user",
        temperature=0,
        max_tokens=walks.max_tokens,
        until=STOPS,
        chat_format=TemplateFormat(user),
    )
    settings = {"user": speaker, "progress": False, **walks.settings}
    return said(simulate_many(questions(DIALOGUES), assistant, sides.simulator, **settings))


def measure(walks: Walks, kind: str, repetitions: int, targets: dict[str, float], end: str = END) -> None:
    """Hold the dialogues with each contender that has a target, and print what it took."""
    with tempfile.TemporaryDirectory() as folder:
        sides = Sides.made(Path(folder), kind, walks, end=end)
        hosts = LockStep.over(sides.assistant), LockStep.over(sides.user)
        rivals: dict[str, Callable[[], list[Said]]] = {
            "one at a time": partial(one_at_a_time, sides, walks),
            "lock-step": partial(lock_step, *hosts, sides, walks),
        }
        contenders = {"ours": partial(ours, sides, walks), **{name: rivals[name] for name in targets}}
        work = f"{kind}, {walks.name}{', stop string' if end == STOP else ''}"
        times = alternated(contenders, repetitions)
    print(*rows(work, times, targets), sep="\n", flush=True)


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5, help="of each line (5)")
    repetitions = parser.parse_args().repetitions
    print(f"{DIALOGUES} dialogues, {torch.get_num_threads()} threads, {machine()}", HEADING, sep="\n\n", flush=True)
    measure(even(), "llama", repetitions, {"one at a time": 8, "lock-step": 1.3})
    measure(even(), "distilgpt2", repetitions, {"one at a time": 3, "lock-step": 1.4})
    measure(ragged(), "llama", repetitions, {"lock-step": 2})
    measure(ragged(), "llama", repetitions, {"lock-step": 2}, end=STOP)


if __name__ == "__main__":
    main()
