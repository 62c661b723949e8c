"""What several commands need: a mapping given as JSON, runs to read and reports to write."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lm_eval_plugin.border.escaping import visible
from lm_eval_plugin.border.outside_json import UnreadableJsonError, read_json
from lm_eval_plugin.border.terminal import say
from lm_eval_plugin.errors import ConfigError

if TYPE_CHECKING:
    from lm_eval_plugin.results.runs import Run

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def mapping_of(text: str) -> dict[str, object]:
    """A mapping given as JSON on the command line.

    Raises:
        ConfigError: It is not one.
    """
    try:
        value = read_json(text)
    except UnreadableJsonError as error:
        raise ConfigError(f"{text!r} is no JSON ({error})") from error
    if not isinstance(value, dict):
        raise ConfigError(f'{text!r} is no mapping such as {{"max_turns": 6}}')
    return value


def readable_runs(paths: Sequence[Path], failures: list[str]) -> Iterator[Run]:
    """What can be read of runs, one at a time; what cannot is said on the standard error.

    Args:
        paths: Where they are; a place that is named twice counts once.
        failures: Receives what is said of runs, and of parts of them, that cannot be read.

    Raises:
        ConfigError: None can be read.
    """
    from lm_eval_plugin.results.cached_runs import cache_of, is_cache, load_cached_run
    from lm_eval_plugin.results.runs import load_run

    def broken(error: ConfigError) -> None:
        failures.append(str(error))
        say(f"chatbench: {visible(str(error))}", file=sys.stderr)

    # The files that several processes wrote to a cache are one run.
    places = {(cache_of(path) if is_cache(path) else path).resolve(): path for path in reversed(paths)}
    found = False
    for path in reversed(places.values()):
        try:
            run = load_cached_run(path) if is_cache(path) else load_run(path, broken)
        except ConfigError as error:
            broken(error)
            continue
        found = True
        yield run
    if not found:
        raise ConfigError(
            "none of the runs can be read; give folders that lm_eval wrote with --log_samples, or the cache of a run"
        )


def write_text(file: Path, text: str) -> None:
    """Write a report, its line ends as they are.

    Raises:
        ConfigError: The file cannot be written.
    """
    try:
        file.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror or error}") from error
