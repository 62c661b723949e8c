"""The user that answers a question without help: before its dialogue, whose belief that then is, or apart from it."""

import pytest
from doubles import PRODUCT, hold, saying
from users import MODEL, WITH_A_MODEL, WITHOUT_A_MODEL, configured, history, in_turn, situation, user_of, whole

from lm_eval_plugin.dialogue.engine import Chat, Failure, Reply
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import AloneAnswer, Event, StopReason, Transcript
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.runner.participants import answering_first, label_of, make_simulator
from lm_eval_plugin.simulators.answering_alone import alone_continuations, belief_text, read_alone
from lm_eval_plugin.simulators.loop import AnswersAlone
from lm_eval_plugin.simulators.personas import Persona

BELIEVES_C = "Before this conversation you answered the question by yourself: C."
every_user = pytest.mark.parametrize("name", WITH_A_MODEL)


def answering(name, *lines, reply="It is 56, so B.", **settings):
    """A dialogue in the condition answer_first, and what the user's model was shown in it."""
    user = user_of({**WITH_A_MODEL[name], **settings.pop("simulator", {})}, condition="answer_first")
    model = in_turn(*lines)
    return hold(model, saying(reply, reply), simulator=user, alone=user, **settings), model


def final(name, letter):
    return f"So, the answer is: {letter}" if name == "iqa_eval" else f"Answer: {letter}"


@every_user
def test_user_answers_before_the_dialogue_believes_it_there_and_ends_with_an_answer(name):
    spoken = [] if name == "two_step_help" else ["What is 7 x 8?"]
    held, model = answering(name, "Answer: C", *spoken, final(name, "B"))
    assert held.belief == AloneAnswer("C", "generated", held.belief.text)
    assert (held.answer, held.stop_reason) == ("B", StopReason.ANSWERED)
    alone, *later = map(whole, model.shown)
    assert "by yourself, without any help" in alone
    assert BELIEVES_C not in alone
    assert all(BELIEVES_C in prompt for prompt in later)
    assert len(later) == len(spoken) + 1


@every_user
def test_prompt_without_help_holds_the_question_and_who_the_user_is_and_no_conversation(name):
    simulator = user_of(WITH_A_MODEL[name])
    ask = next(simulator.answer_alone(situation(persona="You teach.")))
    shown = whole(ask.prompt(ask.history))
    assert ask.history == ()
    assert PRODUCT.text in shown
    assert "About you: You teach." in shown
    assert "AI" not in shown


@every_user
def test_belief_is_in_no_prompt_of_the_condition_direct(name):
    spoken = [] if name == "two_step_help" else ["What is 7 x 8?"]
    model = in_turn(*spoken, final(name, "B"))
    held = hold(model, saying("It is 56."), simulator=user_of(WITH_A_MODEL[name]))
    assert held.belief is None
    assert "by yourself" not in "".join(map(whole, model.shown))
    assert "belief" not in held.to_json()


def test_answer_without_a_letter_is_asked_for_again_as_often_as_a_message():
    held, model = answering("two_step", "I would ask.", "No idea.", "D.", "What is it?", "Answer: B")
    assert held.belief.letter == "D"
    assert [whole(prompt) for prompt in model.shown[:3]] == [whole(model.shown[0])] * 3


def test_user_that_names_no_letter_goes_into_the_dialogue_without_a_belief():
    held, model = answering("two_step", "hm", "What is it?", "Answer: B", simulator={"reasks": 0})
    assert held.belief == AloneAnswer(None, "generated", "hm")
    assert held.answer == "B"
    assert "by yourself" not in whole(model.shown[1])


@pytest.mark.parametrize("reason", [StopReason.MODEL_ERROR, StopReason.CONTEXT])
def test_model_that_gives_no_answer_ends_the_dialogue_before_it_begins(reason):
    held, _ = answering("two_step", Failure(reason))
    assert (held.stop_reason, held.messages, held.belief) == (reason, (), None)


def test_belief_that_is_told_to_the_assistant_is_no_leak_and_an_answer_at_once_is():
    told, _ = answering("two_step", "Answer: C", "I think the answer is C, is that right?", "Answer: B")
    assert Event.ANSWER_LEAK not in told.events
    direct = hold(
        in_turn("The answer is C.", "Answer: B"), saying("It is 56."), simulator=user_of(WITH_A_MODEL["two_step"])
    )
    assert direct.events[Event.ANSWER_LEAK] == 1
    at_once, _ = answering("iqa_eval", "Answer: C", "So, the answer is: C")
    assert at_once.events[Event.ANSWER_LEAK] == 1


