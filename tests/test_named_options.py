import json
from pathlib import Path

import pytest
from doubles import PRODUCT
from hypothesis import given
from strategies import PROPERTY, anything_said, questions

from lm_eval_plugin.answers.supported_option import named_option, named_options
from lm_eval_plugin.dialogue.question import Question

DATA = Path(__file__).parent / "data"
TEN = Question("ten", "subject", "Which?", tuple(f"option {number}" for number in range(10)))
"""Its letters are A to J, so that the pronoun I is one of them."""
VITAMIN = Question("vitamin", "subject", "Which one prevents scurvy?", ("Vitamin A", "Vitamin C", "Vitamin D", "Zinc"))
MORAL = Question(
    "moral",
    "moral_scenarios",
    "Scenario 1 | I lied. Scenario 2 | I helped.",
    ("Wrong, Wrong", "Wrong, Not wrong", "Not wrong, Wrong", "Not wrong, Not wrong"),
)


def options(*choices):
    return Question("q", "subject", "Which?", choices)


def labelled(name):
    """The cases of a labelled set, as pairs of what was read and the label."""
    cases = [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]
    read = [
        named_options(case["reply"], Question("q", "subject", case["stem"], tuple(case["choices"]))) for case in cases
    ]
    return [("".join(sorted(letters)), case["label"]) for letters, case in zip(read, cases, strict=True)]


@pytest.mark.parametrize(
    ("name", "size", "precision", "recall"),
    [("assistant_replies.jsonl", 320, 0.98, 0.90), ("assistant_replies_held_out.jsonl", 120, 0.98, 0.90)],
)
def test_precision_and_recall_on_labelled_replies(name, size, precision, recall):
    pairs = labelled(name)
    assert len(pairs) >= size
    one_read = [read == label for read, label in pairs if len(read) == 1]
    one_labelled = [read == label for read, label in pairs if len(label) == 1]
    assert sum(one_read) / len(one_read) >= precision
    assert sum(one_labelled) / len(one_labelled) >= recall


def test_labelled_sets_share_no_question_and_repeat_no_reply():
    sets = [
        [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]
        for name in ("assistant_replies.jsonl", "assistant_replies_held_out.jsonl")
    ]
    assert not {case["stem"] for case in sets[0]} & {case["stem"] for case in sets[1]}
    for cases in sets:
        assert len({(case["stem"], case["reply"]) for case in cases}) == len(cases)


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
    assert named_option("It has a cell wall.", question) == "B"
    assert named_option("The cell has a cell wall.", question) is None


def test_option_text_is_found_in_any_case_and_taken_literally():
    question = options("f(x)", "f(y)", "All of it.")
    assert named_option("I get F(X) here", question) == "A"
    assert named_option("That would be ALL OF IT.", question) == "C"


def test_pronoun_in_a_reply_is_no_letter():
    assert named_option("So I think about it", TEN) is None
    assert named_option("So I.", TEN) == "I"


@pytest.mark.parametrize("reply", ["The answer is B or C.", "So B or C.", "B, or C"])
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


# Several options, and none


@pytest.mark.parametrize(
    ("reply", "letters"),
    [
        ("Both A and C are correct.", "AC"),
        ("The answers are A, B and D.", "ABD"),
        ("The answer is A or C.", ""),
        ("Neither A nor C.", ""),
        ("", ""),
    ],
)
def test_several_options_are_supported_only_where_all_are_said_to_hold(reply, letters):
    assert named_options(reply, PRODUCT) == frozenset(letters)


@pytest.mark.parametrize(
    "reply", ["Is it B?", "Which of A and B is it?", "If you add 2, then B.", 'You said "B".', "> B"]
)
def test_question_condition_and_quote_of_the_user_support_nothing(reply):
    assert named_options(reply, PRODUCT) == frozenset()


@pytest.mark.parametrize("reply", ["A. 54\nB. 56\nC. 58\nD. 63", "It is one of 54, 56, 58 and 63.", "A B C D"])
def test_list_of_all_options_supports_none(reply):
    assert named_options(reply, PRODUCT) == frozenset()


def test_what_a_base_model_makes_up_after_its_answer_does_not_count():
    assert named_option("B\n\nQuestion: What is 1 + 1?\nA. 1\nB. 2\nC. 3\nAnswer: C", PRODUCT) == "B"
    assert named_option("B\nUser: Really?\nAssistant: Sorry, it is C.", PRODUCT) == "B"


def test_thoughts_do_not_count():
    assert named_option("<think>The answer is A.</think>The answer is B.", PRODUCT) == "B"


# Numbers and order


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("The second option.", "B"),
        ("Option 3", "C"),
        ("the last one", "D"),
        ("The 2nd choice is it", "B"),
        ("Option 5", None),
    ],
)
def test_option_is_named_by_its_place(reply, letter):
    assert named_option(reply, PRODUCT) == letter


