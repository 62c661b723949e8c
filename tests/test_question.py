from dataclasses import fields

import pytest

from lm_eval_plugin.dialogue.question import LETTERS, Question


def question(stem="What is it?", choices=("this", "that")):
    return Question("q", "subject", stem, choices)


def test_right_answer_has_no_field():
    assert {field.name for field in fields(Question)} == {"id", "subject", "stem", "choices"}


def test_text_is_the_stem_and_one_line_per_option():
    assert question(choices=("this", "that", "both")).text == "What is it?\nA. this\nB. that\nC. both"


@pytest.mark.parametrize("count", [2, 4, 10, 26])
def test_each_option_has_a_letter(count):
    assert question(choices=("x",) * count).letters == LETTERS[:count]


@pytest.mark.parametrize("count", [0, 1, 27])
def test_number_of_options_out_of_range_is_refused(count):
    with pytest.raises(ValueError, match=f"has {count} options; it needs 2 to 26"):
        question(choices=("x",) * count)


@pytest.mark.parametrize("stem", ["", " \n", None, 3])
def test_stem_that_is_no_text_is_refused(stem):
    with pytest.raises(ValueError, match=r"the question is .*; it must be a text"):
        question(stem=stem)


@pytest.mark.parametrize("choice", ["", "\t", None, 56])
def test_option_that_is_no_text_is_named_by_its_letter(choice):
    with pytest.raises(ValueError, match=r"option B is .*; it must be a text"):
        question(choices=("this", choice))
