import random

import pytest
from doubles import PRODUCT, chatbench_user, hold, said, saying

from lm_eval_plugin.answers.final_answer import FinalAnswer
from lm_eval_plugin.dialogue.engine import Ask, Chat, Failure, Reply
from lm_eval_plugin.dialogue.transcript import Message, Role, StopReason
from lm_eval_plugin.simulators.loop import Turn, dialogue

FAILURES = [StopReason.CONTEXT, StopReason.MODEL_ERROR]


class Recorder:
    """A user that says one thing all the time, and notes how it was asked."""

    label = "recorder"
    guarded = False

    def __init__(self, answer=None):
        self.answer = answer
        self.asked = []

    def turn(self, situation, history, *, forced):
        yield from ()
        self.asked.append((len(history), forced, situation.rng.random()))
        return Turn(Message(Role.USER, "hm"), self.answer if forced else None)


def ended(transcript):
    return transcript.stop_reason, transcript.answer


def test_answered_when_the_user_accepts_an_option():
    held = hold(saying("What is 7 x 8?", "Answer: B"), saying("It is 56."))
    assert ended(held) == (StopReason.ANSWERED, "B")
    assert said(held) == ["What is 7 x 8?", "It is 56.", "Answer: B"]


def test_forced_when_the_answer_comes_after_the_last_turn():
    held = hold(saying("7 x 8?", "Sure?", "Answer: C"), saying("56.", "Yes."), max_turns=2)
    assert ended(held) == (StopReason.FORCED, "C")


def test_answer_at_the_last_free_turn_is_not_forced():
    held = hold(saying("7 x 8?", "Answer: B"), saying("56."), max_turns=2)
    assert ended(held) == (StopReason.ANSWERED, "B")


@pytest.mark.parametrize("max_turns", [1, 9])
def test_invalid_when_the_answer_is_no_option_forced_or_not(max_turns):
    held = hold(saying("7 x 8?", "Answer: Z"), saying("56."), max_turns=max_turns)
    assert ended(held) == (StopReason.INVALID, None)
    assert said(held)[-1] == "Answer: Z"


def test_no_answer_when_the_forced_user_says_something_else():
    held = hold(saying("7 x 8?", "I do not know."), saying("56."), max_turns=1)
    assert ended(held) == (StopReason.NO_ANSWER, None)
    assert said(held)[-1] == "I do not know."


@pytest.mark.parametrize("max_turns", [1, 9])
def test_no_answer_when_the_user_says_nothing(max_turns):
    held = hold(saying("7 x 8?", "  "), saying("56."), max_turns=max_turns)
    assert ended(held) == (StopReason.NO_ANSWER, None)
    assert said(held) == ["7 x 8?", "56."]


def test_no_answer_when_the_user_does_not_even_begin():
    held = hold(saying(""), saying())
    assert ended(held) == (StopReason.NO_ANSWER, None)
    assert held.messages == ()


@pytest.mark.parametrize("stop_reason", FAILURES)
def test_failure_of_the_user_ends_the_dialogue_with_its_reason(stop_reason):
    held = hold(saying("7 x 8?", Failure(stop_reason)), saying("56."))
    assert ended(held) == (stop_reason, None)
    assert said(held) == ["7 x 8?", "56."]


@pytest.mark.parametrize("stop_reason", FAILURES)
def test_failure_of_the_assistant_ends_the_dialogue_with_its_reason(stop_reason):
    held = hold(saying("7 x 8?", "Sure?"), saying("56.", Failure(stop_reason)))
    assert ended(held) == (stop_reason, None)
    assert said(held) == ["7 x 8?", "56.", "Sure?"]


def test_ten_user_turns_are_followed_by_exactly_one_forced_ask():
    user, assistant = saying(*["Go on."] * 10, "Answer: A"), saying(*["Hm."] * 10)
    held = hold(user, assistant)
    assert ended(held) == (StopReason.FORCED, "A")
    assert len(user.shown) == 11
    assert len(assistant.shown) == 10
    assert ["cannot send any more" in prompt for prompt in user.shown] == [False] * 10 + [True]


