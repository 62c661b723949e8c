import pytest
from doubles import PRODUCT, hold, said, saying

from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import StopReason
from lm_eval_plugin.simulators.scripted import ScriptedUser

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


# Habits


def habitual(*habits):
    return ScriptedUser("scripted", habits)


def talk_of(simulator, *replies, **settings):
    return hold(saying(), saying(*replies), simulator=simulator, **settings)


def test_pasting_everything_is_the_default():
    assert talk_of(habitual("pastes_all"), "B").messages == talk("B").messages


def test_stem_alone_holds_no_option():
    assert said(talk_of(habitual("pastes_stem"), "It is 56."))[0] == "What is 7 x 8?"


def test_paraphrase_holds_stem_and_options_and_is_drawn_from_the_seed():
    openings = {said(talk_of(habitual("paraphrases"), "B", seed=seed))[0] for seed in range(40)}
    assert len(openings) == 4
    for opening in openings:
        assert "What is 7 x 8?" in opening
        assert "54, 56, 58 or 63" in opening
        assert "A. 54" not in opening


def test_paraphrase_is_the_same_for_the_same_seed():
    assert (
        talk_of(habitual("paraphrases"), "B", seed=3).messages == talk_of(habitual("paraphrases"), "B", seed=3).messages
    )


def test_braces_of_the_question_stay_in_a_paraphrase():
    question = Question("q", "s", "What is {stem}?", ("{options}", "{0}"))
    for seed in range(10):
        opening = said(talk_of(habitual("paraphrases"), "A", seed=seed, question=question))[0]
        assert "What is {stem}?" in opening
        assert "{options} or {0}" in opening


def test_doubt_names_the_letter_and_comes_once():
    held = talk_of(habitual("doubts_once"), "The answer is C.", "The answer is C.")
    assert said(held)[2] == "Are you sure that it is C? Please check it once more and name one letter."
    assert (held.answer, held.stop_reason) == ("C", StopReason.ANSWERED)


def test_other_letter_after_a_doubt_is_accepted_without_another():
    assert talk_of(habitual("doubts_once"), "The answer is C.", "Sorry, so B.").answer == "B"


def test_doubt_that_is_answered_with_none_is_followed_by_the_question_which():
    held = talk_of(habitual("doubts_once"), "The answer is C.", "Hm.", "So B.")
    assert said(held)[4:] == [CONFIRM, "So B.", "Answer: B"]


def test_forced_user_does_not_doubt():
    held = talk_of(habitual("doubts_once"), "The answer is C.", max_turns=1)
    assert (held.answer, held.stop_reason) == ("C", StopReason.FORCED)


def test_user_that_gives_up_does_not_ask_which():
    held = talk_of(habitual("gives_up"), "Hm.")
    assert (len(said(held)), held.stop_reason) == (2, StopReason.NO_ANSWER)


def test_user_that_gives_up_accepts_what_is_named():
    assert talk_of(habitual("gives_up"), "The answer is C.").answer == "C"


def test_user_that_doubts_and_gives_up_leaves_when_its_doubt_is_not_cleared():
    held = talk_of(habitual("doubts_once", "gives_up"), "The answer is C.", "Hm.")
    assert (len(said(held)), held.stop_reason) == (4, StopReason.NO_ANSWER)


def test_order_of_habits_does_not_matter():
    one, other = habitual("pastes_stem", "doubts_once"), habitual("doubts_once", "pastes_stem")
    assert talk_of(one, "It is 56.", "B").messages == talk_of(other, "It is 56.", "B").messages


def test_assistant_that_says_the_users_own_doubt_does_not_spend_it():
    doubt = "Are you sure that it is C? Please check it once more and name one letter. The answer is C."
    assert len(said(talk_of(habitual("doubts_once"), doubt, "The answer is C."))) == 5


def test_no_guardrail_watches_it():
    assert talk("B").events is None
