from dataclasses import replace

import pytest
from doubles import PRODUCT, hold, said, saying
from users import MODEL, WITH_A_MODEL, contents, in_turn, user_of, whole

from lm_eval_plugin.dialogue.engine import Failure, Reply
from lm_eval_plugin.dialogue.transcript import Event, Message, Role, StopReason
from lm_eval_plugin.simulators.model_user import THINK, ModelUser
from lm_eval_plugin.simulators.two_step import TwoStep

THOUGHTS = ["I wonder about zebras.", "Zebras, again.", "More zebras."]
TWO_STEP = {"policy": "two_step", **MODEL}
every_user = pytest.mark.parametrize("name", WITH_A_MODEL)


def user(reasks=0, **settings):
    return ModelUser("mine", TwoStep(), reasks=reasks, **settings)


def thinker(name):
    """A user that thinks, with lines for two messages and an answer."""
    answer = "So, the answer is: B" if name == "iqa_eval" else "Answer: B"
    spoken = ["how much is it", "can you check that", answer]
    pairs = list(zip(THOUGHTS, spoken, strict=True))
    lines = [line for pair in (pairs[1:] if name == "two_step_help" else pairs) for line in pair]
    return in_turn(*lines), user_of(WITH_A_MODEL[name], chain_of_thought=True)


# Thoughts


