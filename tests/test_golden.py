"""Dialogues written by hand, with transcripts and metrics worked out by hand.

Each file of `golden/` is one question: `dialogues` holds what user and assistant say in turn (a text, the fields of a
`Reply`, or a `failure`), `transcripts` and `metrics` what must come of it, and `worked` how each number came about.
"""

import json
from pathlib import Path

import pytest
from doubles import hold, saying

from lm_eval_plugin.dialogue.engine import Failure, Reply
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import Event, StopReason, Transcript
from lm_eval_plugin.scoring.metrics import QuestionRecord, question_metrics

CASES = {path.stem: json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "golden").glob("*.json"))}

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def speaker(lines):
    """A model that says the lines of a golden file."""

    def line(entry):
        if isinstance(entry, str):
            return entry
        return Failure(StopReason(entry["failure"])) if "failure" in entry else Reply(**entry)

    return saying(*map(line, lines))


@every_case
def test_script_gives_the_transcripts_worked_out_by_hand(case):
    question = Question(**{**case["question"], "choices": tuple(case["question"]["choices"])})
    for repeat, (lines, worked) in enumerate(zip(case["dialogues"], case["transcripts"], strict=True)):
        user, assistant = speaker(lines["user"]), speaker(lines["assistant"])
        held = hold(user, assistant, question=question, max_turns=case["max_turns"], repeat=repeat, seed=100 + repeat)
        assert json.loads(held.to_json()) == worked
        assert (len(user.shown), len(assistant.shown)) == (len(lines["user"]), len(lines["assistant"]))


@every_case
def test_transcripts_give_the_metrics_worked_out_by_hand(case):
    transcripts = [Transcript.from_json(json.dumps(worked)) for worked in case["transcripts"]]
    none_seen = {f"event_{event.value}": 0.0 for event in Event} if "acc" in case["metrics"] else {}
    expected = {**none_seen, **case["metrics"]}
    question = Question(**{**case["question"], "choices": tuple(case["question"]["choices"])})
    record = QuestionRecord(question, frozenset(case["gold"]), tuple(transcripts), case["acc_static"])
    assert question_metrics(record) == pytest.approx(expected)


@every_case
def test_each_case_says_how_its_numbers_came_about(case):
    assert all(sentence.strip().endswith(".") for sentence in case["worked"])
    assert len(case["worked"]) >= 3


@pytest.mark.parametrize("stop_reason", [reason.value for reason in StopReason])
def test_every_stop_reason_has_a_case_of_its_name(stop_reason):
    assert {worked["stop_reason"] for worked in CASES[stop_reason]["transcripts"]} == {stop_reason}


def test_one_case_has_repeats_of_which_one_broke():
    ends = [worked["stop_reason"] for worked in CASES["repeats_with_model_error"]["transcripts"]]
    assert len(ends) == 4
    assert ends.count("model_error") == 1
