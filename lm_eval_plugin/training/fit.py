"""Fitting a model to training sequences: transformers' Trainer, with the recipe's settings and nothing of its own.

What `accelerate launch` sets up (several GPUs, DeepSpeed, FSDP) reaches the Trainer through the environment.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import PartialState
from peft import LoraConfig, TaskType, get_peft_model, prepare_model_for_kbit_training
from transformers import DataCollatorForSeq2Seq, EvalPrediction, Trainer, TrainingArguments, set_seed

from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.lm_eval_access.local import HFLM
from lm_eval_plugin.models.quantized import load_quantized
from lm_eval_plugin.training.output import CHECKPOINTS, last_checkpoint
from lm_eval_plugin.training.recipe import Recipe
from lm_eval_plugin.training.rows import Row

logger = logger_of(__name__)

_BATCH_OF_EVALUATION = 8


@dataclass(frozen=True, slots=True)
class Fit:
    """What came of it.

    Args:
        before: Perplexity of the held-out sequences under the base; of all tokens that are learnt.
        after: The same under the tuned model, after each epoch.
        updates: Steps of the optimizer.
    """

    before: float
    after: tuple[float, ...]
    updates: int


def load_base(recipe: Recipe) -> HFLM:
    """The model to start from, on this process's device.

    Raises:
        ModelError: It cannot be loaded, or cannot be quantized here.
    """
    device = str(PartialState().device)
    # Weights that are trained must be float32; what stays frozen takes half of that on a GPU.
    dtype = "bfloat16" if recipe.tuning == "lora" and device.startswith("cuda") else "float32"
    limits = {} if recipe.window is None else {"max_length": recipe.window}
    revision = {} if recipe.revision is None else {"revision": recipe.revision}
    return load_quantized(
        {"pretrained": recipe.base, "device": device, "dtype": dtype, **limits, **revision}, recipe.quantization
    )


def make_trainer(lm: HFLM, recipe: Recipe, train: Sequence[Row], held_out: Sequence[Row], folder: Path) -> Trainer:
    """The Trainer of a recipe.

    Args:
        lm: The base; its model becomes the trained one.
        recipe: How to train it.
        train: What to learn.
        held_out: What to measure with.
        folder: Where checkpoints go, into a folder of their own.

    Raises:
        ConfigError: PEFT does not know where to put the adapter.
    """
    set_seed(recipe.seed)
    return Trainer(
        model=_with_adapter(lm.model, recipe) if recipe.tuning == "lora" else lm.model,
        args=_arguments(recipe, folder),
        train_dataset=list(train),
        eval_dataset=list(held_out),
        data_collator=DataCollatorForSeq2Seq(lm.tokenizer),
        compute_metrics=_perplexity,
        preprocess_logits_for_metrics=_summed_losses,
    )


def fit(trainer: Trainer, folder: Path) -> Fit:
    """Train, from the last complete checkpoint of the folder if it has one."""
    # A checkpoint is loaded later, so this measures the base also where a training goes on.
    before = trainer.evaluate()["eval_perplexity"]
    checkpoint = last_checkpoint(folder)
    if checkpoint is not None:
        logger.info("Going on from %s.", checkpoint)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    measured = {
        entry["step"]: entry["eval_perplexity"] for entry in trainer.state.log_history if "eval_perplexity" in entry
    }
    # The last checkpoint is older than the last measurement, so one that goes on from there has yet to measure.
    last = trainer.state.global_step
    after = measured if last in measured else {**measured, last: trainer.evaluate()["eval_perplexity"]}
    return Fit(before, tuple(after.values()), last)


def _arguments(recipe: Recipe, folder: Path) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(folder / CHECKPOINTS),
        optim="adamw_torch",
        num_train_epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=recipe.warmup_steps,
        weight_decay=recipe.weight_decay,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=max(recipe.batch_size, _BATCH_OF_EVALUATION),
        gradient_accumulation_steps=recipe.gradient_accumulation,
        dataloader_pin_memory=torch.cuda.is_available(),
        bf16=torch.cuda.is_available() and torch.cuda.is_bf16_supported(),
        eval_strategy="epoch",
        save_strategy="steps",
        save_steps=recipe.save_steps,
        save_total_limit=2,
        logging_steps=50,
        report_to="none",
        seed=recipe.seed,
    )


def _with_adapter(model: object, recipe: Recipe) -> object:
    if recipe.quantization != "none":
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    config = LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=recipe.targets,
    )
    try:
        with warnings.catch_warnings():
            # PEFT 0.21 asks transformers 5.23 for an attribute by its old name.
            warnings.simplefilter("ignore", FutureWarning)
            return get_peft_model(model, config)
    except ValueError as error:
        raise ConfigError(
            f"no adapter can be put on {recipe.base!r}: {error}; name its layers with --targets"
        ) from error


def _summed_losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """For each of B sequences the summed loss of its learnt tokens, in nats, and their number; of shape (B, 2)."""
    targets = labels[:, 1:]
    losses = torch.nn.functional.cross_entropy(logits[:, :-1].float().transpose(1, 2), targets, reduction="none")
    return torch.stack([losses.sum(1), (targets != -100).sum(1)], dim=1)


def _perplexity(sums: EvalPrediction) -> Mapping[str, float]:
    """exp(sum of losses / number of tokens), over all sequences."""
    loss, tokens = sums.predictions.sum(axis=0)
    return {"perplexity": math.exp(loss / tokens)}
