"""The bundled demo: a tiny model under test and a tiny simulated user, trained on questions written for it."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent

ASSISTANT = _FOLDER / "assistant"
"""The model under test, a base-style causal language model without a chat template."""

SIMULATOR_BASE = _FOLDER / "simulator" / "base"
"""The simulated user's base model."""

SIMULATOR_ADAPTER = _FOLDER / "simulator" / "adapter"
"""The LoRA adapter that makes the base play the user."""
