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

import functools
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from lm_eval_plugin.harness.command_errors import show_errors_plainly
from lm_eval_plugin.harness.evaluation import note_command, summarize_evaluations
from lm_eval_plugin.harness.logging_as_lm_eval import log_as_lm_eval
from lm_eval_plugin.harness.tasks_folder import tasks_folder

MODEL_ALIASES = {"chatbench-demo": "lm_eval_plugin.demo.model:DemoAssistant"}
"""Model types that are added to the host, by the object that implements them."""


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

    base: Any = manager.TaskIndex

    class TaskIndex(base):
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

    vars(manager)["TaskIndex"] = TaskIndex


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
    from lm_eval_plugin.lm_eval_access.registry import add_model_type

    for alias, target in MODEL_ALIASES.items():
        add_model_type(alias, target)


def check_runs_early() -> None:
    """Have the host check what a command asks for, the files of `--use_cache` among it, before it loads any model."""
    from lm_eval.config.evaluate_config import EvaluatorConfig

    from lm_eval_plugin.cache.sqlite_files import check_cache, check_caches, explained
    from lm_eval_plugin.lm_eval_access.base import CachingLM

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
        note_command(config)
        return manager

    @functools.wraps(build)
    def check_and_build(caching: object, lm: object, cache_db: str) -> None:
        check_cache(Path(cache_db))
        with explained(Path(cache_db)):
            build(caching, lm, cache_db)

    EvaluatorConfig.process_tasks, CachingLM.__init__ = check_and_process, check_and_build


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
    from lm_eval_plugin.harness.letter_until import letter_until
    from lm_eval_plugin.harness.run_log import noting_dialogues
    from lm_eval_plugin.harness.shared_static import shared_static
    from lm_eval_plugin.lm_eval_access.base import LM
    from lm_eval_plugin.runner.runner import converse_until, free_text_until

    if not hasattr(LM, "converse_until"):
        LM.converse_until, LM.free_text_until = noting_dialogues(converse_until), free_text_until
        LM.letter_until, LM.shared_static = letter_until, shared_static
        shorten_table()
        log_as_lm_eval()
        summarize_evaluations()


def attach_scoring(score_reply: Callable[..., object]) -> None:
    """Make `score_reply` a request type of lm_eval; doing it twice does nothing."""
    from lm_eval_plugin.lm_eval_access.base import LM

    LM.score_reply = score_reply
