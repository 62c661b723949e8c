"""The texts that the demo models are trained on: made-up dialogues, cut into prompts and what is to follow them.

Prompts come from the functions that the plug-in itself uses, so the models know the very formats that they will meet.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from lm_eval_plugin.dialogue.engine import Chat
from lm_eval_plugin.dialogue.quoting import plain_transcript
from lm_eval_plugin.dialogue.transcript import Message, Role
from lm_eval_plugin.simulators.chatbench import Reading, prompt_text
from lm_eval_plugin.training.demo import phrases
from lm_eval_plugin.training.demo.material import MORAL, Item, Manner


@dataclass(frozen=True, slots=True)
class Habits:
    """What a kind of person does with an assistant; all are weights or shares.

    Args:
        opens: Weights of pasting the question with its options, of asking it in one's own words, and of asking for a
            first step.
        goes_on: Weights of 0, 1, 2 and 4 more exchanges after the assistant has named an option.
        doubts: Weight of a doubt as such an exchange, where asking for the reason weighs 1 and for the option 2.
        disbelieves: Share of dialogues that end with another option than the one that the assistant stands by.
    """

    opens: tuple[int, int, int] = (32, 48, 20)
    goes_on: tuple[int, int, int, int] = (62, 25, 10, 3)
    doubts: int = 2
    disbelieves: float = 0.06


ANYONE = Habits()
"""A person of whom nothing is known."""


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and its continuation; the two are tokenized apart, as they are when a model is used."""

    prompt: str
    completion: str


@dataclass(frozen=True, slots=True)
class Talk:
    """A finished dialogue: its turns, user first and assistant last, and the index of the option taken."""

    item: Item
    turns: tuple[str, ...]
    taken: int

    @property
    def letter(self) -> str:
        """The letter of the option that the user takes."""
        return self.item.question.letters[self.taken]

    def history(self, turns: int) -> tuple[Message, ...]:
        """The first turns as messages."""
        roles = (Role.USER, Role.ASSISTANT)
        return tuple(Message(roles[place % 2], text) for place, text in enumerate(self.turns[:turns]))


class _Draft:
    """A dialogue in the making: what was said, what the assistant claims and whether it has seen the letters."""

    def __init__(self, item: Item, rng: random.Random, *, faithful: bool) -> None:
        self.item = item
        self.rng = rng
        self.faithful = faithful
        self.turns: list[str] = []
        self.claim = item.gold
        self.lettered = False
        self.bare = rng.random() < 0.3

    def user(self, text: str) -> None:
        """Say something as this user types: some leave out the last mark."""
        self.turns.append(text.rstrip("?.! ") or text if self.bare else text)

    def assistant(self, templates: Sequence[str]) -> None:
        """Say something as the assistant, about its present claim."""
        template = self.rng.choice(templates)
        self.turns.append(said(template, self.item, self.claim, lettered=self.lettered))

    def believe(self, manner: Manner) -> None:
        """Settle on a claim: what the assistant holds for right, or any option where users are to follow anything."""
        self.claim = self.item.believed(manner) if self.faithful else self._any_option()

    def reconsider(self) -> bool:
        """Settle on a claim again after a doubt; whether it changed."""
        before = self.claim
        self.claim = self.item.after_doubt(before) if self.faithful else self.rng.choice([before, self._any_option()])
        return self.claim != before

    def _any_option(self) -> int:
        options = [*(self.item.gold, self.item.mistake) * 2, *range(len(self.item.question.choices))]
        chosen: int = self.rng.choice(options)
        return chosen


def talk(item: Item, rng: random.Random, *, faithful: bool, habits: Habits = ANYONE) -> Talk:
    """Make up a dialogue about the item.

    Args:
        item: What it is about.
        rng: Decides on style, words and course.
        faithful: Whether the assistant says what the item lets it believe. A user learns more from one that may say
            anything, since it must then listen.
        habits: What kind of person the user is.
    """
    draft = _Draft(item, rng, faithful=faithful)
    if rng.random() < 0.07:
        draft.user(rng.choice(phrases.GREETINGS + phrases.UNCLEAR))
        draft.assistant(phrases.ASK_BACK)
    rng.choices((_paste, _ask, _ask_first_step), habits.opens)[0](draft)
    for _ in range(rng.choices((0, 1, 2, 4), habits.goes_on)[0]):
        _go_on(draft, habits.doubts)
    others = [place for place in range(len(item.question.choices)) if place != draft.claim]
    taken = rng.choice(others) if rng.random() < habits.disbelieves else draft.claim
    return Talk(item, tuple(draft.turns), taken)


