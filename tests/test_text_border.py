import json

import pytest
from doubles import PRODUCT, chatbench_user, hold, said, saying
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_plugin.border.text_border import all_encodable, encodable, is_encodable
from lm_eval_plugin.config.dialogue import read_dialogue_block
from lm_eval_plugin.dialogue.engine import Reply, converse, seeded
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import Role, Transcript
from lm_eval_plugin.runner.simulation import simulate
from lm_eval_plugin.simulators.loop import dialogue
from lm_eval_plugin.simulators.personas import NOBODY

HALVES = ["\ud83d", "\udc00", "a\ud83d b", "\udc00\ud83d", "\ud83d\ud83d\ude00"]
ODD = [
    "\0",
    "\ufeffB",
    "a\u202eb\u2066c\u2069",
    "\u0301",
    "\ufffd",
    "\uffff",
    "\U0010ffff",
    "e\u0301\u200b",
    "\x1b[31m",
]
"""Texts that look broken and that UTF-8 holds."""


def seeded_dialogue(user, assistant):
    script = dialogue(
        PRODUCT, chatbench_user(), assistant_system="Help.", max_turns=1, repeat=0, seed=0, persona=NOBODY
    )
    return converse([seeded(script, 0)], {Role.USER: user, Role.ASSISTANT: assistant})[0]


@pytest.mark.parametrize("text", HALVES)
def test_half_of_a_pair_becomes_the_replacement_character(text):
    mended = encodable(text)
    assert is_encodable(mended)
    assert "\ufffd" in mended


def test_two_halves_that_belong_together_become_their_character():
    assert encodable("a\ud83d\ude00b") == "a\U0001f600b"


@given(st.text())
def test_what_can_be_encoded_stays_as_it_is(text):
    assert encodable(text) == text


@given(st.text(st.characters()))
def test_a_mended_text_is_mended(text):
    assert encodable(encodable(text)) == encodable(text)
    assert encodable(text).encode().decode() == encodable(text)


def test_every_text_of_a_value_is_mended_its_keys_too():
    mended = all_encodable({"\ud83d": [("\udc00", 1), {"a": "\ud83d"}, None, 1.5]})
    assert mended == {"\ufffd": [("\ufffd", 1), {"a": "\ufffd"}, None, 1.5]}


@pytest.mark.parametrize("text", HALVES)
def test_reply_says_that_something_in_it_was_replaced(text):
    reply = Reply(text)
    assert is_encodable(reply.text)
    assert reply.replaced


@pytest.mark.parametrize("text", HALVES)
@pytest.mark.parametrize("side", ["user", "assistant"])
def test_transcript_says_that_what_a_participant_said_was_replaced(side, text):
    words = {"user": "Which?", "assistant": "It is B.", side: f"It is {text}."}
    held = seeded_dialogue(saying(words["user"], "Answer: B"), saying(words["assistant"], "B"))
    assert held.text_replaced
    assert json.loads(held.to_json().encode())["text_replaced"] is True
    assert all(map(is_encodable, said(held)))


def test_transcript_of_sound_texts_says_nothing_of_it():
    held = seeded_dialogue(saying("Which?", "Answer: B"), saying("It is B."))
    assert not held.text_replaced
    assert "text_replaced" not in held.to_json()


@pytest.mark.parametrize("text", HALVES)
def test_question_persona_and_system_message_are_mended(text):
    question = Question(f"q{text}", "s", f"Which {text}?", (f"a{text}", "b"))
    shown = []
    held = simulate(question, lambda turns: shown.append(turns) or "B", "scripted", system=f"Be {text}.")
    assert all(is_encodable(turn["content"]) for turns in shown for turn in turns)
    assert held.text_replaced


@pytest.mark.parametrize("text", ODD)
def test_what_merely_looks_broken_goes_through_a_dialogue_and_its_json_unchanged(text):
    held = hold(saying(f"Which {text}?", "Answer: B"), saying(f"It is {text}."), max_turns=1)
    again = Transcript.from_json(held.to_json().encode().decode())
    assert again == held
    assert said(held)[1] == f"It is {text}."
    assert not held.text_replaced


def test_setting_with_half_of_a_pair_is_mended():
    block = {"simulator": {"policy": "chatbench", "model_args": {"pretrained": "gpt\ud83d"}}}
    assert read_dialogue_block(block, "task t").simulator.model_args == {"pretrained": "gpt\ufffd"}
