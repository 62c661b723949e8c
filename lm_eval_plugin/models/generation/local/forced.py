"""Generation with given tokens, by the very batches that generate texts: what the probe asks of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from lm_eval.models.huggingface import HFLM
from transformers import LogitsProcessor, StoppingCriteria

from lm_eval_plugin.models.generation import Prompted
from lm_eval_plugin.models.generation.local.batch import Row, decode
from lm_eval_plugin.models.generation.local.decoding import Decoding
from lm_eval_plugin.models.generation.local.kept_keys import KeptKeys
from lm_eval_plugin.models.generation.neutrality.probe import Turn

_ROOM_FOR_KEYS = 2**40


class ForcedBatches:
    """Today's batches, with given tokens; see `probe.Forced`.

    Args:
        lm: The model.
        roomy_up_to: The longest row for which it can use a `RoomyCache`.
    """

    def __init__(self, lm: HFLM, roomy_up_to: float) -> None:
        self._lm = lm
        self._roomy_up_to = roomy_up_to
        self._kept = KeptKeys(_ROOM_FOR_KEYS)

    def next_logits(self, turns: Sequence[Turn], *, continuing: bool) -> torch.Tensor:
        """Logits of shape [turns, steps, vocabulary], each in float32 on the CPU."""
        forcing = _Forcing([turn.then for turn in turns], self._lm.device)
        decoding = Decoding(
            lm=self._lm,
            name="the probe",
            until=[],
            max_tokens=forcing.steps,
            options={"do_sample": False, "temperature": 0.0},
            stop_strings=_NeverStop(),
            forcing=forcing,
        )
        rows = [Row(Prompted("", 0, turn.conversation, turn.ids), turn.ids) for turn in turns]
        roomy_up_to = self._roomy_up_to if continuing else 0
        decode(rows, len(rows), decoding, roomy_up_to=roomy_up_to, kept=self._kept)
        return torch.stack(forcing.seen, dim=1)


class _Forcing(LogitsProcessor):  # type: ignore[misc]
    """Notes the logits and leaves the given token alone possible; after the last one, any.

    Args:
        then: The tokens of each row, equally many.
        device: Where the rows are.
    """

    def __init__(self, then: Sequence[Sequence[int]], device: torch.device) -> None:
        self._then = torch.tensor([[*row, 0] for row in then], device=device)
        self.steps = self._then.shape[1]
        self.seen: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        step = len(self.seen)
        self.seen.append(scores.detach().float().cpu())
        return torch.full_like(scores, -torch.inf).scatter_(1, self._then[:, step : step + 1], 0.0)


class _NeverStop(StoppingCriteria):  # type: ignore[misc]
    def __call__(self, input_ids: torch.Tensor, scores: object, **kwargs: object) -> torch.Tensor:
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
