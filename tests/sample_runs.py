"""Runs of any size as the host writes them, with English text, for tests and benchmarks of whatever reads runs."""

from __future__ import annotations

import ast
import json
import os
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from lm_eval_plugin.config.dialogue import DialogueConfig, read_dialogue_block
from lm_eval_plugin.config.request import DialogueRequest
from lm_eval_plugin.dialogue.question import LETTERS, Question
from lm_eval_plugin.dialogue.transcript import Event, Message, Role, StopReason, Transcript
from lm_eval_plugin.runner.participants import label_of
from lm_eval_plugin.scoring.kinds import Kind
from lm_eval_plugin.scoring.statistics import mean_estimate
from lm_eval_plugin.scoring.summary import VERSION

DATE = "2026-01-02T03-04-05.678901"
SUBJECTS = ("abstract_algebra", "conceptual_physics", "moral_scenarios", "virology", "world_religions")


def sentences() -> list[str]:
    """English sentences of the standard library's docstrings, some thousands."""
    texts = [text for file in sorted(Path(os.__file__).parent.glob("[a-e]*.py")) for text in _docstrings(file)]
    split = re.split(r"(?<=[.?!])\s+", " ".join(" ".join(texts).split()))
    return sorted({sentence for sentence in split if 30 < len(sentence) < 250})


def _docstrings(file: Path) -> list[str]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return [ast.get_docstring(node) or "" for node in nodes if isinstance(node, documented)]


