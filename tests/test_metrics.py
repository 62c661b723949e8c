from dataclasses import replace

import pytest
from doubles import PRODUCT, saying
from hypothesis import given
from hypothesis import strategies as st
from strategies import PROPERTY, transcripts

from lm_eval_plugin.dialogue.engine import converse
from lm_eval_plugin.dialogue.question import LETTERS, Question
from lm_eval_plugin.dialogue.transcript import Event, Message, Role, StopReason, Transcript, Verdict
from lm_eval_plugin.runner.warnings import warn_of_unread
from lm_eval_plugin.scoring import metrics as measures
from lm_eval_plugin.scoring.kinds import Kind
from lm_eval_plugin.scoring.metrics import METRICS, QuestionRecord, accuracy
from lm_eval_plugin.simulators.loop import dialogue
from lm_eval_plugin.simulators.scripted import ScriptedUser


def record(held, gold="B", acc_static=None, question=PRODUCT):
    return QuestionRecord(question, frozenset(gold), tuple(held), acc_static)


def question_metrics(held, gold, acc_static):
    return measures.question_metrics(record(held, gold, acc_static))


def ended(stop_reason, answer=None, replies=1):
    messages = (Message(Role.USER, "?"), Message(Role.ASSISTANT, "!")) * replies
    return Transcript("q", "demo", 0, 0, messages, answer, stop_reason)


RIGHT = ended(StopReason.ANSWERED, "B", replies=2)
WRONG = ended(StopReason.FORCED, "C", replies=10)
BROKEN = ended(StopReason.MODEL_ERROR, replies=7)


def test_means_over_two_dialogues():
    assert question_metrics([RIGHT, WRONG], {"B"}, 0.75) == {
        "acc": 0.5,
        "acc_answered": 0.5,
        "answer_given": 1.0,
        "acc_static": 0.75,
        "acc_gap": -0.25,
        "answered": 0.5,
        "valid": 1.0,
        "replies_read": 0.0,
        "user_turns": 6.0,
        "mirrored": 0.0,
        "user_words_first": 0.0,
        "flip_gain": 0.125,
        "flip_loss": 0.375,
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
    outcome = {name: metrics[name] for name in ("acc", "answered", "valid", "user_turns", "model_error")}
    assert outcome == {"acc": 0.0, "answered": 0.0, "valid": 0.0, "user_turns": 1.0, "model_error": 0.0}


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
    assert [held.stop_reason for held in record(all_ends).scored] == [
        end for end in StopReason if end.value != "model_error"
    ]


# What happened in the conversation


def talk(*contents, answer=None, stop_reason=StopReason.ANSWERED, **fields):
    """A dialogue in which user and assistant say these in turn."""
    roles = [Role.USER, Role.ASSISTANT] * len(contents)
    messages = tuple(Message(role, content) for role, content in zip(roles, contents, strict=False))
    return Transcript("q", "demo", 0, 0, messages, answer, stop_reason, **fields)


def measured(name, held, gold="B", question=PRODUCT):
    return measures.question_metrics(record([held], gold, question=question)).get(name)


@pytest.mark.parametrize(
    ("replies", "answer", "recovered", "misled", "followed"),
    [
        (("It is 54, so A.", "Sorry, it is B."), "B", 1, 0, 1),  # first wrong, then right; taken
        (("It is 54, so A.", "Sorry, it is B."), "A", 0, 1, 0),  # the correction is not taken
        (("The answer is B.",), "C", None, 1, 0),
        (("The answer is B.",), "B", None, 0, 1),
        (("The answer is C.",), "C", 0, None, 1),
        (("The answer is C.",), "B", 1, None, 0),
        (("Let me see.",), "B", None, None, None),  # nothing supported
        (("54 or 56?", "The answer is B."), "B", None, 0, 1),  # a reply that supports two supports none
    ],
)
def test_what_the_assistant_supported_and_what_the_user_took(replies, answer, recovered, misled, followed):
    said = [part for reply in replies for part in ("?", reply)]
    held = talk(*said, f"Answer: {answer}", answer=answer)
    assert measured("recovered", held) == recovered
    assert measured("misled", held) == misled
    assert measured("followed", held) == followed


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        (("It is 56.", "Let me see."), 1),  # one that can be read is enough
        (("Let me see.", "54 or 56?"), 0),
        (("",), 0),  # an empty reply is a reply
        ((), None),  # where nobody replied there is nothing to read
    ],
)
def test_share_of_the_dialogues_with_a_reply_in_which_an_option_could_be_read(replies, expected):
    said = [part for reply in replies for part in ("?", reply)] or ["?"]
    assert measured("replies_read", talk(*said, stop_reason=StopReason.NO_ANSWER)) == expected


@pytest.mark.parametrize(("read", "warned"), [(4, False), (5, False), (1, True)])
def test_below_a_half_of_replies_that_could_be_read_a_warning_says_so(read, warned, caplog):
    held = [
        talk("?", "It is 56." if index < read else "Let me see.", answer="B") for index in range(8 if read != 5 else 10)
    ]
    broken = [talk("?", "Let me see.", stop_reason=StopReason.MODEL_ERROR)] * 9
    warn_of_unread([*held, *broken], [PRODUCT] * (len(held) + 9))
    assert ("replies_read" in caplog.text) == warned


def test_a_user_without_an_answer_followed_nobody_but_can_be_misled():
    held = talk("?", "The answer is B.", stop_reason=StopReason.NO_ANSWER)
    assert measured("followed", held) is None
    assert measured("misled", held) == 1


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (PRODUCT.text, 1),
        ("hey! what is 7 x 8? is it 54, 56, 58 or 63", 1),
        ("What is 7 x 8?", 0),  # without the options
        ("54 56 58 63?", 0),  # without the stem
        ("I have to multiply two numbers", 0),
        ("What is 7 x 8? 541, 561, 581, 631", 0),  # other numbers
    ],
)
def test_mirrored_needs_stem_and_options(first, expected):
    assert measured("mirrored", talk(first, "56")) == expected


