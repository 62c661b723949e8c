"""A multiple-choice question as everyone who talks about it sees it: without the right answer."""

from __future__ import annotations

import string
from dataclasses import dataclass

from lm_eval_plugin.border.text_border import all_encodable

LETTERS = string.ascii_uppercase
"""The option letters, in order; a question has at most as many options as there are letters."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question and its options; the right answer is not part of it, so no participant of a dialogue can see it.

    Args:
        id: Names the question across runs, whatever its place in the data set.
        subject: The task or subject that it belongs to, for messages to people.
        stem: The question itself, without its options.
        choices: The texts of the options, 2 to 26 of them.

    Raises:
        ValueError: The stem or a choice is empty or not a text, or there are too few or too many choices.
    """

    id: str
    subject: str
    stem: str
    choices: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("id", "subject", "stem", "choices"):
            # As with every text from outside; see `text_border`.
            object.__setattr__(self, name, all_encodable(getattr(self, name)))
        if not isinstance(self.stem, str) or not self.stem.strip():
            raise ValueError(f"the question is {self.stem!r}; it must be a text")
        for letter, choice in zip(LETTERS, self.choices, strict=False):
            if not isinstance(choice, str) or not choice.strip():
                raise ValueError(f"option {letter} is {choice!r}; it must be a text")
        if not 2 <= len(self.choices) <= len(LETTERS):
            raise ValueError(f"the question has {len(self.choices)} options; it needs 2 to {len(LETTERS)}")

    @property
    def letters(self) -> str:
        """The letters of its options, such as `ABCD`."""
        return LETTERS[: len(self.choices)]

    @property
    def letter_choice(self) -> str:
        """The letters as a choice, such as `A, B, C or D`."""
        return f"{', '.join(self.letters[:-1])} or {self.letters[-1]}"

    @property
    def options(self) -> str:
        """The options as lines of the form `A. text`."""
        return "\n".join(f"{letter}. {choice}" for letter, choice in zip(self.letters, self.choices, strict=True))

    @property
    def text(self) -> str:
        """The stem and the option lines, as a person would paste them."""
        return f"{self.stem}\n{self.options}"
