"""Generation by the host's own `generate_until`, which every backend has."""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from lm_eval_plugin.generation import Generated, Prompted


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
        started = time.perf_counter()
        texts = self._lm.generate_until([requested(prompt.text, gen_kwargs) for prompt in prompts], **self._quiet)
        seconds = round(time.perf_counter() - started, 3)
        return [None if text is None else Generated(text, seconds, float(len(prompts))) for text in texts]
