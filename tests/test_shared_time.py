"""What each text takes of the time in which texts are produced beside each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_plugin.models.generation import Generated
from lm_eval_plugin.models.generation.shared_time import Written, with_shares

moments = st.integers(min_value=0, max_value=50).map(lambda tenths: tenths / 10)
spans = st.tuples(moments, moments).map(sorted)


def test_a_second_is_divided_evenly_among_the_texts_under_way():
    # Of the first 6 s each of three bears 2; to 10 s two are there, to 16 s four, and to 18 s the last alone.
    written = [
        Written("a", 0, 6),
        Written("b", 0, 16),
        Written("c", 10, 16),
        None,
        Written("d", 10, 16),
        Written("e", 0, 18),
    ]
    assert with_shares(written) == [
        Generated("a", 6, 6 / 2),
        Generated("b", 16, round(16 / (2 + 2 + 1.5), 3)),
        Generated("c", 6, 6 / 1.5),
        None,
        Generated("d", 6, 6 / 1.5),
        Generated("e", 18, 18 / (2 + 2 + 1.5 + 2)),
    ]


@given(st.lists(spans))
def test_all_that_texts_bear_is_the_time_in_which_any_was_under_way(each):
    generated = with_shares([Written("", *span) for span in each])
    tenths = {tenth for begin, end in each for tenth in range(round(begin * 10), round(end * 10))}
    assert sum(text.seconds / text.batch for text in generated) == pytest.approx(len(tenths) / 10, rel=1e-3)
    assert all(1 <= text.batch <= max(1, len(each)) for text in generated)


def test_no_time_at_all_is_shared_with_nobody():
    assert with_shares([Written("a", 5, 5), Written("b", 5, 5)]) == [Generated("a", 0, 1), Generated("b", 0, 1)]
