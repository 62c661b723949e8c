"""The demo's model under test as a model type of the host, `--model chatbench-demo`."""

from __future__ import annotations

from pathlib import Path

import torch

from lm_eval_plugin.lm_eval_access.local import HFLM

_BUNDLED = str(Path(__file__).parent / "assistant")


class DemoAssistant(HFLM):
    """The host's `hf` backend over the bundled assistant; it takes every argument of `hf` but needs none.

    Where no device is named it takes what there is. A batch size of 1, which is what the host passes when none is asked
    for, means 16 here: the model is so small that one prompt at a time would only be slow.
    """

    def __init__(
        self,
        pretrained: str = _BUNDLED,
        batch_size: int | str = 1,
        device: str | None = None,
        **kwargs: object,
    ) -> None:
        super().__init__(
            pretrained=pretrained,
            batch_size=16 if str(batch_size) == "1" else batch_size,
            device=device or ("cuda" if torch.cuda.is_available() else "cpu"),
            **kwargs,
        )
