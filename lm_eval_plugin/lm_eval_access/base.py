"""lm_eval's public types: a model, a model that scores tokens, one behind a cache, and a request."""

from __future__ import annotations

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM, CachingLM, TemplateLM

__all__ = ("LM", "CachingLM", "Instance", "TemplateLM")
