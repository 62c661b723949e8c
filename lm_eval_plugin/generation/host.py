"""Generation by the host's own `generate_until`, which every backend has."""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.models.api_models import LMEVAL_MODEL_NONE_ANSWER_PLACEHOLDER, TemplateAPI

from lm_eval_plugin.generation import Generated, Prompted
from lm_eval_plugin.generation.shared_time import Written, with_shares

_PLACEHOLDERS = (LMEVAL_MODEL_NONE_ANSWER_PLACEHOLDER, "LMEVAL_MODEL_NONE_ANSWER_PLACEHOLDER")


def requested(prompt: str, gen_kwargs: Mapping[str, Any]) -> Instance:
    """A request as the host's `generate_until` takes it."""
    return Instance("generate_until", doc={}, arguments=(prompt, dict(gen_kwargs)), idx=0, metadata=(None, None, 1))


class HostGeneration:
    """Generation of all prompts by one call of the backend; it samples as it will, whatever the prompts' seeds."""

    seeded = False

    def __init__(self, lm: LM) -> None:
        self._lm = lm
        takes_it = "disable_tqdm" in inspect.signature(lm.generate_until).parameters
        self._quiet = {"disable_tqdm": True} if takes_it else {}

    def generate(self, prompts: Sequence[Prompted], gen_kwargs: Mapping[str, Any]) -> list[Generated | None]:
        """Generate for B prompts, in their order; None for one to which the backend returned nothing."""
        if not prompts:
            return []
        began = time.perf_counter()
        texts = self._lm.generate_until([requested(prompt.text, gen_kwargs) for prompt in prompts], **self._quiet)
        ended = time.perf_counter()
        return with_shares([None if self._is_missing(text) else Written(text, began, ended) for text in texts])

    def _is_missing(self, text: str | None) -> bool:
        # Only an API stands a placeholder in for what it did not get; from any other model the same text is a reply.
        return text is None or (isinstance(self._lm, TemplateAPI) and text in _PLACEHOLDERS)
