"""How long a server asks to wait, and what another try may mend."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from lm_eval_plugin.models.generation.servers.errors import StatusError, UnreadableReplyError, is_refusal, may_pass


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("nan", 0.0), ("soon", None), ("2026-01-01", None), (None, None)],
)
def test_seconds_are_read_and_nonsense_is_not(header, seconds):
    assert StatusError(429, "", header).pause_s == seconds


def test_a_date_is_read_as_seconds_from_now():
    later = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=30), usegmt=True)
    assert 28 < StatusError(503, "", later).pause_s <= 30


def test_a_date_that_has_passed_or_names_no_time_zone_asks_for_no_wait():
    assert StatusError(503, "", "Wed, 21 Oct 2015 07:28:00 GMT").pause_s == 0
    assert StatusError(503, "", "Wed, 21 Oct 2015 07:28:00 -0000").pause_s is None


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_busy_or_broken_server_may_be_asked_again(status):
    assert may_pass(StatusError(status, ""))


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_a_refusal_stays_one(status):
    assert is_refusal(StatusError(status, ""))
    assert not may_pass(StatusError(status, ""))


def test_an_error_of_this_program_is_not_tried_again():
    assert may_pass(UnreadableReplyError("x"))
    assert not may_pass(ValueError("x"))
