"""lm_eval's own reading and writing of texts: arguments of a model, templates of a task, names of folders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

Argument: TypeAlias = str | int | float | bool | None
"""What an argument of a model is on the command line; in a mapping of arguments it may be any JSON."""


def parse_model_args(text: str) -> dict[str, Argument]:
    """Parse `--model_args`, such as `pretrained=name,dtype=float32`."""
    from lm_eval.utils import simple_parse_args_string

    arguments: dict[str, Argument] = simple_parse_args_string(text)
    return arguments


def fill_template(template: str, values: Mapping[str, object]) -> str:
    """Fill a template of a task file."""
    from lm_eval.utils import apply_template

    return str(apply_template(template, dict(values)))


def folder_name(model: str) -> str:
    """The name of the folder to which the results of a model are written."""
    from lm_eval.utils import sanitize_model_name

    return str(sanitize_model_name(model))
