import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import PROPERTY

from lm_eval_plugin.dialogue.transcript import Message, Role
from lm_eval_plugin.dialogue.trimming import shortened_histories, squeezed_history


def history(*contents):
    roles = (Role.USER, Role.ASSISTANT) * len(contents)
    return tuple(Message(role, content) for role, content in zip(roles, contents, strict=False))


def contents(messages):
    return [message.content for message in messages]


def within(characters):
    return lambda shown: sum(len(message.content) for message in shown) <= characters


def test_oldest_exchange_after_the_first_turn_goes_first():
    shortened = [contents(shown) for shown in shortened_histories(history("u1", "a1", "u2", "a2", "u3"))]
    assert shortened == [["u1", "a2", "u3"]]


def test_user_is_left_with_its_first_turn_and_the_last_reply():
    shortened = [contents(shown) for shown in shortened_histories(history("u1", "a1", "u2", "a2", "u3", "a3"))]
    assert shortened == [["u1", "a2", "u3", "a3"], ["u1", "a3"]]


@given(st.integers(min_value=1, max_value=21))
@PROPERTY
def test_first_and_last_turn_stay_and_turns_alternate(length):
    whole = history(*map(str, range(length)))
    for shown in shortened_histories(whole):
        assert shown[0] == whole[0]
        assert shown[-1] == whole[-1]
        assert [message.role for message in shown] == [message.role for message in whole[: len(shown)]]


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_short_history_is_not_shortened(length):
    whole = history(*("x" * length))
    assert list(shortened_histories(whole)) == []


def test_squeezed_message_says_how_many_characters_are_left_out():
    squeezed = squeezed_history(history("q", "a" * 300 + "b" * 700, "go on"), within(600))
    # The user's words take 6 characters and the note 35, so 600 - 41 = 559 of the 1000 are shown and 441 are not.
    note = " [... 441 characters left out ...] "
    assert contents(squeezed) == ["q", "a" * 280 + note + "b" * 279, "go on"]


@given(st.integers(min_value=201, max_value=5000), st.integers(min_value=240, max_value=4000))
@PROPERTY
def test_squeezed_message_shows_as_much_as_fits(length, room):
    squeezed = squeezed_history(history("x" * length), within(room))
    shown = squeezed[0].content.count("x")
    left_out = length - shown
    assert f"[... {left_out} characters left out ...]" in squeezed[0].content
    assert len(squeezed[0].content) <= room
    one_more = shown + 1 + len(f" [... {left_out - 1} characters left out ...] ")
    assert one_more > room or left_out == 1


def test_longest_message_is_squeezed_whoever_said_it():
    squeezed = squeezed_history(history("u" * 900, "a" * 300), within(700))
    assert "characters left out" in squeezed[0].content
    assert squeezed[1].content == "a" * 300


def test_squeezed_message_keeps_its_role_and_numbers():
    said = Message(Role.ASSISTANT, "x" * 900, tokens=300, seconds=1.5, reasoning="why")
    [squeezed] = squeezed_history((said,), within(500))
    assert (squeezed.role, squeezed.tokens, squeezed.seconds, squeezed.reasoning) == (Role.ASSISTANT, 300, 1.5, "why")


@pytest.mark.parametrize(
    "shown",
    [
        (),
        history("x" * 200),
        history("x" * 900),
        history("x" * 150, "y" * 150),
    ],
    ids=["nothing said", "200 characters", "no room for 200 characters", "only short messages"],
)
def test_history_of_which_200_characters_do_not_fit_is_given_up(shown):
    # The note about 700 characters takes 35, so 200 of 900 need 235.
    assert squeezed_history(shown, within(199)) is None


def test_200_characters_and_the_note_are_the_least_that_is_shown():
    assert squeezed_history(history("x" * 900), within(234)) is None
    assert squeezed_history(history("x" * 900), within(235)) is not None
