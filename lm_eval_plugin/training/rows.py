"""From examples to tokens, cut to the window as a simulation cuts its prompts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lm_eval_plugin.dialogue.engine import Ask
from lm_eval_plugin.dialogue.transcript import Role
from lm_eval_plugin.lm_eval_access.local import HFLM
from lm_eval_plugin.models.lm_model import HostModel
from lm_eval_plugin.training.examples import Example

Row = dict[str, list[int]]
"""A training sequence: `input_ids`, `attention_mask` and `labels`, -100 where nothing is to be learnt."""

_UNLEARNT = -100


@dataclass(frozen=True, slots=True)
class Rows:
    """What became of some examples.

    Args:
        rows: The sequences.
        trimmed: How many show less than the whole conversation, as a simulation would.
        left_out: How many do not fit into the window in any way.
    """

    rows: list[Row]
    trimmed: int
    left_out: int


def make_rows(examples: Iterable[Example], lm: HFLM, *, loss: str, max_tokens: int) -> Rows:
    """The sequences of some examples, prompt and reply tokenized apart as they are when the simulator runs.

    Args:
        examples: What is to be learnt.
        lm: The base, whose tokenizer and window count.
        loss: `reply` or `all`.
        max_tokens: Tokens that a prompt leaves to the reply.
    """
    model = HostModel(lm, name="the base", temperature=0.0, max_tokens=max_tokens)
    fitted = [(example, model.fit(Ask(Role.USER, example.history, example.prompt_with))) for example in examples]
    rows = [
        (_row(lm, fit[0].text, example.completion, learn_all=loss == "all"), fit[1])
        for example, fit in fitted
        if fit is not None
    ]
    fitting = [(row, trimmed) for row, trimmed in rows if len(row["input_ids"]) <= lm.max_length]
    return Rows([row for row, _ in fitting], sum(trimmed for _, trimmed in fitting), len(fitted) - len(fitting))


def _row(lm: HFLM, prompt: str, completion: str, *, learn_all: bool) -> Row:
    shown = lm.tok_encode(prompt)
    learnt = lm.tok_encode(completion, add_special_tokens=False)
    labels = shown if learn_all else [_UNLEARNT] * len(shown)
    return {"input_ids": shown + learnt, "attention_mask": [1] * len(shown + learnt), "labels": labels + learnt}
