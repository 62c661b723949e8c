"""A run says first what it is and what it costs, and how long it takes as soon as that can be told."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
from doubles import PRODUCT
from test_conversations import TalkingLM, instance

from lm_eval_plugin.config.dialogue import read_dialogue_block
from lm_eval_plugin.config.request import DialogueRequest
from lm_eval_plugin.dialogue.transcript import Message, Role
from lm_eval_plugin.harness.logging_as_lm_eval import PACKAGES, log_as_lm_eval
from lm_eval_plugin.runner.announcement import ENOUGH, Pace, announce
from lm_eval_plugin.runner.runner import converse_until


@pytest.fixture(autouse=True)
def informed(caplog):
    caplog.set_level(logging.INFO, "lm_eval_plugin")


def requests(count, **block):
    config = read_dialogue_block({"simulator": "scripted", **block}, "test")
    return [DialogueRequest(replace(PRODUCT, id=f"q{index}"), config) for index in range(count)]


def test_the_line_names_what_is_run_and_what_it_costs(caplog):
    announce(
        requests(1878, simulator="demo", max_turns=6, repeats=10, static=["letter", "free_text"]),
        Path("c/run_rank0.db"),
    )
    (line,) = caplog.messages
    assert line == (
        "1,878 questions, 10 dialogues each, at most 6 turns: 18,780 to 112,680 replies of the model under test; simulator demo "
        "(policy chatbench, reading A); static score: letter, free_text; each dialogue is kept in c/run_rank0.db as it ends."
    )


def test_one_of_several_processes_speaks_of_its_share(caplog):
    announce(requests(1), None, processes=4)
    (line,) = caplog.messages
    assert line.startswith("1 question (this process, one of 4), 1 dialogue each, at most 10 turns: 1 to 10 replies")
    assert "nothing is kept (--use_cache PATH would)" in line


def test_two_simulators_of_one_run_have_a_line_each(caplog):
    announce([*requests(2), *requests(3, simulator="sharded")], None)
    assert [line.split(",")[0] for line in caplog.messages] == ["2 questions", "3 questions"]


def test_the_protocol_stands_in_the_line(caplog):
    announce(requests(1, simulator="two_step", protocol="paper"), None)
    assert "simulator two_step+paper (policy two_step); static score: letter_few_shot, letter, free_text" in caplog.text


def test_a_run_announces_its_dialogues_once_and_each_question_once(caplog):
    block = {"simulator": "scripted", "repeats": 2}
    one, two = instance("one", block, 2), instance("two", block, 2)
    converse_until(TalkingLM(), [one, one, two, two])
    (line,) = [line for line in caplog.messages if "replies of the model" in line]
    assert line == (
        "2 questions, 2 dialogues each, at most 10 turns: 4 to 40 replies of the model under test; simulator scripted "
        "(policy scripted); static score: loglikelihood; nothing is kept (--use_cache PATH would)."
    )


class Clock:
    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


def run_in_turn(pace, clock, dialogues, replies, seconds_each):
    for index in range(dialogues):
        for _ in range(replies):
            pace.heard(index, Message(Role.USER, "?"))
            pace.heard(index, Message(Role.ASSISTANT, "!"))
            clock.seconds += seconds_each
        pace.ended(index, None)


def test_after_enough_dialogues_the_rest_is_estimated_once(caplog):
    clock = Clock()
    pace = Pace(1000, max_turns=10, now=clock)
    run_in_turn(pace, clock, ENOUGH - 1, 3, 1.0)
    assert caplog.messages == []
    run_in_turn(pace, clock, 300, 3, 1.0)
    # 20 dialogues of 3 replies a second each: 3,000 replies in all, of which 2,940 are left.
    (line,) = caplog.messages
    assert line == (
        "20 of 1,000 dialogues have ended, with 60 replies of the model under test so far: about 3,000 replies in all, and "
        "49 min for the rest."
    )


def test_what_ends_in_a_minute_is_not_estimated(caplog):
    clock = Clock()
    run_in_turn(Pace(60, max_turns=10, now=clock), clock, 60, 1, 1.0)
    assert caplog.messages == []


def test_short_dialogues_of_a_large_batch_mislead_nobody(caplog):
    """Of 200 at once half end after one reply, all others after five; 20 that ended first would speak of neither."""
    clock = Clock()
    pace = Pace(2000, max_turns=10, now=clock)
    for index in range(200):
        pace.heard(index, Message(Role.ASSISTANT, "!"))
    clock.seconds = 100.0
    for index in range(99):
        pace.ended(index, None)
    assert caplog.messages == []
    pace.ended(99, None)
    assert "about 4,000 replies in all, and 32 min for the rest" in caplog.text


def test_no_more_replies_are_expected_than_there_can_be(caplog):
    clock = Clock()
    run_in_turn(Pace(1000, max_turns=2, now=clock), clock, 20, 5, 10.0)
    assert "about 2,000 replies in all" in caplog.text


def test_logs_are_shown_as_lm_evals_where_it_shows_any():
    theirs, ours = logging.getLogger("lm_eval"), [logging.getLogger(package) for package in PACKAGES]
    before = [(each, list(each.handlers), each.level) for each in (theirs, *ours)]
    handler = logging.StreamHandler()
    try:
        theirs.handlers = []
        log_as_lm_eval()
        assert all(handler not in each.handlers for each in ours)
        theirs.handlers = [handler]
        theirs.setLevel(logging.ERROR)
        log_as_lm_eval()
        log_as_lm_eval()
        assert all(each.handlers.count(handler) == 1 and each.level == logging.ERROR for each in ours)
    finally:
        for each, handlers, level in before:
            each.handlers = handlers
            each.setLevel(level)
