"""lm_eval's registry of model types."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lm_eval.api.model import LM


def model_types() -> Iterable[str]:
    """The names of all model types, those of other packages among them."""
    _fill()
    from lm_eval.api.registry import model_registry

    names: Iterable[str] = model_registry
    return names


def model_class(name: str) -> type[LM]:
    """The class of a model type.

    Raises:
        ImportError: What it is made of is not installed.
    """
    _fill()
    from lm_eval.api.registry import get_model

    kind: type[LM] = get_model(name)
    return kind


def add_model_type(name: str, target: str) -> None:
    """Add a model type that is imported when it is used; one of this name that is there stays.

    Args:
        name: The model type.
        target: Its class, as `module:name`.
    """
    _fill()
    from lm_eval.api.registry import model_registry

    if name not in model_registry:
        model_registry.register(name, target=target)


def _fill() -> None:
    # lm_eval fills its registry here, and only if it finds it empty.
    importlib.import_module("lm_eval.models")
