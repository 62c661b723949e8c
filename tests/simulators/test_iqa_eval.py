import pytest
from doubles import PRODUCT, hold, said, saying
from users import EVIL, IN_DIALOGUE, MODEL, history, in_turn, situation, structure, user_of

from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import Event, Role, StopReason
from lm_eval_plugin.simulators.iqa_eval import IqaEval
from lm_eval_plugin.simulators.model_user import Aim

TALK = history("7 x 7?", "It is 49.")
every_evil = pytest.mark.parametrize("evil", EVIL, ids=lambda text: repr(text[:30]))
every_aim = pytest.mark.parametrize("aim", IN_DIALOGUE)


def prompt(turns=(), aim=Aim.SPEAK, thoughts="", persona="", question=PRODUCT):
    return IqaEval().prompt(situation(question, persona), turns, aim, thoughts)


def request(*args, **kwargs):
    return prompt(*args, **kwargs).messages[0].content


def talk(*lines, **settings):
    simulator = user_of({"policy": "iqa_eval", **MODEL})
    return hold(saying(*lines), saying("49.", "56.", "Yes."), simulator=simulator, **settings)


def ended(held):
    return held.stop_reason, held.answer


@every_aim
def test_system_message_tells_to_imitate_a_person_who_asks_one_sub_question_a_turn(aim):
    shown = prompt(TALK, aim)
    assert shown.system.startswith("Imitate a person")
    assert "In each turn ask the assistant one sub-question, no more" in shown.system
    assert "put all the information into it that is needed" in shown.system
    assert 'write "So, the answer is: A, B, C or D"' in shown.system
    assert shown.system.endswith(PRODUCT.text)
    assert [message.role for message in shown.messages] == [Role.USER]


def test_first_turn_says_that_nothing_has_been_said():
    assert request() == "Nothing has been said yet. Write your first message, as YOU."


def test_later_turn_shows_the_conversation_under_the_headings_of_the_source():
    assert request(TALK) == "YOU: 7 x 7?\n\nASSISTANT: It is 49.\n\nWrite your next message, as YOU."


def test_forced_turn_asks_for_the_answer_and_nothing_else():
    assert request(TALK, Aim.ANSWER).endswith(
        '\n\nYou cannot ask any more. Write only "So, the answer is: A, B, C or D".'
    )


def test_letters_are_those_of_the_question():
    question = Question("q", "s", "Is it so?", ("yes", "no"))
    assert '"So, the answer is: A or B"' in prompt(question=question).system
    assert '"So, the answer is: A or B"' in request(TALK, Aim.ANSWER, question=question)


def test_thoughts_stand_behind_the_conversation_and_the_persona_in_the_system_message():
    told = request(TALK, thoughts="56 is B.")
    assert told.index("ASSISTANT: It is 49.") < told.index("56 is B.") < told.index("Write your next message")
    assert prompt(persona="You teach.").system == f"{prompt().system}\n\nAbout you: You teach."


@every_evil
@every_aim
def test_hostile_text_forges_nothing_wherever_it_stands(evil, aim):
    plain = structure("iqa_eval", prompt(TALK, aim, "hm", "You teach."))
    hostile = Question("q", "s", f"What?\n{evil}", ("yes", evil))
    for shown in (
        prompt(history(evil, "x"), aim, "hm", "You teach."),
        prompt(history("x", evil), aim, "hm", "You teach."),
        prompt(TALK, aim, evil, "You teach."),
        prompt(TALK, aim, "hm", evil),
        prompt(TALK, aim, "hm", "You teach.", hostile),
    ):
        assert structure("iqa_eval", shown) == plain == ["user", "YOU:", "ASSISTANT:"]


# What is read


@pytest.mark.parametrize(
    "text",
    [
        "So, the answer is: B",
        "so, the answer is: B.",
        "So the answer is: B",
        "So, the answer is: (B)",
        "So, the answer is: B. 56",
        "I see, 56. So, the answer is: B",
        "YOU: So, the answer is: B",
        "Fine.\n\nSo, the answer is:\nB",
    ],
)
def test_stated_answer_ends_the_dialogue_wherever_it_stands(text):
    assert ended(talk("7 x 7?", text)) == (StopReason.ANSWERED, "B")


@pytest.mark.parametrize("text", ["So, the answer is: E", "So, the answer is: 56", "So, the answer is: A or B"])
def test_stated_answer_without_one_of_the_letters_is_invalid(text):
    assert ended(talk("7 x 7?", text)) == (StopReason.INVALID, None)


@pytest.mark.parametrize("text", ["Answer: B", "The answer is B", "B", "Is the answer B?"])
def test_other_statement_is_a_message(text):
    held = talk("7 x 7?", text, "So, the answer is: C")
    assert ended(held) == (StopReason.ANSWERED, "C")


@pytest.mark.parametrize(
    "text",
    [
        "So the answer is 56, right?",
        "So the answer is not 54?",
        "so the answer is always positive?",
        "So the answer is one less than 57. Which option is that?",
    ],
)
def test_question_about_the_answer_is_a_message(text):
    held = talk("7 x 7?", text, "So, the answer is: B")
    assert ended(held) == (StopReason.ANSWERED, "B")


def test_last_of_two_statements_is_the_answer():
    text = "So the answer is not A, then. So, the answer is: B"
    assert ended(talk("7 x 7?", text)) == (StopReason.ANSWERED, "B")


def test_answer_before_any_reply_ends_the_dialogue_and_is_an_event():
    held = hold(saying("So, the answer is: B"), saying(), simulator=user_of({"policy": "iqa_eval", **MODEL}))
    assert ended(held) == (StopReason.ANSWERED, "B")
    assert held.events == {Event.ANSWER_LEAK: 1}
    assert said(held) == ["So, the answer is: B"]


@pytest.mark.parametrize("text", ["Answer: B", "So, the answer is: B", "so the answer is B"])
def test_forced_answer_may_have_either_form(text):
    assert ended(talk("7 x 7?", text, max_turns=1)) == (StopReason.FORCED, "B")


def test_going_on_in_the_assistants_name_is_cut_off_and_an_event():
    user = in_turn("7 x 7?\n\nASSISTANT: 49.", "what is 7 x 7", "So, the answer is: B")
    held = hold(user, saying("49."), simulator=user_of({"policy": "iqa_eval", **MODEL}))
    assert said(held)[0] == "what is 7 x 7"
    assert held.events == {Event.MARKER: 1}


def test_message_in_the_name_of_the_assistant_is_an_event():
    user = in_turn("ASSISTANT: It is 49.", "7 x 7?", "So, the answer is: B")
    held = hold(user, saying("49."), simulator=user_of({"policy": "iqa_eval", **MODEL}))
    assert said(held)[0] == "7 x 7?"
