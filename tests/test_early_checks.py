"""What can be known before the model under test is loaded ends a run there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_models
from lm_eval.tasks import TaskManager

from lm_eval_plugin.config.dialogue import read_dialogue_block
from lm_eval_plugin.errors import ChatbenchError, ConfigError, JudgeError, ModelError
from lm_eval_plugin.harness.early_checks import (
    check_address,
    check_output_path,
    check_participants,
    check_repository,
    dialogue_blocks,
)
from lm_eval_plugin.harness.tasks_folder import tasks_folder

NOBODY = "nobody/no-such-model"


@pytest.fixture(scope="module")
def manager():
    return TaskManager(include_path=str(tasks_folder()), include_defaults=False)


@pytest.fixture
def port():
    """A port of this machine at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield free.getsockname()[1]


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def check(**block):
    check_participants(read_dialogue_block(block, "task t"))


# Participants


@pytest.mark.parametrize("simulator", ["demo", "scripted", "sharded"])
def test_what_is_there_passes(simulator):
    check(simulator=simulator)


@pytest.mark.parametrize(
    "simulator", ["chatbench-distilgpt2", "chatbench-llama3-8b", "chatbench-mistral-7b", "userlm-8b"]
)
def test_simulator_that_is_not_in_the_cache_is_an_error_without_a_network(simulator, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=rf"simulator {simulator}: pretrained .* cannot be had.*HF_HUB_OFFLINE is set"):
        check(simulator=simulator)


@pytest.mark.parametrize("key", ["pretrained", "peft", "tokenizer"])
def test_every_part_of_a_simulator_is_looked_for(key, tmp_path):
    folder = str(tiny_models.save_model(tmp_path / "m"))
    check(simulator={"policy": "chatbench", "model_args": {"pretrained": folder}})
    with pytest.raises(ModelError, match=rf": {key} '{NOBODY}' cannot be had"):
        check(simulator={"policy": "chatbench", "model_args": {"pretrained": folder, key: NOBODY}})


def test_judge_is_looked_for_too():
    with pytest.raises(JudgeError, match=f"the judge: pretrained '{NOBODY}' cannot be had"):
        check(simulator="scripted", judge={"model_args": {"pretrained": NOBODY}})


