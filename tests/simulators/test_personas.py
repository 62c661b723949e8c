import random

import pytest
from doubles import PRODUCT, hold, saying
from users import WITH_A_MODEL, configured, contents, in_turn, user_of, whole

from lm_eval_plugin.config.request import DialogueRequest
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.simulators.personas import ANY, NOBODY, PERSONAS, Persona, draw_persona, people_of

TEACHER = Persona("You teach maths, but not well.", "You teach maths, but not well.")
every_user = pytest.mark.parametrize("name", WITH_A_MODEL)


def asked(count, persona, seed=0):
    """Whom the users of some questions are told to be."""
    dialogue = configured(WITH_A_MODEL["two_step"], persona=persona)
    questions = [Question(f"q{number}", "s", "What?", ("x", "y")) for number in range(count)]
    return [DialogueRequest(question, dialogue, seed=seed).persona().name for question in questions]


def test_nobody_in_particular_has_neither_name_nor_text():
    assert people_of([]) == [NOBODY]
    assert Persona("", "") == NOBODY


def test_names_any_and_texts_stand_for_people():
    assert people_of(["novice"]) == [Persona("novice", PERSONAS["novice"])]
    assert people_of([TEACHER.name]) == [TEACHER]
    assert [person.name for person in people_of([ANY])] == list(PERSONAS)
    assert [person.name for person in people_of(["expert", TEACHER.name])] == ["expert", TEACHER.name]


def test_one_person_is_taken_without_chance():
    class NoChance(random.Random):
        def choice(self, seq):
            raise AssertionError

    assert draw_persona(["novice"], NoChance()).name == "novice"
    assert draw_persona([], NoChance()) is NOBODY


def test_every_person_is_drawn_about_as_often():
    drawn = [draw_persona([ANY], random.Random(seed)).name for seed in range(1200)]
    assert set(drawn) == set(PERSONAS)
    assert all(150 < drawn.count(name) < 250 for name in PERSONAS)


def test_person_of_a_question_follows_run_and_question_alone():
    drawn = asked(30, ["any"])
    assert drawn == asked(30, ["any"])
    assert drawn[:10] == asked(10, ["any"])
    assert drawn != asked(30, ["any"], seed=1)
    assert len(set(drawn)) > 3


def test_descriptions_differ_and_speak_to_the_user():
    assert len(set(PERSONAS.values())) == len(PERSONAS)
    assert all(text.startswith("You ") and text.endswith(".") for text in PERSONAS.values())


@every_user
@pytest.mark.parametrize("chain_of_thought", [False, True])
def test_text_stands_in_every_prompt_of_the_users_model_and_in_none_of_the_assistant(name, chain_of_thought):
    simulator = user_of(WITH_A_MODEL[name], chain_of_thought=chain_of_thought, persona=TEACHER.name)
    user, assistant = in_turn(*["hm"] * 3, *[f"hm {number}" for number in range(9)]), saying("a", "b", "c")
    held = hold(user, assistant, simulator=simulator, max_turns=3, persona=TEACHER)
    assert held.persona == TEACHER.name
    assert len(user.shown) >= 3
    assert all(f"About you: {TEACHER.text}" in whole(shown) for shown in user.shown)
    assert "teach" not in contents(assistant.shown)


@every_user
def test_nobody_in_particular_adds_nothing(name):
    user = in_turn("hm", "Answer: B", "So, the answer is: B")
    hold(user, saying("a", "b"), simulator=user_of(WITH_A_MODEL[name]), question=PRODUCT)
    assert "About you" not in contents(user.shown)
