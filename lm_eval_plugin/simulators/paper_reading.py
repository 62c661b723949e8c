"""What a simulated user wrote, read to the letter as the paper's code reads it.

| | the paper | elsewhere here |
|---|---|---|
| around a message | blanks, then double quotes at either end, then one `YOU: ` are taken off | what `cleaning` says |
| an empty message | is sent | ends the dialogue |
| Two-Step's answer | begins with `Answer: `, once there has been a reply | any case, emphasis, brackets |
| IQA-EVAL's answer | the first `So, the answer is: `, anywhere, at any time | the last one |
| its letter | the one character behind that, so `Because` answers B | a letter that stands alone |

Source: interactive-eval @ a90f773.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lm_eval_plugin.answers.final_answer import FinalAnswer
from lm_eval_plugin.dialogue.engine import Prompt
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import Message
from lm_eval_plugin.simulators.loop import Situation
from lm_eval_plugin.simulators.model_user import Aim, Draft, Script

_OWN_NAME = "YOU: "
_ANSWER = "Answer: "
_STATED = "So, the answer is: "

AnswerOf = Callable[[str, tuple[Message, ...]], "str | None"]
"""What stands behind the words of an answer, given a cleaned message and the conversation so far; None for no answer."""


@dataclass(frozen=True, slots=True)
class PaperReading:
    """A script whose wording is another's, and whose reading is the paper's.

    Args:
        script: The wording.
        answer_of: How the answer of its policy is found.
    """

    script: Script
    answer_of: AnswerOf

    def prompt(self, situation: Situation, history: tuple[Message, ...], aim: Aim, thoughts: str) -> Prompt:
        """What the model is shown."""
        return self.script.prompt(situation, history, aim, thoughts)

    def read(self, text: str, situation: Situation, history: tuple[Message, ...], aim: Aim) -> Draft:
        """The message, or the answer."""
        cleaned = text.strip().strip('"').removeprefix(_OWN_NAME)
        behind = self.answer_of(cleaned, history)
        return Draft(cleaned, None if behind is None else FinalAnswer(_letter(behind, situation.question)))


def two_step_answer(cleaned: str, history: tuple[Message, ...]) -> str | None:
    """Two-Step's answer, which nothing may stand before."""
    return cleaned.removeprefix(_ANSWER) if history and cleaned.startswith(_ANSWER) else None


def iqa_answer(cleaned: str, _: tuple[Message, ...]) -> str | None:
    """IQA-EVAL's answer, which may come before any reply."""
    return cleaned.partition(_STATED)[2] if _STATED in cleaned else None


def _letter(behind: str, question: Question) -> str | None:
    return behind[:1] if behind[:1] in question.letters else None
