import pytest
from doubles import PRODUCT, hold, said, saying
from users import EVIL, IN_DIALOGUE, MODEL, history, in_turn, plain_structure, situation, user_of

from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.quoting import plain_transcript
from lm_eval_plugin.dialogue.transcript import Event, Role, StopReason
from lm_eval_plugin.simulators.model_user import Aim
from lm_eval_plugin.simulators.userlm import STOPS, UserLM

TALK = history("7 x 8?", "It is 56.")
every_evil = pytest.mark.parametrize("evil", EVIL, ids=lambda text: repr(text[:30]))
every_aim = pytest.mark.parametrize("aim", IN_DIALOGUE)


def prompt(turns=(), aim=Aim.SPEAK, thoughts="", persona="", question=PRODUCT):
    return UserLM().prompt(situation(question, persona), turns, aim, thoughts)


def talk(*lines, **settings):
    return hold(in_turn(*lines), saying("56.", "Yes."), simulator=user_of({"policy": "userlm", **MODEL}), **settings)


# The prompt


def test_intent_is_the_system_message_with_question_and_form_of_the_answer():
    system = prompt().system
    assert system.startswith("You are a user who wants to find out")
    assert PRODUCT.text in system
    assert 'you say "Answer: A, B, C or D"' in system


@every_aim
def test_conversation_stands_in_its_real_roles_and_the_user_is_to_speak(aim):
    shown = prompt(TALK, aim)
    assert shown.messages == TALK
    assert shown.speaker is Role.USER


def test_forced_message_is_begun_and_no_other():
    assert [prompt(TALK, aim).prefill for aim in IN_DIALOGUE] == ["", "", "Answer:"]


def test_persona_and_thoughts_and_the_ask_for_them_stand_in_the_intent():
    system = prompt(TALK, Aim.SPEAK, "56 is B.", "You teach.").system
    assert "About you: You teach." in system
    assert "which the AI system does not see: 56 is B." in system
    assert "Nobody will see this" in prompt(TALK, Aim.THINK).system
    assert "Nobody will see this" not in system


def test_plain_transcript_ends_with_the_users_heading_and_what_is_begun():
    assert plain_transcript(prompt(TALK)).endswith("\n\nUser: 7 x 8?\n\nAssistant: It is 56.\n\nUser:")
    assert plain_transcript(prompt(TALK, Aim.ANSWER)).endswith("\n\nUser: Answer:")


@every_evil
def test_hostile_conversation_forges_no_turn(evil):
    assert plain_structure(prompt(history(evil, evil))) == ["User:", "Assistant:", "User:"]
    assert [message.role for message in prompt(history(evil, evil)).messages] == [Role.USER, Role.ASSISTANT]


@every_evil
@pytest.mark.parametrize("place", ["question", "persona", "thoughts"])
def test_hostile_text_of_the_intent_forges_no_turn_in_a_plain_transcript(evil, place):
    hostile = Question("q", "s", f"What?\n{evil}", ("yes", evil))
    shown = prompt(TALK, **{place: hostile if place == "question" else evil})
    assert plain_structure(shown) == ["User:", "Assistant:", "User:"]


# What is read


@pytest.mark.parametrize("stop", STOPS)
def test_message_ends_at_either_end_token_and_what_follows_is_no_event(stop):
    held = talk(f"7 x 8?{stop}Answer: C", f"Answer: B{stop}{stop}")
    assert said(held) == ["7 x 8?", "56.", "Answer: B"]
    assert held.events == {}


@pytest.mark.parametrize("end", ["<|endconversation|>", "", " ", "<|eot_id|>", "\n<|endconversation|><|eot_id|>Bye"])
def test_end_of_the_conversation_is_followed_by_one_ask_for_the_answer(end):
    user = in_turn("7 x 8?", end, " B")
    held = hold(user, saying("56."), simulator=user_of({"policy": "userlm", **MODEL}))
    assert [shown.prefill for shown in user.shown] == ["", "", "Answer:"]
    assert (held.stop_reason, held.answer) == (StopReason.FORCED, "B")
    assert said(held)[-1] == "Answer: B"


def test_end_of_the_conversation_without_an_answer_is_asked_again_in_the_same_form():
    user = in_turn("7 x 8?", "", "", "", "C")
    held = hold(user, saying("56."), simulator=user_of({"policy": "userlm", **MODEL}))
    assert [shown.prefill for shown in user.shown] == ["", "", "Answer:", "Answer:", "Answer:"]
    assert (held.answer, held.events) == ("C", {Event.EMPTY: 2})


def test_end_before_anything_was_said_is_the_event_empty():
    held = talk("", "", "")
    assert (held.stop_reason, held.messages, held.events) == (StopReason.NO_ANSWER, (), {Event.EMPTY: 3})


@pytest.mark.parametrize(
    ("text", "message", "answer"),
    [
        ("B", "Answer: B", "B"),
        ("Answer: B", "Answer: B", "B"),
        ("(c) 58", "Answer: (c) 58", "C"),
        ("b", "Answer: b", "B"),
    ],
)
def test_forced_message_goes_on_behind_the_begun_answer(text, message, answer):
    held = talk("7 x 8?", text, max_turns=1)
    assert (said(held)[-1], held.answer, held.stop_reason) == (message, answer, StopReason.FORCED)


def test_letter_alone_is_no_answer_as_long_as_none_is_begun():
    assert said(talk("7 x 8?", "B", "Answer: C")) == ["7 x 8?", "56.", "B", "Yes.", "Answer: C"]
