"""The tokenizer that a model of lm_eval has at hand."""

from __future__ import annotations

import functools
import inspect

from lm_eval_plugin.lm_eval_access.base import LM


def tokenizer_of(lm: LM) -> object:
    """A model's tokenizer; None if it has none, or none yet.

    lm_eval's `dummy` makes its tokenizer when it is looked at, and that downloads one; nobody needs it.
    """
    lazy = isinstance(inspect.getattr_static(lm, "tokenizer", None), functools.cached_property)
    return None if lazy else getattr(lm, "tokenizer", None)
