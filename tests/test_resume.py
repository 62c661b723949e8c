"""Resuming with `--use_cache`: what is finished is not held again, and nothing else is taken for it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import killed_run
import pytest
from conftest import sum_row, write_mmlu
from killed_run import kept
from lm_eval.api.model import CacheHook, CachingLM
from lm_eval.models.huggingface import HFLM
from lm_eval.models.openai_completions import LocalCompletionsAPI
from test_conversations import TalkingLM, instance
from test_task import evaluate, transcripts

from lm_eval_plugin.cache.dialogue_store import DialogueStore
from lm_eval_plugin.runner.runner import converse_until

TASK = "chatbench_mmlu_elementary_mathematics"


class Counted:
    """A model under test, its cache, and how many prompts it generates for."""

    def __init__(self, folder, data, use_cache):
        self.prompts = 0
        self.lm = HFLM(pretrained=str(folder), device="cpu", batch_size=8)
        self._data, self.use_cache, self.fail_after = data, use_cache, None
        self._generate, self.lm.model.generate = self.lm.model.generate, self._counting

    def _counting(self, *args, **kwargs):
        self.prompts += len(kwargs["input_ids"])
        if self.fail_after is not None and self.prompts > self.fail_after:
            raise KeyboardInterrupt
        return self._generate(*args, **kwargs)

    def hold(self, **block):
        """The dialogues of a run, and for how many prompts the model was asked."""
        before = self.prompts
        return transcripts(self.evaluated(**block), TASK), self.prompts - before

    def evaluated(self, **block):
        """The results of a run."""
        dialogue = {
            "simulator": "scripted",
            "static": "none",
            "assistant": {"max_tokens": 4},
            "dataset": str(self._data),
        }
        return evaluate(TASK, {**dialogue, **block}, model=self.lm, use_cache=str(self.use_cache))


@pytest.fixture
def model(llama, arithmetic_folder, tmp_path):
    return Counted(llama, arithmetic_folder, tmp_path / "cache" / "run")


def test_second_run_holds_nothing_and_has_the_same_transcripts_to_the_millisecond(model):
    first, asked = model.hold()
    assert asked >= 6
    assert model.hold() == (first, 0)


def test_dialogues_of_a_fine_tuned_simulator_are_found(model, llama):
    user = {
        "simulator": {"policy": "chatbench", "model_args": {"pretrained": str(llama)}, "max_tokens": 8},
        "max_turns": 2,
    }
    first, asked = model.hold(**user)
    assert asked >= 6
    assert model.hold(**user) == (first, 0)


def test_more_repeats_find_those_that_there_are_and_stay_apart(model):
    sampled = {"temperature": 1.0, "max_tokens": 4}
    first, _ = model.hold(assistant=sampled)
    more, asked_more = model.hold(assistant=sampled, repeats=3)
    assert [each for each in more if each["repeat"] == 0] == first
    assert asked_more >= 2 * 6
    assert len({json.dumps(each["messages"]) for each in more}) > len(first)
    assert model.hold(assistant=sampled, repeats=3) == (more, 0)


@pytest.mark.parametrize(
    "change", [{"max_turns": 1}, {"assistant": {"max_tokens": 5}}, {"simulator": {"policy": "sharded"}}]
)
def test_changed_configuration_finds_nothing(model, change):
    model.hold()
    _, asked = model.hold(**change)
    assert asked >= 6


def test_another_scoring_finds_everything(model):
    first, _ = model.hold()
    assert model.hold(static="loglikelihood", kv_cache=0) == (first, 0)


def test_another_model_finds_nothing(model, chat_llama, arithmetic_folder, tmp_path):
    model.hold()
    _, asked = Counted(chat_llama, arithmetic_folder, tmp_path / "cache" / "run").hold()
    assert asked >= 6


def test_cache_of_a_run_with_more_processes_is_looked_into(model, tmp_path):
    first, _ = model.hold()
    (tmp_path / "cache" / "run_rank0.db").rename(tmp_path / "cache" / "run_rank5.db")
    assert model.hold() == (first, 0)


def test_run_that_is_terminated_goes_on_where_it_was(llama, tmp_path):
    data = sums(tmp_path, 24)
    log, use_cache = tmp_path / "log", tmp_path / "run"
    command = [sys.executable, killed_run.__file__, "--held", *map(str, (llama, data, log, use_cache))]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while not kept(use_cache):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    done = killed_run.finished(use_cache)
    assert f"{len(done)} of 24 dialogues are finished and kept in {use_cache}_rank0.db; the same command goes on" in err
    log.unlink()
    resumed = killed_run.run(llama, data, log, use_cache)
    assert not done & set().union(*killed_run.calls(log))
    assert resumed == killed_run.run(llama, data, log)


def sums(folder, count):
    """A data set of sums, each with a first number of its own."""
    data = folder / "sums"
    data.mkdir()
    return write_mmlu(data, [sum_row(a, a + 3) for a in range(count)])


def test_run_that_is_killed_again_and_again_ends_as_if_it_never_was(llama, tmp_path):
    counts, whole, resumed = killed_run.kill_again_and_again(tmp_path, llama, sums(tmp_path, 48), kills=2, seed=1)
    assert counts == sorted(counts)
    assert 0 < counts[-1] < 48
    assert resumed == whole


# Through the request type, with models that a test can command


def cached(lm, path):
    """A model with the host's cache at a path."""
    lm.set_cache_hook(CacheHook(CachingLM(lm, str(path))))
    return lm