def test_option_whose_text_is_a_place_is_named_by_its_text():
    assert named_option("option 3", TEN) == "D"


@pytest.mark.parametrize("reply", ["-3", "−3", "–3", r"$x = \boxed{-3}$", "x=-3"])
def test_minus_sign_may_be_any(reply):
    assert named_option(reply, options("3", "-3")) == "B"


@pytest.mark.parametrize("reply", ["1,200", "1200", "1 200 people", "$1,200.00"])
def test_thousands_may_be_set_apart(reply):
    assert named_option(reply, options("120", "1,200", "12,000")) == "B"


@pytest.mark.parametrize("reply", ["6 N", "6N", "6 newtons", "F = 6", r"\boxed{6\,\text{N}}"])
def test_unit_may_be_written_in_any_way_or_left_out_at_the_end(reply):
    assert named_option(reply, options("5 N", "6 N")) == "B"


def test_other_unit_is_another_quantity():
    assert named_option("It is 6 kg in all", options("5 N", "6 N")) is None


def test_number_that_is_calculated_with_is_not_named():
    assert named_option("54 + 3 = 57", PRODUCT) is None


def test_verdict_for_a_number_that_no_option_has_decides_nothing():
    assert named_option("It is 54 at first sight. The answer is 57.", PRODUCT) is None


def test_fraction_may_be_latex_on_either_side():
    assert named_option(r"$\dfrac{3}{8}$", options("5/8", "3/8")) == "B"
    assert named_option("3/8", options(r"$\frac{5}{8}$", r"$\frac{3}{8}$")) == "B"


# Strength, order and rejection


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("The answer is A. No, the answer is B.", "B"),
        ("So A. Therefore B.", "B"),
        ("The answer is A. Wait, that is wrong.", None),
        ("The answer is A. Let me double-check. Yes, that is right.", "A"),
        ("B. 56\n\n54 would be 6 x 9.", "B"),
        ("The answer: 56 (not 54).", "B"),
    ],
)
def test_what_is_said_at_the_end_counts(reply, letter):
    assert named_option(reply, PRODUCT) == letter


@pytest.mark.parametrize("reply", ["B, C and D can be ruled out.", "Not B. Not C. Not D.", "B ❌ C ❌ D ❌"])
def test_option_that_alone_is_left_is_supported(reply):
    assert named_option(reply, PRODUCT) == "A"


def test_answer_that_is_rejected_later_is_not_supported():
    assert named_option("The answer is A? The answer is B. B is wrong.", PRODUCT) is None


def test_list_that_goes_through_the_options_does_not_name_the_first():
    assert named_option("A. 54: that is 6 x 9\nB. 56: that is 7 x 8\nC. 58: that is 2 x 29", PRODUCT) != "A"


def test_letter_in_a_name_is_no_option():
    assert named_option("It is vitamin C", VITAMIN) == "B"
    assert named_option("Go from point A to point B", PRODUCT) is None
    assert named_option("Have a plan B ready", PRODUCT) is None


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("Both are wrong.", "A"),
        ("Scenario 1 is wrong, scenario 2 is not wrong.", "B"),
        ("Only the second scenario is clearly wrong.", "C"),
        ("Neither is wrong.", "D"),
        ("The first is wrong.", None),
    ],
)
def test_option_that_judges_two_scenarios_is_named_by_the_judgements(reply, letter):
    assert named_option(reply, MORAL) == letter


# Any text


@pytest.mark.parametrize(
    "piece",
    ["A or ", "A.", "\n", "(", "**a", "<think>", "if ", r"\boxed{", r"\frac{", "1 222 ", "wait ", "not ", " ", "9"],
)
def test_long_hostile_reply_is_read(piece):
    for question in (PRODUCT, MORAL):
        assert named_options(piece * (1_000_000 // len(piece)), question) <= set(question.letters)


def test_answer_at_either_end_of_a_long_reply_is_read():
    filler = "word " * 100_000
    assert named_option(f"{filler}\nThe answer is B.", PRODUCT) == "B"
    assert named_option(f"The answer is B.\n{filler}", PRODUCT) == "B"


@given(anything_said, questions)
@PROPERTY
def test_named_option_is_the_only_one_of_the_named_options(reply, question):
    letters = named_options(reply, question)
    assert letters == named_options(reply, question)
    assert named_option(reply, question) == (next(iter(letters)) if len(letters) == 1 else None)


@pytest.mark.parametrize(
    "reply", ["I get 1. 7 times 9 is 62, and you take away 56.", "That makes 26 m: twice the sum of 8 and 54."]
)
def test_what_a_calculation_mentions_is_no_answer_where_its_result_is_no_option(reply):
    assert named_option(reply, PRODUCT) is None
