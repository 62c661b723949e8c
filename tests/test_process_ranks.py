"""Several processes share the questions of a run, and together say what one of them would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from lm_eval.api.model import LM

from lm_eval_plugin.harness import process_ranks

# Not in 8 bit, where a result depends on the rows that share its batch; the user samples.
DIALOGUE = {"simulator": {"preset": "demo", "quantization": "none"}, "repeats": 2}
ARGUMENTS = ("--tasks", "chatbench_demo", "--model", "chatbench-demo", "--limit", "5", "--seed", "3", "--log_samples")


class Numbered(LM):
    """A backend that was launched as one of several processes."""

    def __init__(self, processes=4, index=2):
        super().__init__()
        self.accelerator = SimpleNamespace(num_processes=processes, process_index=index)
        self.seen = None

    def _detect_batch_size(self, requests=None):
        self.seen = self.world_size
        return 8

    def generate_until(self, requests):
        raise NotImplementedError

    loglikelihood = loglikelihood_rolling = generate_until


def test_a_process_has_the_number_that_it_was_launched_with():
    process_ranks.number_models()
    lm = Numbered.create_from_arg_obj({"processes": 16, "index": 9})
    assert (lm.rank, lm.world_size) == (9, 16)


def test_a_batch_size_is_found_without_waiting_for_other_processes():
    lm = Numbered()
    process_ranks.number(lm)
    assert lm._detect_batch_size() == 8
    assert (lm.seen, lm.world_size) == (1, 4)


def test_a_single_process_is_left_alone():
    lm = Numbered(processes=1, index=0)
    process_ranks.number(lm)
    assert (lm.rank, lm.world_size) == (0, 1)


def launched(folder, *launcher, environment=()):
    """A run of the host's command, and what it saved: results and samples."""
    arguments = (*ARGUMENTS, "--metadata", json.dumps({"dialogue": DIALOGUE}), "--output_path", str(folder))
    done = subprocess.run(
        [*launcher, "-m", "lm_eval", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **dict(environment)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    (results,) = folder.rglob("results_*.json")
    (samples,) = folder.rglob("samples_*.jsonl")
    return json.loads(results.read_text()), [json.loads(line) for line in samples.read_text().splitlines()]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return launched(tmp_path_factory.mktemp("one"), sys.executable)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    launcher = (sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2")
    return launched(tmp_path_factory.mktemp("two"), *launcher, environment={"ACCELERATE_USE_CPU": "1"}.items())


def said(samples):
    """What was said and answered, without how long it took and in which batch."""
    transcripts = [json.loads(text) for sample in samples for text in sample["resps"][-1]]
    return [
        [each["question_id"], each["repeat"], each["answer"], [message["content"] for message in each["messages"]]]
        for each in transcripts
    ]


def test_two_processes_hold_each_dialogue_once_and_word_for_word(alone, shared):
    assert len(said(alone[1])) == 10
    assert said(shared[1]) == said(alone[1])
    assert [sample["doc_id"] for sample in shared[1]] == [0, 1, 2, 3, 4]


def test_two_processes_have_the_metrics_of_one(alone, shared):
    assert alone[0]["results"]["chatbench_demo"] == pytest.approx(shared[0]["results"]["chatbench_demo"])
    assert alone[0]["chatbench"]["tasks"]["chatbench_demo"]["metrics"].keys() >= {"acc", "acc_static"}
    own = {name: {k: v for k, v in sample.items() if k in sample["metrics"]} for name, sample in enumerate(alone[1])}
    assert own == {
        name: {k: v for k, v in sample.items() if k in sample["metrics"]} for name, sample in enumerate(shared[1])
    }
