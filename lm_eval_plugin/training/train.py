"""Training a simulated user, from a release of conversations to a folder that a `simulator` mapping names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import Trainer

from lm_eval_plugin.border.paths import local_or_hub
from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.chatbench_data.release import Release
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.lm_eval_access.local import HFLM
from lm_eval_plugin.training.fit import fit, load_base, make_trainer
from lm_eval_plugin.training.lesson import Lesson, lesson_of
from lm_eval_plugin.training.model_card import model_card
from lm_eval_plugin.training.output import (
    CARD,
    RESULTS,
    SIMULATOR,
    claim,
    drop_checkpoints,
    finished,
    reserve,
    write_json,
)
from lm_eval_plugin.training.recipe import Recipe
from lm_eval_plugin.training.rows import Row, make_rows

logger = logger_of(__name__)


def train(release: Release, recipe: Recipe, folder: Path, *, revision: str | None = None) -> dict[str, object]:
    """Train, or go on with what the same call has begun; a finished training is only read.

    Args:
        release: The conversations.
        recipe: How to train.
        folder: Where the simulator goes; see `output`.
        revision: The release's revision, for the record.

    Returns:
        What `results.json` holds: perplexities and counts.

    Raises:
        ConfigError: The folder is another's, or nothing is left to train on or to measure with.
        ModelError: The base cannot be loaded.
    """
    lesson = lesson_of(release, recipe)
    data = {"source": release.source, "revision": revision, "study": release.study, "sha256": lesson.sha256}
    settings = {"version": 1, "data": data, "recipe": recipe.model_dump()}
    reserve(folder, settings)
    if (results := finished(folder)) is not None:
        logger.info("%s is finished; nothing is left to do.", folder)
        return results
    # The first process writes to the folder soon, and every one must have looked at it before.
    PartialState().wait_for_everyone()
    lm = load_base(recipe)
    learnt, measured, counts = _rows(lesson, lm, recipe)
    trainer = make_trainer(lm, recipe, learnt, measured, folder)
    if trainer.is_world_process_zero():
        claim(folder, settings)
    fitted = fit(trainer, folder)
    _save(trainer, lm.tokenizer, recipe, folder)
    results = {"before": fitted.before, "after": list(fitted.after), "updates": fitted.updates, "counts": counts}
    if trainer.is_world_process_zero():
        _describe(folder, recipe, data, results)
    return results


def simulator_mapping(recipe: Recipe, folder: Path) -> dict[str, object]:
    """What stands under `simulator` in a `dialogue:` block to have the trained user, from any working directory."""
    trained, base = str(folder.resolve()), Path(local_or_hub(recipe.base))
    named = str(base.resolve()) if base.exists() else recipe.base
    weights = {"base": named, "adapter": trained} if recipe.tuning == "lora" else {"base": trained}
    mapping: dict[str, Any] = {"policy": "chatbench", **weights, "quantization": recipe.quantization}
    model_args: dict[str, Any] = {} if recipe.window is None else {"max_length": recipe.window}
    if recipe.revision is not None and recipe.tuning == "lora":
        model_args["revision"] = recipe.revision
    if recipe.reading != "A":
        mapping["reading"] = recipe.reading
    return {**mapping, **({"model_args": model_args} if model_args else {})}


def _rows(lesson: Lesson, lm: HFLM, recipe: Recipe) -> tuple[list[Row], list[Row], dict[str, int]]:
    """The sequences to learn and to measure, and all counts."""
    learnt, measured = (
        make_rows(side, lm, loss=recipe.loss, max_tokens=recipe.max_tokens) for side in (lesson.train, lesson.held_out)
    )
    trimmed, left_out = learnt.trimmed + measured.trimmed, learnt.left_out + measured.left_out
    if trimmed or left_out:
        logger.warning(
            "Of %d examples %d are cut to the window of %d tokens, as a simulation would, and %d are left out.",
            len(lesson.train) + len(lesson.held_out),
            trimmed,
            lm.max_length,
            left_out,
        )
    for side, made in (("training", learnt), ("held-out", measured)):
        if not made.rows:
            raise ConfigError(
                f"no example of the {side} questions fits into the window of {lm.max_length} tokens; give a larger window, "
                "or a base that has one"
            )
    counts = {"train": len(learnt.rows), "held_out": len(measured.rows), "trimmed": trimmed, "left_out": left_out}
    return learnt.rows, measured.rows, {**lesson.counts, **counts}


def _save(trainer: Trainer, tokenizer: Any, recipe: Recipe, folder: Path) -> None:
    trainer.save_model(str(folder))
    if trainer.is_world_process_zero():
        # It is a pickle, and says where the training ran.
        (folder / "training_args.bin").unlink(missing_ok=True)
        if recipe.tuning == "full":
            tokenizer.save_pretrained(folder)


def _describe(folder: Path, recipe: Recipe, data: Mapping[str, object], results: Mapping[str, object]) -> None:
    """Write what stands beside the weights; the results last, which say that it is finished."""
    simulator = simulator_mapping(recipe, folder)
    write_json(folder / SIMULATOR, simulator)
    (folder / CARD).write_text(model_card(recipe, data, results, simulator), encoding="utf-8")
    write_json(folder / RESULTS, results)
    drop_checkpoints(folder)
