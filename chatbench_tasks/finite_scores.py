"""Refusing static scores that are made of no numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lm_eval_plugin.errors import ModelError


def check_finite(results: Sequence[Any], what: str) -> None:
    """Make sure that the log-likelihoods of a question's options are numbers.

    Args:
        results: What lm_eval hands over: pairs of a log-likelihood and whether it is the greedy one, or texts.
        what: Names the question.

    Raises:
        ModelError: One is NaN, or all are minus infinity, so that the likeliest option would be any.
    """
    told = [float(result[0]) for result in results if isinstance(result, (list, tuple))]
    if told and (any(map(math.isnan, told)) or all(each == -math.inf for each in told)):
        raise ModelError(
            f"{what}: the model under test finds its options {', '.join(map(str, told))} likely, which are no numbers; load the "
            "model in bfloat16 or float32 (dtype=... in --model_args); if that does not help, the checkpoint is broken"
        )
