"""A request for the dialogues of one question, in the form in which it travels through the host.

The host hands requests on as `Instance.arguments`: a text, then whatever JSON can hold. The text is the question as a
person would read it; the rest is everything that the dialogues depend on, so a request is the whole truth about them.
"""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import asdict, dataclass
from typing import Any

from lm_eval_plugin.border.masking import conceal, reveal
from lm_eval_plugin.border.text_border import REPLACEMENT, encodable
from lm_eval_plugin.config.dialogue import DialogueConfig
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.simulators.personas import Persona, draw_persona

DEFAULT_SYSTEM = "You are a helpful assistant."
"""The assistant's system message where the user of the harness gives none."""


@dataclass(frozen=True, slots=True)
class DialogueRequest:
    """The dialogues to hold about a question.

    Args:
        question: What the user brings.
        dialogue: How the dialogues are held.
        system: The assistant's system message.
        chat_template: Whether the assistant is prompted through its chat template.
        seed: The run's seed, from which each dialogue's own is derived.
    """

    question: Question
    dialogue: DialogueConfig
    system: str = DEFAULT_SYSTEM
    chat_template: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Let the system message pass the border, as question and configuration have."""
        object.__setattr__(self, "system", encodable(self.system))

    @property
    def text_replaced(self) -> bool:
        """Whether something that could not be read stands in what it brings from outside."""
        brought = (self.question.text, self.system, self.persona().text)
        return any(REPLACEMENT in text for text in brought)

    def to_arguments(self) -> tuple[str, dict[str, Any]]:
        """The request as the host carries it, and writes it into every sample: without what is secret in it."""
        settings = {
            "question": asdict(self.question) | {"choices": list(self.question.choices)},
            "dialogue": conceal(self.dialogue.model_dump(mode="json")),
            "system": self.system,
            "chat_template": self.chat_template,
            "seed": self.seed,
        }
        return self.question.text, settings

    @classmethod
    def from_arguments(cls, arguments: tuple[str, dict[str, Any]]) -> DialogueRequest:
        """Read back what `to_arguments` made."""
        settings = arguments[1]
        question = settings["question"]
        return cls(
            question=Question(**{**question, "choices": tuple(question["choices"])}),
            dialogue=DialogueConfig.model_validate(reveal(settings["dialogue"])),
            system=settings["system"],
            chat_template=settings["chat_template"],
            seed=settings["seed"],
        )

    def settings_key(self) -> str:
        """Equal for requests that differ in nothing but the question, and so can be held together."""
        settings = {key: entry for key, entry in self.to_arguments()[1].items() if key != "question"}
        return json.dumps(settings, sort_keys=True)

    def persona(self) -> Persona:
        """Who the user is in this question's dialogues: the same in every repeat, drawn from run and question alone."""
        return draw_persona(self.dialogue.persona, random.Random(f"{self.seed}|{self.question.id}|persona"))

    def dialogue_seed(self, repeat: int) -> int:
        """The seed of one of its dialogues, from 0 to 2**32 - 1; it depends on run, question and repeat alone."""
        text = f"{self.seed}|{self.question.id}|{repeat}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
