"""Who the simulated user is: a small set of people who differ in what they know, how patient and how careful they are.

| name | knowledge | patience | care |
|---|---|---|---|
| `novice` | little | much | little: takes what it is told |
| `learner` | little | much | much: wants to understand each step |
| `hurried` | some | little | little: wants a letter and goes |
| `skeptic` | some | much | much: doubts and checks |
| `expert` | much | little | much: asks for one thing and notices mistakes |
| `overconfident` | some | little | little: has an opinion and looks for a yes |

The set is this project's own. Personas are an ablation: on the cards of the released simulators, leaving persona or
private reasoning out costs coherence; the prompts behind that are not published.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ANY = "any"
"""Stands for a person drawn from the whole set."""

PERSONAS: Mapping[str, str] = {
    "novice": (
        "You know little about this subject and are glad of any help. You have time, you write in plain everyday words, "
        "and you tend to believe what you are told."
    ),
    "learner": (
        "You know little about this subject but want to understand it. You have time, you ask why, and you do not settle on "
        "an answer before the explanation makes sense to you."
    ),
    "hurried": (
        "You know a bit about this subject and have hardly any time. You write a few words, without greetings or care for "
        "spelling, and take the first answer that you get."
    ),
    "skeptic": (
        "You know a bit about this subject and have been misled before. You take your time, question what sounds too sure, "
        "and ask for a check before you accept an answer."
    ),
    "expert": (
        "You know this subject well and are only unsure of one point. You are short and precise, ask for exactly that point, "
        "and notice when a reply contains a mistake."
    ),
    "overconfident": (
        "You know a bit about this subject and think that you know more. You say what you believe, want to hear that it is "
        "right, and have little patience with long explanations."
    ),
}
"""What each of them is told about itself."""


@dataclass(frozen=True, slots=True)
class Persona:
    """A person: its name in transcripts (a text of one's own is its own name), and what it is told about itself."""

    name: str
    text: str


NOBODY = Persona("", "")
"""A user that is told nothing about itself."""


def draw_persona(names: Sequence[str], rng: random.Random) -> Persona:
    """One of the people, each as likely as the others.

    Args:
        names: Names of the set, `any` for all of them, or texts of one's own.
        rng: Draws; it is not used where there is nothing to choose.
    """
    people = people_of(names)
    return people[0] if len(people) == 1 else rng.choice(people)


def people_of(names: Sequence[str]) -> list[Persona]:
    """The people whom names, `any` or texts stand for; nobody in particular for none, so there is always at least one."""
    known = [name for given in names for name in (PERSONAS if given == ANY else [given])]
    return [Persona(name, PERSONAS.get(name, name)) for name in known] or [NOBODY]
