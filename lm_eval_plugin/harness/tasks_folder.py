"""Where this package's tasks are."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from lm_eval_plugin.errors import ConfigError


def tasks_folder() -> Path:
    """The folder of this package's tasks; lm_eval takes it as `--include_path`, too."""
    spec = importlib.util.find_spec("chatbench_tasks")
    if spec is None or spec.origin is None:
        raise ConfigError("the package chatbench_tasks is missing; install chatbench-lm-eval again")
    return Path(spec.origin).parent
