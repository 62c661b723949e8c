"""Finding and reading what the host has written of a run: its `samples_<task>_<date>.jsonl`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lm_eval_plugin.errors import ConfigError
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
        run[task] = read_records(read_samples(file), str(file))
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


def read_samples(file: Path) -> list[Mapping[str, Any]]:
    """The samples of a file.

    Raises:
        ConfigError: A line is no JSON object, or there is none.
    """
    samples = []
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    samples.append(_sample(line, f"{file}, line {number}"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    if not samples:
        raise ConfigError(f"{file} holds no samples")
    return samples


def _sample(line: str, where: str) -> Mapping[str, Any]:
    try:
        sample = json.loads(line)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{where}: no JSON ({error}); the file may have been cut off") from error
    if not isinstance(sample, dict):
        raise ConfigError(f"{where}: {str(sample)[:60]!r} is no sample")
    return sample
