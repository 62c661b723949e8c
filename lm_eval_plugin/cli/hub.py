"""Runs as a data set on the hub: private unless it is asked for otherwise, without secrets, and people's words only with leave."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from lm_eval_plugin.border.hub_errors import HTTP_ERROR
from lm_eval_plugin.border.masking import masked, masked_text
from lm_eval_plugin.dialogue.transcript import Role, Transcript
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.results.export_writer import export_runs
from lm_eval_plugin.results.runs import Run, TaskRun

_SCRIPTS = ("scripted", "sharded")


def push_to_hub(runs: Iterable[Run], repository: str, *, public: bool = False, people: bool = False) -> int:
    """Push the dialogues of runs to a data set of the hub, as the account that this machine is logged in with.

    Args:
        runs: Taken one at a time.
        repository: `NAME/DATASET`.
        public: Whether everybody may see it; a data set that there is already stays as it is.
        people: Whether dialogues in which a person may have played the user are pushed, too.

    Returns:
        How many dialogues were pushed.

    Raises:
        ConfigError: A run holds what a person may have said and that was not allowed, there is nothing to push, or the hub
            refuses it.
    """
    import datasets

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "dialogues.parquet"
        written = export_runs(map(_without_secrets, runs if people else _without_people(runs)), file)
        if not written:
            raise ConfigError(f"the runs hold no dialogue to push to {repository}")
        table: Any = datasets.load_dataset("parquet", data_files=str(file), cache_dir=folder, split="train")
        try:
            table.push_to_hub(repository, private=not public)
        except (OSError, ValueError, HTTP_ERROR) as error:
            raise ConfigError(
                f"{repository} cannot be pushed to ({masked_text(str(error))}); run hf auth login with a token that may write, and "
                "give NAME/DATASET"
            ) from error
    return written


def _without_people(runs: Iterable[Run]) -> Iterator[Run]:
    """The runs as they come.

    Raises:
        ConfigError: A person may have played the user in one.
    """
    for run in runs:
        for name, task in run.tasks.items():
            for record in task.records:
                if any(may_be_a_person(held) for held in record.transcripts):
                    raise ConfigError(
                        f"{run.where}: in {name} a person may have played the user, whose words are theirs; add --with-people "
                        "if these people have agreed to their publication"
                    )
        yield run


def may_be_a_person(held: Transcript) -> bool:
    """Whether the user of a dialogue is neither a model, which guardrails watch or whose tokens are counted, nor a known script."""
    said = [message for message in held.messages if message.role is Role.USER]
    by_model = held.events is not None or any(message.tokens is not None for message in said)
    return bool(said) and not by_model and not held.simulator.startswith(_SCRIPTS)


def _without_secrets(run: Run) -> Run:
    tasks = {name: TaskRun(task.records, masked(dict(task.settings))) for name, task in run.tasks.items()}
    return replace(run, model=masked_text(run.model), tasks=tasks)