@dataclass
class Writer:
    """Makes up the runs of one folder.

    Args:
        folder: Where the runs go, each in a folder of its own.
        seed: Of everything that is drawn.
    """

    folder: Path
    seed: int = 0
    texts: list[str] = field(default_factory=sentences)

    def run(
        self,
        model: str,
        tasks: dict[str, int],
        *,
        accuracy: float = 0.6,
        static: float = 0.6,
        dialogue: dict[str, Any] | None = None,
        **changes: Any,
    ) -> Path:
        """Write a run to the folder of its model's name.

        Args:
            model: Its name.
            tasks: How many questions each task has.
            accuracy: Share of the dialogues that end right.
            static: Share of the questions that are right without a dialogue.
            dialogue: Its `dialogue:` block.
            changes: As `write_run` takes them.

        Returns:
            Its folder.
        """
        config = read_dialogue_block({"simulator": "demo", **(dialogue or {})}, "sample run")
        samples = {
            task: self._samples(task, questions, config, random.Random(f"{self.seed}|{task}|{model}"), accuracy, static)
            for task, questions in tasks.items()
        }
        return write_run(self.folder / model, model, samples, **changes)

    def _samples(
        self, task: str, questions: int, config: DialogueConfig, luck: random.Random, accuracy: float, static: float
    ) -> Iterator[dict[str, Any]]:
        dice = random.Random(f"{self.seed}|{task}")
        for place in range(questions):
            question = self._question(task, place, dice)
            gold = dice.choice(question.letters)
            held = self._transcript(question, gold, luck, luck.random() < accuracy, label_of(config))
            # Drawn, since reading some hundred long replies takes seconds; nothing but the page shows them.
            chance = random.Random(question.id)
            read = [chance.choice(["", gold, "A", "AB"]) for each in held.messages if each.role is Role.ASSISTANT]
            yield sample(DialogueRequest(question, config), gold, [held], float(luck.random() < static), [read])

    def _said(self, dice: random.Random, least: int, most: int) -> str:
        return " ".join(dice.choices(self.texts, k=dice.randint(least, most)))

    def _question(self, task: str, place: int, dice: random.Random) -> Question:
        choices = tuple(" ".join(dice.choice(self.texts).split()[:8]) for _ in range(4))
        subject = task.removeprefix("chatbench_mmlu_")
        return Question(f"{task}-{place:05}", subject, f"{self._said(dice, 1, 3)} ({place})", choices)

    def _transcript(
        self, question: Question, gold: str, dice: random.Random, right: bool, simulator: str
    ) -> Transcript:
        messages = []
        for _ in range(min(9, 1 + int(dice.expovariate(0.6)))):
            messages.append(self._message(Role.USER, dice, 1, 3))
            messages.append(self._message(Role.ASSISTANT, dice, 7, 16))
        reason = dice.choices(list(StopReason), weights=(80, 10, 3, 3, 2, 2))[0]
        answer = gold if right else dice.choice(question.letters.replace(gold, ""))
        if reason in {StopReason.ANSWERED, StopReason.FORCED}:
            messages.append(Message(Role.USER, f"Answer: {answer}", 3, 0.2, "", 16))
        else:
            answer = None
        events = {dice.choice(list(Event)): 1} if dice.random() < 0.1 else {}
        return Transcript(question.id, simulator, 0, 0, tuple(messages), answer, reason, events=events)

    def _message(self, role: Role, dice: random.Random, least: int, most: int) -> Message:
        text = self._said(dice, least, most)
        return Message(role, text, len(text) // 4, round(dice.uniform(0.3, 4), 3), "", 16)


def sample(
    request: DialogueRequest,
    gold: str,
    held: list[Transcript],
    static: float,
    readings: list[list[str]] | None = None,
) -> dict[str, Any]:
    """A sample as the host logs it; without a dialogue the model finds A the likeliest, B the next, and so on.

    Args:
        request: For its dialogues.
        gold: The right letter.
        held: Its dialogues.
        static: Its score without a dialogue.
        readings: Which options each reply of each dialogue supports; None as an earlier release logs it.
    """
    question = request.question
    prompt = f"The following are multiple choice questions (with answers).\n\n{question.text}\nAnswer:"
    asked = [(prompt, f" {letter}") for letter in question.letters] + [request.to_arguments()]
    arguments = {f"gen_args_{place}": {"arg_0": each[0], "arg_1": each[1]} for place, each in enumerate(asked)}
    likely = [[str(-0.5 - place), str(place == 0)] for place in range(len(question.letters))]
    transcripts = [transcript.to_json() for transcript in held]
    metrics = {"acc": fmean(each.answer == gold for each in held), "acc_static": static}
    return {
        "doc": {"question": question.stem, "choices": question.choices, "answer": LETTERS.index(gold)},
        "target": str(LETTERS.index(gold)),
        "arguments": arguments,
        "resps": [*([each] for each in likely), transcripts],
        "filtered_resps": [*likely, transcripts],
        "filter": "none",
        "metrics": list(metrics),
        **metrics,
        "gold": [gold],
        **({} if readings is None else {"readings": readings}),
    }


def write_run(
    folder: Path, model: str, tasks: dict[str, Iterable[dict[str, Any]]], *, num_fewshot: int = 0, **config: Any
) -> Path:
    """Write the files of a run; its results hold the two accuracies of each task and no other measure.

    Args:
        folder: Is made.
        model: The model's name.
        tasks: The samples of each task.
        num_fewshot: Of all tasks.
        config: Over what the host notes of the run.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True)
    told = {task: _write_samples(folder / f"samples_{task}_{DATE}.jsonl", samples) for task, samples in tasks.items()}
    results = {
        "config": {"model": "hf", "model_args": {"pretrained": model}, "limit": None, "torch_seed": 1234, **config},
        "versions": dict.fromkeys(tasks, 1.0),
        "n-shot": dict.fromkeys(tasks, num_fewshot),
        "model_name": model,
        "model_source": "hf",
        "lm_eval_version": "0.4.13",
        "chatbench": {"version": VERSION, "tasks": told},
    }
    (folder / f"results_{DATE}.json").write_text(json.dumps(results))
    return folder


def _write_samples(path: Path, samples: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """What the results say of a task whose samples are written."""
    scores: dict[str, list[list[float]]] = {"acc": [], "acc_static": []}
    with path.open("w", encoding="utf-8") as file:
        for each in samples:
            file.write(f"{json.dumps(each)}\n")
            for name, values in scores.items():
                values.append([each[name]])
    metrics = {name: asdict(mean_estimate(values, Kind.SHARE)) for name, values in scores.items()}
    return {"questions": len(scores["acc"]), "metrics": metrics}
