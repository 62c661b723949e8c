"""What this package's own commands take of lm_eval: a task manager, a model under test, a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lm_eval_plugin.harness.tasks_folder import tasks_folder

if TYPE_CHECKING:
    from lm_eval.tasks import TaskManager

    from lm_eval_plugin.lm_eval_access.base import LM


def dialogue_tasks(include_path: str | None, dialogue: Mapping[str, object]) -> TaskManager:
    """lm_eval's manager of this package's tasks and of those in a folder.

    Without lm_eval's own tasks the index is there at once; they are not dialogues.

    Args:
        include_path: The folder; None for none.
        dialogue: What overrides their `dialogue:` blocks.
    """
    from lm_eval.tasks import TaskManager

    folders = [str(tasks_folder()), *([include_path] if include_path else [])]
    return TaskManager(include_path=folders, include_defaults=False, metadata={"dialogue": dict(dialogue)})


def run_task(
    lm: LM, task: str, manager: TaskManager, *, limit: int | None, chat_template: bool
) -> list[dict[str, object]]:
    """Run lm_eval on one task; returns the samples."""
    import lm_eval

    results = lm_eval.simple_evaluate(
        lm, tasks=[task], task_manager=manager, limit=limit, apply_chat_template=chat_template, bootstrap_iters=0
    )
    samples: list[dict[str, object]] = results["samples"][task]
    return samples


def load_assistant(model: str, arguments: str, batch_size: str | None = None, device: str | None = None) -> LM:
    """Load a model under test, without the bars of its weights; arguments and errors as `models.loading.load_assistant`."""
    import transformers

    from lm_eval_plugin.harness.registration import register_models
    from lm_eval_plugin.models import loading

    register_models()
    transformers.utils.logging.disable_progress_bar()
    return loading.load_assistant(model, arguments, batch_size, device)


def model_name(arguments: str) -> str | None:
    """The name that lm_eval gives a run of a model by its arguments, that of its weights; None if they name none."""
    from lm_eval_plugin.lm_eval_access.texts import parse_model_args

    given = parse_model_args(arguments)
    keys = ("peft", "delta", "pretrained", "model", "path", "engine")
    return next((str(given[key]) for key in keys if key in given), None)
