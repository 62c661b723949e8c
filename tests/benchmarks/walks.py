"""Dialogues between walking models: what is held, the same for every contender."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lm_eval.models.huggingface import HFLM
from walking_models import END, Plan, save_walker

from lm_eval_plugin.dialogue.transcript import Role, StopReason, Transcript
from lm_eval_plugin.models.loading import load_model

ROUNDS = 10
"""The most turns of a dialogue; the user's `max_turns` is one more, so that it answers by itself."""


@dataclass(frozen=True, slots=True)
class Walks:
    """Dialogues of given lengths.

    Args:
        name: What to call them.
        plans: The conversations.
        entrances: Where a dialogue can begin; for each question one is drawn.
        max_tokens: Longest message, in words.
    """

    name: str
    plans: Sequence[Plan]
    entrances: Sequence[str]
    max_tokens: int

    @property
    def settings(self) -> dict[str, Any]:
        """Keys of a `dialogue:` block; who the user is decides on which word its prompt ends, and so on the walk."""
        return {
            "persona": [f"someone who begins with {entrance}" for entrance in self.entrances],
            "assistant": {"max_tokens": self.max_tokens},
            "max_turns": ROUNDS + 1,
        }


def even() -> Walks:
    """Three rounds of 64 words a turn; eight dialogues that differ in their words."""
    plans = [Plan(name, [64] * 3, [64] * 3) for name in range(8)]
    return Walks("even", plans, [plan.entrance(1) for plan in plans], 64)


def ragged() -> Walks:
    """One to ten rounds and messages of 5 to 200 words, both uniform, in 30 different dialogues."""
    dice = random.Random(0)
    plans = [Plan(name, *([dice.randint(5, 200) for _ in range(ROUNDS)] for _ in "ua")) for name in range(3)]
    return Walks("ragged", plans, [plan.entrance(turn + 1) for plan in plans for turn in range(ROUNDS)], 200)


def questions(count: int) -> list[dict[str, Any]]:
    """Questions that all differ."""
    return [
        {
            "id": str(place),
            "question": f"What is {place} times 7?",
            "choices": [f"{place * 7}", f"{place + 7}", "7", "x"],
        }
        for place in range(count)
    ]


@dataclass(frozen=True, slots=True)
class Sides:
    """Two walking models of the host and the simulated user that the second of them plays."""

    assistant: HFLM
    user: HFLM
    simulator: dict[str, Any]

    @classmethod
    def made(
        cls,
        folder: Path,
        kind: str,
        walks: Walks,
        *,
        end: str = END,
        device: str = "cpu",
        quantization: str = "none",
    ) -> Sides:
        """Saved in a folder and loaded; the user ends its messages with `end` and has its weights quantized."""
        save_walkers(folder, kind, walks, end=end)
        return cls.loaded(folder, walks, device=device, quantization=quantization)

    @classmethod
    def loaded(cls, folder: Path, walks: Walks, *, device: str = "cpu", quantization: str = "none") -> Sides:
        """From a folder of `save_walkers`."""
        played = simulator(folder, walks, device=device, quantization=quantization)
        talker = HFLM(pretrained=str(folder / "a"), device=device, batch_size=64)
        return cls(talker, load_model("hf", played["model_args"], quantization, "the user"), played)


def save_walkers(folder: Path, kind: str, walks: Walks, *, end: str = END) -> None:
    """Save the assistant under `a` and the user, which ends its messages with `end`, under `u`."""
    for side in "au":
        save_walker(folder / side, kind, side, walks.plans, end=end if side == "u" else END)


def simulator(folder: Path, walks: Walks, *, device: str = "cpu", quantization: str = "none") -> dict[str, Any]:
    """The user of a folder of `save_walkers`, as in a `dialogue:` block."""
    return {
        "policy": "userlm",
        "model_args": {"pretrained": str(folder / "u"), "device": device},
        "quantization": quantization,
        "temperature": 0,
        "max_tokens": walks.max_tokens,
    }


Said = tuple[tuple[tuple[str, str], ...], str | None]
"""What was said in a dialogue, in turn, and the user's answer."""


def said(transcripts: Sequence[Transcript]) -> list[Said]:
    """What was said, made sure to be whole.

    Raises:
        ValueError: A dialogue ended without an answer, or a message is not a walk of its speaker from first to last word.
    """
    return [_said(transcript) for transcript in transcripts]


def _said(transcript: Transcript) -> Said:
    *walks, answer = [(message.role, message.content) for message in transcript.messages]
    whole = all(_is_walk(role, content) for role, content in walks)
    if not whole or answer[1] != "Answer: A" or transcript.stop_reason is not StopReason.ANSWERED:
        raise ValueError(f"dialogue {transcript.question_id} is not as it was planned: {transcript}")
    return tuple((role.value, content) for role, content in walks), transcript.answer


def _is_walk(role: Role, content: str) -> bool:
    words = content.split()
    head = words[0].rpartition(".")[0]
    return head[0] == role.value[0] and words == [f"{head}.{left}" for left in range(len(words), 0, -1)]
