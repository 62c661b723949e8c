import pytest
from doubles import PRODUCT
from hypothesis import given
from hypothesis import strategies as st
from strategies import PROPERTY, anything_said, questions

from lm_eval_plugin.answers.final_answer import FinalAnswer, final_answer
from lm_eval_plugin.dialogue.question import Question

TEN = Question("ten", "subject", "Which?", tuple(f"option {number}" for number in range(10)))
"""Its letters are A to J, so that the pronoun I is one of them."""


@pytest.mark.parametrize(
    "text",
    [
        "Answer: B",
        "answer: B",
        "ANSWER:B",
        "  Answer:\n B  ",
        "Answer: b",
        "Answer: (b).",
        "Answer: (B)",
        "Answer: [B]",
        "Answer: **B**",
        "**Answer: B**",
        "Answer: B.",
        "Answer: B. 56",
        "Answer: B) 56",
        "Answer: B, because 7 x 8 = 56",
        "Answer: B\n\nThanks!",
    ],
)
def test_final_answer_is_a_letter_by_itself(text):
    assert final_answer(text, PRODUCT) == FinalAnswer("B")


@pytest.mark.parametrize(
    "text",
    [
        "Answer: Because",
        "Answer: OPTIONA",
        "Answer: Because B is right",
        "Answer: because",
        "Answer: B's",
        "Answer: Bé",
        "Answer: not B",
        "Answer: 56",
        "Answer: ?",
        "Answer: A or B",
        "Answer: A, B",
        "Answer: A, or B",
        "Answer: A/B",
        "Answer: A & B",
        "Answer: A, B, C or D",
        "Answer: E",
        "Answer: e",
        "Answer: É",
    ],
)
def test_final_answer_that_names_no_single_option_is_an_answer_without_a_letter(text):
    assert final_answer(text, PRODUCT) == FinalAnswer(None)


@pytest.mark.parametrize(
    "text", ["", "B", "The answer is B", "My answer: B", "Answer B", "So, Answer: B", "Is it B?", "Answered: B"]
)
def test_text_in_another_form_is_no_final_answer(text):
    assert final_answer(text, PRODUCT) is None


@pytest.mark.parametrize(("text", "letter"), [("Answer: J", "J"), ("Answer: I", "I"), ("Answer: K", None)])
def test_final_answer_goes_as_far_as_the_options(text, letter):
    assert final_answer(text, TEN) == FinalAnswer(letter)


@pytest.mark.parametrize("text", ["Answer: A, and B", "Answer: A or b", "Answer: (A) and (B)"])
def test_final_answer_with_a_second_letter_in_another_dress_has_no_letter(text):
    assert final_answer(text, PRODUCT) == FinalAnswer(None)


def test_final_answer_with_a_bold_heading_is_read():
    assert final_answer("**Answer:** B", PRODUCT) == FinalAnswer("B")


def test_pronoun_in_a_final_answer_is_no_letter():
    assert final_answer("Answer: I think it is B", TEN) != FinalAnswer("I")


@given(st.one_of(anything_said, anything_said.map("Answer: {}".format)), questions)
@PROPERTY
def test_final_answer_is_never_a_letter_that_the_question_lacks(text, question):
    answer = final_answer(text, question)
    assert answer is None or answer.letter is None or answer.letter in set(question.letters)


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("Answer: A rise in rate", None),
        ("Answer: A", "A"),
        ("Answer: A because it is", "A"),
        ("Answer: A. A rise", "A"),
    ],
)
def test_the_article_is_not_an_option(text, letter):
    assert final_answer(text, PRODUCT) == FinalAnswer(letter)


@pytest.mark.parametrize(
    "text",
    [
        *("B is wrong, isn't it? What about C?", "C is not it", "B isn't right, C is", "C, no wait, D", "B? or C?"),
        *("A\nAnswer: B", "A B", "A; B", "A|B", "A-D", "C–D", "A + B", "C versus D", "C or option D", "C (or D)"),
        *("C or maybe D", "a) or b)", "A B C or D", "I doubt it is B"),
    ],
)
def test_an_answer_that_names_another_option_or_is_taken_back_is_none(text):
    assert final_answer(f"Answer: {text}", PRODUCT) == FinalAnswer(None)


@pytest.mark.parametrize(
    "text",
    [
        *("`B`", "B - 56", "B (56)", "B because A is too small", "B, since 7 x 8 is not 54", "B. No doubt", "B?"),
        *("B. Thank you for the help.", "B. A big thank you", "B. I am sure."),
    ],
)
def test_what_follows_an_answer_without_touching_it_does_not_matter(text):
    assert final_answer(f"Answer: {text}", PRODUCT) == FinalAnswer("B")


@pytest.mark.parametrize("text", ["Answer:", "Answer: ", "**Answer:**", "Answer:\n", 'Answer: ""'])
def test_a_head_with_nothing_behind_it_is_no_answer(text):
    assert final_answer(text, PRODUCT) is None
