"""lm_eval's `evaluate`, wrapped once: what is added to the results of a run with dialogues, and to the errors that end it."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from lm_eval_plugin.errors import ConfigError, ServerGoneError

_COMMAND: dict[str, Any] = {}
"""Of the command that runs: its output path, the model under test, and all that it was given as `configuration`."""


def note_command(config: Any) -> None:
    """Note what a command asks for; `config` is lm_eval's `EvaluatorConfig`."""
    given = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    _COMMAND.update(output_path=config.output_path, model_source=config.model, model_args=config.model_args)
    _COMMAND.update(configuration={name: value for name, value in given.items() if value is not None})


def summarize_evaluations() -> None:
    """Have lm_eval's `evaluate` say under `chatbench` what the numbers of the dialogues are worth; to be asked for once."""
    from lm_eval import evaluator

    evaluator.evaluate = _summarizing(evaluator.evaluate)


def _summarizing(evaluate: Any) -> Any:
    signature = inspect.signature(evaluate)

    @functools.wraps(evaluate)
    def summarizing(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        named = given["task_dict"].get("tasks", {})
        tasks = {name: task for name, task in named.items() if getattr(task, "holds_dialogues", False)}
        logged = given["log_samples"]
        # The samples are what the summary is made of, and what several processes gather.
        given["log_samples"] = logged or bool(tasks)
        with _watched(given["lm"], tasks, given["limit"]), _explained(given["lm"], named):
            results = evaluate(*bound.args, **bound.kwargs)
        if results is not None and tasks:
            _add_dialogues(results, tasks, given["lm"], chat_template=bool(given["apply_chat_template"]))
            if not logged:
                del results["samples"]
        return results

    return summarizing


def _add_dialogues(results: dict[str, Any], tasks: Mapping[str, Any], lm: Any, *, chat_template: bool) -> None:
    """Add to a run's results what its dialogues come to, and show them where the run is shown."""
    from lm_eval_plugin.harness.command_errors import check_model_errors
    from lm_eval_plugin.harness.results_json import add_summary
    from lm_eval_plugin.harness.wandb_table import log_conversations
    from lm_eval_plugin.models.chat_format import prompting

    add_summary(results, tasks)
    results["chatbench"]["settings"] = {"prompting": prompting(lm, chat_template=chat_template)}
    log_conversations({name: results["samples"][name] for name in tasks})
    check_model_errors(results["chatbench"]["tasks"], min(task.dialogue.max_model_errors for task in tasks.values()))


@contextmanager
def _watched(lm: Any, tasks: Mapping[str, Any], limit: Any) -> Iterator[None]:
    """Keep what happens to a run: in its cache, and in files if a server ends it."""
    from lm_eval_plugin.harness.results_json import quiet_about_absent_scores
    from lm_eval_plugin.harness.run_log import logged_run

    with quiet_about_absent_scores(tasks), _written_if_unfinished(tasks), logged_run(lm, tasks, _COMMAND, limit):
        yield


@contextmanager
def _written_if_unfinished(tasks: Mapping[str, Any]) -> Iterator[None]:
    """Write what is finished of a run that a server ends, beside the output path of the command, if it has one."""
    try:
        yield
    except ServerGoneError as error:
        if error.finished and _COMMAND.get("output_path"):
            from lm_eval_plugin.harness.unfinished import write_unfinished

            write_unfinished(Path(_COMMAND["output_path"]), tasks, error.finished, _COMMAND)
        raise


@contextmanager
def _explained(lm: object, tasks: Mapping[str, object]) -> Iterator[None]:
    """Say of an error of sqlite which file it is about, and of absent log-likelihoods what to set instead."""
    from lm_eval_plugin.cache.sqlite_files import explained

    cache = getattr(lm, "cache_db", None)
    with nullcontext() if cache is None else explained(Path(cache)):
        try:
            yield
        except NotImplementedError as error:
            scored = [name for name, task in tasks.items() if "loglikelihood" in getattr(task, "static_scores", ())]
            if not scored or _raised_in(error) != "loglikelihood":
                raise
            raise ConfigError(
                f"the model's backend has no log-likelihoods, by which {scored[0]} scores statically ({error}). "
                """Add --metadata '{"dialogue": {"static": "letter"}}' to score one generated letter, """
                "or static: none for no static score"
            ) from error


def _raised_in(error: BaseException) -> str | None:
    """The name of the function that raised an error."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return frames[-1].f_code.co_name if frames else None
