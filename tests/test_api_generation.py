"""Generation by a server that fails in every way that servers have."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
from base64 import b64encode
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest
from faulty_server import PASSING, Fault, echo, evenly, serving_faults
from lm_eval.models.litellm_llms import LiteLLMChatCompletion
from lm_eval.models.openai_completions import LocalChatCompletion, LocalCompletionsAPI

from lm_eval_plugin.errors import ModelError
from lm_eval_plugin.models.generation import Prompted
from lm_eval_plugin.models.generation.servers.api import ApiGeneration, speaks_http

GREEDY = {"until": ["\n\n"], "max_gen_toks": 16, "do_sample": False, "temperature": 0.0}
SAMPLED = {**GREEDY, "do_sample": True, "temperature": 0.7}
KEY = "sk-very-secret"
HANGING_S = 2
"""After how long a request that hangs is given up, where servers hang; elsewhere a slow machine gets its time."""


def completions(server, **options):
    address = f"{server.address}/completions"
    return LocalCompletionsAPI(base_url=address, model="any", tokenizer_backend=None, **{"timeout": 60, **options})


def chat(server, **options):
    address = f"{server.address}/chat/completions"
    return LocalChatCompletion(base_url=address, model="any", **{"timeout": 60, **options})


def prompts(*texts):
    return [Prompted(text, seed) for seed, text in enumerate(texts, start=2**40)]


def many(count):
    return prompts(*map("prompt {}".format, range(count)))


def generate(lm, asked, gen_kwargs=GREEDY):
    return texts(ApiGeneration(lm, "the model").generate(asked, gen_kwargs))


def texts(replies):
    return [None if reply is None else reply.text for reply in replies]


def right(asked):
    return [echo(prompt.text) for prompt in asked]


# What is sent


def test_replies_come_in_the_order_of_the_prompts():
    asked = many(20)
    with serving_faults() as server:
        assert generate(completions(server, num_concurrent=4), asked) == right(asked)


def test_as_many_requests_are_under_way_as_the_backend_may_have():
    with serving_faults() as server:
        server.hold_s = 0.05
        server.meeting = threading.Barrier(6, timeout=60)
        generate(completions(server, num_concurrent=6), many(24))
        assert server.most_under_way == 6


def test_a_chat_is_sent_as_messages_and_its_reply_is_read():
    with serving_faults() as server:
        lm = chat(server)
        turns = [{"role": "user", "content": "hi"}]
        assert generate(lm, [Prompted(lm.apply_chat_template(turns), 1)]) == [echo(json.dumps(turns))]
        assert server.bodies[0]["messages"] == turns


def test_a_backend_with_a_batch_size_sends_several_prompts_a_request():
    asked = many(5)
    with serving_faults() as server:
        replies = ApiGeneration(completions(server, batch_size=2), "the model").generate(asked, GREEDY)
        assert texts(replies) == right(asked)
        assert [reply.batch for reply in replies] == [2, 2, 2, 2, 1]
        assert sorted(len(body["prompt"]) for body in server.bodies) == [1, 2, 2]


def test_prompts_in_tokens_are_those_of_the_backends_tokenizer(llama):
    with serving_faults(answer=lambda ids: "yes") as server:
        lm = LocalCompletionsAPI(base_url=f"{server.address}/completions", model="any", tokenizer=str(llama))
        assert generate(lm, prompts("hello there")) == ["yes"]
        assert server.bodies[0]["prompt"] == [lm.tok_encode("hello there")]


def test_the_seconds_of_a_reply_are_those_of_its_own_request():
    with serving_faults() as server:
        server.hold_s = 0.2
        started = time.monotonic()
        replies = ApiGeneration(completions(server), "the model").generate(many(3), GREEDY)
        assert min(reply.seconds for reply in replies) >= 0.2
        assert sum(reply.seconds for reply in replies) <= time.monotonic() - started


def test_requests_that_are_under_way_together_share_the_time():
    with serving_faults() as server:
        server.meeting = threading.Barrier(3, timeout=30)
        server.hold_s = 0.3
        replies = ApiGeneration(completions(server, num_concurrent=3), "the model").generate(many(3), GREEDY)
        assert sum(reply.batch for reply in replies) > 6


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.NULL])
def test_a_request_that_fails_bears_nothing_of_the_time(fault):
    with serving_faults() as server:
        server.meeting = threading.Barrier(2, timeout=30)
        server.hold_s = 0.2
        server.planned = [fault]
        replies = ApiGeneration(completions(server, num_concurrent=2), "the model").generate(many(2), GREEDY)
        assert [reply.batch for reply in replies if reply] == [1.0]


def test_a_name_and_a_password_in_the_address_go_before_the_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving_faults() as server:
        lm = completions(server)
        generate(lm, prompts("a"))
        lm.base_url = lm.base_url.replace("//", "//me:hunter2@")
        assert generate(lm, prompts("a")) == [echo("a")]
        assert server.keys == [f"Bearer {KEY}", f"Basic {b64encode(b'me:hunter2').decode()}"]


def test_requests_go_through_the_proxy_that_the_environment_names(monkeypatch):
    with serving_faults() as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_port}")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        lm = completions(proxy)
        lm.base_url = "http://model.invalid/v1/completions"
        assert generate(lm, prompts("a")) == [echo("a")]


# Seeds


def test_a_sampled_request_carries_the_seed_of_its_prompt():
    with serving_faults() as server:
        generate(completions(server), [Prompted("a", 2**63 + 5), Prompted("a", 6)], SAMPLED)
        assert [body["seed"] for body in server.bodies] == [5, 6]


def test_a_greedy_request_carries_the_seed_of_the_backend():
    with serving_faults() as server:
        generate(completions(server, seed=7), prompts("a"))
        assert server.bodies[0]["seed"] == 7


def test_equal_prompts_of_one_request_do_not_share_a_seed():
    with serving_faults() as server:
        generate(completions(server, batch_size=2), prompts("a", "a"), SAMPLED)
        assert server.bodies[0]["seed"] is None


def test_a_seed_that_the_user_gave_is_kept():
    with serving_faults() as server:
        generate(completions(server), prompts("a"), {**SAMPLED, "seed": 3})
        assert server.bodies[0]["seed"] == 3


# Faults


@pytest.mark.parametrize("make", [completions, chat])
@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_tried_again(make, fault):
    with serving_faults() as server:
        lm = make(server, timeout=HANGING_S)
        asked = [Prompted(lm.apply_chat_template([{"role": "user", "content": "hi"}]) if make is chat else "hi", 1)]
        whole = generate(lm, asked)
        server.planned = [fault]
        assert generate(lm, asked) == whole
        assert server.befell[fault] == 1


def test_of_many_requests_with_faults_every_reply_is_right_or_missing():
    asked = many(150)
    with serving_faults(evenly(0.3, [*PASSING, Fault.NULL])) as server:
        replies = generate(completions(server, timeout=HANGING_S, num_concurrent=32), asked)
        assert all(server.befell[fault] for fault in [*PASSING, Fault.NULL])
    assert sum(reply is None for reply in replies) < 20
    assert all(reply in (None, wanted) for reply, wanted in zip(replies, right(asked), strict=True))


def test_a_null_is_no_reply_and_is_not_asked_for_again():
    with serving_faults({Fault.NULL: 1}) as server:
        assert generate(completions(server), many(2)) == [None, None]
        assert generate(chat(server), [Prompted(chat(server).apply_chat_template([]), 1)]) == [None]
        assert len(server.bodies) == 3


def test_a_message_without_a_text_is_no_reply_and_is_not_asked_for_again():
    with serving_faults({Fault.FILTERED: 1}) as server:
        assert generate(chat(server), [Prompted(chat(server).apply_chat_template([]), 1)]) == [None]
        assert len(server.bodies) == 1


def test_an_empty_text_is_a_reply():
    with serving_faults(answer=lambda prompt: "") as server:
        assert generate(completions(server), many(2)) == ["", ""]
        assert generate(chat(server), [Prompted(chat(server).apply_chat_template([]), 1)]) == [""]


def test_too_few_replies_to_a_batch_are_none_because_nobody_knows_whose_they_are():
    with serving_faults() as server:
        generation = ApiGeneration(completions(server, batch_size=2, max_retries=1), "the model")
        generation.generate(many(1), GREEDY)
        server.planned = [Fault.FEWER]
        assert texts(generation.generate(many(4), GREEDY)) == [None, None, *right(many(4))[2:]]


def test_a_server_is_asked_again_only_after_as_long_as_it_says():
    with serving_faults() as server:
        server.planned = [Fault.RATE_LIMIT]
        started = time.monotonic()
        assert generate(completions(server), prompts("a")) == [echo("a")]
        assert time.monotonic() - started >= 1


def test_a_refused_prompt_is_not_sent_again_and_costs_only_itself():
    with serving_faults() as server:
        generation = ApiGeneration(completions(server), "the model")
        generation.generate(many(1), GREEDY)
        server.shares = {Fault.REFUSED: 0.5}
        asked = many(60)
        replies = texts(generation.generate(asked, GREEDY))
        assert len(server.bodies) == 61
        assert replies.count(None) == server.befell[Fault.REFUSED]
        assert all(reply in (None, wanted) for reply, wanted in zip(replies, right(asked), strict=True))


def test_what_was_missed_is_said_once_a_call_with_counts_and_no_key(caplog, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving_faults() as server, caplog.at_level(logging.WARNING):
        generation = ApiGeneration(completions(server, max_retries=1, num_concurrent=4), "the model")
        generation.generate(many(1), GREEDY)
        server.shares = {Fault.ERROR: 0.5}
        generation.generate(many(12), GREEDY)
        missed = server.befell[Fault.ERROR]
    assert 0 < missed < 12
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("lm_eval_plugin")]
    assert f"the model: {missed} of 12 prompts got no reply ({missed} x HTTP 500); the first: HTTP 500: " in line
    assert "not with the key ***" in line
    assert KEY not in caplog.text


# Servers that do not answer


@pytest.mark.parametrize("fault", [Fault.NO_KEY, Fault.REFUSED, Fault.ERROR, Fault.HANG, Fault.OTHER_JSON])
def test_a_server_that_never_replies_ends_the_run_before_many_requests_are_sent(fault, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving_faults({fault: 1}) as server:
        lm = completions(server, timeout=HANGING_S, max_retries=2, num_concurrent=2)
        with pytest.raises(ModelError, match=r"the model at http://127.*failed") as raised:
            generate(lm, many(500))
        assert len(server.bodies) < 16
    assert KEY not in str(raised.value)


def test_a_server_that_is_not_there_is_an_error_that_says_what_to_do():
    lm = LocalCompletionsAPI(base_url="http://127.0.0.1:9/v1/completions", model="any", tokenizer_backend=None)
    with pytest.raises(ModelError, match="Check that its server runs there"):
        generate(lm, many(1000))


def test_a_wrong_key_is_an_error_that_names_the_key():
    with serving_faults({Fault.NO_KEY: 1}) as server, pytest.raises(ModelError, match=r"HTTP 401.*Check the key"):
        generate(completions(server), many(1))


def test_a_single_prompt_that_is_refused_first_does_not_end_the_run():
    with serving_faults() as server:
        server.planned = [Fault.REFUSED] * 7
        asked = many(10)
        assert generate(completions(server), asked) == [None] * 7 + right(asked)[7:]


def test_a_server_that_stops_answering_costs_later_prompts_no_time_and_is_used_again_when_it_is_back():
    with serving_faults() as server:
        generation = ApiGeneration(completions(server, max_retries=2, num_concurrent=4), "the model")
        assert None not in generation.generate(many(4), GREEDY)
        server.shares = {Fault.ERROR: 1}
        server.bodies.clear()
        assert generation.generate(many(5000), GREEDY) == [None] * 5000
        assert len(server.bodies) < 2 * (8 + 4) + 3
        server.bodies.clear()
        assert generation.generate(many(5000), GREEDY) == [None] * 5000
        assert [body["max_tokens"] for body in server.bodies] == [1, 1]
        server.shares = {}
        assert texts(generation.generate(many(40), GREEDY)) == right(many(40))


def test_a_server_that_hangs_is_given_up_in_the_time_of_a_few_requests():
    with serving_faults() as server:
        lm = completions(server, timeout=HANGING_S, max_retries=1, num_concurrent=8)
        generation = ApiGeneration(lm, "the model")
        generation.generate(many(1), GREEDY)
        server.shares = {Fault.HANG: 1}
        started = time.monotonic()
        assert generation.generate(many(1000), GREEDY) == [None] * 1000
        assert time.monotonic() - started < 60  # eight by eight they would take four minutes


def test_an_interrupt_ends_requests_that_hang_at_once():
    with serving_faults({Fault.HANG: 1}) as server:
        generation = ApiGeneration(completions(server, timeout=300, num_concurrent=8), "the model")
        threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT]).start()
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            generation.generate(many(50), GREEDY)
        assert time.monotonic() - started < 60  # their own timeout is 300 s


def test_a_call_of_another_thread_can_be_cancelled():
    with serving_faults({Fault.HANG: 1}) as server, ThreadPoolExecutor() as pool:
        generation = ApiGeneration(completions(server, timeout=300), "the model")
        generation.cancel()
        waiting = pool.submit(generation.generate, many(5), GREEDY)
        while not server.bodies:
            time.sleep(0.01)
        generation.cancel()
        with pytest.raises(CancelledError):
            waiting.result(timeout=60)
        server.shares = {}
        assert texts(generation.generate(many(2), GREEDY)) == right(many(2))
        generation.cancel()


def test_a_backend_that_sends_its_requests_itself_is_left_to_it():
    with serving_faults() as server:
        assert speaks_http(completions(server))
        assert speaks_http(chat(server))
    assert not speaks_http(LiteLLMChatCompletion.__new__(LiteLLMChatCompletion))
    assert not speaks_http(object())
