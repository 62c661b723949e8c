import pytest

from chatbench_tasks.mmlu_layout import check_mmlu_layout
from lm_eval_plugin.errors import ConfigError

GOOD = {"question": "What is 7 x 8?", "choices": ["54", "56", "58", "63"], "answer": 1}


class Split(list):
    """Rows as a data set holds them: with the names of their columns."""

    def __init__(self, *rows, columns=("question", "subject", "choices", "answer")):
        super().__init__(rows)
        self.column_names = list(columns)


def check(*rows, needed=("test", "dev"), **splits):
    check_mmlu_layout({"test": Split(*rows), "dev": Split(GOOD), **splits}, needed, "task t: DIR")


def test_rows_in_the_layout_of_mmlu_pass():
    check(GOOD, {**GOOD, "answer": 0}, {**GOOD, "answer": 3, "subject": "maths"})


def test_missing_split_is_named_with_those_that_are_there():
    with pytest.raises(ConfigError, match="task t: DIR has no split 'validation'; it has test, dev"):
        check(GOOD, needed=("test", "validation"))


def test_missing_columns_are_named_with_those_that_are_there():
    short = Split(GOOD, columns=("question", "options"))
    with pytest.raises(
        ConfigError, match=r"split 'dev' has no column choices, answer; it has question, options and needs"
    ):
        check(GOOD, dev=short)


def test_split_that_is_not_needed_is_not_checked():
    check(GOOD, train=Split({}, columns=()))


@pytest.mark.parametrize(
    ("column", "value", "wanted"),
    [
        ("question", "", "question is ''; it must be a text"),
        ("question", " \n", "must be a text"),
        ("question", None, "question is None; it must be a text"),
        ("question", 7, "question is 7; it must be a text"),
        ("choices", ["a", "b", "c"], "it must be a list of 4 texts"),
        ("choices", ["a", "b", "c", "d", "e"], "it must be a list of 4 texts"),
        ("choices", "abcd", "it must be a list of 4 texts"),
        ("choices", None, "it must be a list of 4 texts"),
        ("choices", ["a", "b", "", "d"], "each must be a text"),
        ("choices", ["a", "b", 3, "d"], "each must be a text"),
        ("answer", "B", "answer is 'B'; it must be a number from 0 to 3"),
        ("answer", 4, "answer is 4; it must be"),
        ("answer", -1, "answer is -1; it must be"),
        ("answer", 1.0, "answer is 1.0; it must be"),
        ("answer", True, "answer is True; it must be"),
        ("answer", None, "answer is None; it must be"),
    ],
)
def test_bad_row_is_named_by_split_and_number(column, value, wanted):
    with pytest.raises(ConfigError) as caught:
        check(GOOD, {**GOOD, column: value})
    message = str(caught.value)
    assert message.startswith("task t: DIR, split 'test', row 1: ")
    assert wanted in message
