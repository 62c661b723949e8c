"""A user without a model that says what it wants to know bit by bit: sentence after sentence, then option after option.

Source: Laban et al. 2025, Lost in Conversation (arXiv 2505.06120), where a prompt is cut into shards that are revealed turn
by turn. Deviations: the shards are the stem's sentences and the options in their own order, not rewritten by a model, so
the first need not be the request; where there are more of them than turns, neighbours are joined; the user does not stop at
the first right answer, since nobody here knows it, but takes the option that is named once everything has been said.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from itertools import pairwise

from lm_eval_plugin.answers.supported_option import named_option
from lm_eval_plugin.dialogue.engine import Ask, Failure, Reply
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import Message, Role
from lm_eval_plugin.simulators.loop import Situation, Turn
from lm_eval_plugin.simulators.scripted import take_named

_SENTENCE_END = re.compile(r"(?:(?<=[.!?])|(?<=[.!?][\"')\]]))\s+(?=[\"'(\[]?[A-Z0-9])|\n+")


@dataclass(frozen=True, slots=True)
class ShardedUser:
    """The user of Lost in Conversation: deterministic, and the same whatever the assistant says before the end.

    It accepts the option that the reply to its last shard names, asks once more when that names none or several, and gives
    up when the next reply does not either.

    Args:
        label: Names the policy in transcripts.
        turns: In how many messages the question is told at most, from 1.
    """

    label: str = "sharded"
    turns: int = 9

    @property
    def guarded(self) -> bool:
        """Whether guardrails watch its turns."""
        return False

    def turn(
        self, situation: Situation, history: tuple[Message, ...], *, forced: bool
    ) -> Generator[Ask, Reply | Failure, Turn]:
        """Take the next turn; it never asks a model and makes no random choice."""
        yield from ()
        told = shards(situation.question, self.turns)
        turns = sum(message.role is Role.USER for message in history)
        if turns < len(told) and not forced:
            return Turn(Message(Role.USER, told[turns]))
        letter = named_option(history[-1].content, situation.question)
        return take_named(letter, situation.question, leave=forced or turns > len(told))


def shards(question: Question, most: int) -> list[str]:
    """The question in 1 to `most` pieces, in its own order: the sentences of its stem, then its options."""
    sentences = [sentence.strip() for sentence in _SENTENCE_END.split(question.stem) if sentence.strip()]
    pieces = [*sentences, *(f"Option {line}" for line in question.options.split("\n"))]
    count = min(len(pieces), most)
    bounds = [len(pieces) * place // count for place in range(count + 1)]
    return ["\n".join(pieces[start:end]) for start, end in pairwise(bounds)]
