import pytest
from doubles import PRODUCT
from hypothesis import given
from hypothesis import strategies as st
from strategies import PROPERTY, anything_said, questions

from lm_eval_plugin.answers import FinalAnswer, final_answer, named_option
from lm_eval_plugin.question import Question

TEN = Question("ten", "subject", "Which?", tuple(f"option {number}" for number in range(10)))
"""Its letters are A to J, so that the pronoun I is one of them."""


def options(*choices):
    return Question("q", "subject", "Which?", choices)


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
        "Answer:",
        "Answer: ",
        "Answer: Because",
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
    "reply",
    [
        "The answer is B.",
        "The answer is: B",
        "The answer is **B**",
        "The answer is (B), since 7 x 8 = 56.",
        'The answer is "B"',
        "Answer: B",
        "The correct answer is option B.",
        "The correct option would be B",
        "A is 54, C is 58. The answer is B.",
        "The answer is B. Yes, the answer is B.",
        "A looks close, so B",
        "It is not A, it is B.",
        "Therefore, B.",
        "I choose B",
        "B",
        "B.",
        "B) 56",
        "(B) 56",
        "**B** 56",
        "56",
        "It makes 56.",
        "7 x 8 = 56, as 7 x 4 = 28.",
    ],
)
def test_option_that_a_reply_names_is_found(reply):
    assert named_option(reply, PRODUCT) == "B"


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "No idea.",
        "The answer is not B",
        "The answer isn't B.",
        "B is wrong.",
        "Not B.",
        "The answer is Because.",
        "The answer is E.",
        "So I think about it.",
        "The answer is A. No, the answer is B.",
        "So A. Therefore B.",
        "It is 54 or 56.",
        "It makes 156.",
        "It makes 560.",
        "It makes 5.6 or so.",
        "It makes 56.5",
        "It makes 0.56",
        "Section 7.56",
        "56th",
    ],
)
def test_reply_that_names_no_option_or_several_is_undecided(reply):
    assert named_option(reply, PRODUCT) is None


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("The answer is A, so B", "A"),
        ("So A. By the way, 56 is even.", "A"),
        ("A. That is 56.", "A"),
        ("The answer is A. I had 56 first.", "A"),
    ],
)
def test_most_explicit_statement_counts(reply, letter):
    assert named_option(reply, PRODUCT) == letter


def test_longer_option_hides_the_shorter_one_in_it():
    question = options("cell", "cell wall", "nucleus")
    assert named_option("Look at the cell wall.", question) == "B"
    assert named_option("The cell has a cell wall.", question) is None


def test_option_text_is_found_in_any_case_and_taken_literally():
    question = options("f(x)", "f(y)", "All of it.")
    assert named_option("I get F(X) here", question) == "A"
    assert named_option("That would be ALL OF IT.", question) == "C"


def test_pronoun_in_a_reply_is_no_letter():
    assert named_option("So I think about it", TEN) is None
    assert named_option("So I.", TEN) == "I"


@pytest.mark.parametrize("reply", ["The answer is B or C.", "So B or C.", "B, or C", "B, C and D can be ruled out."])
def test_reply_that_joins_two_letters_is_undecided(reply):
    assert named_option(reply, PRODUCT) is None


@pytest.mark.parametrize("reply", ["I would not choose B.", "Don't pick B."])
def test_refused_choice_is_not_named(reply):
    assert named_option(reply, PRODUCT) is None


@pytest.mark.parametrize("reply", ["It makes 1,100 in all", "It makes 100,000 in all"])
def test_number_inside_a_number_with_separators_is_not_an_option(reply):
    assert named_option(reply, options("10", "100", "250")) is None


def test_text_that_two_options_share_decides_nothing():
    assert named_option("It makes 5.", options("4", "5", "5", "6")) is None


@given(anything_said, questions)
@PROPERTY
def test_named_option_is_never_a_letter_that_the_question_lacks(reply, question):
    letter = named_option(reply, question)
    assert letter is None or letter in set(question.letters)


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
    ("reply", "letter"),
    [
        ("The area A is length times width. So A = 56.", "B"),
        ("Hence B - C = 12.", None),
        (r"Thus \boxed{C}.", "C"),
        (r"The answer is \(\boxed{\text{C}}\).", "C"),
        ("Option C is correct.", "C"),
        ("C is right.", "C"),
        ("C is not right.", None),
        ("The correct answer is: A rise in rate", None),
    ],
)
def test_variables_boxes_and_articles_in_replies(reply, letter):
    assert named_option(reply, PRODUCT) == letter
