"""The fine-tuned user of ChatBench: a causal language model that continues the format of the released model cards.

    [SYSTEM] <who you are, and the question>

    <the conversation so far>

    [USER]

The model writes the user's next message and `[END]`. The markers are plain text, not tokens of the vocabulary.

Source: the model cards of microsoft/chatbench-distilgpt2, -llama3-8b and -mistral-7b for the markers; interactive-eval @
a90f773 for the Two-Step prompts that they are believed to hold. Deviations: the wording of the prompts is this project's
own, since the cards do not print theirs; how the cards mark assistant turns is not documented, so both readings that
fit them can be chosen; persona and private thoughts are not part of what the weights were trained on.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum

from lm_eval_plugin.answers.final_answer import ANSWER_HEAD, behind_head, final_answer
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.quoting import break_tokens
from lm_eval_plugin.dialogue.transcript import Message, Role
from lm_eval_plugin.simulators import two_step
from lm_eval_plugin.simulators.answering_alone import alone_request, alone_text
from lm_eval_plugin.simulators.cleaning import clean
from lm_eval_plugin.simulators.loop import Situation
from lm_eval_plugin.simulators.model_user import THINK, THOUGHTS, Aim, Draft

STOPS = ("[END]", "[USER]", "[SYSTEM]", "[ASSISTANT]")
"""Where the user's message ends: its own end marker, or the start of anyone's turn."""

_MARKERS = {Role.USER: "[USER]", Role.ASSISTANT: "[ASSISTANT]"}


class Reading(str, Enum):
    """How the conversation stands in the prompt; the cards leave it open.

    A: as text between two rules of `=`, each turn headed `YOU:` or `SYSTEM:`, with an instruction behind it (Two-Step).
    B: as the chat itself, each turn behind a marker of its role and closed by `[END]`.
    """

    A = "A"
    B = "B"


@dataclass(frozen=True, slots=True)
class ChatbenchFormat:
    """The wording of the released weights, which continue a text."""

    reading: Reading = Reading.A

    def prompt(self, situation: Situation, history: tuple[Message, ...], aim: Aim, thoughts: str) -> str:
        """The text that the user's model continues with the user's next message."""
        if aim is Aim.ALONE:
            alone = _unmarked(alone_text(situation, two_step.harmless))
            return f"[SYSTEM] {alone}\n\n{alone_request(situation.question)}\n\n[USER] {ANSWER_HEAD}"
        person = _unmarked(two_step.person_text(situation))
        if self.reading is Reading.A:
            request = _unmarked(two_step.request_text(situation.question, history, aim, thoughts))
            return f"[SYSTEM] {person}\n\n{request}\n\n[USER] "
        told = THINK if aim is Aim.THINK else two_step.next_text(situation.question)
        thought = [_unmarked(THOUGHTS.format(thoughts=two_step.harmless(thoughts)))] if thoughts else []
        turns = [f"{_MARKERS[turn.role]} {_unmarked(two_step.harmless(turn.content))} [END]" for turn in history]
        head = "\n\n".join([f"[SYSTEM] {person}", *thought, told])
        return "\n\n".join([head, *turns, f"[USER] {ANSWER_HEAD if aim is Aim.ANSWER else ''}"])

    def read(self, text: str, situation: Situation, history: tuple[Message, ...], aim: Aim) -> Draft:
        """The message, which is the answer where there has been a reply and it reads `Answer: X`."""
        cleaned, marker = clean(text.split(STOPS[0], 1)[0], STOPS[1:])
        question = situation.question
        if aim is Aim.ANSWER and self.reading is Reading.B:
            cleaned = behind_head(cleaned, question)
        return Draft(cleaned, final_answer(cleaned, question) if history else None, marker)


def prompt_text(
    question: Question, history: tuple[Message, ...], *, forced: bool = False, reading: Reading = Reading.A
) -> str:
    """What the weights are trained to continue: the prompt of a user that is nobody in particular.

    Args:
        question: The question that the user brings.
        history: The conversation so far.
        forced: Whether the message must be the answer.
        reading: Where the conversation stands in the prompt.
    """
    aim = Aim.ANSWER if forced else Aim.SPEAK
    return ChatbenchFormat(reading).prompt(Situation(question, random.Random(0)), history, aim, "")


def _unmarked(text: str) -> str:
    """The text with nothing in it that could pass for a marker."""
    return break_tokens(text, STOPS)
