import json
from dataclasses import replace

import pytest
from doubles import PRODUCT
from hypothesis import given
from hypothesis import strategies as st
from strategies import PROPERTY, questions

from lm_eval_plugin.config.dialogue import read_dialogue_block
from lm_eval_plugin.config.request import DEFAULT_SYSTEM, DialogueRequest

SCRIPTED = read_dialogue_block({"simulator": "scripted"}, "task t")
TUNED = read_dialogue_block(
    {
        "simulator": "chatbench-distilgpt2",
        "assistant": {"temperature": 0.7, "gen_kwargs": {"top_p": 0.9}},
        "repeats": 3,
    },
    "task t",
)


def request(**changes):
    return replace(DialogueRequest(PRODUCT, SCRIPTED), **changes)


@given(questions, st.sampled_from([SCRIPTED, TUNED]), st.text(), st.booleans(), st.integers())
@PROPERTY
def test_request_travels_through_json_unchanged(question, dialogue, system, chat_template, seed):
    sent = DialogueRequest(question, dialogue, system, chat_template, seed)
    text, settings = sent.to_arguments()
    assert DialogueRequest.from_arguments((text, json.loads(json.dumps(settings)))) == sent


def test_first_argument_is_the_question_as_a_person_reads_it():
    assert request().to_arguments()[0] == "What is 7 x 8?\nA. 54\nB. 56\nC. 58\nD. 63"


def test_assistant_is_helpful_by_default():
    assert request().system == DEFAULT_SYSTEM == "You are a helpful assistant."


def test_settings_key_does_not_depend_on_the_question():
    other = replace(PRODUCT, id="other", stem="What is 6 x 9?")
    assert request().settings_key() == request(question=other).settings_key()


@pytest.mark.parametrize("change", [{"system": "Be brief."}, {"chat_template": True}, {"seed": 1}, {"dialogue": TUNED}])
def test_settings_key_depends_on_everything_else(change):
    assert request(**change).settings_key() != request().settings_key()


def test_dialogue_seed_is_the_same_in_every_run():
    # sha256(b"0|product|0") begins with the bytes that this number is made of.
    assert request().dialogue_seed(0) == int("3aabd435", 16)


def test_dialogue_seed_depends_on_run_question_and_repeat_alone():
    seed = request().dialogue_seed(0)
    assert request(dialogue=TUNED, system="Be brief.", chat_template=True).dialogue_seed(0) == seed
    assert request(question=replace(PRODUCT, stem="Other?", choices=("x", "y"))).dialogue_seed(0) == seed
    assert request(seed=1).dialogue_seed(0) != seed
    assert request(question=replace(PRODUCT, id="other")).dialogue_seed(0) != seed
    assert request().dialogue_seed(1) != seed


@given(st.integers(), st.integers(min_value=0, max_value=1000))
@PROPERTY
def test_dialogue_seed_has_32_bits(seed, repeat):
    assert 0 <= request(seed=seed).dialogue_seed(repeat) < 2**32
