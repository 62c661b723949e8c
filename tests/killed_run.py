"""A run of many dialogues that is killed at random moments and started again until it has ended.

    python tests/killed_run.py --kills 20

Every dialogue is of a question of its own, so what the model under test is shown tells which of them it talks in.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

TASK = "chatbench_mmlu_elementary_mathematics"
DIALOGUE = {
    "simulator": {"policy": "scripted", "habits": ["doubts_once"]},
    "assistant": {"max_tokens": 8, "temperature": 0.7},
    "static": "none",
    "max_turns": 3,
}
_NUMBER = re.compile(r"What is (\d+) plus")


def run(model: Path, data: Path, log: Path, use_cache: Path | None = None) -> dict:
    """Hold a dialogue about every question of a data set.

    Args:
        model: The model under test.
        data: Sums, the first number of each of which is its own.
        log: Gets a line for every call of the model, with the numbers of the questions that it was shown.
        use_cache: As the host's flag.

    Returns:
        What was said and scored, without times.
    """
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    from lm_eval_plugin.harness.registration import tasks_folder

    lm = HFLM(pretrained=str(model), device="cpu", dtype="float32", batch_size=2)
    generate = lm.model.generate

    def counted(*args, **kwargs):
        shown = lm.tokenizer.batch_decode(kwargs["input_ids"])
        with log.open("a") as lines:
            lines.write(" ".join(_NUMBER.search(text)[1] for text in shown) + "\n")
        return generate(*args, **kwargs)

    lm.model.generate = counted
    dialogue = {**DIALOGUE, "dataset": str(data)}
    results = lm_eval.simple_evaluate(
        model=lm,
        tasks=[TASK],
        task_manager=TaskManager(
            include_path=str(tasks_folder()), include_defaults=False, metadata={"dialogue": dialogue}
        ),
        use_cache=None if use_cache is None else str(use_cache),
        bootstrap_iters=0,
    )
    transcripts = [json.loads(sample["resps"][-1][0]) for sample in results["samples"][TASK]]
    for transcript in transcripts:
        for message in transcript["messages"]:
            message.pop("seconds")
            message.pop("batch", None)
    return {"dialogues": transcripts, "metrics": results["results"][TASK]}


def calls(log: Path) -> list[set[int]]:
    """The questions that the model was shown in each of its calls."""
    return [set(map(int, line.split())) for line in log.read_text().splitlines()] if log.exists() else []


def finished(use_cache: Path) -> set[int]:
    """The questions whose dialogues are kept."""
    with closing(sqlite3.connect(use_cache.with_name(f"{use_cache.name}_rank0.db"))) as file:
        rows = file.execute("SELECT transcript FROM dialogues").fetchall()
    return {int(_NUMBER.search(json.loads(text)["messages"][0]["content"])[1]) for (text,) in rows}


def kept(use_cache: Path) -> int:
    """How many dialogues are kept by now, in a run that may be under way."""
    path = use_cache.with_name(f"{use_cache.name}_rank0.db")
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path)) as file:
        there = file.execute("SELECT 1 FROM sqlite_master WHERE name = 'dialogues'").fetchone()
        return file.execute("SELECT count(*) FROM dialogues").fetchone()[0] if there else 0


def run_until_killed(model: Path, data: Path, log: Path, use_cache: Path, more: int, and_s: float) -> None:
    """Start the run in a process of its own and kill it.

    Args:
        model: As `run`.
        data: As `run`.
        log: As `run`.
        use_cache: As `run`.
        more: How many dialogues more than before it is to keep first.
        and_s: How long to wait then.
    """
    log.unlink(missing_ok=True)
    enough = kept(use_cache) + more
    command = [sys.executable, __file__, "--held", *map(str, (model, data, log, use_cache))]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while kept(use_cache) < enough:
            if process.poll() is not None:
                raise RuntimeError(f"it ended before it was killed: {process.stderr.read().decode()[-2000:]}")
            time.sleep(0.002)
        time.sleep(and_s)
        process.kill()


def kill_again_and_again(folder: Path, model: Path, data: Path, kills: int, seed: int) -> tuple[list[int], dict, dict]:
    """Hold the dialogues in one go, and again in a run that is killed and started again.

    Raises:
        AssertionError: A dialogue that had ended was held again.

    Returns:
        How many dialogues were finished after each kill, and what `run` returns for both runs.
    """
    dice, log, use_cache = random.Random(seed), folder / "log", folder / "cache" / "run"
    whole = run(model, data, log)
    # About half of the way in all, so that no run ends before it is killed.
    steps = len(whole["dialogues"]) // (kills + 1)
    done: set[int] = set()
    counts = []
    for _ in range(kills):
        run_until_killed(model, data, log, use_cache, dice.randint(1, steps), dice.uniform(0, 0.05))
        assert not done & set().union(*calls(log)), "a finished dialogue was held again"
        done = finished(use_cache)
        counts.append(len(done))
    log.unlink()
    resumed = run(model, data, log, use_cache)
    assert not done & set().union(*calls(log)), "a finished dialogue was held again"
    return counts, whole, resumed


def main() -> None:
    """Kill a run of 200 dialogues as often as asked for, and print how far each start came."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--held", type=Path, nargs=4, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.held:
        run(*chosen.held)
        return
    from conftest import sum_row, write_mmlu
    from tiny_models import save_model

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ.setdefault("HF_DATASETS_CACHE", str(folder / "datasets"))
        data, model = folder / "sums", save_model(folder / "model")
        data.mkdir()
        write_mmlu(data, [sum_row(a, a + 3) for a in range(200)])
        counts, whole, resumed = kill_again_and_again(folder, model, data, chosen.kills, chosen.seed)
    print(f"dialogues that were finished after each of {len(counts)} kills: {counts}")
    print(f"no finished dialogue was held again; the results are equal: {whole == resumed}")


if __name__ == "__main__":
    main()
