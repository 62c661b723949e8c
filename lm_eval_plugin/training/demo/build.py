"""Trains the demo's models and writes them: the simulator's base, the adapter that makes it a user, and the assistant.

    python -m lm_eval_plugin.training.demo.build [--output DIR]

Everything follows from the demo questions, the notes on them and one seed. Two processor cores need about a quarter
of an hour. One small model first learns how people and assistants talk about the questions: it is the simulator's base.
The assistant is the same model trained further on one assistant's replies. The user is a LoRA on the base; `user` trains it.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    DataCollatorForSeq2Seq,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
    set_seed,
)

from lm_eval_plugin.config.presets import BUNDLED
from lm_eval_plugin.dialogue.transcript import Message, Role
from lm_eval_plugin.simulators.chatbench import prompt_text
from lm_eval_plugin.training.demo.corpus import (
    Example,
    assistant_examples,
    base_example,
    drill_example,
    static_example,
)
from lm_eval_plugin.training.demo.material import QUESTIONS, SEED, Item, assign_errors, load_items
from lm_eval_plugin.training.demo.user import train_user

END = "<|endoftext|>"
CONTEXT_TOKENS = 1024
VOCABULARY = 2048

Row = dict[str, list[int]]
"""A training sequence: `input_ids`, `attention_mask` and `labels`, -100 where nothing is to be learned."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast a model learns: dialogues a question, peak learning rate, its course, sequences a step."""

    dialogues: int
    learning_rate: float
    course: str = "cosine"
    batch: int = 8


# The drill is learned in one sudden step after some 250 updates, so the rate must not have fallen by then.
DRILL = Schedule(dialogues=120, learning_rate=1.5e-3, course="constant_with_warmup", batch=16)
BASE = Schedule(dialogues=400, learning_rate=2.5e-3)
ASSISTANT = Schedule(dialogues=60, learning_rate=1.2e-3)


def main() -> None:
    """Read the command line and build."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=Path, default=QUESTIONS, help="folder with test.jsonl and dev.jsonl")
    parser.add_argument("--output", type=Path, default=BUNDLED, help="where the model folders are written")
    parser.add_argument(
        "--threads", type=int, default=2, help="processor cores to use; the weights depend on it a little"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    build(options.questions, options.output)


def build(questions: Path, output: Path) -> None:
    """Train all three and write them to `assistant`, `simulator/base` and `simulator/adapter` in the output folder."""
    rng = random.Random(SEED)
    shots = load_items(questions, "dev")
    items = assign_errors(load_items(questions, "test"), rng) + shots
    tokenizer = train_tokenizer(_sample_texts(items, shots, random.Random(SEED)), fixed_lines(items[0]))

    base = new_model(tokenizer)
    # Without the drill first, a model of this size takes several times as long to learn to look up an option's letter.
    train(base, tokenizer, drill_rows(items, tokenizer, random.Random(SEED)), DRILL)
    train(base, tokenizer, base_rows(items, shots, tokenizer, random.Random(SEED)), BASE)
    save_model(base, tokenizer, output / "simulator" / "base")

    assistant = copy.deepcopy(base)
    train(assistant, tokenizer, assistant_rows(items, shots, tokenizer, random.Random(SEED + 1)), ASSISTANT)
    save_model(assistant, tokenizer, output / "assistant")
    train_user(output, questions)


def fixed_lines(item: Item) -> list[str]:
    """The long lines that the simulator's prompts share whatever the question and the conversation are."""
    conversation = (Message(Role.USER, "?"), Message(Role.ASSISTANT, "!"))
    prompts = [
        prompt_text(item.question, (), forced=False),
        prompt_text(item.question, conversation, forced=False),
        prompt_text(item.question, conversation, forced=True),
    ]
    lines = dict.fromkeys(line for prompt in prompts for line in prompt.splitlines())
    return [line for line in lines if len(line) > 20 and line not in item.question.text]


