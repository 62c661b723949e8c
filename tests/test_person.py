import pytest
from doubles import PRODUCT
from hypothesis import given
from hypothesis import strategies as st
from strategies import PROPERTY
from users import history, situation

from lm_eval_plugin.dialogue.engine import Ask, Chat, Failure, Reply
from lm_eval_plugin.dialogue.transcript import Role, StopReason
from lm_eval_plugin.models.person import Person, printable
from lm_eval_plugin.simulators.human import HumanUser


class Terminal:
    """Lines to type, and what came onto the screen; after the last line the input is closed."""

    def __init__(self, *lines):
        self.lines = list(lines)
        self.prompts = []
        self.screen = []

    def read(self, prompt):
        self.prompts.append(prompt)
        if not self.lines:
            raise EOFError
        return self.lines.pop(0)

    def show(self, text, speaker):
        self.screen.append((speaker, text))

    @property
    def person(self):
        return Person(self.read, self.show)


def ask(role, *contents):
    return Ask(role, history(*contents), lambda shown: Chat("Help.", shown) if role is Role.ASSISTANT else PRODUCT.text)


def typed(*lines, role=Role.USER):
    return Terminal(*lines).person.reply([ask(role, "hi")])[0]


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["hi"], "hi"),
        (["  hi  "], "hi"),
        ([""], ""),
        (["one\\", "two"], "one\ntwo"),
        (["one\\", "two\\", "", "unread"], "one\ntwo"),
        (["\\", "two"], "two"),
        (["a\\b"], "a\\b"),
        (["\\frac{1}{2}"], "\\frac{1}{2}"),
    ],
)
def test_line_is_a_message_and_a_backslash_at_its_end_goes_on(lines, text):
    assert typed(*lines).text == text


def test_every_line_is_asked_for_with_who_is_to_type():
    terminal = Terminal("a\\", "b", "c")
    terminal.person.reply([ask(Role.USER, "hi"), ask(Role.ASSISTANT, "hi")])
    assert terminal.prompts == ["user> ", "...", "assistant> "]


def test_asks_are_answered_one_after_the_other():
    replies = Terminal("a", "b").person.reply([ask(Role.USER), ask(Role.USER)])
    assert [reply.text for reply in replies] == ["a", "b"]


def test_seconds_are_those_of_typing():
    assert typed("hi").seconds >= 0


def test_user_who_closes_the_input_says_nothing():
    assert typed() == Reply("")


def test_assistant_who_closes_the_input_gives_no_reply():
    assert typed(role=Role.ASSISTANT) == Failure(StopReason.MODEL_ERROR)


def test_user_is_shown_its_prompt_and_the_assistant_the_last_message():
    terminal = Terminal("a", "b")
    terminal.person.reply([ask(Role.USER), ask(Role.ASSISTANT, "7 x 8?", "56.", "sure?")])
    assert [text for _, text in terminal.screen] == [PRODUCT.text, "sure?"]


def test_assistant_is_not_shown_the_question_of_the_user():
    terminal = Terminal("56.")
    terminal.person.reply([ask(Role.ASSISTANT, "hi")])
    assert PRODUCT.stem not in terminal.screen[0][1]


def test_what_the_other_side_said_cannot_act_on_the_terminal():
    terminal = Terminal("a")
    terminal.person.reply([ask(Role.ASSISTANT, "\x1b[2Jhi\x07\r\u202ereversed")])
    assert terminal.screen[0][1] == "\u241b[2Jhi\u2407\u240d\ufffdreversed"


@pytest.mark.parametrize("text", ["plain", "two\n\tlines", "7 \u00d7 8 \U0001f914", "\u00e9\u4e2d", ""])
def test_harmless_text_is_shown_as_it_is(text):
    assert printable(text) == text


@given(st.text())
@PROPERTY
def test_no_control_character_is_ever_shown(text):
    shown = printable(text)
    assert len(shown) == len(text)
    assert not [character for character in shown if ord(character) < 0x20 and character not in "\n\t"]
    assert not [character for character in shown if 0x7F <= ord(character) <= 0x9F]


def test_human_policy_and_person_hold_their_side_of_a_dialogue():
    terminal = Terminal("what is it?")
    script = HumanUser().turn(situation(), history("a", "b"), forced=False)
    assert terminal.person.reply([next(script)])[0].text == "what is it?"
    assert terminal.screen == [(Role.ASSISTANT, "b")]