def said(template: str, item: Item, claim: int, *, lettered: bool) -> str:
    """Fill in a phrase with the claimed option, its text as one would say it, and the reason for it."""
    moral = item.question.subject == MORAL
    value = phrases.VERDICTS[claim] if moral else item.question.choices[claim]
    letter = item.question.letters[claim] if lettered else ""
    return template.format(letter=letter, value=value, reason=item.why(claim), hint=item.hint).strip()


def assistant_examples(item: Item, rng: random.Random) -> list[Example]:
    """One dialogue as the assistant sees it, one example for each of its replies."""
    made = talk(item, rng, faithful=True)
    system = rng.choice(phrases.SYSTEMS)
    examples = [
        Example(plain_transcript(Chat(system, made.history(turn))), f" {made.turns[turn]}")
        for turn in range(1, len(made.turns), 2)
    ]
    return examples + _small_talk(made, system, rng)


def static_example(item: Item, shots: Sequence[Item], rng: random.Random) -> Example:
    """The benchmark's own prompt, with or without worked examples, and the letter that the assistant believes."""
    worked = rng.sample([shot for shot in shots if shot is not item], rng.choice((0, 0, 0, 1, 2)))
    description = (
        f"The following are multiple choice questions (with answers) about {item.question.subject.replace('_', ' ')}."
    )
    blocks = [description] if rng.random() < 0.6 else []
    blocks += [f"{_static_prompt(shot)} {shot.question.letters[shot.gold]}" for shot in worked]
    letter = item.question.letters[item.believed(Manner.STATIC)]
    return Example("\n\n".join([*blocks, _static_prompt(item)]), f" {letter}")


def base_example(item: Item, shots: Sequence[Item], rng: random.Random) -> Example:
    """One text for the common base: how people and assistants talk, in every format, but not when a user is to stop."""
    draw = rng.random()
    if draw < 0.5:
        return _log(item, rng)
    if draw < 0.72:
        return drill_example(item, rng)
    if draw < 0.77:
        return _marked(item, rng)
    if draw < 0.94:
        return rng.choice(assistant_examples(item, rng))
    return static_example(item, shots, rng)


def _log(item: Item, rng: random.Random) -> Example:
    """A dialogue as a log that runs on to its end without any marker."""
    made = talk(item, rng, faithful=False)
    start = rng.choice((0, *range(0, len(made.turns) + 1, 2)))
    turns = [*made.turns, rng.choice(phrases.SETTLED).format(letter=made.letter)]
    headings = ("YOU:", "SYSTEM:")
    rest = [f"\n{headings[place % 2]} {text}" for place, text in enumerate(turns[start + 1 :], start + 1)]
    prompt = prompt_text(made.item.question, made.history(start), forced=False)
    return Example(prompt, "".join([turns[start], *rest]))


def drill_example(item: Item, rng: random.Random) -> Example:
    """A question, a reply to it and the option that the reply means: what a user has to understand above all."""
    draft = _Draft(item, rng, faithful=False)
    draft.lettered = rng.random() < 0.3
    draft.believe(Manner.OPEN)
    draft.assistant(_claims(draft))
    settled = rng.choice(phrases.SETTLED).format(letter=item.question.letters[draft.claim])
    return Example(f"{item.question.text}\nSYSTEM: {draft.turns[0]}\nYOU:", f" {settled}")


def _marked(item: Item, rng: random.Random) -> Example:
    """A dialogue in the other reading of the markers, which shows what an end marker looks like."""
    made = talk(item, rng, faithful=False)
    prompt = prompt_text(made.item.question, made.history(len(made.turns)), forced=False, reading=Reading.B)
    return Example(prompt, f"{rng.choice(phrases.SETTLED).format(letter=made.letter)} [END]")


