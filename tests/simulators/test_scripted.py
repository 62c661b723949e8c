import pytest
from doubles import PRODUCT, hold, said, saying

from lm_eval_plugin.question import Question
from lm_eval_plugin.simulators.scripted import ScriptedUser
from lm_eval_plugin.transcript import StopReason

CONFIRM = "Which option is right: A, B, C or D? Please name one letter."


def talk(*replies, **settings):
    return hold(saying(), saying(*replies), simulator=ScriptedUser(), **settings)


def test_first_message_is_the_question_with_its_options():
    assert said(talk("B"))[0] == "What is 7 x 8?\nA. 54\nB. 56\nC. 58\nD. 63"


@pytest.mark.parametrize("reply", ["The answer is B.", "It makes 56.", "B"])
def test_option_that_the_reply_names_is_accepted(reply):
    held = talk(reply)
    assert said(held)[1:] == [reply, "Answer: B"]
    assert (held.stop_reason, held.answer) == (StopReason.ANSWERED, "B")


@pytest.mark.parametrize("unclear", ["Let me see.", "54 or 56", "The answer is not B."])
def test_unclear_reply_is_asked_to_confirm_once(unclear):
    held = talk(unclear, "So B.")
    assert said(held)[1:] == [unclear, CONFIRM, "So B.", "Answer: B"]
    assert (held.stop_reason, held.answer) == (StopReason.ANSWERED, "B")


def test_two_unclear_replies_end_without_an_answer():
    held = talk("Let me see.", "Hard to say.")
    assert said(held)[1:] == ["Let me see.", CONFIRM, "Hard to say."]
    assert (held.stop_reason, held.answer) == (StopReason.NO_ANSWER, None)


@pytest.mark.parametrize(
    ("reply", "stop_reason", "answer"),
    [("B", StopReason.FORCED, "B"), ("Let me see.", StopReason.NO_ANSWER, None)],
)
def test_forced_user_does_not_ask_to_confirm(reply, stop_reason, answer):
    held = talk(reply, max_turns=1)
    assert len(said(held)) == 2 + (answer is not None)
    assert (held.stop_reason, held.answer) == (stop_reason, answer)


def test_only_the_last_reply_counts():
    assert talk("A or B?", "C.").answer == "C"


def test_two_options_are_joined_by_or():
    held = talk("Hm.", "B", question=Question("q", "s", "Is it so?", ("yes", "no")))
    assert said(held)[2] == "Which option is right: A or B? Please name one letter."


def test_user_is_the_same_in_every_dialogue():
    assert talk("Hm.", "B", seed=1).messages == talk("Hm.", "B", seed=2).messages


def test_label_is_that_of_the_preset():
    assert talk("B").simulator == "scripted"
    assert talk("B").question_id == PRODUCT.id
