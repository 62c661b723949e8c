"""Everything that this package attaches to the host, in one place.

- `TaskManager()` also indexes `chatbench_tasks/`, and checks `--metadata` before a model loads.
- Whatever overrides a task's `dialogue:` block does so key by key.
- Whether the simulator can be had, the results be written and the files of `--use_cache` be used is looked at before a model
  loads; what sqlite says of them becomes an error that names them.
- An error of this package is shown without a traceback on the command line.
- The model alias `chatbench-demo`.
- Models know the number that the launcher gave their process.
- The request types `converse_until`, `free_text_until` and `letter_until` of every `LM`, and `score_reply` for perplexity.
- A backend without log-likelihoods is told what to set instead.
- With `--use_cache`, a run notes itself in the file, for `chatbench watch`.
- What this package logs is shown as what lm_eval logs.
- lm_eval's table is a short one; the results have every metric.
- The results of a run get intervals, paired tests and times under `chatbench`.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import inspect
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

from lm_eval_plugin.errors import ConfigError, ServerGoneError
from lm_eval_plugin.harness.command_errors import show_errors_plainly
from lm_eval_plugin.harness.logging_as_lm_eval import log_as_lm_eval

MODEL_ALIASES = {"chatbench-demo": "lm_eval_plugin.demo.model:DemoAssistant"}
"""Model types that are added to the host, by the object that implements them."""


def tasks_folder() -> Path:
    """The folder of this package's tasks; the host takes it as `--include_path`, too."""
    spec = importlib.util.find_spec("chatbench_tasks")
    if spec is None or spec.origin is None:
        raise ConfigError("the package chatbench_tasks is missing; install chatbench-lm-eval again")
    return Path(spec.origin).parent


def register(manager: ModuleType) -> None:
    """Add tasks and models to a host whose module `lm_eval.tasks.manager` has just been loaded.

    It is attached once, however often the start-up line is run or the module loaded again.
    """
    if getattr(manager.TaskIndex, "knows_chatbench", False):
        return
    from lm_eval_plugin.harness.dialogue_overrides import merge_dialogue_blocks

    add_tasks(manager, tasks_folder())
    merge_dialogue_blocks(manager)
    check_metadata_early(manager)
    register_models()
    check_runs_early()
    log_as_lm_eval()
    number_processes()
    show_errors_plainly()
    shorten_table()


def add_tasks(manager: ModuleType, folder: Path) -> None:
    """Have the host's `TaskManager` index a folder whenever it indexes its own tasks.

    A host that comes to the folder by itself, through the entry point group `lm_eval.tasks` or `--include_path`, is left
    to it.
    """
    defaults, folder = Path(str(manager.__file__)).parent, folder.resolve()

    class TaskIndex(manager.TaskIndex):  # type: ignore[name-defined,misc]
        """The host's index of task files, with one more folder behind the host's own."""

        knows_chatbench = True

        @staticmethod
        def build(paths: Iterable[Path], **options: Any) -> Any:
            """Index the folders; those that come later override those before."""
            folders = [Path(path) for path in paths]
            found_by_host = any(path.resolve() in (folder, *folder.parents) for path in folders)
            if defaults in folders and not found_by_host:
                folders.insert(folders.index(defaults) + 1, folder)
            return super(TaskIndex, TaskIndex).build(folders, **options)

    manager.TaskIndex = TaskIndex  # type: ignore[attr-defined]


def check_metadata_early(manager: ModuleType) -> None:
    """Have `TaskManager` check `metadata`, which the host builds before it loads any model."""
    build = manager.TaskManager.__init__
    signature = inspect.signature(build)

    @functools.wraps(build)
    def checked(*args: Any, **kwargs: Any) -> None:
        metadata = signature.bind(*args, **kwargs).arguments.get("metadata")
        if metadata:
            from lm_eval_plugin.config.dialogue import check_override
            from lm_eval_plugin.harness.early_checks import check_metadata_keys

            check_metadata_keys(metadata, ours=False)
            if "dialogue" in metadata:
                check_override(metadata["dialogue"])
        build(*args, **kwargs)

    manager.TaskManager.__init__ = checked


def register_models() -> None:
    """Add the model aliases to the host's registry, as names that are imported when they are used."""
    import lm_eval.models  # noqa: F401  # The host fills its registry here, and only if it finds it empty.
    from lm_eval.api.registry import model_registry

    for alias, target in MODEL_ALIASES.items():
        if alias not in model_registry:
            model_registry.register(alias, target=target)


def check_runs_early() -> None:
    """Have the host check what a command asks for, the files of `--use_cache` among it, before it loads any model."""
    from lm_eval.api.model import CachingLM
    from lm_eval.config.evaluate_config import EvaluatorConfig

    from lm_eval_plugin.cache.sqlite_files import check_cache, check_caches, explained

    process_tasks, build = EvaluatorConfig.process_tasks, CachingLM.__init__
    if hasattr(process_tasks, "__wrapped__"):
        return

    @functools.wraps(process_tasks)
    def check_and_process(config: Any, *args: Any, **kwargs: Any) -> Any:
        if config.use_cache is not None:
            check_caches(config.use_cache)
        manager = process_tasks(config, *args, **kwargs)
        from lm_eval_plugin.harness.early_checks import check_run

        check_run(manager, config)
        _COMMAND.update(output_path=config.output_path, model_source=config.model, model_args=config.model_args)
        _COMMAND.update(configuration=_given(config))
        return manager

    @functools.wraps(build)
    def check_and_build(caching: Any, lm: Any, cache_db: str) -> None:
        check_cache(Path(cache_db))
        with explained(Path(cache_db)):
            build(caching, lm, cache_db)

    EvaluatorConfig.process_tasks, CachingLM.__init__ = check_and_process, check_and_build