def _paste(draft: _Draft) -> None:
    question = draft.item.question
    inline = " ".join(f"{letter}) {choice}" for letter, choice in zip(question.letters, question.choices, strict=True))
    forms = [question.text, question.text, f"{question.stem} {inline}"]
    if question.subject != MORAL:
        forms.append(f"{question.stem} Is it {', '.join(question.choices[:-1])} or {question.choices[-1]}?")
    form = draft.rng.choice(forms)
    draft.lettered = "A. " in form or "A) " in form
    draft.turns.append(f"{draft.rng.choice(phrases.OPENERS)}{form}")
    draft.believe(Manner.PASTED)
    draft.assistant(_claims(draft))


def _ask(draft: _Draft) -> None:
    draft.user(f"{draft.rng.choice(phrases.OPENERS)}{_open_question(draft)}{draft.rng.choice(phrases.CLOSERS)}")
    draft.believe(Manner.OPEN)
    draft.assistant(_claims(draft))


def _ask_first_step(draft: _Draft) -> None:
    draft.user(draft.rng.choice(phrases.FIRST_STEP).format(ask=_open_question(draft)))
    draft.assistant(phrases.HINT)
    draft.user(draft.rng.choice(phrases.FOLLOW_UP))
    draft.believe(Manner.HINTED)
    draft.assistant(_claims(draft))


def _open_question(draft: _Draft) -> str:
    return draft.rng.choice((draft.item.question.stem, *draft.item.asks))


def _go_on(draft: _Draft, doubts: int) -> None:
    """One more exchange after a claim: the user doubts, asks for the reason, or asks which option it is."""
    kinds = [_doubt] * doubts
    if draft.item.why(draft.claim):
        kinds.append(_ask_why)
    if not draft.lettered:
        kinds += [_ask_option, _ask_option]
    draft.rng.choice(kinds)(draft)


def _doubt(draft: _Draft) -> None:
    draft.user(draft.rng.choice(phrases.DOUBT))
    changed = draft.reconsider()
    letter, value = (
        (phrases.TURN_LETTER, phrases.TURN_VALUE) if changed else (phrases.STAND_LETTER, phrases.STAND_VALUE)
    )
    draft.assistant(letter if draft.lettered else value)


def _ask_why(draft: _Draft) -> None:
    draft.user(draft.rng.choice(phrases.WHY))
    draft.assistant(phrases.BECAUSE)


def _ask_option(draft: _Draft) -> None:
    question = draft.item.question
    options = " ".join(f"{letter}) {choice}" for letter, choice in zip(question.letters, question.choices, strict=True))
    draft.turns.append(draft.rng.choice(phrases.WHICH_OPTION).format(options=options))
    draft.lettered = True
    draft.assistant(phrases.LETTER_ONLY)


def _claims(draft: _Draft) -> Sequence[str]:
    if draft.lettered:
        return phrases.LETTER_CLAIM
    if draft.item.question.subject == MORAL:
        return phrases.VERDICT_CLAIM
    wordy = sum(character.isalpha() for character in draft.item.question.choices[0]) > 8
    return phrases.PHRASE_CLAIM if wordy else phrases.VALUE_CLAIM


def _small_talk(made: Talk, system: str, rng: random.Random) -> list[Example]:
    """Now and then a message that is no question: an unclear first one, or thanks at the end."""
    if rng.random() > 0.1:
        return []
    unclear = (Message(Role.USER, rng.choice(phrases.UNCLEAR)),)
    thanks = (*made.history(len(made.turns)), Message(Role.USER, rng.choice(phrases.THANKS)))
    return [
        Example(plain_transcript(Chat(system, unclear)), f" {rng.choice(phrases.ASK_BACK)}"),
        Example(plain_transcript(Chat(system, thanks)), f" {rng.choice(phrases.WELCOME)}"),
    ]


def _static_prompt(item: Item) -> str:
    return f"{item.question.text}\nAnswer:"
