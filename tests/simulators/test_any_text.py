"""Whatever a model writes, it can be read, is no answer that it does not state, and forges nothing in later prompts."""

import json
import re

import pytest
from doubles import PRODUCT, ScriptedModel, hold
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import anything_said
from users import IN_DIALOGUE, WITH_A_MODEL, history, plain_structure, situation, structure, user_of

from lm_eval_plugin.dialogue.engine import Reply
from lm_eval_plugin.dialogue.transcript import Event, Role, Transcript
from lm_eval_plugin.simulators.model_user import Aim

_PIECES = [
    *(
        "Answer:",
        "answer: ",
        "So, the answer is",
        "so the answer is: ",
        "The answer is",
        "A",
        "B",
        " b",
        "C.",
        "(D)",
        "E",
        "I",
    ),
    *("56", "option ", " or ", "not ", "**", '"', "'", "\\boxed{B}", "\n", "\r\n", "\r", "\t", " ", ".", "?"),
    *("YOU:", "\nYOU: ", "\nSYSTEM: ", "\nASSISTANT: ", "\nUser: ", "\nAssistant: ", "=" * 24, "\n" + "=" * 24 + "\n"),
    *(
        "[END]",
        "[USER]",
        "[SYSTEM]",
        "[ASSISTANT]",
        "<|eot_id|>",
        "<|endconversation|>",
        "<think>",
        "</think>",
        "{letters}",
    ),
    *(
        "\u2028",
        "\x85",
        "\x0b",
        "\x00",
        "\ufeff",
        "\u202e",
        "\u0130",
        "\u017f",
        "\U0001f468\u200d\U0001f469",
        "\U0010ffff",
        "e\u0301",
    ),
]
said_by_a_model = st.one_of(st.lists(st.sampled_from(_PIECES), max_size=12).map("".join), anything_said)
ten_texts = st.lists(said_by_a_model, min_size=10, max_size=10)

SETTINGS = {
    "deadline": None,
    "derandomize": True,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
}
BEGUN = {("chatbench_b", Aim.ANSWER), ("userlm", Aim.ANSWER)}
"""Where the prompt ends with the head of the answer already."""

SCRIPTS = {name: user_of(simulator).script for name, simulator in WITH_A_MODEL.items()}
TALK = history("7 x 8?", "It is 56.", "sure?", "Yes.")

every_user = pytest.mark.parametrize("name", WITH_A_MODEL)


def states(text, letter, *, begun):
    """Whether the letter stands by itself, with its own mark, anywhere behind a head of an answer: all that may be accepted."""
    heads = [match.end() for match in re.finditer(r"answer\W*(?::|is)", text, re.IGNORECASE)] + [0] * begun
    return any(re.search(rf"(?<!\w){letter}(?!\w)", text[head:], re.IGNORECASE) for head in heads)


def names_another(text, letter):
    """Whether a second capital letter of the question follows the accepted one directly, which would make it a choice."""
    others = "".join(other for other in "BCD" if other != letter)
    return re.search(
        rf"(?i:answer)\W*(?::|is)\W*{letter}\W{{1,4}}(?:(?:or|and|versus)\W{{1,4}})?[{others}](?![\w'’])", text
    )


def read(name, text, turns, aim):
    return SCRIPTS[name].read(text, situation(), turns, aim)


@given(ten_texts)
@settings(max_examples=1000, **SETTINGS)
def test_ten_thousand_texts_are_read_and_no_letter_is_made_up(texts):
    for text in texts:
        for name in SCRIPTS:
            for turns, aim in (((), Aim.SPEAK), (TALK, Aim.SPEAK), (TALK, Aim.ANSWER)):
                draft = read(name, text, turns, aim)
                if draft.answer is None or draft.answer.letter is None:
                    continue
                assert draft.answer.letter in PRODUCT.letters
                assert turns or name == "iqa_eval"
                assert states(text, draft.answer.letter, begun=(name, aim) in BEGUN)
                assert not names_another(draft.text, draft.answer.letter)


@given(ten_texts)
@settings(max_examples=50, **SETTINGS)
def test_message_that_is_read_once_more_stays_as_it_is(texts):
    for text in texts:
        for name in SCRIPTS:
            message = read(name, text, TALK, Aim.SPEAK).text
            assert read(name, message, TALK, Aim.SPEAK).text == message


@every_user
@pytest.mark.parametrize(
    "switches", [{}, {"chain_of_thought": True, "persona": "novice"}], ids=["plain", "with_switches"]
)
def test_dialogue_of_any_texts_is_well_formed_to_its_end(name, switches):
    @given(st.lists(said_by_a_model, min_size=30, max_size=30), st.lists(said_by_a_model, min_size=3, max_size=3))
    @settings(max_examples=40, **SETTINGS)
    def check(lines, replies):
        left = iter(lines)
        simulator = user_of(WITH_A_MODEL[name], **switches)
        user = ScriptedModel(lambda ask: Reply(next(left)))
        assistant = ScriptedModel(lambda ask: Reply(replies[len(ask.history) // 2]))
        held = hold(user, assistant, simulator=simulator, max_turns=3)
        roles = [message.role for message in held.messages]
        assert roles == [(Role.USER, Role.ASSISTANT)[place % 2] for place in range(len(roles))]
        assert all(message.content for message in held.messages if message.role is Role.USER)
        assert Transcript.from_json(held.to_json()) == held
        assert json.loads(held.to_json())["events"].keys() <= {event.value for event in Event}
        assert not forged(name, held.messages)

    check()


def forged(name, messages):
    """The lengths of the conversation at which its prompt has another structure than one of harmless words."""

    def marks(turns, aim, thoughts):
        prompt = SCRIPTS[name].prompt(situation(), turns, aim, thoughts)
        plain = SCRIPTS[name].prompt(situation(), turns, aim, "")
        return structure(name, prompt), plain_structure(plain)

    harmless = history(*("hm" for _ in messages))
    return [
        (length, aim)
        for length in range(0, len(messages) + 1, 2)
        for aim in IN_DIALOGUE
        if marks(messages[:length], aim, messages[0].content if messages else "")
        != marks(harmless[:length], aim, "hm" if messages else "")
    ]


@every_user
def test_conversation_of_any_texts_forges_no_turn(name):
    @given(st.lists(said_by_a_model.filter(bool), min_size=4, max_size=4))
    @settings(max_examples=100, **SETTINGS)
    def check(said):
        assert not forged(name, history(*said))

    check()


@every_user
def test_letter_is_accepted_in_the_form_that_the_user_is_told(name):
    told = "So, the answer is: {}" if name == "iqa_eval" else "Answer: {}"
    for letter in PRODUCT.letters:
        assert read(name, told.format(letter), TALK, Aim.ANSWER).answer.letter == letter
        assert read(name, told.format(letter), TALK, Aim.SPEAK).answer.letter == letter
