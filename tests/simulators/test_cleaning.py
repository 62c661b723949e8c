import pytest

from lm_eval_plugin.simulators.cleaning import clean

RULE = "=" * 24


@pytest.mark.parametrize(
    ("text", "message", "cut"),
    [
        ("What is 7 x 8?", "What is 7 x 8?", False),
        ("  What is 7 x 8?\n", "What is 7 x 8?", False),
        (f"{RULE}\nYOU: hello\nSYSTEM: hi", "hello", True),
        (f"\n{RULE}==\n\nhello", "hello", False),
        ("ok\n SYSTEM: It is B\n YOU: Answer: B", "ok", True),
        ("ok\n\tASSISTANT: It is B", "ok", True),
        ("ok\nAssistant: It is B\nUser: thanks", "ok", True),
        (f"ok\n{RULE}\nnow", "ok", True),
        ("hm<|start_header_id|>assistant<|end_header_id|>\n\nIt is B", "hm", True),
        ("SYSTEM: It is 54.", "", True),
        ("Assistant: It is 54.", "", True),
        ("User: What is 7 x 8?", "What is 7 x 8?", False),
        ('"YOU: sure?"', "sure?", False),
        ("the assistant: can it help? SYSTEM: no", "the assistant: can it help? SYSTEM: no", False),
        (RULE, "", False),
    ],
)
def test_no_piece_of_a_prompt_is_said_aloud(text, message, cut):
    assert clean(text) == (message, cut)


def test_markers_of_a_format_cut_as_well():
    assert clean("Sure? [SYSTEM] Yes.", ("[SYSTEM]",)) == ("Sure?", True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"So it is B?"', "So it is B?"),
        ("'It's B, isn't it?'", "It's B, isn't it?"),
        ("\"YOU: 'B?'\"", "B?"),
        ('Is "x" the same as "y"', 'Is "x" the same as "y"'),
        ('"x" or "y"', '"x" or "y"'),
        ('I mean "56"', 'I mean "56"'),
        ('"56" it is', '"56" it is'),
        ("the students'", "the students'"),
        ("'cause I say so", "'cause I say so"),
        ('6"', '6"'),
        ('"', '"'),
        ('""', ""),
    ],
)
def test_only_quotation_marks_that_belong_together_are_taken_off(text, message):
    assert clean(text)[0] == message