def test_forced_user_that_does_not_answer_is_not_asked_again():
    user = saying(*["Go on."] * 11)
    assert ended(hold(user, saying(*["Hm."] * 10))) == (StopReason.NO_ANSWER, None)
    assert len(user.shown) == 11


def test_answer_in_the_first_message_does_not_end_the_dialogue():
    held = hold(saying("Answer: B", "Answer: A"), saying("Hello!"))
    assert said(held) == ["Answer: B", "Hello!", "Answer: A"]
    assert ended(held) == (StopReason.ANSWERED, "A")


def test_assistant_sees_its_system_message_and_the_conversation_alone():
    assistant = saying("56.", "Yes.")
    hold(saying("7 x 8?", "Sure?", "Answer: B"), assistant, system="Be brief.")
    assert all(chat.system == "Be brief." for chat in assistant.shown)
    assert [[message.content for message in chat.messages] for chat in assistant.shown] == [
        ["7 x 8?"],
        ["7 x 8?", "56.", "Sure?"],
    ]


def test_prompt_of_the_assistant_can_be_made_of_a_shorter_history():
    script = dialogue(PRODUCT, Recorder(), assistant_system="Help.", max_turns=1, repeat=0, seed=0)
    ask = next(script)
    assert ask.prompt(ask.history[:0]) == Chat("Help.", ())
    script.close()


def test_messages_keep_what_the_models_told_about_them():
    held = hold(
        saying(Reply("7 x 8?", tokens=5, seconds=0.5), "Answer: B"),
        saying(Reply("56.", tokens=2, seconds=0.25, reasoning="7 x 8 is 56")),
    )
    assert held.messages[0] == Message(Role.USER, "7 x 8?", 5, 0.5)
    assert held.messages[1] == Message(Role.ASSISTANT, "56.", 2, 0.25, "7 x 8 is 56")


@pytest.mark.parametrize("side", ["user", "assistant", "neither"])
def test_history_that_either_side_saw_in_part_marks_the_transcript(side):
    user = saying("7 x 8?", Reply("Sure?", trimmed=side == "user"), "Answer: B")
    assistant = saying(Reply("56.", trimmed=side == "assistant"), "Yes.")
    assert hold(user, assistant).context_trimmed == (side != "neither")


def test_empty_turn_from_a_trimmed_history_marks_the_transcript():
    assert hold(saying("7 x 8?", Reply("", trimmed=True)), saying("56.")).context_trimmed


def test_empty_reply_of_the_assistant_is_a_turn():
    held = hold(saying("7 x 8?", "Hello?", "Answer: B"), saying("", "56."))
    assert said(held) == ["7 x 8?", "", "Hello?", "56.", "Answer: B"]


def test_transcript_carries_question_label_repeat_and_seed():
    held = hold(saying("7 x 8?", "Answer: B"), saying("56."), simulator=chatbench_user("mine"), repeat=3, seed=11)
    assert (held.question_id, held.simulator, held.repeat, held.seed) == ("product", "mine", 3, 11)


def test_user_has_one_source_of_chance_of_its_own_from_the_seed():
    user = Recorder(FinalAnswer("A"))
    hold(saying(), saying("a", "b"), simulator=user, max_turns=2, seed=5)
    chance = random.Random(5)
    assert user.asked == [
        (0, False, chance.random()),
        (2, False, chance.random()),
        (4, True, chance.random()),
    ]


def test_dialogue_asks_nobody_before_it_is_driven():
    user = Recorder()
    script = dialogue(PRODUCT, user, assistant_system="Help.", max_turns=1, repeat=0, seed=0)
    assert user.asked == []
    assert isinstance(next(script), Ask)
    script.close()
