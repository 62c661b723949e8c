"""A server that is restarted costs nothing but the time; one that does not come back ends the run with a sentence."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time

import pytest
from faulty_server import Fault, serving_faults
from test_api_generation import GREEDY, completions, many, prompts, right, texts

from lm_eval_plugin.cli.main import main
from lm_eval_plugin.errors import ServerGoneError
from lm_eval_plugin.models.generation.servers.api import ApiGeneration
from lm_eval_plugin.models.generation.servers.outage import Found, Outage


def found(outage, answers, since=0.0):
    """What becomes of a server that answers probes as given, the last answer again and again."""
    left = list(answers)

    async def probe():
        return left.pop(0) if len(left) > 1 else left[0]

    async def wait():
        return await outage.wait(probe, since, asyncio.Lock())

    return asyncio.run(wait())


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("lm_eval_plugin.models.generation.servers.outage._BETWEEN_PROBES_S", 0.01)


def test_server_that_answers_a_prompt_that_it_knows_is_well(quick):
    assert found(Outage("it", 5), [True]) is Found.WELL


def test_server_that_comes_back_is_said_to_be_back_once_for_all_that_waited(quick, caplog):
    outage = Outage("the model under test", 5)
    assert found(outage, [False, False, True]) is Found.BACK
    # Another request, sent before it came back, need not ask.
    assert found(outage, [False], since=0.0) is Found.BACK
    assert found(outage, [True], since=time.monotonic()) is Found.WELL
    assert caplog.text.count("does not answer any more; it is waited for, up to 5 s (outage_s)") == 1
    assert caplog.text.count("answers again") == 1


def test_server_that_does_not_come_back_is_gone_for_all(quick):
    outage = Outage("it", 0.05)
    assert found(outage, [False]) is Found.GONE
    assert found(outage, [True]) is Found.GONE


def generation(server, outage_s, **options):
    backend = completions(server, num_concurrent=4, max_retries=1, timeout=5, **options)
    return ApiGeneration(backend, "the model under test", outage_s)


def test_prompts_of_an_outage_are_answered_after_it(quick):
    with serving_faults() as server:
        waiting = generation(server, 60)
        assert texts(waiting.generate(many(4), GREEDY)) == right(many(4))
        server.shares = {Fault.ERROR: 1.0}
        threading.Timer(1.0, server.shares.clear).start()
        asked = many(40)
        assert texts(waiting.generate(asked, GREEDY)) == right(asked)


def test_without_patience_they_have_no_reply():
    with serving_faults() as server:
        hasty = generation(server, 0)
        hasty.generate(many(4), GREEDY)
        server.shares = {Fault.ERROR: 1.0}
        assert texts(hasty.generate(prompts("a", "b"), GREEDY)) == [None, None]


def test_one_poisoned_prompt_costs_itself_alone(quick):
    with serving_faults() as server:
        answer = server.answer

        def fussy(prompt):
            if "poison" in prompt:
                raise ConnectionResetError
            return answer(prompt)

        server.answer = fussy
        server.handle_error = lambda *_: None
        waiting = generation(server, 60)
        waiting.generate(many(4), GREEDY)
        asked = [*many(6), *prompts("poison"), *many(6)]
        started = time.monotonic()
        replies = texts(waiting.generate(asked, GREEDY))
    assert replies == [*right(many(6)), None, *right(many(6))]
    assert time.monotonic() - started < 30  # nobody waited for a server that is well


def test_server_that_has_answered_and_is_gone_for_good_is_an_error(quick):
    with serving_faults() as server:
        waiting = generation(server, 0.5)
        waiting.generate(many(4), GREEDY)
        server.shares = {Fault.ERROR: 1.0}
        with pytest.raises(ServerGoneError, match="the model under test at http"):
            waiting.generate(many(20), GREEDY)


# The command


def lm_eval(server, *arguments, **dialogue):
    block = {"simulator": "scripted", "static": "none", **dialogue}
    command = [
        "-m",
        "lm_eval",
        "--tasks",
        "chatbench_demo",
        "--model",
        "local-chat-completions",
        "--apply_chat_template",
    ]
    model = f"model=m,base_url={server.address}/chat/completions,num_concurrent=4,max_retries=1,timeout=5"
    return subprocess.run(
        [sys.executable, *command, "--model_args", model, "--metadata", json.dumps({"dialogue": block}), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )


def test_more_failures_than_allowed_end_with_status_one_after_the_results_are_written(tmp_path):
    with serving_faults({Fault.REFUSED: 0.4}, answer=lambda _: "It is B.", seed=1) as server:
        done = lm_eval(server, "--limit", "12", "--output_path", str(tmp_path), "--log_samples")
    assert done.returncode == 1, done.stderr
    assert "dialogues ended because a model returned no reply, more than max_model_errors (0.05) allows" in done.stderr
    assert "|acc " in done.stdout
    assert list(tmp_path.rglob("samples_*.jsonl"))
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("faults", "allowed"), [({Fault.REFUSED: 0.4}, 1.0), ({}, 0.0)])
def test_as_many_failures_as_allowed_end_with_status_zero(faults, allowed):
    with serving_faults(faults, answer=lambda _: "It is B.", seed=1) as server:
        done = lm_eval(server, "--limit", "8", max_model_errors=allowed)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("cache", [True, False])
def test_server_that_stays_away_ends_the_run_with_how_to_go_on(tmp_path, capsys, cache):
    # Half of the dialogues end with their first reply.
    with serving_faults(answer=lambda prompt: "It is B." if len(prompt) % 2 else "Think of it.") as server:

        def stop():
            while len(server.bodies) < 55:
                time.sleep(0.005)
            server.shares = {Fault.ERROR: 1.0}

        server.hold_s = 0.05
        threading.Thread(target=stop, daemon=True).start()
        kept = ["--use_cache", str(tmp_path / "run")] if cache else ["--output_path", str(tmp_path / "results")]
        done = lm_eval(server, *kept, outage_s=2)
    assert done.returncode == 1
    assert "lm_eval: error: the model under test at http" in done.stderr
    assert "Traceback" not in done.stderr
    if cache:
        assert "dialogues are finished and kept in" in done.stderr
        assert "the same command goes on from there" in done.stderr
        return
    (unfinished,) = (tmp_path / "results").rglob("unfinished_chatbench_demo_*.jsonl")
    assert f"What is finished is in {unfinished}" in done.stderr
    lines = unfinished.read_text().splitlines()
    assert 0 < len(lines) < 48
    capsys.readouterr()
    assert main(["score", str(unfinished), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tasks"].popitem()[1]["questions"] == len(lines)
    assert main(["report", str(tmp_path / "results"), "-o", str(tmp_path / "page.html")]) == 0
