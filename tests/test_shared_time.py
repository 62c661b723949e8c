"""What each row takes of the time of a batch whose rows come and go."""

from __future__ import annotations

import time

import pytest

from lm_eval_plugin.generation.shared_time import SharedTime


def test_all_that_rows_bear_is_the_time_that_there_was(monkeypatch):
    clock = iter([0.0, 0.0, 6.0, 10.0, 16.0, 18.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    shared = SharedTime()
    first = shared.changes(3)
    one_ends = shared.changes(-1)
    two_come = shared.changes(2)
    three_end = shared.changes(-3)
    last_ends = shared.changes(-1)
    # Of the first three: one to 6 s among three; one and one more to 16 s and 18 s, beside newcomers from 10 s on.
    spans = [(6.0, 6 / 3), (16.0, 6 / 3 + 4 / 2 + 6 / 4), (6.0, 6 / 4), (6.0, 6 / 4), (18.0, 6 / 3 + 4 / 2 + 6 / 4 + 2)]
    moments = [(one_ends, first), (three_end, first), (three_end, two_come), (three_end, two_come), (last_ends, first)]
    assert sum(borne for _, borne in spans) == 18.0
    for (seconds, borne), (end, begin) in zip(spans, moments, strict=True):
        assert end.borne - begin.borne == pytest.approx(borne)
        assert end.since(begin) == (seconds, round(seconds / borne))


def test_no_time_at_all_is_shared_with_nobody(monkeypatch):
    monkeypatch.setattr(time, "perf_counter", lambda: 5.0)
    shared = SharedTime()
    begin = shared.changes(4)
    assert shared.changes(-4).since(begin) == (0.0, 1)