def test_sentence_that_tells_the_belief_is_not_for_the_assistant():
    held, _ = answering("two_step", "Answer: C", belief_text(situation_with("C")), "What is it?", "Answer: B")
    assert held.events == {Event.LEAKED_REASONING: 1}


def situation_with(letter):
    user = situation()
    return type(user)(user.question, user.rng, belief=letter)


def test_persona_is_whoever_answers_before_too():
    held, model = answering(
        "two_step", "Answer: C", "What is it?", "Answer: B", persona=Persona("teacher", "You teach.")
    )
    assert held.persona == "teacher"
    assert all("You teach." in whole(prompt) for prompt in model.shown)


def test_transcript_holds_both_answers_and_an_earlier_one_is_read_as_ever():
    held, _ = answering("two_step", "Answer: C", "What is it?", "Answer: B")
    both = type(held).from_json(held.to_json())
    assert both == held
    plain = hold(saying("hm", "Answer: B"), saying("56"))
    assert Transcript.from_json(plain.to_json()) == plain
    assert (plain.belief, plain.alone) == (None, None)


NINE = Question("q", "s", "Which?", tuple("abcdefghi"))


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("Answer: B", "B"),
        (" B", "B"),
        ("b", "B"),
        ("B) 91 C) 96", "B"),
        ("B. 56", "B"),
        ("Answer: **B**", "B"),
        ("A person would take C", None),
        ("I think it is C", None),
        ("Answer: B or C", None),
        ("Z", None),
        ("Z) 4", None),
        ("", None),
        ("no idea", None),
    ],
)
def test_letter_that_is_named_is_read_and_nothing_else(text, letter):
    assert read_alone(text, NINE) == letter


def test_prompt_goes_on_with_what_it_has_not_begun():
    begun = "[USER] Answer:"
    assert alone_continuations(begun, PRODUCT) == ["A", "B", "C", "D"]
    assert alone_continuations(Chat("", history("hm")), PRODUCT)[0] == "Answer: A"


# Configuration


@pytest.mark.parametrize("name", WITHOUT_A_MODEL)
@pytest.mark.parametrize("block", [{"condition": "answer_first"}, {"user_alone": True}])
def test_policy_without_a_model_cannot_answer_alone(name, block):
    with pytest.raises(ConfigError, match=f"{next(iter(block))}.* needs a simulator with a model"):
        configured(WITHOUT_A_MODEL[name], **block)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("direct", "direct"),
        ("direct-to-AI", "direct"),
        ("answer_first", "answer_first"),
        ("answer-first", "answer_first"),
    ],
)
def test_conditions_have_the_names_of_the_study_too(given, read):
    assert configured(WITH_A_MODEL["two_step"], condition=given).condition == read


def test_condition_that_nobody_knows_is_named():
    with pytest.raises(ConfigError, match=r"dialogue\.condition is 'first'"):
        configured(WITH_A_MODEL["two_step"], condition="first")


def test_label_tells_the_condition_and_not_what_is_asked_apart():
    block = WITH_A_MODEL["two_step"]
    plain = label_of(configured(block))
    assert label_of(configured(block, condition="answer-first")) == f"{plain}+answer_first"
    assert label_of(configured(block, user_alone=True)) == plain
    assert label_of(configured(block, condition="direct-to-AI")) == plain
    paper = label_of(configured({"policy": "two_step", **MODEL}, protocol="paper", condition="answer_first"))
    assert paper.endswith("+answer_first+paper, changed: condition")


def test_policy_of_others_that_cannot_answer_alone_is_named():
    config = configured(WITH_A_MODEL["two_step"], condition="answer_first")
    assert isinstance(make_simulator(config), AnswersAlone)
    with pytest.raises(ConfigError, match="'two_step' cannot answer by itself"):
        answering_first(config, user_of("scripted"))
    assert answering_first(configured("scripted"), user_of("scripted")) is None


def test_reply_that_is_no_text_of_its_own_is_cleaned_as_a_message_is():
    held, _ = answering("two_step", Reply('YOU: "Answer: C"'), "What is it?", "Answer: B")
    assert held.belief == AloneAnswer("C", "generated", "Answer: C")
