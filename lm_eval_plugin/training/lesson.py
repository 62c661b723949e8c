"""What a recipe makes of a release: the examples of both sides of the split."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from lm_eval_plugin.chatbench_data.release import Release
from lm_eval_plugin.chatbench_data.splits import split_questions
from lm_eval_plugin.training.examples import Example, examples
from lm_eval_plugin.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Lesson:
    """The examples, as strings.

    Args:
        train: Those to learn from.
        held_out: Those to measure with.
        counts: Of questions, and of conversations that could and could not be used.
    """

    train: list[Example]
    held_out: list[Example]
    counts: dict[str, int]

    @property
    def sha256(self) -> str:
        """Names all of their texts."""
        texts = [[example.prompt, example.completion] for example in (*self.train, *self.held_out)]
        return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def lesson_of(release: Release, recipe: Recipe) -> Lesson:
    """The examples of a release.

    Raises:
        ConfigError: The release cannot be read, or one side of the split is empty.
    """
    split = split_questions(release.questions, recipe.split, recipe.held_out_percent)
    train, held_out = (
        examples(release.conversations, release.questions, side, recipe.prompt_reading, recipe.forced_share)
        for side in (split.train, split.held_out)
    )
    counts = {
        "train_questions": len(split.train),
        "held_out_questions": len(split.held_out),
        "conversations": len(release.conversations),
        "unusable": len(release.problems),
    }
    return Lesson(train, held_out, counts)
