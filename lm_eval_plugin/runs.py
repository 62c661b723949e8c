"""Finding and reading what the host has written of a run: its `samples_<task>_<date>.jsonl`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.json_objects import json_lines
from lm_eval_plugin.metrics import QuestionRecord
from lm_eval_plugin.records import read_records

_NAME = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d{2}-\d{2}T[\d-]+(?:\.\d+)?)\.jsonl")


def read_run(paths: Iterable[Path]) -> dict[str, list[QuestionRecord]]:
    """The questions of each task of a run.

    Args:
        paths: Sample files, or folders that hold them; of several of one task in a folder the latest counts.

    Raises:
        ConfigError: There is no such file, two of them are of one task, or one cannot be read.
    """
    run: dict[str, list[QuestionRecord]] = {}
    for task, file in sample_files(paths):
        if task in run:
            raise ConfigError(f"{file}: a second file of the task {task}; name one run at a time")
        run[task] = read_records(json_lines(file), str(file))
    return run


def sample_files(paths: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """The sample files that paths stand for, each with the name of its task.

    Raises:
        ConfigError: A path does not exist, holds no sample file, or is not named as the host names them.
    """
    for path in paths:
        if not path.exists():
            raise ConfigError(f"{path} does not exist; give samples_*.jsonl, or the folder of --output_path")
        if path.is_dir():
            yield from _latest(path).items()
        else:
            yield _task_of(path), path


def _latest(folder: Path) -> dict[str, Path]:
    dated = sorted((match["date"], match["task"], file) for file, match in _named(folder.rglob("samples_*.jsonl")))
    if not dated:
        raise ConfigError(f"{folder} holds no samples_*.jsonl; run lm_eval with --log_samples and --output_path")
    return {task: file for _, task, file in dated}


def _named(files: Iterable[Path]) -> Iterator[tuple[Path, re.Match[str]]]:
    for file in files:
        if match := _NAME.fullmatch(file.name):
            yield file, match


def _task_of(file: Path) -> str:
    match = _NAME.fullmatch(file.name)
    return match["task"] if match else file.stem
