"""Conversations from Python: any assistant, any simulator, one question or many."""

from __future__ import annotations

import pytest
from doubles import PRODUCT, said, saying
from lm_eval.api.model import LM

from lm_eval_plugin.config.presets import DEMO_ASSISTANT
from lm_eval_plugin.dialogue.transcript import Role, StopReason
from lm_eval_plugin.errors import ConfigError, SimulatorError
from lm_eval_plugin.runner.simulation import read_question, simulate, simulate_many

ROW = {"question": "What is 7 x 8?", "choices": ["54", "56", "58", "63"], "answer": 1, "id": 7}


@pytest.fixture(scope="module")
def demo_assistant():
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=str(DEMO_ASSISTANT), device="cpu", batch_size=16)


def test_a_function_is_an_assistant_and_sees_chat_messages():
    shown = []

    def reply(messages):
        shown.append(messages)
        return "<think>7 times 8</think>It is 56, so B."

    held = simulate(ROW, reply, "scripted", system="Be brief.")
    assert (held.answer, held.stop_reason) == ("B", StopReason.ANSWERED)
    assert [[message["role"] for message in messages] for messages in shown] == [["system", "user"]]
    assert shown[0][0]["content"] == "Be brief."
    assert held.messages[1].content == "It is 56, so B."
    assert held.messages[1].reasoning == "7 times 8"


def test_a_function_that_returns_nothing_is_a_model_error_and_no_exception():
    assert simulate(PRODUCT, lambda messages: None, "scripted").stop_reason is StopReason.MODEL_ERROR


def test_a_function_that_returns_no_text_is_an_error_that_says_so():
    with pytest.raises(TypeError, match="returned int; it must return a text or None"):
        simulate(PRODUCT, lambda messages: 56, "scripted")


def test_a_chat_model_of_ones_own_can_play_either_side():
    held = simulate(
        PRODUCT,
        saying("It is 56."),
        {"policy": "two_step", "model_args": {"pretrained": "gpt2"}},
        user=saying("7 x 8?", "Answer: B"),
    )
    assert said(held) == ["7 x 8?", "It is 56.", "Answer: B"]


def test_the_demo_talks_with_an_assistant_of_the_host(demo_assistant):
    held = simulate(ROW, demo_assistant, "demo", assistant={"max_tokens": 32}, max_turns=2)
    assert held.question_id == "7"
    assert held.simulator == "demo"
    assert all(message.tokens is not None for message in held.messages)


def test_many_are_held_together_and_come_in_the_order_of_questions_and_repeats(demo_assistant, capsys):
    rows = [{**ROW, "id": name} for name in "xyz"]
    held = simulate_many(rows, demo_assistant, "scripted", repeats=2, assistant={"max_tokens": 8})
    assert [(each.question_id, each.repeat) for each in held] == [(name, repeat) for name in "xyz" for repeat in (0, 1)]
    assert "Dialogues: 100%" in capsys.readouterr().err


@pytest.mark.parametrize(("size", "questions", "advised"), [(1, 5, True), (1, 4, False), (16, 5, False)])
def test_a_model_that_takes_one_prompt_at_a_time_is_pointed_at_batches(size, questions, advised, caplog):
    from lm_eval.models.huggingface import HFLM

    rows = [{**ROW, "id": str(place)} for place in range(questions)]
    lm = HFLM(pretrained=str(DEMO_ASSISTANT), device="cpu", batch_size=size)
    simulate_many(rows, lm, "scripted", assistant={"max_tokens": 2}, progress=False)
    assert ("--batch_size 16" in caplog.text) is advised


def test_progress_can_be_kept_quiet(capsys):
    simulate_many([PRODUCT], lambda messages: "B", "scripted", progress=False)
    assert capsys.readouterr().err == ""


def test_no_questions_are_no_dialogues():
    assert simulate_many([], lambda messages: "B", "scripted") == []


def test_messages_are_told_as_they_are_said():
    told = []
    held = simulate(PRODUCT, lambda messages: "It is 56.", "scripted", on_message=told.append)
    assert tuple(told) == held.messages
    assert [message.role for message in told] == [Role.USER, Role.ASSISTANT, Role.USER]


def test_equal_seeds_repeat_a_sampled_conversation_and_others_differ(demo_assistant):
    def held(seed):
        many = simulate_many([ROW] * 4, demo_assistant, "demo", seed=seed, progress=False, max_turns=3)
        return [said(each) for each in many]

    assert held(1) == held(1)
    assert held(1) != held(2)


def test_an_answer_among_the_fields_is_not_part_of_the_question():
    assert read_question(ROW) == read_question({**ROW, "answer": 3})


def test_a_question_without_an_id_is_named_by_its_text():
    fields = {"question": "a?", "choices": ["b", "c"]}
    assert read_question(fields).id == read_question({**fields, "subject": "x"}).id
    assert read_question(fields).id != read_question({**fields, "choices": ["c", "b"]}).id


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"choices": ["a", "b"]}, "no question"),
        ({"question": "a?"}, "no choices"),
        ({}, "no question and no choices; its fields are none"),
        ({"question": "a?", "choices": "ab"}, "must be a list"),
        ({"question": "a?", "choices": ["a"]}, "it needs 2 to 26"),
        ({"question": " ", "choices": ["a", "b"]}, "must be a text"),
    ],
)
def test_what_is_no_question_is_named(fields, message):
    with pytest.raises(ConfigError, match=message):
        read_question(fields)


def test_keys_that_belong_to_tasks_are_refused():
    with pytest.raises(ConfigError, match="no setting static; it has max_turns"):
        simulate(PRODUCT, lambda messages: "B", "scripted", static="letter")


def test_what_is_no_assistant_is_refused():
    with pytest.raises(ConfigError, match="give a model of the host, or a function"):
        simulate(PRODUCT, "gpt2", "scripted")


def test_a_question_too_long_for_the_simulator_is_an_error_before_anything_is_said():
    def never(messages):
        raise AssertionError

    with pytest.raises(SimulatorError, match="do not fit into the window"):
        simulate({"question": "why? " * 5000, "choices": ["a", "b"]}, never, "demo")


def test_every_backend_of_the_host_can_be_the_assistant():
    class Fixed(LM):
        def generate_until(self, requests, disable_tqdm=False):
            return ["So B."] * len(requests)

        loglikelihood = loglikelihood_rolling = None

    assert simulate(PRODUCT, Fixed(), "scripted").answer == "B"


def test_one_conversation_has_no_repeats():
    with pytest.raises(ConfigError, match="call simulate_many"):
        simulate(PRODUCT, lambda messages: "B", "scripted", repeats=5)


@pytest.mark.parametrize("key", ["question", "id", "subject"])
def test_half_of_a_surrogate_pair_in_a_question_is_replaced(key):
    assert getattr(read_question({**ROW, key: "caf\udce9"}), {"question": "stem"}.get(key, key)) == "caf\ufffd"


def test_half_of_a_surrogate_pair_in_an_option_is_replaced():
    assert read_question({**ROW, "choices": ["caf\udce9", "tea"]}).choices[0] == "caf\ufffd"
