import pytest
from doubles import PRODUCT
from hypothesis import given
from strategies import PROPERTY, anything_said, questions

from lm_eval_plugin.harness.letter_until import LETTER_GENERATION, read_letter


@pytest.mark.parametrize("reply", ["B", " B", "\n\nB\n", "B.", "B) 56", "B. 56", "B, surely", "B\nC"])
def test_reply_that_begins_with_a_letter_names_it(reply):
    assert read_letter(reply, PRODUCT) == "B"


@pytest.mark.parametrize(
    "reply", ["", " ", "b", "Because", "B2", "B_", "Bé", "E", "56", "(B)", "**B**", "The answer is B", "Answer: B", "É"]
)
def test_reply_that_begins_with_anything_else_names_none(reply):
    assert read_letter(reply, PRODUCT) is None


@given(anything_said, questions)
@PROPERTY
def test_letter_is_one_of_the_question_and_the_first_of_the_reply(reply, question):
    letter = read_letter(reply, question)
    assert letter is None or (letter in set(question.letters) and reply.strip().startswith(letter))


def test_letter_is_generated_greedily_in_ten_tokens():
    assert LETTER_GENERATION == {"until": ["<|endoftext|>"], "max_gen_toks": 10, "do_sample": False, "temperature": 0.0}
