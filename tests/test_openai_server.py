"""A server that nobody here wrote, transformers' own, as the assistant, as the simulator and as both."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import lm_eval
import pytest
import requests
from lm_eval.tasks import TaskManager

from lm_eval_plugin.config.presets import DEMO_ASSISTANT, DEMO_SIMULATOR_ADAPTER, DEMO_SIMULATOR_BASE
from lm_eval_plugin.harness.registration import register_models
from lm_eval_plugin.harness.tasks_folder import tasks_folder

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("uvicorn") is None or importlib.util.find_spec("fastapi") is None,
    reason="transformers[serving] is not installed",
)

# What `User:` and `Assistant:` turns look like without a template, so that a model talks the same way through both.
PLAIN_TEMPLATE = (
    "{{ messages[0]['content'] }}{% for m in messages[1:] %}\n\n{{ 'User:' if m['role'] == 'user' else 'Assistant:' }} "
    "{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}\n\nAssistant:{% endif %}"
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The demo's assistant with a chat template, and its simulator with the adapter merged in."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    root = tmp_path_factory.mktemp("served")
    assistant, simulator = root / "assistant", root / "simulator"
    shutil.copytree(DEMO_ASSISTANT, assistant)
    config = json.loads((assistant / "tokenizer_config.json").read_text())
    (assistant / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": PLAIN_TEMPLATE}))
    base = AutoModelForCausalLM.from_pretrained(DEMO_SIMULATOR_BASE)
    PeftModel.from_pretrained(base, DEMO_SIMULATOR_ADAPTER).merge_and_unload().save_pretrained(simulator)
    AutoTokenizer.from_pretrained(DEMO_SIMULATOR_BASE).save_pretrained(simulator)
    return assistant, simulator


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a running `transformers serve`, which loads whatever local folder a request names."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    command = [Path(sys.executable).parent / "transformers", "serve", "--device", "cpu", "--host", "127.0.0.1"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    with (
        log.open("w") as output,
        subprocess.Popen([*command, "--port", str(port)], stdout=output, stderr=output, env=environment) as process,
    ):
        address = f"http://127.0.0.1:{port}"
        try:
            wait_for(f"{address}/health", process, log)
            yield address
        finally:
            process.terminate()


def wait_for(url, process, log):
    for _ in range(240):
        if process.poll() is not None:
            break
        try:
            if requests.get(url, timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.5)
    pytest.fail(f"the server did not start: {log.read_text()[-2000:]}")


def run(model, model_args, dialogue, **options):
    register_models()
    manager = TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata={"dialogue": dialogue})
    results = lm_eval.simple_evaluate(
        model=model,
        model_args=model_args,
        tasks=["chatbench_demo"],
        task_manager=manager,
        bootstrap_iters=0,
        **{"limit": 6, **options},
    )
    samples = results["samples"]["chatbench_demo"]
    return results["results"]["chatbench_demo"], [json.loads(sample["resps"][-1][0]) for sample in samples]


def chat(server, folder):
    return {"model": str(folder), "base_url": f"{server}/v1/chat/completions", "num_concurrent": 4}


def completions(server, folder):
    return {
        "model": str(folder),
        "base_url": f"{server}/v1/completions",
        "num_concurrent": 4,
        "tokenizer_backend": "huggingface",
        "tokenizer": str(folder),
        "tokenized_requests": False,
    }


def words(transcripts):
    return [[message["content"] for message in transcript["messages"]] for transcript in transcripts]


def test_a_served_assistant_says_what_the_same_weights_say_here(server, folders):
    user = {"simulator": "scripted", "static": "letter"}
    row, served = run("local-chat-completions", chat(server, folders[0]), user, apply_chat_template=True)
    _, here = run("hf", {"pretrained": str(folders[0]), "device": "cpu"}, user, apply_chat_template=True)
    assert words(served) == words(here)
    assert row["model_error,none"] == 0
    assert 0 <= row["acc_static,none"] <= 1
    assert "valid_static_letter,none" in row


def test_a_served_simulator_says_what_the_same_weights_say_here(server, folders):
    greedy = {"policy": "chatbench", "temperature": 0.0, "max_tokens": 96}
    served_user = {**greedy, "backend": "local-completions", "model_args": completions(server, folders[1])}
    here_user = {**greedy, "quantization": "none", "model_args": {"pretrained": str(folders[1])}}
    _, served = run("chatbench-demo", {}, {"simulator": served_user})
    _, here = run("chatbench-demo", {}, {"simulator": here_user})
    assert words(served) == words(here)
    assert {transcript["stop_reason"] for transcript in served} == {"answered"}


def test_both_sides_can_be_served_at_once(server, folders):
    user = {"policy": "chatbench", "temperature": 0.7, "backend": "local-completions"}
    dialogue = {
        "simulator": {**user, "model_args": completions(server, folders[1])},
        "static": "letter",
        "repeats": 2,
    }
    row, transcripts = run("local-chat-completions", chat(server, folders[0]), dialogue, apply_chat_template=True)
    assert row["model_error,none"] == 0
    assert row["answered,none"] == 1
    assert all(transcript["answer"] in "ABCD" for transcript in transcripts)


@pytest.mark.parametrize("policy", ["two_step", "two_step_problem", "two_step_help", "iqa_eval"])
def test_a_prompted_simulator_talks_through_a_chat_api(server, folders, policy):
    # The demo's assistant was never taught to play a user; that it is asked and answers is what counts here.
    user = {
        "policy": policy,
        "backend": "local-chat-completions",
        "model_args": chat(server, folders[0]),
        "max_tokens": 24,
    }
    row, transcripts = run("chatbench-demo", {}, {"simulator": user, "max_turns": 2}, limit=3)
    assert row["model_error,none"] == 0
    for transcript in transcripts:
        roles = [message["role"] for message in transcript["messages"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"] * (len(roles) % 2)
        assert "events" in transcript
