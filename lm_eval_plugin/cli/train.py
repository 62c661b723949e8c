"""`chatbench train`: a simulated user from conversations of people; starts anew, goes on, or says that it is done."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import Any

from lm_eval_plugin.border.escaping import visible
from lm_eval_plugin.border.terminal import say

_PATHS = ("command", "data", "output", "data_revision", "study")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes; what is not given is as usual for the base's shape."""
    parser.add_argument("data", metavar="DATA", help="a folder in the layout of microsoft/ChatBench, or that name")
    parser.add_argument("--base", required=True, metavar="MODEL", help="the model to start from: a folder or a name")
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FOLDER", help="where the simulator is written"
    )
    parser.add_argument("--data-revision", metavar="COMMIT", help="of the data set on the hub")
    parser.add_argument("--study", default="full_study", help="the study's folder in the data (default: full_study)")
    parser.add_argument("--revision", metavar="COMMIT", help="of the base on the hub")
    _add_model_arguments(parser)
    _add_fit_arguments(parser)
    _add_lora_arguments(parser)
    parser.add_argument("--window", type=int, metavar="TOKENS", help="longest text (default: by the shape)")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="tokens that a prompt leaves to the reply (256)")
    parser.add_argument(
        "--forced-share", type=float, metavar="X", help="share of answers learnt as demanded (default: 0)"
    )
    parser.add_argument("--split", type=int, metavar="SEED", help="which split of the questions (default: 0)")
    parser.add_argument("--held-out-percent", type=int, metavar="N", help="questions held out (default: 40)")
    parser.add_argument("--seed", type=int, help="of order, dropout and new weights (default: 0)")
    parser.add_argument("--save-steps", type=int, metavar="N", help="updates between checkpoints (default: 500)")


def _add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """What is trained, and what its prompts look like."""
    parser.add_argument("--tuning", choices=("lora", "full"), help="an adapter, or all weights (default: by the shape)")
    parser.add_argument(
        "--quantization", choices=("8bit", "nf4", "none"), help="of the frozen base (default: 8bit with lora)"
    )
    parser.add_argument(
        "--reading", choices=("A", "B"), help="where the conversation stands in the prompt (default: A)"
    )
    parser.add_argument("--loss", choices=("reply", "all"), help="what is learnt of a text (default: reply)")


def _add_fit_arguments(parser: argparse.ArgumentParser) -> None:
    """How it learns."""
    parser.add_argument("--epochs", type=float, help="passes over the examples (default: 2)")
    parser.add_argument("--learning-rate", type=float, help="at its peak (default: 5e-5)")
    parser.add_argument(
        "--schedule", choices=("linear", "cosine", "constant", "constant_with_warmup"), help="default: linear"
    )
    parser.add_argument("--warmup-steps", type=int, metavar="N", help="updates until the peak (default: 0)")
    parser.add_argument("--weight-decay", type=float, metavar="X", help="of AdamW (default: 0)")
    parser.add_argument("--batch-size", type=int, metavar="N", help="examples on a device (default: by the shape)")
    parser.add_argument("--gradient-accumulation", type=int, metavar="N", help="batches an update (default: 1)")


def _add_lora_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rank", type=int, help="of the LoRA (default: 8)")
    parser.add_argument("--alpha", type=int, help="of the LoRA (default: 32)")
    parser.add_argument("--dropout", type=float, help="of the LoRA (default: 0.05)")
    parser.add_argument("--targets", nargs="+", metavar="LAYER", help="layers of the LoRA (default: by the shape)")


def run(chosen: argparse.Namespace) -> int:
    """Train, and say what came of it and how to use it."""
    import transformers
    from accelerate import PartialState

    from lm_eval_plugin.chatbench_data.release import load_release
    from lm_eval_plugin.training.output import SIMULATOR
    from lm_eval_plugin.training.recipe import read_recipe
    from lm_eval_plugin.training.train import train

    logging.basicConfig(level=logging.WARNING, format="chatbench: %(message)s")
    logging.getLogger("lm_eval_plugin.training").setLevel(logging.INFO)
    transformers.utils.logging.disable_progress_bar()
    recipe = read_recipe({key: entry for key, entry in vars(chosen).items() if key not in _PATHS}, "chatbench train")
    release = load_release(chosen.data, revision=chosen.data_revision, study=chosen.study)
    results = train(release, recipe, chosen.output, revision=chosen.data_revision)
    if not PartialState().is_main_process:
        return 0
    for line in _report(results, recipe.loss):
        say(visible(line))
    mapping = json.loads((chosen.output / SIMULATOR).read_text(encoding="utf-8"))
    say(f"Use it: --metadata '{json.dumps({'dialogue': {'simulator': mapping}})}'")
    return 0


def _report(results: dict[str, Any], loss: str) -> list[str]:
    counts = results["counts"]
    learnt = (
        f"{counts['train']} examples of {counts['train_questions']} questions learnt in {results['updates']} updates"
    )
    held_out = f"{counts['held_out']} of {counts['held_out_questions']} held out"
    cut = f"{counts['trimmed']} examples cut to the window, {counts['left_out']} left out"
    measured = f"perplexity of the held-out {'replies' if loss == 'reply' else 'texts'}: base {results['before']:.4f}"
    after = ", ".join(f"{perplexity:.4f}" for perplexity in results["after"])
    return [
        f"{learnt}; {held_out}",
        f"{counts['unusable']} rows of the data could not be used; {cut}",
        f"{measured}, after each epoch {after}",
    ]
