"""What a cache holds is found again: by a later release, by the same weights elsewhere, and in spite of a damaged row."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
import tiny_models
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM, CachingLM
from lm_eval.models.huggingface import HFLM
from lm_eval.models.openai_completions import LocalChatCompletion

from lm_eval_plugin.config.dialogue import read_dialogue_block
from lm_eval_plugin.config.request import DialogueRequest
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.errors import ChatbenchError
from lm_eval_plugin.harness.registration import attach_dialogues

OLD = Path(__file__).parent / "data" / "cache_of_0_1_0.db"
"""A cache that release 0.1.0 wrote, before keys had a version: eight dialogues of a model behind an API with a scripted user, and
with one behind an API whose settings hold a path, a key, a password and a query."""

ADDRESS = "http://127.0.0.1:8911/v1/chat/completions"
USER = {
    "policy": "two_step",
    "backend": "local-chat-completions",
    "quantization": "none",
    "gen_kwargs": {"user": "me"},
    "model_args": {
        "model": "/models/user/",
        "base_url": "http://me:s3cret-password@127.0.0.1:8911/v1/chat/completions?sig=s3cret-query",
        "api_key": "s3cret-key",
    },
}


def instances(simulator, products=(7, 8), repeats=2, **settings):
    """Requests for dialogues about products with seven, each as often as it is repeated."""
    block = read_dialogue_block({"simulator": simulator, "max_turns": 3, "repeats": repeats, **settings}, "t")
    for number in products:
        choices = ("54", str(7 * number), "58", "63")
        question = Question(f"product-{number}", "arithmetic", f"What is 7 x {number}?", choices)
        request = DialogueRequest(question, block, chat_template=True, seed=5)
        yield from [Instance("converse_until", {}, request.to_arguments(), 0, ("t", 0, repeats))] * repeats


@pytest.fixture
def old(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret-of-the-model")
    attach_dialogues()
    return shutil.copy(OLD, tmp_path / "run_rank0.db")


def cached(lm: LM, file):
    return CachingLM(lm, str(file))


def rows(file):
    with sqlite3.connect(file) as connection:
        return dict(connection.execute("SELECT key, transcript FROM dialogues"))


@pytest.mark.parametrize("simulator", ["scripted", USER])
def test_a_cache_of_an_earlier_release_goes_on_without_a_new_reply(old, simulator):
    # Nobody listens at the address: a reply that were asked for would be missing.
    lm = LocalChatCompletion(model="m", base_url=ADDRESS, num_concurrent=2, max_retries=1)
    for _ in range(2):
        held = [json.loads(text) for text in cached(lm, old).converse_until(list(instances(simulator)))]
        assert [each["stop_reason"] for each in held] == ["answered"] * 4
    kept = rows(old)
    assert len(kept) == 8 + 4
    assert b"s3cret" not in Path(old).read_bytes()


def test_what_that_release_said_otherwise_is_not_found(old):
    lm = LocalChatCompletion(model="m", base_url=ADDRESS, num_concurrent=2, max_retries=1)
    with pytest.raises(ChatbenchError):
        cached(lm, old).converse_until(list(instances({**USER, "policy": "two_step_problem"})))


@pytest.fixture
def weights(tmp_path):
    return tiny_models.save_model(tmp_path / "m1")


def user_of(folder):
    return {"policy": "chatbench", "model_args": {"pretrained": str(folder)}, "quantization": "none", "max_tokens": 4}


def talk(folder, file, user):
    """The transcripts of a model's dialogues, and how many rows the cache has afterwards."""
    attach_dialogues()
    lm = HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=4)
    asked = list(instances(user, max_turns=1, assistant={"max_tokens": 4}, repeats=1))
    asked = [Instance("converse_until", {}, _plain(each.arguments), 0, ("t", 0, 1)) for each in asked]
    return [json.loads(text) for text in cached(lm, file).converse_until(asked)], len(rows(file))


def _plain(arguments):
    return arguments[0], {**arguments[1], "chat_template": False}


@pytest.mark.parametrize("spelling", ["{}/", "{}/.", "elsewhere"])
def test_the_same_weights_under_another_path_are_the_same_model(weights, tmp_path, spelling):
    file = tmp_path / "run_rank0.db"
    before, count = talk(weights, file, user_of(weights))
    again = shutil.copytree(weights, tmp_path / "elsewhere") if spelling == "elsewhere" else spelling.format(weights)
    after, still = talk(again, file, user_of(again))
    assert count == still == 2
    assert [each["messages"] for each in after] == [each["messages"] for each in before]
    assert str(again).rstrip("/.") in after[0]["simulator"]


def test_other_weights_under_the_same_path_are_another_model(weights, tmp_path):
    file = tmp_path / "run_rank0.db"
    talk(weights, file, "scripted")
    tiny_models.save_model(weights, spread=0.2)
    assert talk(weights, file, "scripted")[1] == 4


@pytest.mark.parametrize("damage", ["", "{", '{"version": 1}', "null", "[" * 100_000, '{"version": 99}'])
def test_a_damaged_row_is_named_and_its_dialogue_is_held_again(weights, tmp_path, caplog, damage):
    file = tmp_path / "run_rank0.db"
    before, _ = talk(weights, file, "scripted")
    (key, _), *_ = rows(file).items()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE dialogues SET transcript = ? WHERE key = ?", (damage, key))
    after, count = talk(weights, file, "scripted")
    assert f"{file}: the dialogue that is kept under {key} is damaged" in caplog.text
    assert [each["answer"] for each in after] == [each["answer"] for each in before]
    assert count == 2
    assert all(json.loads(text)["version"] == 1 for text in rows(file).values())
