"""The demo's model under test as a model type of the host, `--model chatbench-demo`."""

from __future__ import annotations

from typing import Any

from lm_eval.models.huggingface import HFLM

from lm_eval_plugin.demo import ASSISTANT


class DemoAssistant(HFLM):  # type: ignore[misc]
    """The host's `hf` backend over the bundled assistant; it takes every argument of `hf` but needs none."""

    def __init__(self, pretrained: str = str(ASSISTANT), **kwargs: Any) -> None:
        super().__init__(pretrained=pretrained, **kwargs)
