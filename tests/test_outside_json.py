import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_plugin.border.outside_json import DEEPEST, UnreadableJsonError, read_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_what_was_written_is_read(value):
    assert read_json(json.dumps(value)) == value
    assert read_json(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.text() | st.binary())
def test_anything_is_read_or_unreadable(text):
    with suppress(UnreadableJsonError):
        json.dumps(read_json(text), ensure_ascii=False).encode()


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("levels", [DEEPEST + 1, 1_000, 200_000])
@pytest.mark.parametrize("closed", [True, False])
def test_what_is_nested_too_deep_is_unreadable(opening, levels, closed):
    text = opening * levels + ("0" + {"[": "]"}.get(opening, "}") * levels if closed else "")
    with pytest.raises(UnreadableJsonError):
        read_json(text)


def test_what_is_nested_as_deep_as_allowed_is_read():
    value = read_json("[" * DEEPEST + "]" * DEEPEST)
    for _ in range(DEEPEST - 1):
        (value,) = value
    assert value == []


def test_depth_is_not_width():
    assert read_json(json.dumps([[]] * 10_000)) == [[]] * 10_000


def test_number_of_too_many_digits_is_unreadable():
    with pytest.raises(UnreadableJsonError, match="digits"):
        read_json("9" * 5_000)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_constants_that_json_does_not_know_are_read_where_they_are_allowed(constant):
    assert str(read_json(constant)) == str(float(constant))
    with pytest.raises(UnreadableJsonError, match=f"{constant} is no JSON"):
        read_json(constant, strict=True)


@pytest.mark.parametrize("text", [b"\xff\xfe\x00", b"\x80", "", b"", "{", "[1", '"a'])
def test_damaged_text_is_unreadable(text):
    with pytest.raises(UnreadableJsonError):
        read_json(text)


def test_half_of_a_pair_is_replaced():
    assert read_json(r'{"\ud83d": ["\ud83d\ude00", "\udc00"]}') == {"\ufffd": ["\U0001f600", "\ufffd"]}