def train_tokenizer(texts: Iterable[str], single: Sequence[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer: any text survives encoding and decoding, and nothing is added to it.

    Args:
        texts: What the vocabulary is drawn from.
        single: Phrases that are to be one token each, which shortens the simulator's prompts by half.
    """
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    bpe.add_tokens([AddedToken(phrase, normalized=False) for phrase in single])
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token=END,
        pad_token=END,
        model_max_length=CONTEXT_TOKENS,
        clean_up_tokenization_spaces=False,
    )


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama of about a million weights, freshly drawn from the seed."""
    set_seed(SEED)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=128,
            intermediate_size=352,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=2,
            # The default of 0.02 suits models many times as wide; this one would learn far more slowly from it.
            initializer_range=0.06,
            max_position_embeddings=CONTEXT_TOKENS,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def assistant_rows(
    items: Sequence[Item], shots: Sequence[Item], tokenizer: PreTrainedTokenizerFast, rng: random.Random
) -> list[Row]:
    """Replies in chats and letters in benchmark prompts; the loss is on the assistant's own words."""

    def examples(item: Item) -> Iterator[Example]:
        yield from assistant_examples(item, rng)
        if rng.random() < 0.5:
            yield static_example(item, shots, rng)

    return _rows(items, ASSISTANT, lambda item: [completion_row(example, tokenizer) for example in examples(item)])


def drill_rows(items: Sequence[Item], tokenizer: PreTrainedTokenizerFast, rng: random.Random) -> list[Row]:
    """Replies and the options that they mean, and nothing else."""
    return _rows(items, DRILL, lambda item: [completion_row(drill_example(item, rng), tokenizer)])


def base_rows(
    items: Sequence[Item], shots: Sequence[Item], tokenizer: PreTrainedTokenizerFast, rng: random.Random
) -> list[Row]:
    """Texts of every format; every other time the prompt is learned as well, which teaches the questions themselves."""

    def row(item: Item) -> Row:
        example = completion_row(base_example(item, shots, rng), tokenizer)
        return {**example, "labels": example["input_ids"]} if rng.random() < 0.5 else example

    return _rows(items, BASE, lambda item: [row(item)])


def completion_row(example: Example, tokenizer: PreTrainedTokenizerFast) -> Row:
    """The example as tokens that end with the end of text; the prompt is shown and not learned."""
    prompt = tokenizer.encode(example.prompt)
    completion = [*tokenizer.encode(example.completion), tokenizer.eos_token_id]
    tokens = prompt + completion
    if len(tokens) > CONTEXT_TOKENS:
        raise ValueError(f"an example has {len(tokens)} tokens, more than {CONTEXT_TOKENS}: {example.prompt[:80]!r}")
    return {"input_ids": tokens, "attention_mask": [1] * len(tokens), "labels": [-100] * len(prompt) + completion}


def train(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, rows: list[Row], schedule: Schedule) -> None:
    """One pass over the rows, each batch of like length; a last incomplete batch is left out."""
    arguments = TrainingArguments(
        output_dir=str(BUNDLED),
        num_train_epochs=1,
        per_device_train_batch_size=schedule.batch,
        learning_rate=schedule.learning_rate,
        lr_scheduler_type=schedule.course,
        warmup_steps=40,
        weight_decay=0.01,
        adam_beta2=0.98,
        train_sampling_strategy="sequential",
        use_cpu=True,
        seed=SEED,
        save_strategy="no",
        report_to="none",
        logging_steps=100,
        disable_tqdm=True,
    )
    collator = DataCollatorForSeq2Seq(tokenizer, pad_to_multiple_of=8)
    Trainer(model=model, args=arguments, train_dataset=in_batches(rows, schedule.batch), data_collator=collator).train()
    model.eval()


def in_batches(rows: Sequence[Row], batch: int) -> list[Row]:
    """The rows in an order in which each batch has sequences of like length.

    The rows are sorted in small pools alone. Sorting them all would fill a batch with one question, since the length
    gives it away, and then nothing but that question's answers would be learned from it.
    """
    rng = random.Random(SEED)
    ordered: list[Row] = []
    for start in range(0, len(rows) // batch * batch, 4 * batch):
        pool = sorted(rows[start : start + 4 * batch], key=lambda row: len(row["input_ids"]))
        batches = [pool[place : place + batch] for place in range(0, len(pool) // batch * batch, batch)]
        rng.shuffle(batches)
        ordered += [row for chosen in batches for row in chosen]
    return ordered


def save_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write weights, configuration and tokenizer; the weights take half the space and are loaded at full precision."""
    model.half().save_pretrained(folder)
    model.float()
    tokenizer.save_pretrained(folder)
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    # The stored precision is float16 to save space; on a processor everything is slower or missing in it.
    path.write_text(json.dumps({**config, "dtype": "float32"}, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _rows(items: Sequence[Item], schedule: Schedule, rows: Callable[[Item], list[Row]]) -> list[Row]:
    return [row for _ in range(schedule.dialogues) for item in items for row in rows(item)]


def _sample_texts(items: Sequence[Item], shots: Sequence[Item], rng: random.Random) -> Iterator[str]:
    for _ in range(25):
        for item in items:
            example = base_example(item, shots, rng)
            yield f"{example.prompt}{example.completion}"


if __name__ == "__main__":
    main()
