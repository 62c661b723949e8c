"""Finding the files that lm_eval has written of a run, by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.results.jsonl import check_plain_file

_DATE = r"(?P<date>\d{4}-\d{2}-\d{2}T[\d-]+(?:\.\d+)?)"
NAME = re.compile(rf"(?P<kind>samples|unfinished)_(?P<task>.+)_{_DATE}\.jsonl")
RESULTS = re.compile(rf"(?:unfinished_)?results_{_DATE}\.json")


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
    """The sample files of the latest run in a folder, by task.

    Raises:
        ConfigError: There is none, or there are runs of several models, of which one would be mistaken for the other.
    """
    # What a run left that a server ended counts only where there is no finished one.
    named = list(_named(folder.rglob("samples_*.jsonl"))) or list(_named(folder.rglob("unfinished_*.jsonl")))
    if not named:
        raise ConfigError(f"{folder} holds no samples_*.jsonl; run lm_eval with --log_samples and --output_path")
    if len(places := sorted({str(file.parent) for file, _ in named})) > 1:
        raise ConfigError(f"{folder} holds runs in several folders; name one of {', '.join(places)}")
    latest = max(match["date"] for _, match in named)
    return {match["task"]: file for file, match in named if match["date"] == latest}


def results_of(samples: Path) -> Path:
    """The results file that belongs to a file of samples."""
    match = _name_of(samples)
    unfinished = "unfinished_" if match["kind"] == "unfinished" else ""
    return samples.with_name(f"{unfinished}results_{match['date']}.json")


def date_of(samples: Path) -> str:
    """The date in the name of a file of samples."""
    return _name_of(samples)["date"]


def _name_of(samples: Path) -> re.Match[str]:
    if match := NAME.fullmatch(samples.name):
        return match
    raise ConfigError(f"{samples} is no samples_*.jsonl as lm_eval names them: samples_TASK_DATE.jsonl")


def _named(files: Iterable[Path]) -> Iterator[tuple[Path, re.Match[str]]]:
    for file in files:
        if match := NAME.fullmatch(file.name):
            check_plain_file(file)
            yield file, match


def _task_of(file: Path) -> str:
    match = NAME.fullmatch(file.name)
    return match["task"] if match else file.stem


def files_of_date(folder: Path, date: str) -> dict[str, Path]:
    """The samples files of one run, by task.

    Raises:
        ConfigError: There is none.
    """
    files = {match["task"]: file for file, match in _named(folder.glob("*.jsonl")) if match["date"] == date}
    if not files:
        raise ConfigError(f"{folder} holds no samples_*_{date}.jsonl; run lm_eval with --log_samples")
    return files
