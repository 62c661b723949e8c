"""lm_eval's `hf` backend, and what it is made of."""

from __future__ import annotations

from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import chunks
from lm_eval.models.utils_hf import pad_and_concat

__all__ = ("HFLM", "chunks", "pad_and_concat")