def test_repository_in_the_cache_passes(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    (tmp_path / "models--nobody--no-such-model" / "snapshots" / "abc").mkdir(parents=True)
    check_repository(NOBODY, "s")


def test_folder_without_anything_in_it_is_an_error(tmp_path):
    with pytest.raises(ModelError, match="is empty"):
        check_repository(str(tmp_path), "s")


@pytest.mark.parametrize("policy", ["two_step", "iqa_eval"])
def test_missing_key_of_an_api_is_an_error_that_names_it(policy, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelError, match="OPENAI_API_KEY"):
        check(simulator=policy)


def test_chat_api_under_a_policy_that_continues_a_text_is_an_error(listening, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    address = f"http://127.0.0.1:{listening}/v1/chat/completions"
    simulator = {"policy": "chatbench", "backend": "local-chat-completions", "quantization": "none"}
    with pytest.raises(ConfigError, match="continues a text, which the chat API"):
        check(simulator={**simulator, "model_args": {"model": "m", "base_url": address}})


def test_backend_that_there_is_not_is_an_error():
    with pytest.raises(ModelError, match=r"no model type 'local-chat-completion'.*local-chat-completions"):
        check(
            simulator={
                "policy": "iqa_eval",
                "backend": "local-chat-completion",
                "quantization": "none",
                "model_args": {"model": "m"},
            }
        )


@pytest.mark.parametrize(
    "address",
    [
        "localhost:8000",
        "ftp://h/v1/completions",
        "http://",
        "http:///v1/completions",
        "http://h:port/v1/completions",
        "x",
    ],
)
def test_address_that_is_none_is_an_error(address):
    with pytest.raises(ConfigError, match="base_url is"):
        check_address(address, "s")


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
def test_address_that_ends_too_early_is_an_error(path):
    with pytest.raises(ConfigError, match="ends before what is asked for"):
        check_address(f"http://127.0.0.1:1{path}", "s")


def test_address_at_which_nobody_listens_is_an_error_that_hides_the_password(port):
    with pytest.raises(ModelError, match="nobody listens at") as caught:
        check_address(f"http://me:secret@127.0.0.1:{port}/v1/completions", "simulator s")
    assert "secret" not in str(caught.value)


def test_address_at_which_somebody_listens_passes(listening):
    check_address(f"http://127.0.0.1:{listening}/v1/completions", "s")


# The output path


@pytest.mark.parametrize("below", ["results", "a/b/c", "results.json"])
def test_path_that_can_be_written_passes(tmp_path, below):
    check_output_path(str(tmp_path / below), {"pretrained": "owner/name"})
    check_output_path(None)


@pytest.mark.parametrize("below", ["x" * 256, "é" * 128, "/".join(["x" * 250] * 17)])
def test_path_that_is_too_long_is_an_error(tmp_path, below):
    with pytest.raises(ConfigError, match="shorter"):
        check_output_path(str(tmp_path / below))


def test_model_whose_name_is_too_long_for_a_folder_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="the model under test, whose name becomes a folder"):
        check_output_path(str(tmp_path), {"pretrained": "/".join(["models"] * 60)})


def test_path_below_a_file_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "results"):
        with pytest.raises(ConfigError, match="is no folder"):
            check_output_path(str(path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_that_may_not_be_written_to_is_an_error(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match="may not be written to"):
        check_output_path(str(tmp_path / "results"))


# Which blocks a run has


def test_blocks_of_tasks_tags_and_groups_are_found(manager):
    assert [name for name, _ in dialogue_blocks(manager, "chatbench_demo")] == ["chatbench_demo"]
    assert len(list(dialogue_blocks(manager, "chatbench_mmlu"))) == 5
    assert len(list(dialogue_blocks(manager, "chatbench_mmlu_all"))) == 57
    ((_, block),) = dialogue_blocks(manager, {"task": "chatbench_demo", "dialogue": {"max_turns": 3}})
    assert block["max_turns"] == 3
    assert block["simulator"] == "demo"
    assert list(dialogue_blocks(manager, "no_such_task")) == []


# The command


def lm_eval(*arguments, **environment):
    command = [sys.executable, "-m", "lm_eval", "--tasks", "chatbench_demo", *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
    )


def test_command_ends_in_one_sentence_before_the_model_under_test_is_loaded(tmp_path):
    block = '{"dialogue": {"simulator": {"policy": "chatbench", "model_args": {"pretrained": "nobody/no-such-model"}}}}'
    done = lm_eval("--model", "hf", "--model_args", "pretrained=nobody/no-such-model-either", "--metadata", block)
    assert done.returncode == 1
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("lm_eval: error:")]
    assert "pretrained 'nobody/no-such-model' cannot be had" in sentence
    assert "Traceback" not in done.stderr
    assert "no-such-model-either" not in done.stderr.replace(str(tmp_path), "")


def test_traceback_is_there_for_who_asks_for_it():
    done = lm_eval("--model", "dummy", "--metadata", '{"dialog": {}}', LOGLEVEL="DEBUG")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert issubclass(ConfigError, ChatbenchError)
    assert "did you mean 'dialogue'" in done.stderr


def test_control_characters_of_a_message_do_not_reach_the_terminal(tmp_path):
    folder = Path(tmp_path / "a\x1b[31mb")
    folder.write_text("")
    done = lm_eval("--model", "dummy", "--output_path", str(folder / "x"))
    assert done.returncode == 1
    assert "\x1b[31m" not in done.stderr
    assert "is no folder" in done.stderr
