import pytest
from doubles import PRODUCT, hold, said, saying
from hypothesis import given
from hypothesis import strategies as st
from strategies import PROPERTY, questions
from users import user_of

from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import StopReason
from lm_eval_plugin.simulators.sharded import ShardedUser, shards

TRAIN = Question(
    "train", "maths", "It goes 60 km in 45 min. It does not stop. How fast is it?", ("75 km/h", "80 km/h", "90 km/h")
)
PIECES = [
    *("It goes 60 km in 45 min.", "It does not stop.", "How fast is it?"),
    *("Option A. 75 km/h", "Option B. 80 km/h", "Option C. 90 km/h"),
]


def without_spaces(text):
    return "".join(text.split())


def test_pieces_are_the_sentences_of_the_stem_and_then_the_options():
    assert shards(TRAIN, 9) == PIECES


@pytest.mark.parametrize(
    ("most", "sizes"),
    [(1, [6]), (2, [3, 3]), (3, [2, 2, 2]), (4, [1, 2, 1, 2]), (5, [1, 1, 1, 1, 2]), (6, [1] * 6), (20, [1] * 6)],
)
def test_pieces_are_joined_where_there_are_more_of_them_than_turns(most, sizes):
    joined = shards(TRAIN, most)
    assert [piece.count("\n") + 1 for piece in joined] == sizes
    assert "\n".join(joined) == "\n".join(PIECES)


@pytest.mark.parametrize(
    ("stem", "sentences"),
    [
        ("What is 7 x 8?", ["What is 7 x 8?"]),
        ("A body falls 4.9 m in 1 s. How far in 2 s?", ["A body falls 4.9 m in 1 s.", "How far in 2 s?"]),
        ("Is it so? (It is.)", ["Is it so?", "(It is.)"]),
        ("One line\nanother line", ["One line", "another line"]),
        ("No end. lower case goes on", ["No end. lower case goes on"]),
    ],
)
def test_stem_is_cut_where_a_sentence_ends(stem, sentences):
    assert shards(Question("q", "s", stem, ("x", "y")), 99)[:-2] == sentences


@pytest.mark.parametrize(
    "stem",
    [
        'He said "Stop!" Then he left.',
        "It falls (by 5 m.) How long?",
        "They call it 'work.' Is it?",
        "f(x) = [1.] Why?",
    ],
)
def test_closing_mark_behind_a_sentence_stays(stem):
    told = "".join(shards(Question("q", "s", stem, ("x", "y")), 99)[:-2])
    assert without_spaces(told) == without_spaces(stem)


@given(questions, st.integers(min_value=1, max_value=30))
@PROPERTY
def test_pieces_are_never_empty_nor_more_than_asked_for(question, most):
    told = shards(question, most)
    assert 1 <= len(told) <= most
    assert all(piece.strip() for piece in told)


@pytest.mark.parametrize("max_turns", range(1, 10))
def test_whole_question_is_told_before_an_answer_is_accepted(max_turns):
    simulator = user_of("sharded", max_turns=max_turns)
    held = hold(
        saying(), saying(*["The answer is B."] * max_turns), question=TRAIN, simulator=simulator, max_turns=max_turns
    )
    assert held.answer == "B"
    assert "\n".join(said(held)[:-1:2]) == "\n".join(PIECES)
    assert held.stop_reason is (StopReason.FORCED if max_turns == 1 else StopReason.ANSWERED)


def test_turns_are_one_less_than_the_dialogue_has_so_that_one_is_left_to_ask():
    assert user_of("sharded", max_turns=5) == ShardedUser("sharded", turns=4)
    assert user_of("sharded", max_turns=1) == ShardedUser("sharded", turns=1)


def test_messages_do_not_depend_on_replies_before_the_end_nor_on_the_seed():
    def told(*replies, seed):
        return said(hold(saying(), saying(*replies, "B"), simulator=ShardedUser(turns=3), seed=seed))[::2]

    assert told("Hm.", "So?", seed=1) == told("The answer is C.", "", seed=2)


def test_unclear_reply_to_the_last_piece_is_asked_to_confirm_once():
    held = hold(saying(), saying("a", "Hm.", "Hard."), simulator=ShardedUser(turns=2))
    assert said(held)[4] == "Which option is right: A, B, C or D? Please name one letter."
    assert (held.stop_reason, len(held.messages)) == (StopReason.NO_ANSWER, 6)


def test_no_guardrail_watches_it():
    assert not ShardedUser().guarded
    assert hold(saying(), saying("B"), simulator=ShardedUser(turns=1), question=PRODUCT).events is None
