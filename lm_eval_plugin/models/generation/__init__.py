"""What a participant with a model needs of a backend: replies to many prompts at once, each with a seed of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lm_eval_plugin.dialogue.engine import Conversation


@dataclass(frozen=True, slots=True)
class Prompted:
    """A prompt that fits into the model's window.

    Args:
        text: What the model continues; for a chat API, the wrapper around its messages that its template makes.
        seed: Of what is sampled for it, from 0 to 2**64 - 1; it belongs to one turn of one dialogue.
        conversation: The dialogue that it is of, for which the model may keep what it computed; None outside of one.
        ids: The text in the model's tokens, where they are known.
    """

    text: str
    seed: int
    conversation: Conversation | None = None
    ids: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Generated:
    """What a model wrote for a prompt.

    Args:
        text: It, up to where it was stopped.
        seconds: Wall time in which it was produced.
        batch: How many texts were produced at a time meanwhile, itself included, so that each bears its share of the time:
            the harmonic mean over these seconds.
        reasoning: What the model thought before, where the backend tells it apart.
    """

    text: str
    seconds: float
    batch: float
    reasoning: str = ""


class Generation(Protocol):
    """One way to have a model generate."""

    @property
    def seeded(self) -> bool:
        """Whether what is sampled for a prompt depends on the prompt and its seed alone."""
        ...

    def generate(self, prompts: Sequence[Prompted], gen_kwargs: Mapping[str, Any]) -> Sequence[Generated | None]:
        """Generate for B prompts, in their order; None for one that got no reply.

        Args:
            prompts: B prompts.
            gen_kwargs: As the host's `generate_until` takes them.
        """
        ...
