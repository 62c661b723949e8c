"""From conversations of people to what a simulated user learns from: prompts, and what the person wrote next.

A conversation of k user turns gives k + 1 examples: each of the k messages, and then `Answer: X` with the letter that the
person chose. Prompts are made by the very code that the simulator is prompted by, so training and simulation agree to the
last character.

Source: ChatBench, section on user simulation; the model cards of microsoft/chatbench-* for the end marker.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lm_eval_plugin.answers.final_answer import ANSWER_HEAD
from lm_eval_plugin.chatbench_data.records import HumanConversation, ReleaseQuestion
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.quoting import break_tokens
from lm_eval_plugin.dialogue.transcript import Message, Role
from lm_eval_plugin.simulators.chatbench import STOPS, Reading, prompt_text
from lm_eval_plugin.simulators.two_step import harmless


@dataclass(frozen=True, slots=True)
class Example:
    """One turn of a person.

    Args:
        row: The conversation's place in its file, from 0.
        turn: Which of its user turns this is, from 0; the answer is the last.
        question: What the conversation is about.
        history: What was said before.
        reply: What the person wrote, or `Answer: X`.
        letter: The letter chosen, where this is the answer; None for a message.
        reading: Where the conversation stands in the prompt.
        forced: Whether the answer is demanded, as it is when the user's turns are used up.
    """

    row: int
    turn: int
    question: Question
    history: tuple[Message, ...]
    reply: str
    letter: str | None
    reading: Reading
    forced: bool = False

    @property
    def prompt(self) -> str:
        """What the model is shown, with the whole history."""
        return self.prompt_with(self.history)

    @property
    def completion(self) -> str:
        """What it learns to write: the reply, as a later prompt shows it, and the end marker."""
        # Reading B demands an answer by beginning it.
        begun = ANSWER_HEAD if self.forced and self.reading is Reading.B else ""
        return f"{break_tokens(harmless(self.reply), STOPS).removeprefix(begun)} {STOPS[0]}"

    def prompt_with(self, history: tuple[Message, ...]) -> str:
        """What the model is shown with another history, such as the part of it that fits into a window."""
        return prompt_text(self.question, history, forced=self.forced, reading=self.reading)


def conversation_examples(
    conversation: HumanConversation, question: Question, reading: Reading = Reading.A, *, forced: bool = False
) -> Iterator[Example]:
    """The k + 1 examples of a conversation of k user turns, in their order; `forced` as in the last of them."""
    said = conversation.messages
    places = [place for place, message in enumerate(said) if message.role is Role.USER]
    for turn, place in enumerate(places):
        yield Example(conversation.row, turn, question, said[:place], said[place].content.strip(), None, reading)
    letter = conversation.selected
    yield Example(conversation.row, len(places), question, said, f"{ANSWER_HEAD} {letter}", letter, reading, forced)


def examples(
    conversations: Sequence[HumanConversation],
    questions: Mapping[str, ReleaseQuestion],
    chosen: Iterable[str],
    reading: Reading | str = Reading.A,
    forced_share: float = 0.0,
) -> list[Example]:
    """The examples of all conversations about some questions.

    Args:
        conversations: What people and chatbots said.
        questions: The questions by id.
        chosen: Ids of the questions whose conversations are taken, such as one side of a split.
        reading: Where the conversation stands in the prompt, or its name.
        forced_share: Share of conversations whose answer is demanded, spread over the rows; 0 in the paper.
    """
    wanted = set(chosen)
    rng = random.Random(0)
    forced = {conversation.row: rng.random() < forced_share for conversation in conversations}
    return [
        example
        for conversation in conversations
        if conversation.question_id in wanted
        for example in conversation_examples(
            conversation,
            questions[conversation.question_id].question,
            Reading(reading),
            forced=forced[conversation.row],
        )
    ]
