"""UserLM: a language model that was trained on the user's side of real conversations (microsoft/UserLM-8b).

It sees its intent as the system message and the conversation in its real roles, writes the next *user* turn, and ends
with `<|endconversation|>` (or with nothing, where the tokenizer drops that token).

Source: Naous et al. 2025, arXiv 2510.06552, and the model card: the intent as system message, the turn's end
`<|eot_id|>`, temperature 1.0 and top_p 0.8 as in the card's example (temperature 0.6 and top_p 0.9 are what the checkpoint
stores as defaults). Deviations: UserLM never states an answer by itself, so a message `Answer: X` ends the dialogue here,
the intent says so, and when the model ends the conversation it is asked for its answer once, with `Answer:` already
written, which counts as forced; of the paper's four guardrails, those against repetition and against ending before
anything was said are kept (`simulators.guardrails`), those on first words and on length are not, since their lists and
bounds would be guesses.
"""

from __future__ import annotations

from dataclasses import dataclass

from lm_eval_plugin.answers.final_answer import ANSWER_HEAD, behind_head, final_answer
from lm_eval_plugin.dialogue.engine import Chat, Prompt
from lm_eval_plugin.dialogue.transcript import Message, Role
from lm_eval_plugin.simulators.answering_alone import alone_text, belief_text
from lm_eval_plugin.simulators.cleaning import clean
from lm_eval_plugin.simulators.loop import Situation
from lm_eval_plugin.simulators.model_user import THINK, THOUGHTS, Aim, Draft

END_OF_CONVERSATION = "<|endconversation|>"
STOPS = ("<|eot_id|>", END_OF_CONVERSATION)
"""Where a message ends: the checkpoint's own configuration files do not agree on its end token."""

_INTENT = (
    "You are a user who wants to find out which option answers this question:\n\n{question}\n\n"
    'Once you are convinced of an option you say "Answer: {letters}".'
)


@dataclass(frozen=True, slots=True)
class UserLM:
    """The wording of a model that was trained to be the user."""

    def prompt(self, situation: Situation, history: tuple[Message, ...], aim: Aim, thoughts: str) -> Prompt:
        """The intent, and the conversation with the user's turn to speak."""
        if aim is Aim.ALONE:
            return Chat(alone_text(situation, str), (), speaker=Role.USER, prefill=ANSWER_HEAD)
        question = situation.question
        parts = [_INTENT.format(question=question.text, letters=question.letter_choice)]
        if situation.persona:
            parts.append(f"About you: {situation.persona}")
        if situation.belief:
            parts.append(belief_text(situation))
        if thoughts:
            parts.append(THOUGHTS.format(thoughts=thoughts))
        if aim is Aim.THINK:
            parts.append(THINK)
        prefill = ANSWER_HEAD if aim is Aim.ANSWER else ""
        return Chat("\n\n".join(parts), history, speaker=Role.USER, prefill=prefill)

    def read(self, text: str, situation: Situation, history: tuple[Message, ...], aim: Aim) -> Draft:
        """The message; nothing, or the end token by itself, means that the user considers the conversation over."""
        said, marker = clean(text.split(END_OF_CONVERSATION, 1)[0].split(STOPS[0], 1)[0])
        question = situation.question
        if aim is Aim.ANSWER:
            said = behind_head(said, question)
        answer = final_answer(said, question) if history else None
        return Draft(said, answer, marker, ended=not said and not marker)
