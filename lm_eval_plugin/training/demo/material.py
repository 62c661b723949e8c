"""What the demo models are taught: the demo questions, a few hand-written notes on each, and where the assistant errs.

`notes.jsonl` holds one note for every question, in any order:

    {"question": "What is 7 x 8 - 6?", "asks": ["what's seven times eight minus six?", ...], "hint": "Do the ...",
     "reason": "7 times 8 is 56, ...", "mistake": "14", "mistake_reason": "8 minus 6 is 2, ..."}
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from lm_eval_plugin.dialogue.question import Question

SEED = 7
"""From which everything about the demo is drawn."""

QUESTIONS = Path(__file__).parents[3] / "chatbench_tasks" / "demo" / "questions"
"""The demo's questions, as they ship with its task."""

NOTES = Path(__file__).with_name("notes.jsonl")
"""The notes that ship with the demo."""

MORAL = "moral_scenarios"
"""The subject whose options are pairs of verdicts; people do not say them as they are printed."""


class Manner(str, Enum):
    """How the assistant is asked, which decides whether it is right.

    STATIC: the benchmark's own prompt, answered by a letter.
    PASTED: in a chat, with the options.
    OPEN: in a chat, without the options.
    HINTED: in a chat, after a first step was asked for.
    """

    STATIC = "static"
    PASTED = "pasted"
    OPEN = "open"
    HINTED = "hinted"


SHARE_RIGHT = {Manner.STATIC: 0.56, Manner.PASTED: 0.62, Manner.OPEN: 0.77, Manner.HINTED: 0.81}
"""How many of the questions the assistant gets right, by the manner of asking."""

SHARE_CORRECTED = 0.6
"""How many of its wrong answers the assistant corrects when the user doubts them."""

SHARE_GIVEN_UP = 0.12
"""How many of its right answers the assistant gives up when the user doubts them."""


@dataclass(frozen=True, slots=True)
class Item:
    """A question with all that the demo models are to know about it.

    Args:
        question: The question as it is shown.
        gold: Index of the right option.
        mistake: Index of the wrong option that the assistant falls for.
        asks: The question in a person's own words, without the options.
        hint: A first step that does not give the answer away.
        reason: Why the right option is right, in one sentence.
        mistake_reason: Why one might believe the mistaken option, in one sentence.
        right: The manners of asking in which the assistant is right.
        corrects: Whether it corrects a wrong answer that is doubted.
        gives_up: Whether it gives up a right answer that is doubted.
    """

    question: Question
    gold: int
    mistake: int
    asks: tuple[str, ...]
    hint: str
    reason: str
    mistake_reason: str
    right: frozenset[Manner] = frozenset(Manner)
    corrects: bool = False
    gives_up: bool = False

    def believed(self, manner: Manner) -> int:
        """Index of the option that the assistant holds for right when asked in this manner."""
        return self.gold if manner in self.right else self.mistake

    def after_doubt(self, claim: int) -> int:
        """Index of the option that the assistant stands by once its claim was doubted."""
        if claim == self.gold:
            return self.mistake if self.gives_up else claim
        return self.gold if self.corrects else claim

    def why(self, claim: int) -> str:
        """The reason given for an option; empty for one that nobody has a reason for."""
        return {self.gold: self.reason, self.mistake: self.mistake_reason}.get(claim, "")


def load_items(questions: Path, split: str, notes: Path = NOTES) -> list[Item]:
    """The items of one split of the question folder; where the assistant errs is not decided yet.

    Raises:
        KeyError: A question has no note.
    """
    noted = {note["question"]: note for note in _lines(notes)}
    return [
        _item(doc, noted[doc["question"]], f"{split}-{place}")
        for place, doc in enumerate(_lines(questions / f"{split}.jsonl"))
    ]


def assign_errors(items: Sequence[Item], rng: random.Random) -> list[Item]:
    """The items with the assistant's errors spread over them in the shares that this module states.

    Each manner is drawn by itself, so every mix of right and wrong occurs. The shares are met exactly, up to rounding.
    """
    right = {manner: _chosen(len(items), share, rng) for manner, share in SHARE_RIGHT.items()}
    corrected = _chosen(len(items), SHARE_CORRECTED, rng)
    given_up = _chosen(len(items), SHARE_GIVEN_UP, rng)
    return [
        replace(
            item,
            right=frozenset(manner for manner in Manner if place in right[manner]),
            corrects=place in corrected,
            gives_up=place in given_up,
        )
        for place, item in enumerate(items)
    ]


def _item(doc: Mapping[str, Any], note: Mapping[str, Any], question_id: str) -> Item:
    return Item(
        question=Question(question_id, doc["subject"], doc["question"], tuple(doc["choices"])),
        gold=doc["answer"],
        mistake=doc["choices"].index(note["mistake"]),
        asks=tuple(note["asks"]),
        hint=note["hint"],
        reason=note["reason"],
        mistake_reason=note["mistake_reason"],
    )


def _chosen(count: int, share: float, rng: random.Random) -> set[int]:
    return set(rng.sample(range(count), round(share * count)))


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