def held(lm, *instances):
    return [json.loads(text) for text in converse_until(lm, instances)]


class Failing(LocalCompletionsAPI):
    """An API that says nothing to some of what it is asked."""

    def __init__(self, fails):
        super().__init__(model="m", base_url="http://127.0.0.1:1/v1/completions", tokenizer_backend=None)
        self.fails = fails
        self.asked = []

    def generate_until(self, requests, disable_tqdm=False):
        self.asked += [request.args[0] for request in requests]
        return [None if self.fails in request.args[0] else "It is 7, so B." for request in requests]


def test_dialogue_that_a_model_failed_in_is_tried_again(tmp_path):
    requests = [instance(name, {"simulator": "scripted"}) for name in ("one", "two")]
    first = held(cached(Failing("(two)"), tmp_path / "run_rank0.db"), *requests)
    assert [entry["stop_reason"] for entry in first] == ["answered", "model_error"]
    lm = cached(Failing("nothing"), tmp_path / "run_rank0.db")
    second = held(lm, *requests)
    assert second[0] == first[0]
    assert second[1]["stop_reason"] == "answered"
    assert len(lm.asked) == 1


@pytest.mark.parametrize(
    ("moment", "fails"),
    [
        pytest.param("before the second is put", "nothing", id="before_it_is_there"),
        pytest.param("after the first is put", "nothing", id="after_it_is_there"),
        pytest.param("after the first is put", "(one)", id="after_a_failure"),
    ],
)
def test_signal_as_a_dialogue_is_being_kept_counts_those_that_are(moment, fails, tmp_path, caplog, monkeypatch):
    put, run = DialogueStore.put, tmp_path / "run"

    def interrupted(*args):
        if moment == "before the second is put" and kept(run) == 1:
            signal.raise_signal(signal.SIGTERM)
        put(*args)
        if moment == "after the first is put":
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(DialogueStore, "put", interrupted)
    lm = cached(Failing(fails), tmp_path / "run_rank0.db")
    with pytest.raises(SystemExit, match="143"):
        held(lm, *(instance(name, {"simulator": "scripted"}) for name in ("one", "two", "three")))
    assert kept(run) == 1
    assert f"1 of 3 dialogues are finished and kept in {run}_rank0.db" in caplog.text


def test_model_that_nobody_can_tell_from_others_keeps_nothing_and_says_so(tmp_path, caplog):
    one, other = (cached(TalkingLM(f"It is {text}."), tmp_path / "run_rank0.db") for text in ("7, so B", "8, so C"))
    request = instance("one", {"simulator": "scripted"})
    assert [held(lm, request)[0]["answer"] for lm in (one, other)] == ["B", "C"]
    assert "does not tell which model it runs" in caplog.text
