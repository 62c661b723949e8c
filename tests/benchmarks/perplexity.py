"""What `score_reply` costs beside a plain forward loop: `python tests/benchmarks/perplexity.py [--examples N] [--batch N]`.

Both score the same strings of the demo's made-up people under the demo's base. Both processes load the model and make the
strings first; time is that of scoring alone, memory the highest resident size of the process, and by how much scoring raised
it. The plain loop takes the strings longest first, as ours does, and gives the perplexity of the replies alone: no string
perplexity, no letters. Runs alternate, and the medians of their ratios are printed.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from lm_eval_plugin.chatbench_data.release import load_release
from lm_eval_plugin.config.presets import DEMO_SIMULATOR_BASE
from lm_eval_plugin.training.demo.people import write_release
from lm_eval_plugin.training.examples import examples
from lm_eval_plugin.training.perplexity import score_arguments, score_reply

ROUNDS = 5


def ours(lm: HFLM, made: list, batch: int) -> float:
    """Perplexity of the replies, by `score_reply`."""
    arguments = [
        score_arguments(each.prompt, each.completion, each.question.letters if each.letter else "") for each in made
    ]
    scores = score_reply(lm, [Instance("score_reply", {}, each, 0, ("t", 0, 1)) for each in arguments])
    return math.exp(-sum(score["reply"] for score in scores) / sum(score["reply_tokens"] for score in scores))


@torch.no_grad()
def plain(lm: HFLM, made: list, batch: int) -> float:
    """The same, in as few lines as it takes."""
    rows = []
    for each in made:
        prompt, reply = lm.tokenizer(each.prompt).input_ids, lm.tokenizer(each.completion).input_ids
        rows.append((torch.tensor(prompt + reply), torch.tensor([-100] * len(prompt) + reply)))
    rows.sort(key=lambda row: -len(row[0]))
    loss, tokens = 0.0, 0
    for start in range(0, len(rows), batch):
        inputs, labels = zip(*rows[start : start + batch], strict=True)
        logits = lm.model(pad_sequence(inputs, batch_first=True)).logits[:, :-1]
        targets = pad_sequence(labels, batch_first=True, padding_value=-100)[:, 1:]
        loss += cross_entropy(logits.transpose(1, 2), targets, reduction="sum").item()
        tokens += int((targets != -100).sum())
    return math.exp(loss / tokens)


def measure(way: str, release: str, count: int, batch: int) -> dict[str, float]:
    """Perplexity, seconds and mebibytes of one way, in this process."""
    lm = HFLM(pretrained=str(DEMO_SIMULATOR_BASE), device="cpu", batch_size=batch)
    data = load_release(release)
    made = examples(data.conversations, data.questions, data.questions)[:count]
    scorer = {"ours": ours, "plain": plain}[way]
    scorer(lm, made[:batch], batch)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    perplexity = scorer(lm, made, batch)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"perplexity": perplexity, "seconds": seconds, "MiB": after / 1024, "MiB_more": (after - before) / 1024}


def main() -> None:
    """Measure each way in processes of its own, in turn, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=400)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--only", nargs=2, metavar=("WAY", "RELEASE"), help="one measurement in this process")
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(*options.only, options.examples, options.batch)))
        return
    with tempfile.TemporaryDirectory() as folder:
        release = str(write_release(Path(folder), 40))
        rounds = [{way: _elsewhere(way, release, options) for way in ("plain", "ours")} for _ in range(ROUNDS)]
    for way in ("plain", "ours"):
        median = {name: statistics.median(each[way][name] for each in rounds) for name in rounds[0][way]}
        print(f"{way:5}  " + ", ".join(f"{name} {value:.6g}" for name, value in median.items()))
    for name in ("perplexity", "seconds", "MiB"):
        print(f"ratio of {name}: {statistics.median(each['ours'][name] / each['plain'][name] for each in rounds):.4f}")


def _elsewhere(way: str, release: str, options: argparse.Namespace) -> dict[str, float]:
    counts = ["--examples", str(options.examples), "--batch", str(options.batch)]
    command = [sys.executable, __file__, "--only", way, release, *counts]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(printed.splitlines()[-1])


if __name__ == "__main__":
    main()
