"""Secrets stay out of everything that is written, logged, hashed or shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
from faulty_server import Fault, serving_faults

from lm_eval_plugin.border.masking import (
    conceal,
    is_secret,
    masked,
    masked_text,
    reveal,
    secrets_of_address,
    without_credentials,
)
from lm_eval_plugin.cli.main import main
from lm_eval_plugin.config.dialogue import read_dialogue_block
from lm_eval_plugin.config.request import DialogueRequest
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.models.loading import without_addresses

QUESTION = Question("q", "s", "What is 7 x 8?", ("54", "56"))


@pytest.mark.parametrize(
    "key",
    [
        *(
            "api_key",
            "API-Key",
            "openai_api_key",
            "token",
            "hf_token",
            "access_token",
            "Authorization",
            "headers",
            "header",
        ),
        *("extra_headers", "password", "client_secret", "credentials", "cookie", "subscription_key"),
        *(
            "accessToken",
            "github_token",
            "id_token",
            "x-goog-api-key",
            "pwd",
            "jwt",
            "proxy_auth",
            "OPENAI_API_KEY",
            "sig",
        ),
        *("password1", "api_key_2", "secretKey", "accesskey", "Ocp-Apim-Subscription-Key"),
    ],
)
def test_key_of_a_secret_is_known(key):
    assert is_secret(key)


@pytest.mark.parametrize(
    "key",
    [
        *("max_tokens", "think_end_token", "eos_token_id", "tokenizer", "model", "keys_kept", "pretrained"),
        *("pad_token", "add_bos_token", "max_new_tokens", "max_gen_toks", "author"),
    ],
)
def test_key_of_a_setting_is_no_secret(key):
    assert not is_secret(key)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:pw@host:8000/v1/completions", "http://***@host:8000/v1/completions"),
        ("https://host/v1?key=s3&api-version=2024-06", "https://host/v1?key=***&api-version=2024-06"),
        ("https://host/v1?sig=s3#s3", "https://host/v1?sig=***#***"),
        ("at http://a:s3@h/x, or https://b:s3@h/y", "at http://***@h/x, or https://***@h/y"),
        ("model=m,api_key=s3,base_url=http://u:s3@h/v1", "model=m,api_key=***,base_url=http://***@h/v1"),
        ("pretrained=owner/name,dtype=float32", "pretrained=owner/name,dtype=float32"),
        ("What is 7 x 8 = ?", "What is 7 x 8 = ?"),
        ("http://[broken", "http://[broken"),
    ],
)
def test_addresses_and_arguments_in_a_text_are_masked(text, shown):
    assert masked_text(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        *("http://u:p@s3@h/v1", "http://u:a,s3@h/v1", "http://u:a s3@h/v1", "http://u:p/s3@h/v1", "http://u:p?s3@h/v1"),
        *(
            "http://s3@h",
            "http://u:s3@[::1/v1",
            "user:s3@host:80/v1",
            "http://h/v1;token=s3",
            "url=URL('http://u:s3@h?k=s3')",
        ),
        *("http://h/v1?s3", "http://h/v1?version=1;token=s3", "http://h/v1?model=a;b=s3", "http://h?a=1&s3&b=2"),
        'model=m,header={"Authorization": "Bearer s3"},dtype=a',
        '{"headers": {"X-A": "s3", "X-B": "s3"}}',
        '{"headers": {"X-A": {"n": 1}, "X-B": "s3"}, "dtype": "a"}',
        'headers=[["X-A", "s3"], ["X-B", "s3"]]',
        *('{"api_key": "s3', "api_key={s3", '{"a": {"b": {"c": {"token": "s3"}}}}', "{'password': 'a\\'s3'}"),
        *('{"api_key": "s3"}', "{'apiKey': 's3'}", "Authorization: Bearer s3", "api_key='a s3 b',b=1", "api_key = s3"),
        *("said Bearer s3", "{'a': 'api_key=s3'}", '"Authorization": "Basic s3"', "token=a;s3"),
    ],
)
def test_no_spelling_of_an_address_or_an_argument_shows_its_secret(text):
    assert "s3" not in masked_text(text)
    assert "s3" not in without_addresses(text)
    assert masked_text(masked_text(text)) == masked_text(text)


@pytest.mark.parametrize(
    "address", ["http://u:p@s3@h/v1", "http://u:p/s3@h/v1", "http://h/v1?s3", "http://h/v1;token=s3"]
)
def test_address_without_credentials_holds_no_part_of_them(address):
    assert without_credentials(address).startswith("http://h/v1")
    assert "s3" not in without_credentials(address)


@pytest.mark.parametrize("piece", ['{"a":', "[", "a=", "api_key={", "'", "aaaaaaa ", "://", "u:", "token=a ", "a://b "])
def test_long_text_of_any_piece_is_masked_in_linear_time(piece):
    began = time.process_time()
    masked_text(piece * 20_000)
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "text",
    ["http://localhost:8000/v1/chat/completions", "http://[::1]:80/v1", "a/b@main", "Basic arithmetic", "owner/name"],
)
def test_what_holds_no_secret_stays(text):
    assert masked_text(text) == without_credentials(text) == text


def test_secrets_of_an_address_are_told_with_and_without_their_escapes():
    told = secrets_of_address("http://me:p%40ss@h/v1?sig=a%2Fb&api-version=1&s3")
    assert set(told) == {"p%40ss", "p@ss", "a%2Fb", "a/b", "s3"}


def test_settings_are_masked_at_any_depth():
    given = {"a": [{"api_key": "s3"}, {"base_url": "http://s3@h/v1"}], "headers": {"X": "s3"}, "token": None, "n": 1}
    assert "s3" not in json.dumps(masked(given))
    assert masked(given)["token"] is None
    assert masked(given)["n"] == 1


def request(**model_args):
    simulator = {"policy": "iqa_eval", "backend": "local-chat-completions", "quantization": "none"}
    block = {"simulator": {**simulator, "model_args": {"model": "m", **model_args}}}
    return DialogueRequest(QUESTION, read_dialogue_block(block, "t"))


def test_request_is_written_without_its_secrets_and_read_with_them():
    one = request(api_key="s3", base_url="http://me:s3@h/v1/chat/completions")
    written = json.loads(json.dumps(one.to_arguments()))
    assert "s3" not in json.dumps(written)
    assert DialogueRequest.from_arguments(written) == one


def test_requests_that_differ_in_a_secret_alone_stay_apart():
    one, other = request(api_key="first"), request(api_key="second")
    assert one.settings_key() != other.settings_key()
    assert DialogueRequest.from_arguments(one.to_arguments()) == one
    assert DialogueRequest.from_arguments(other.to_arguments()) == other


def test_what_was_concealed_elsewhere_is_read_as_it_stands():
    settings = {"model_args": {"api_key": "***", "model": "elsewhere"}}
    assert reveal(settings) == settings
    assert conceal({"model_args": {"model": "plain"}}) == {"model_args": {"model": "plain"}}


PLACES = ("simulator-key", "simulator-password", "simulator-query", "simulator-header", "judge-key", "model-key")
SECRETS = {name: f"s3cret-{name}" for name in (*PLACES, "model-query")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run with a secret in every place, made by the command, and what the command printed."""
    folder = tmp_path_factory.mktemp("secrets")
    with serving_faults({Fault.ERROR: 0.02}, answer=lambda prompt: "Answer: B", seed=3) as server:
        host = server.address.removeprefix("http://")
        simulator = {
            "policy": "iqa_eval",
            "backend": "local-chat-completions",
            "quantization": "none",
            "model_args": {
                "model": "m",
                "base_url": f"http://me:{SECRETS['simulator-password']}@{host}/chat/completions?sig={SECRETS['simulator-query']}",
                "api_key": SECRETS["simulator-key"],
                "header": {
                    "Authorization": f"Bearer {SECRETS['simulator-header']}",
                    "Content-Type": "application/json",
                },
            },
        }
        judge = {
            "backend": "local-chat-completions",
            "model_args": {
                "model": "m",
                "base_url": f"{server.address}/chat/completions",
                "api_key": SECRETS["judge-key"],
                "header": {"Authorization": f"Bearer {SECRETS['judge-key']}"},
            },
        }
        model = f"model=m,base_url={server.address}/chat/completions?sig={SECRETS['model-query']},num_concurrent=4"
        block = {"simulator": simulator, "judge": judge, "static": "none", "max_turns": 2}
        command = [
            "-m",
            "lm_eval",
            "--tasks",
            "chatbench_demo",
            "--model",
            "local-chat-completions",
            "--model_args",
            model,
        ]
        command += ["--apply_chat_template", "--limit", "6", "--log_samples", "--output_path", str(folder / "results")]
        command += ["--use_cache", str(folder / "cache" / "run"), "--metadata", json.dumps({"dialogue": block})]
        environment = {**os.environ, "OPENAI_API_KEY": SECRETS["model-key"], "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, check=False, timeout=300, env=environment
        )
    assert done.returncode == 0, done.stderr
    (folder / "printed.txt").write_text(done.stdout + done.stderr)
    return folder


