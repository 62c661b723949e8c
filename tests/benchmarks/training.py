"""Time and memory of `chatbench train` against a plain Trainer on the same strings: `python tests/benchmarks/training.py`.

Each side runs in processes of its own, in turn: base, tokens, LoRA, perplexity before and after, saved weights. The ratios are
medians over the pairs: of the wall and processor time of all of that but the imports, and of the peak memory of the process.
The norm of the adapters shows that both did the same.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAIRS = 3
SIDES = ("chatbench", "plain")
PEOPLE = 4
SETTINGS = {"learning_rate": 1e-3, "num_train_epochs": 1.0, "per_device_train_batch_size": 4}


def with_chatbench(folder: Path) -> Path:
    """Train as the package does; where the adapter is."""
    from lm_eval_plugin.chatbench_data.release import load_release
    from lm_eval_plugin.training.recipe import read_recipe
    from lm_eval_plugin.training.train import train

    asked = {"learning_rate": 1e-3, "epochs": 1.0, "batch_size": 4, "quantization": "none", "seed": 0}
    recipe = read_recipe({"base": str(folder / "base"), **asked}, "benchmark")
    train(load_release(str(folder / "people")), recipe, folder / "chatbench")
    return folder / "chatbench"


def with_a_plain_trainer(folder: Path) -> Path:
    """Train as a script of twenty lines does; where the adapter is."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import (
        AutoModelForCausalLM,
        AutoTokenizer,
        DataCollatorForSeq2Seq,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    tokenizer = AutoTokenizer.from_pretrained(folder / "base")
    tokenizer.pad_token = tokenizer.eos_token
    texts = json.loads((folder / "texts.json").read_text())

    def rows(side: str) -> list[dict[str, list[int]]]:
        made = []
        for prompt, reply in texts[side]:
            shown, learnt = tokenizer(prompt).input_ids, tokenizer(reply, add_special_tokens=False).input_ids
            labels = [-100] * len(shown) + learnt
            made.append({"input_ids": shown + learnt, "attention_mask": [1] * len(labels), "labels": labels})
        return made

    set_seed(0)
    lora = LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=32, lora_dropout=0.05)
    base = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32)
    trainer = Trainer(
        get_peft_model(base, lora),
        TrainingArguments(
            output_dir=str(folder / "plain"),
            **SETTINGS,
            eval_strategy="epoch",
            per_device_eval_batch_size=8,
            report_to="none",
            seed=0,
        ),
        train_dataset=rows("train"),
        eval_dataset=rows("held_out"),
        data_collator=DataCollatorForSeq2Seq(tokenizer),
    )
    trainer.evaluate()
    trainer.train()
    trainer.save_model()
    return folder / "plain"


def measure(side: str, folder: Path) -> None:
    """Run one side in this process and print what it took."""
    from safetensors.torch import load_file

    # All that either side imports, so that no import is measured.
    import lm_eval_plugin.training.train  # noqa: F401

    started = time.perf_counter(), time.process_time()
    adapter = (with_chatbench if side == "chatbench" else with_a_plain_trainer)(folder)
    took = {
        "wall": time.perf_counter() - started[0],
        "processor": time.process_time() - started[1],
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "norm": sum(
            tensor.square().sum().item() for tensor in load_file(adapter / "adapter_model.safetensors").values()
        ),
    }
    print(f"\n{json.dumps(took)}")


def run(side: str, folder: Path) -> dict[str, float]:
    """What one side took, in seconds and MiB."""
    with tempfile.TemporaryDirectory() as fresh:
        for name in ("base", "people", "texts.json"):
            (Path(fresh) / name).symlink_to(folder / name)
        command = [sys.executable, __file__, side, fresh]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    took: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return took


def prepare(folder: Path) -> None:
    """Write a base of some millions of weights, the conversations, and their examples as strings."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from lm_eval_plugin.chatbench_data.release import load_release
    from lm_eval_plugin.chatbench_data.splits import split_questions
    from lm_eval_plugin.training.demo.people import write_release
    from lm_eval_plugin.training.examples import examples

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tiny_models import tokenizer

    words = tokenizer()
    shape = {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 4, "num_attention_heads": 4}
    LlamaForCausalLM(LlamaConfig(vocab_size=len(words), max_position_embeddings=2048, **shape)).save_pretrained(
        folder / "base"
    )
    words.save_pretrained(folder / "base")
    release = load_release(str(write_release(folder / "people", PEOPLE)))
    split = split_questions(release.questions, 0)
    texts = {
        side: [
            [example.prompt, example.completion] for example in examples(release.conversations, release.questions, ids)
        ]
        for side, ids in (("train", split.train), ("held_out", split.held_out))
    }
    (folder / "texts.json").write_text(json.dumps(texts))


def main() -> None:
    """Measure and print."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory() as place:
        prepare(Path(place))
        pairs = [[run(side, Path(place)) for side in SIDES] for _ in range(PAIRS)]
    for name, unit in (("wall", "s"), ("processor", "s"), ("memory", "MiB")):
        medians = (statistics.median(took[name] for took in side) for side in zip(*pairs, strict=True))
        shown = ", ".join(f"{side} {value:.1f} {unit}" for side, value in zip(SIDES, medians, strict=True))
        ratio = statistics.median(ours[name] / plain[name] for ours, plain in pairs)
        print(f"{name}: {shown}, ratio {ratio:.3f}")
    print("norm: " + ", ".join(f"{side} {took['norm']:.6f}" for side, took in zip(SIDES, pairs[0], strict=True)))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
