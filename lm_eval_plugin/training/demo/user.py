"""Trains the demo's simulated user as anybody would train one, by `chatbench train`, on the conversations of made-up people.

    python -m lm_eval_plugin.training.demo.user [--output DIR]

The base must be there; two processor cores need some minutes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from lm_eval_plugin.config.presets import BUNDLED
from lm_eval_plugin.training.demo.material import QUESTIONS, SEED
from lm_eval_plugin.training.demo.people import OF_THE_SIMULATOR, write_release
from lm_eval_plugin.training.output import SIMULATOR, write_json

_RECIPE = (
    # The rate and length of the released recipe suit models a thousand times as large.
    "--learning-rate",
    "2e-3",
    "--epochs",
    "1",
    "--schedule",
    "cosine",
    "--warmup-steps",
    "40",
    "--batch-size",
    "8",
    # A base this small would not understand the demand for an answer by itself.
    "--forced-share",
    "0.15",
    "--seed",
    str(SEED),
)

_CHATBENCH = "from lm_eval_plugin.cli.main import main; raise SystemExit(main())"


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--output",
        type=Path,
        default=BUNDLED,
        help="the folder with simulator/base, for simulator/adapter",
    )
    train_user(parser.parse_args().output)


def train_user(output: Path, questions: Path = QUESTIONS) -> None:
    """Write `simulator/adapter` in the output folder, in place of the one that may be there.

    Names are relative to the output folder, because the model card holds them.
    """
    adapter, people = output / "simulator" / "adapter", output / "people"
    shutil.rmtree(adapter, ignore_errors=True)
    write_release(people, OF_THE_SIMULATOR, questions=questions)
    command = ["train", "people", "--base", "simulator/base", "-o", "simulator/adapter", *_RECIPE]
    subprocess.run([sys.executable, "-c", _CHATBENCH, *command], cwd=output, check=True)  # noqa: S603  # words of this file
    shutil.rmtree(people)
    # The preset `demo` names both folders, and the tokenizer is the base's.
    for needless in (SIMULATOR, "tokenizer.json", "tokenizer_config.json"):
        (adapter / needless).unlink()
    drop_unset(adapter / "adapter_config.json")


def drop_unset(config: Path) -> None:
    """Leave out what an adapter does not set, since an older peft warns of keys that it does not know."""
    kept = {key: value for key, value in json.loads(config.read_text(encoding="utf-8")).items() if value is not None}
    write_json(config, kept)


if __name__ == "__main__":
    main()