def _given(config: Any) -> dict[str, Any]:
    """What a command was given, without what it left open."""
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return {name: value for name, value in values.items() if value is not None}


def number_processes() -> None:
    """Have every model that the host makes know the number of its process."""
    from lm_eval_plugin.harness.process_ranks import number_models

    number_models()


def shorten_table() -> None:
    """Have lm_eval's table show of tasks with dialogues what says how the run went."""
    from lm_eval_plugin.harness.results_table import shorten_make_table

    shorten_make_table()


def attach_dialogues() -> None:
    """Make `converse_until`, `free_text_until` and `letter_until` request types of the host; doing it twice does nothing."""
    from lm_eval import evaluator
    from lm_eval.api.model import LM

    from lm_eval_plugin.harness.letter_until import letter_until
    from lm_eval_plugin.harness.run_log import noting_dialogues
    from lm_eval_plugin.runner.runner import converse_until, free_text_until

    if not hasattr(LM, "converse_until"):
        LM.converse_until, LM.free_text_until = noting_dialogues(converse_until), free_text_until
        LM.letter_until = letter_until
        shorten_table()
        log_as_lm_eval()
        evaluate = _explaining_cache_errors(_explaining_missing_loglikelihoods(evaluator.evaluate))
        evaluator.evaluate = _summarizing(evaluate)


def attach_scoring(score_reply: Callable[..., Any]) -> None:
    """Make `score_reply` a request type of lm_eval; doing it twice does nothing."""
    from lm_eval.api.model import LM

    LM.score_reply = score_reply


def _summarizing(evaluate: Any) -> Any:
    """The host's `evaluate`, which also says under `chatbench` how sure the numbers of the dialogues are."""
    signature = inspect.signature(evaluate)

    @functools.wraps(evaluate)
    def summarizing(*args: Any, **kwargs: Any) -> Any:
        from lm_eval_plugin.harness.command_errors import check_model_errors
        from lm_eval_plugin.harness.results_json import add_summary, quiet_about_absent_scores
        from lm_eval_plugin.harness.run_log import logged_run
        from lm_eval_plugin.harness.wandb_table import log_conversations
        from lm_eval_plugin.models.chat_format import prompting

        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        held = bound.arguments["task_dict"].get("tasks", {})
        tasks = {name: task for name, task in held.items() if getattr(task, "holds_dialogues", False)}
        logged = bound.arguments["log_samples"]
        # The samples are what the summary is made of, and what several processes gather.
        bound.arguments["log_samples"] = logged or bool(tasks)
        log = logged_run(bound.arguments["lm"], tasks, _COMMAND, bound.arguments["limit"])
        with quiet_about_absent_scores(tasks), _written_if_unfinished(tasks), log:
            results = evaluate(*bound.args, **bound.kwargs)
        if results is not None and tasks:
            add_summary(results, tasks)
            results["chatbench"]["settings"] = {
                "prompting": prompting(
                    bound.arguments["lm"], chat_template=bool(bound.arguments["apply_chat_template"])
                )
            }
            log_conversations({name: results["samples"][name] for name in tasks})
            check_model_errors(
                results["chatbench"]["tasks"], min(task.dialogue.max_model_errors for task in tasks.values())
            )
            if not logged:
                del results["samples"]
        return results

    return summarizing


_COMMAND: dict[str, Any] = {}
"""Of the command that runs: its output path, the model under test, and all that it was given as `configuration`."""


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


def _explaining_missing_loglikelihoods(evaluate: Any) -> Any:
    signature = inspect.signature(evaluate)

    @functools.wraps(evaluate)
    def explaining(*args: Any, **kwargs: Any) -> Any:
        try:
            return evaluate(*args, **kwargs)
        except NotImplementedError as error:
            tasks = signature.bind(*args, **kwargs).arguments["task_dict"].get("tasks", {})
            scored = [name for name, task in tasks.items() if "loglikelihood" in getattr(task, "static_scores", ())]
            if not scored or _raised_in(error) != "loglikelihood":
                raise
            raise ConfigError(
                f"the model's backend has no log-likelihoods, by which {scored[0]} scores statically ({error}). "
                """Add --metadata '{"dialogue": {"static": "letter"}}' to score one generated letter, """
                "or static: none for no static score"
            ) from error

    return explaining


def _explaining_cache_errors(evaluate: Any) -> Any:
    signature = inspect.signature(evaluate)

    @functools.wraps(evaluate)
    def explaining(*args: Any, **kwargs: Any) -> Any:
        from lm_eval_plugin.cache.sqlite_files import explained

        cache = getattr(signature.bind(*args, **kwargs).arguments["lm"], "cache_db", None)
        with nullcontext() if cache is None else explained(Path(cache)):
            return evaluate(*args, **kwargs)

    return explaining


def _raised_in(error: BaseException) -> str | None:
    """The name of the function that raised an error."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return frames[-1].f_code.co_name if frames else None
