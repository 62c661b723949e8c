import pytest
from doubles import PRODUCT, hold, said, saying
from users import history

from lm_eval_plugin.dialogue.engine import Failure, Reply
from lm_eval_plugin.dialogue.transcript import Message, Role, StopReason
from lm_eval_plugin.simulators.human import HumanUser


def talk(*lines, replies=("It is 56.", "Yes."), **settings):
    return hold(saying(*lines), saying(*replies), simulator=HumanUser(), **settings)


def shown(*lines, **settings):
    person = saying(*lines)
    hold(person, saying("It is 56.", "Yes."), simulator=HumanUser(), **settings)
    return person.shown


def test_person_first_sees_the_question_with_its_options_and_how_to_answer():
    first = shown("hi", "Answer: B")[0]
    assert PRODUCT.text in first
    assert 'write "Answer: A, B, C or D"' in first


def test_person_then_sees_the_last_reply():
    assert shown("hi", "sure?", "Answer: B")[1:] == ["It is 56.", "Yes."]


def test_person_is_told_when_no_message_is_left():
    last = shown("hi", "Answer: B", max_turns=1)[1]
    assert last.startswith("It is 56.")
    assert 'You have no more messages. Write "Answer: A, B, C or D".' in last


def test_typed_text_is_the_message_without_spaces_around_it_and_with_its_time():
    held = talk(Reply("  hi \n", seconds=1.5), "Answer: B")
    assert held.messages[0] == Message(Role.USER, "hi", seconds=1.5)


@pytest.mark.parametrize(("text", "letter"), [("Answer: B", "B"), ("answer: b", "B"), ("ANSWER: (c)", "C")])
def test_answer_in_its_form_ends_the_dialogue(text, letter):
    held = talk("hi", text)
    assert (held.stop_reason, held.answer, said(held)[-1]) == (StopReason.ANSWERED, letter, text)


def test_answer_before_any_reply_is_a_message():
    assert said(talk("Answer: B", "Answer: C")) == ["Answer: B", "It is 56.", "Answer: C"]


@pytest.mark.parametrize("text", ["b", "B", " b "])
def test_lone_letter_is_an_answer_where_one_is_demanded(text):
    held = talk("hi", text, max_turns=1)
    assert (held.stop_reason, held.answer, said(held)[-1]) == (StopReason.FORCED, "B", "Answer: B")


def test_lone_letter_is_a_message_as_long_as_none_is_demanded():
    assert said(talk("hi", "b", "Answer: C"))[2] == "b"


@pytest.mark.parametrize("text", ["e", "ab", "bcd", "no idea"])
def test_other_text_where_an_answer_is_demanded_is_kept_as_typed(text):
    held = talk("hi", text, max_turns=1)
    assert (held.stop_reason, said(held)[-1]) == (StopReason.NO_ANSWER, text)


@pytest.mark.parametrize("lines", [("",), ("hi", "")])
def test_saying_nothing_ends_the_dialogue(lines):
    held = talk(*lines)
    assert held.stop_reason is StopReason.NO_ANSWER
    assert len(held.messages) == 2 * (len(lines) - 1)


def test_failure_ends_the_dialogue_with_its_reason():
    assert talk("hi", Failure(StopReason.MODEL_ERROR)).stop_reason is StopReason.MODEL_ERROR


def test_no_guardrail_watches_a_person():
    held = talk("How can I help you?", "Answer: B")
    assert held.events is None
    assert held.messages[:1] == history("How can I help you?")
