"""Generation by the host's own `generate_until`, which every backend has."""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, TypeGuard

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.models.api_models import LMEVAL_MODEL_NONE_ANSWER_PLACEHOLDER, TemplateAPI
from lm_eval.models.huggingface import HFLM

from lm_eval_plugin.models.generation import Generated, Prompted
from lm_eval_plugin.models.generation.finite_logits import finite
from lm_eval_plugin.models.generation.shared_time import Written, with_shares
from lm_eval_plugin.models.generation.stop_strings import own_stop_strings, without_own_stop_strings

_PLACEHOLDERS = (LMEVAL_MODEL_NONE_ANSWER_PLACEHOLDER, "LMEVAL_MODEL_NONE_ANSWER_PLACEHOLDER")


def requested(prompt: str, gen_kwargs: Mapping[str, Any]) -> Instance:
    """A request as the host's `generate_until` takes it."""
    return Instance("generate_until", doc={}, arguments=(prompt, dict(gen_kwargs)), idx=0, metadata=(None, None, 1))


class HostGeneration:
    """Generation of all prompts by one call of the backend; it samples as it will, whatever the prompts' seeds."""

    seeded = False

    def __init__(self, lm: LM, name: str = "the model") -> None:
        self._lm = lm
        self._name = name
        takes_it = "disable_tqdm" in inspect.signature(lm.generate_until).parameters
        self._quiet = {"disable_tqdm": True} if takes_it else {}

    def generate(self, prompts: Sequence[Prompted], gen_kwargs: Mapping[str, Any]) -> list[Generated | None]:
        """Generate for B prompts, in their order; None for one to which the backend returned nothing.

        Raises:
            ModelError: The logits of a model of the `hf` backend are no numbers.
        """
        if not prompts:
            return []
        began = time.perf_counter()
        texts = self._texts(prompts, gen_kwargs)
        ended = time.perf_counter()
        return with_shares([Written(text, began, ended) if self._is_reply(text) else None for text in texts])

    def _texts(self, prompts: Sequence[Prompted], gen_kwargs: Mapping[str, Any]) -> list[str | None]:
        with ExitStack() as stack:
            stack.enter_context(finite(self._lm, self._name))
            if isinstance(self._lm, HFLM) and (own := own_stop_strings(self._lm)):
                stack.enter_context(without_own_stop_strings(self._lm))
                gen_kwargs = {**gen_kwargs, "until": [*_as_list(gen_kwargs.get("until")), *own]}
            requests = [requested(prompt.text, gen_kwargs) for prompt in prompts]
            texts: list[str | None] = self._lm.generate_until(requests, **self._quiet)
            return texts

    def _is_reply(self, text: str | None) -> TypeGuard[str]:
        # Only an API stands a placeholder in for what it did not get; from any other model the same text is a reply.
        return text is not None and not (isinstance(self._lm, TemplateAPI) and text in _PLACEHOLDERS)


def _as_list(until: Any) -> list[str]:
    return [until] if isinstance(until, str) else list(until or ())
