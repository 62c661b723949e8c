"""What each metric means, in one line, for tables and lists."""

from __future__ import annotations

from collections.abc import Mapping

from lm_eval_plugin.dialogue.transcript import Event

_OF_REPLIES = "of the dialogues in which the assistant supported"
_EVENTS: Mapping[Event, str] = {
    Event.EMPTY: "the simulated user said nothing",
    Event.ECHO: "it said what the assistant had just said",
    Event.REPEAT: "it said again what it had said in its turn before",
    Event.SWAPPED_ROLE: "it spoke as the assistant",
    Event.LEAKED_REASONING: "its message held what it thought or was told to be",
    Event.MARKER: "its message held a piece of its prompt's structure, and was cut off there",
    Event.ANSWER_LEAK: "it stated an option as the answer before the assistant had said anything",
}
"""Each as the share of the dialogues whose user has a model."""

MEANINGS: Mapping[str, str] = {
    "acc": "the user's final answer is right; without a valid answer it is wrong",
    "acc_answered": (
        "the user's final answer is right, of the dialogues that ended with an answer, valid or not: the paper drops the others"
    ),
    "answer_given": "the dialogue ended with an answer, valid or not",
    "acc_static": "the model alone: lm_eval's own score, or what `static` names first",
    "acc_gap": "`acc` - `acc_static`, question by question",
    "flip_gain": "right where the static answer was wrong",
    "flip_loss": "wrong where the static answer was right; `flip_gain` - `flip_loss` is `acc_gap`",
    "acc_user_alone": (
        "the user's own answer, without help, is right, of the dialogues in which it is one of the letters; only with `user_alone` "
        "or `condition: answer_first`, as the next four"
    ),
    "uplift": "`acc` - `acc_user_alone`, dialogue by dialogue: what the conversation is worth to the user",
    "alone_wrong_together_right": (
        "the user ended right, of the dialogues whose user was wrong alone; 54 % of people in the paper. `recovered` speaks of the "
        "assistant's replies instead"
    ),
    "alone_right_together_wrong": (
        "the user ended wrong, of the dialogues whose user was right alone; 10 % of people in the paper. `misled` speaks of the "
        "assistant's replies instead"
    ),
    "valid_user_alone": "the user's own answer is one of the letters; the four before rest on these dialogues alone",
    "answered": "the user accepted an answer by itself",
    "valid": "the final answer is one of the letters",
    "replies_read": (
        "in a reply of the assistant the option that it supports could be read, of the dialogues with a reply; the next three rest "
        "on these alone, and below 0.5 a warning says so"
    ),
    "recovered": f"the user ended right, {_OF_REPLIES} a wrong option first",
    "misled": f"the user ended wrong, {_OF_REPLIES} a right one",
    "followed": "the answer is the option that the assistant supported last, of the dialogues with both",
    "mirrored": "the first message restates the question with its options",
    "user_turns": "messages of the user that were replied to",
    "user_tokens": "tokens of the user's messages",
    "assistant_tokens": "tokens of the assistant's replies",
    "user_words_first": "words of the user's first message",
    "coherence": "a judge's score of how coherent the dialogue is, from 1 to 5; only with `judge`",
    "satisfaction": "a judge's score of how satisfied the user is, from 1 to 5; only with `judge`",
    "judged": "the judge's verdict could be read; only with `judge`",
    "model_error": "a model returned nothing; the dialogue is in no other metric",
    **{f"event_{event.value}": meaning for event, meaning in _EVENTS.items()},
}
"""By metric; of shares, of what."""