@every_user
def test_thoughts_are_asked_for_before_every_message_and_then_shown_to_their_thinker_alone(name):
    model, simulator = thinker(name)
    assistant = saying("56.", "Yes.")
    held = hold(model, assistant, simulator=simulator)
    assert [THINK in whole(shown) for shown in model.shown] == [True, False] * (len(model.shown) // 2)
    kept = [message.reasoning for message in held.messages if message.role is Role.USER]
    assert kept == (["", *THOUGHTS[1:]] if name == "two_step_help" else THOUGHTS)
    assert "ebra" not in contents(assistant.shown)
    assert "ebra" not in "".join(said(held))


@every_user
def test_prompt_of_a_message_holds_the_thoughts_of_its_own_turn_alone(name):
    model, simulator = thinker(name)
    hold(model, saying("56.", "Yes."), simulator=simulator)
    for turn, thought in enumerate(THOUGHTS[-(len(model.shown) // 2) :]):
        asked, spoken = (whole(shown) for shown in model.shown[2 * turn : 2 * turn + 2])
        assert "ebra" not in asked
        assert [other for other in THOUGHTS if other in spoken] == [thought]


@every_user
def test_user_that_does_not_think_is_asked_once_a_turn(name):
    model = saying(
        "how much is it", "can you check that", "So, the answer is: B" if name == "iqa_eval" else "Answer: B"
    )
    hold(model, saying("56.", "Yes."), simulator=user_of(WITH_A_MODEL[name]))
    assert model.batches == [1] * (2 if name == "two_step_help" else 3)
    assert THINK not in contents(model.shown)


def test_thoughts_are_not_asked_for_again_with_a_message():
    model = in_turn("thought", "", "", "how much is it", "thought", "Answer: B")
    hold(model, saying("56."), simulator=user(reasks=2, chain_of_thought=True))
    assert [THINK in whole(shown) for shown in model.shown] == [True, False, False, False, True, False]


def test_empty_thoughts_leave_no_trace_in_the_prompt():
    model = in_turn("", "how much is it", "", "Answer: B")
    held = hold(model, saying("56."), simulator=user(chain_of_thought=True))
    plain = saying("how much is it", "Answer: B")
    hold(plain, saying("56."), simulator=user())
    assert [model.shown[1], model.shown[3]] == plain.shown
    assert held.messages[0].reasoning == ""


def test_failure_while_thinking_ends_the_dialogue_with_its_reason():
    held = hold(in_turn(Failure(StopReason.MODEL_ERROR)), saying(), simulator=user(chain_of_thought=True))
    assert (held.stop_reason, held.messages) == (StopReason.MODEL_ERROR, ())


@pytest.mark.parametrize("place", [0, 1])
def test_history_that_was_shown_in_part_marks_the_transcript_whether_thinking_or_speaking(place):
    lines = [Reply("hm", trimmed=place == 0), Reply("how much is it", trimmed=place == 1), "hm", "Answer: B"]
    assert hold(in_turn(*lines), saying("56."), simulator=user(chain_of_thought=True)).context_trimmed


def test_message_keeps_tokens_of_itself_and_seconds_of_both():
    lines = [Reply("hm", 9, 0.5, "deep"), Reply("how much is it", 4, 0.25, "short"), "", "Answer: B"]
    held = hold(in_turn(*lines), saying("56."), simulator=user(chain_of_thought=True))
    assert held.messages[0] == Message(Role.USER, "how much is it", 4, 0.75, "deep\n\nhm\n\nshort")


@pytest.mark.parametrize(
    ("replies", "seconds", "batch"),
    [
        ([(9.0, 8.0), (1.0, 1.0)], 10.0, 10 / (9 / 8 + 1)),
        ([(9.0, 2.0), (1.0, 8.0)], 10.0, 10 / (9 / 2 + 1 / 8)),
        ([(0.0, 3.0), (0.0, 5.0)], 0.0, 5.0),
        ([(1.0, None), (1.0, 2.0)], 2.0, None),
        ([(None, None), (1.0, 2.0)], None, None),
    ],
)
def test_message_bears_of_the_time_what_thoughts_and_message_bear(replies, seconds, batch):
    (thought, spoken) = (Reply("hm", None, *each[:1], batch=each[1]) for each in replies)
    lines = [thought, replace(spoken, text="how much is it"), "", "Answer: B"]
    held = hold(in_turn(*lines), saying("56."), simulator=user(chain_of_thought=True))
    assert held.messages[0].seconds == seconds
    assert held.messages[0].batch == (batch and pytest.approx(batch, abs=1e-3))


def test_message_bears_the_time_of_drafts_that_were_not_taken():
    lines = [Reply("", 1, 0.5, batch=2.0), Reply("how much is it", 4, 1.5, batch=1.0), "Answer: B"]
    held = hold(in_turn(*lines), saying("56."), simulator=user(reasks=1))
    assert (held.messages[0].tokens, held.messages[0].seconds) == (4, 2.0)
    assert held.messages[0].batch == pytest.approx(2.0 / (0.25 + 1.5), abs=1e-3)


# Asking again


@pytest.mark.parametrize("reasks", [0, 1, 2, 5])
def test_number_of_attempts_is_bounded(reasks):
    model = in_turn("how much is it", *["56."] * (reasks + 1), "Answer: B")
    held = hold(model, saying("56.", "Yes."), simulator=user(reasks))
    assert held.events == {Event.ECHO: reasks + 1}
    assert said(held) == ["how much is it", "56.", "56.", "Yes.", "Answer: B"]


def test_good_attempt_is_used_and_no_further_one_made():
    model = in_turn("how much is it", "56.", "which letter", "Answer: B")
    held = hold(model, saying("56.", "Yes."), simulator=user(reasks=2))
    assert said(held)[2] == "which letter"
    assert len(model.shown) == 4


def test_attempt_again_is_shown_the_same_prompt():
    model = in_turn("how much is it", "", "which letter", "Answer: B")
    hold(model, saying("56.", "Yes."), simulator=user(reasks=2))
    assert model.shown[1] == model.shown[2]


def test_bound_holds_for_every_turn_anew():
    model = in_turn("", "how much is it", "", "which letter", "", "Answer: B")
    held = hold(model, saying("56.", "Yes."), simulator=user(reasks=1))
    assert (held.answer, held.events) == ("B", {Event.EMPTY: 3})


@pytest.mark.parametrize("reasks", [0, 2])
def test_nothing_after_the_last_attempt_ends_without_an_answer(reasks):
    held = hold(in_turn("how much is it", *[""] * (reasks + 1)), saying("56."), simulator=user(reasks))
    assert (held.stop_reason, held.events) == (StopReason.NO_ANSWER, {Event.EMPTY: reasks + 1})


@pytest.mark.parametrize("text", ["Answer: E", "Answer: B"])
def test_answer_is_never_asked_for_again(text):
    model = in_turn("how much is it", text)
    assert hold(model, saying("Answer: B"), simulator=user(reasks=2)).events == {}
    assert len(model.shown) == 2


def test_leak_is_counted_once_and_not_asked_for_again():
    model = in_turn("Answer: B", "Answer: C")
    assert hold(model, saying("Hm?"), simulator=user(reasks=2)).events == {Event.ANSWER_LEAK: 1}


def test_leak_of_an_attempt_that_is_not_sent_is_not_counted():
    model = in_turn("How can I help you? Answer: B\nThe answer is B.", "how much is it", "Answer: B")
    assert hold(model, saying("56."), simulator=user(reasks=2)).events == {Event.SWAPPED_ROLE: 1}


@pytest.mark.parametrize(("temperature", "reasks"), [(1.0, 2), (0.1, 2), (0.0, 0)])
def test_greedy_user_is_not_asked_again(temperature, reasks):
    assert user_of({**TWO_STEP, "temperature": temperature}).reasks == reasks


def test_number_of_attempts_is_a_setting():
    assert user_of({**TWO_STEP, "reasks": 5}).reasks == 5


def test_events_before_a_failure_are_kept():
    model = in_turn("how much is it", "56.", Failure(StopReason.CONTEXT))
    held = hold(model, saying("56."), simulator=user(reasks=2))
    assert held.stop_reason is StopReason.CONTEXT
    assert held.events == {Event.ECHO: 1}


def test_history_shown_in_part_before_a_failure_marks_the_transcript():
    model = in_turn(Reply("hm", trimmed=True), Failure(StopReason.CONTEXT))
    assert hold(model, saying(), simulator=user(chain_of_thought=True)).context_trimmed


def test_users_own_model_is_never_asked_as_the_assistant():
    model, assistant = in_turn("how much is it", "Answer: B"), saying("56.")
    hold(model, assistant, simulator=user(), question=PRODUCT)
    assert PRODUCT.text in whole(model.shown[0])
    assert PRODUCT.text not in contents(assistant.shown)