OF_LM_EVAL = {"model-query"}
"""What stands in `--model_args`, which lm_eval itself writes into its results and prints."""


def leaks(folder):
    """The secrets that stand in a file below a folder."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert files
    return {
        (name, file.name)
        for name, secret in SECRETS.items()
        for file in files
        if secret.encode() in file.read_bytes() and name not in OF_LM_EVAL
    }


def test_no_file_of_a_run_holds_a_secret(finished):
    assert leaks(finished) == set()


def test_samples_hold_nothing_of_what_lm_eval_writes_itself(finished):
    (samples,) = (finished / "results").rglob("samples_*.jsonl")
    assert SECRETS["model-query"] not in samples.read_text()


@pytest.mark.parametrize("command", ["report", "export jsonl", "export parquet", "score"])
def test_nothing_that_is_made_of_a_run_holds_a_secret(finished, command, tmp_path, capsys):
    name, *kind = command.split()
    output = [] if name == "score" else ["-o", str(tmp_path / f"out.{kind[0] if kind else 'html'}")]
    assert main([name, str(finished / "results"), *output]) == 0
    (tmp_path / "printed.txt").write_text("".join(capsys.readouterr()))
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert not [name for name, secret in SECRETS.items() if secret.encode() in written]


def test_a_run_that_was_logged_with_keys_is_shown_without_them(finished, tmp_path, capsys):
    for file in (finished / "results").rglob("*.json*"):
        text = file.read_text().replace('\\"***\\"', '\\"old-s3cret\\"').replace('"***"', '"old-s3cret"')
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / "run" / file.name).write_text(text)
    assert "old-s3cret" in "".join(file.read_text() for file in (tmp_path / "run").iterdir())
    assert main(["report", str(tmp_path / "run"), "-o", str(tmp_path / "page.html")]) == 0
    assert main(["export", str(tmp_path / "run"), "-o", str(tmp_path / "out.jsonl")]) == 0
    printed = "".join(capsys.readouterr())
    assert "old-s3cret" not in (tmp_path / "page.html").read_text() + (tmp_path / "out.jsonl").read_text() + printed
