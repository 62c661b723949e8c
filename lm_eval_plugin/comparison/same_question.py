"""Which question of one data set is which of another."""

from __future__ import annotations

from lm_eval_plugin.dialogue.question import Question


def question_key(question: Question) -> tuple[str, ...]:
    """What a question is known by in any data set: its words and its options, whatever their order and spaces."""
    return (" ".join(question.stem.split()), *sorted(" ".join(choice.split()) for choice in question.choices))