def test_a_dialogue_without_a_message_mirrors_nothing():
    nothing = Transcript("q", "demo", 0, 0, (), None, StopReason.NO_ANSWER)
    assert measured("mirrored", nothing) is None
    assert measured("user_words_first", nothing) is None


def test_tokens_are_summed_by_speaker_and_unknown_if_one_message_is():
    said = (Message(Role.USER, "a", 3), Message(Role.ASSISTANT, "b", 5), Message(Role.USER, "c", 2))
    held = Transcript("q", "demo", 0, 0, said, "B", StopReason.ANSWERED)
    assert (measured("user_tokens", held), measured("assistant_tokens", held)) == (5, 5)
    unknown = Transcript("q", "demo", 0, 0, (*said, Message(Role.ASSISTANT, "d")), "B", StopReason.ANSWERED)
    assert measured("assistant_tokens", unknown) is None


def test_words_of_the_first_message_count_numbers_and_contractions_once():
    assert measured("user_words_first", talk("What's 7 x 8, please?", "56")) == 5


def test_a_verdict_that_could_not_be_read_is_in_no_mean_but_in_the_share_judged():
    one = talk("?", "!", verdicts={"coherence": Verdict(4, "fine"), "satisfaction": None})
    two = talk("?", "!", verdicts={"coherence": None, "satisfaction": None})
    metrics = question_metrics([one, two], "B", None)
    assert metrics["coherence"] == 4
    assert "satisfaction" not in metrics
    assert metrics["judged"] == 0.25


def test_without_a_judge_there_are_no_verdicts_at_all():
    assert not {"coherence", "satisfaction", "judged"} & question_metrics([RIGHT], "B", None).keys()


def test_events_of_a_user_that_nobody_watches_are_unknown():
    assert "event_echo" not in question_metrics([talk("?", "!")], "B", None)
    seen = question_metrics([talk("?", "!", events={Event.ECHO: 3}), talk("?", "!", events={})], "B", None)
    assert (seen["event_echo"], seen["event_empty"]) == (0.5, 0)


@given(
    st.lists(transcripts, min_size=1, max_size=6), st.sets(st.sampled_from(LETTERS[:4]), min_size=1), st.floats(0, 1)
)
@PROPERTY
def test_the_gap_is_what_was_gained_less_what_was_lost(held, gold, acc_static):
    metrics = question_metrics(held, gold, acc_static)
    if "acc" in metrics:
        assert metrics["acc_gap"] == pytest.approx(metrics["flip_gain"] - metrics["flip_loss"])


@given(st.lists(transcripts, min_size=1, max_size=6), st.sets(st.sampled_from(LETTERS[:4]), min_size=1))
@PROPERTY
def test_a_judge_that_fails_or_lies_changes_no_accuracy(held, gold):
    plain = question_metrics([replace(each, verdicts=None) for each in held], gold, 0.5)
    for lie in (
        {"coherence": None, "satisfaction": None},
        {"coherence": Verdict(1, "B!"), "satisfaction": Verdict(5, "A")},
    ):
        judged = question_metrics([replace(each, verdicts=lie) for each in held], gold, 0.5)
        assert {name: value for name, value in judged.items() if name in plain} == plain


several = st.lists(transcripts, min_size=1, max_size=6)
golds = st.sets(st.sampled_from(LETTERS[:4]), min_size=1)
static_scores = st.none() | st.floats(0, 1)


@given(several, golds, static_scores)
@PROPERTY
def test_every_metric_lies_in_its_range_and_has_a_direction(held, gold, acc_static):
    metrics = question_metrics(held, gold, acc_static)
    assert list(metrics) == [name for name in METRICS if name in metrics]
    assert all(METRICS[name].kind.bounds[0] <= value <= METRICS[name].kind.bounds[1] for name, value in metrics.items())


@given(several, golds, static_scores)
@PROPERTY
def test_order_of_the_dialogues_is_irrelevant(held, gold, acc_static):
    assert question_metrics(held[::-1], gold, acc_static) == pytest.approx(question_metrics(held, gold, acc_static))


@given(several, golds, static_scores)
@PROPERTY
def test_saved_transcripts_give_the_numbers_of_the_run(held, gold, acc_static):
    saved = [Transcript.from_json(transcript.to_json()) for transcript in held]
    assert question_metrics(saved, gold, acc_static) == question_metrics(held, gold, acc_static)


def test_a_metric_cannot_be_made_without_its_kind():
    with pytest.raises(TypeError, match="kind"):
        measures.Metric(higher_is_better=True)


def test_kinds_are_those_that_the_metrics_were_meant_to_have():
    named = {kind: {name for name in METRICS if METRICS[name].kind is kind} for kind in Kind}
    assert named[Kind.DIFFERENCE] == {"acc_gap", "uplift"}
    assert named[Kind.COUNT] == {"user_turns", "user_tokens", "assistant_tokens", "user_words_first"}
    assert named[Kind.SCORE] == {"coherence", "satisfaction"}
    assert named[Kind.SECONDS] == set()


def test_accuracy_of_the_answered_leaves_out_dialogues_without_an_answer():
    silent, odd = ended(StopReason.NO_ANSWER), ended(StopReason.INVALID)
    metrics = question_metrics([RIGHT, WRONG, silent, odd], {"B"}, None)
    assert (metrics["acc"], metrics["acc_answered"], metrics["answer_given"]) == (0.25, pytest.approx(1 / 3), 0.75)
    assert "acc_answered" not in question_metrics([silent], {"B"}, None)
