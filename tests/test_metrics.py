import pytest
from doubles import saying
from hypothesis import given
from hypothesis import strategies as st
from strategies import PROPERTY, transcripts

from lm_eval_plugin.engine import converse
from lm_eval_plugin.metrics import HIGHER_IS_BETTER, accuracy, question_metrics, scored
from lm_eval_plugin.question import LETTERS, Question
from lm_eval_plugin.simulators.dialogue import dialogue
from lm_eval_plugin.simulators.scripted import ScriptedUser
from lm_eval_plugin.transcript import Event, Message, Role, StopReason, Transcript

RANGES = {
    "acc": (0, 1),
    "acc_static": (0, 1),
    "acc_gap": (-1, 1),
    "answered": (0, 1),
    "valid": (0, 1),
    "user_turns": (0, float("inf")),
    "model_error": (0, 1),
    **{f"event_{event.value}": (0, 1) for event in Event},
}


def ended(stop_reason, answer=None, replies=1):
    messages = (Message(Role.USER, "?"), Message(Role.ASSISTANT, "!")) * replies
    return Transcript("q", "demo", 0, 0, messages, answer, stop_reason)


RIGHT = ended(StopReason.ANSWERED, "B", replies=2)
WRONG = ended(StopReason.FORCED, "C", replies=10)
BROKEN = ended(StopReason.MODEL_ERROR, replies=7)


def test_means_over_two_dialogues():
    assert question_metrics([RIGHT, WRONG], {"B"}, 0.75) == {
        "acc": 0.5,
        "acc_static": 0.75,
        "acc_gap": -0.25,
        "answered": 0.5,
        "valid": 1.0,
        "user_turns": 6.0,
        "model_error": 0.0,
    }


def test_model_error_is_in_no_mean_but_its_own():
    metrics = question_metrics([RIGHT, BROKEN], {"B"}, 1.0)
    assert metrics == {**question_metrics([RIGHT], {"B"}, 1.0), "model_error": 0.5}


def test_dialogues_that_all_broke_have_no_score():
    assert question_metrics([BROKEN, BROKEN], {"B"}, 1.0) == {"acc_static": 1.0, "model_error": 1.0}


def test_unknown_static_score_leaves_out_the_gap_too():
    assert not {"acc_static", "acc_gap"} & question_metrics([RIGHT], {"B"}, None).keys()


def test_static_score_of_zero_is_not_unknown():
    metrics = question_metrics([RIGHT], {"B"}, 0.0)
    assert (metrics["acc_static"], metrics["acc_gap"]) == (0.0, 1.0)


@pytest.mark.parametrize("stop_reason", [StopReason.INVALID, StopReason.NO_ANSWER, StopReason.CONTEXT])
def test_dialogue_without_an_answer_is_wrong(stop_reason):
    metrics = question_metrics([ended(stop_reason)], {"B"}, None)
    assert metrics == {"acc": 0.0, "answered": 0.0, "valid": 0.0, "user_turns": 1.0, "model_error": 0.0}


def test_forced_answer_is_valid_but_not_answered():
    metrics = question_metrics([ended(StopReason.FORCED, "B")], {"B"}, None)
    assert (metrics["acc"], metrics["answered"], metrics["valid"]) == (1.0, 0.0, 1.0)


@pytest.mark.parametrize("gold", [{"B"}, {"B", "D"}, frozenset("B"), ["B"], ("A", "B"), "B", "AB"])
def test_gold_is_any_collection_of_letters(gold):
    assert accuracy(RIGHT, gold) == 1.0
    assert accuracy(WRONG, gold) == 0.0


@pytest.mark.parametrize("gold", [{"B"}, "B"])
def test_missing_answer_is_wrong_whatever_collection_gold_is(gold):
    assert accuracy(ended(StopReason.NO_ANSWER), gold) == 0.0


def test_message_that_holds_the_answer_is_no_user_turn():
    question = Question("q", "sums", "7 x 8?", ("54", "56"))
    script = dialogue(question, ScriptedUser(), assistant_system="", max_turns=3, repeat=0, seed=0)
    [held] = converse([script], {Role.ASSISTANT: saying("Let me see.", "It is 56.")})
    assert [message.role for message in held.messages].count(Role.USER) == 3
    assert question_metrics([held], {"B"}, None)["user_turns"] == 2.0


def test_scored_keeps_order_and_drops_only_model_errors():
    all_ends = [ended(stop_reason) for stop_reason in StopReason]
    assert [held.stop_reason for held in scored(all_ends)] == [end for end in StopReason if end.value != "model_error"]


several = st.lists(transcripts, min_size=1, max_size=6)
golds = st.sets(st.sampled_from(LETTERS[:4]), min_size=1)
static_scores = st.none() | st.floats(0, 1)


@given(several, golds, static_scores)
@PROPERTY
def test_every_metric_lies_in_its_range_and_has_a_direction(held, gold, acc_static):
    metrics = question_metrics(held, gold, acc_static)
    assert list(metrics) == [name for name in HIGHER_IS_BETTER if name in metrics]
    assert all(RANGES[name][0] <= value <= RANGES[name][1] for name, value in metrics.items())


@given(several, golds, static_scores)
@PROPERTY
def test_order_of_the_dialogues_is_irrelevant(held, gold, acc_static):
    assert question_metrics(held[::-1], gold, acc_static) == pytest.approx(question_metrics(held, gold, acc_static))


@given(several, golds, static_scores)
@PROPERTY
def test_saved_transcripts_give_the_numbers_of_the_run(held, gold, acc_static):
    saved = [Transcript.from_json(transcript.to_json()) for transcript in held]
    assert question_metrics(saved, gold, acc_static) == question_metrics(held, gold, acc_static)


def test_ranges_here_are_those_of_all_metrics():
    assert RANGES.keys() == HIGHER_IS_BETTER.keys()
