"""What several commands need: a model under test, and a mapping that is given as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lm_eval_plugin.errors import ConfigError

if TYPE_CHECKING:
    from lm_eval.api.model import LM


def load_assistant(model: str, arguments: str, batch_size: str | None = None) -> LM:
    """A model under test, without the bars of its weights; arguments and errors as `model_loading.load_assistant`."""
    import transformers

    from lm_eval_plugin import model_loading
    from lm_eval_plugin.registration import register_models

    register_models()
    transformers.utils.logging.disable_progress_bar()
    return model_loading.load_assistant(model, arguments, batch_size)


def mapping_of(text: str) -> dict[str, Any]:
    """A mapping given as JSON on the command line.

    Raises:
        ConfigError: It is not one.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{text!r} is no JSON ({error})") from error
    if not isinstance(value, dict):
        raise ConfigError(f'{text!r} is no mapping such as {{"max_turns": 6}}')
    return value
