"""A user without a model: opens in one of a few ways and accepts what the assistant names.

| habit | what it does |
|---|---|
| `pastes_all` | opens with the stem and the options (the default) |
| `pastes_stem` | opens with the stem alone |
| `paraphrases` | opens with the question and its options in a sentence of its own, drawn from the dialogue's seed |
| `doubts_once` | questions the first option that is named, once, and accepts what is named next |
| `gives_up` | leaves without an answer when a reply names no option, instead of asking once more |
| `asks_once` | leaves without an answer after the first reply, whatever it says: a static question in free text |

One opening and any of the others can be combined.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass

from lm_eval_plugin.answers.final_answer import FinalAnswer
from lm_eval_plugin.answers.supported_option import named_option
from lm_eval_plugin.dialogue.engine import Ask, Failure, Reply
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import Message, Role
from lm_eval_plugin.simulators.loop import Situation, Turn

OPENINGS = ("pastes_all", "pastes_stem", "paraphrases")
HABITS = (*OPENINGS, "doubts_once", "gives_up", "asks_once")

_PARAPHRASES = (
    "hey, can you help me with something? {stem}\nit could be {options}",
    "I have to pick one of these: {options}.\nThe question was: {stem}",
    "quick one for you. {stem} I'm torn between {options}",
    "Could you explain this to me? {stem}\nThe choices are {options}.",
)
_DOUBT = "Are you sure that it is {letter}? Please check it once more and name one letter."


@dataclass(frozen=True, slots=True)
class ScriptedUser:
    """The user of a benchmark typed into a chat window: deterministic, so a baseline and a test double.

    It accepts the option that a reply names, asks once to confirm when the reply names none or several, and gives up when
    the reply to that does not either.

    Args:
        label: Names the policy in transcripts.
        habits: How it does so; names of `HABITS`, of which at most one opening.
    """

    label: str = "scripted"
    habits: tuple[str, ...] = ()

    @property
    def guarded(self) -> bool:
        """Whether guardrails watch its turns."""
        return False

    def turn(
        self, situation: Situation, history: tuple[Message, ...], *, forced: bool
    ) -> Generator[Ask, Reply | Failure, Turn]:
        """Take the next turn; it never asks a model, and chance decides on a paraphrase alone."""
        yield from ()
        question = situation.question
        if not history:
            return Turn(_says(self._opening(situation)))
        if "asks_once" in self.habits:
            return Turn(None)
        letter = named_option(history[-1].content, question)
        said = {message.content for message in history if message.role is Role.USER}
        doubts = _doubts(question)
        if letter is not None and "doubts_once" in self.habits and not forced and not said & set(doubts.values()):
            return Turn(_says(doubts[letter]))
        return take_named(letter, question, leave=forced or "gives_up" in self.habits or _which(question) in said)

    def _opening(self, situation: Situation) -> str:
        question = situation.question
        if "pastes_stem" in self.habits:
            return question.stem
        if "paraphrases" in self.habits:
            options = f"{', '.join(question.choices[:-1])} or {question.choices[-1]}"
            return situation.rng.choice(_PARAPHRASES).format(stem=question.stem, options=options)
        return question.text


def take_named(letter: str | None, question: Question, *, leave: bool) -> Turn:
    """Accept the option that a reply names; without one ask which it is, or leave without an answer."""
    if letter is not None:
        return Turn(_says(f"Answer: {letter}"), FinalAnswer(letter))
    return Turn(None) if leave else Turn(_says(_which(question)))


def _which(question: Question) -> str:
    return f"Which option is right: {question.letter_choice}? Please name one letter."


def _doubts(question: Question) -> Mapping[str, str]:
    return {letter: _DOUBT.format(letter=letter) for letter in question.letters}


def _says(text: str) -> Message:
    return Message(Role.USER, text)
