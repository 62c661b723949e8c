"""Telling folders from names on the hub."""

from __future__ import annotations

from pathlib import Path

from lm_eval_plugin.errors import ConfigError


def local_or_hub(name: str) -> str:
    """The folder that a name means, if there is one, else the name, which is then one of the hub."""
    path = _expanded(name)
    return str(path) if path.exists() else name


def check_local_path(name: str, where: str) -> None:
    """Make sure that a name which can only be a path exists.

    Raises:
        ConfigError: It has the form of a path (`/a`, `./a`, `~/a`, `a/b/c`) and nothing is there.
    """
    is_path = name.startswith(("/", ".", "~")) or name.count("/") > 1 or "\\" in name
    if is_path and not _expanded(name).exists():
        raise ConfigError(
            f"{where} is {name!r}, but nothing is there (looked from {Path.cwd()}); give an existing folder, or owner/name for "
            "one of the hub"
        )


def _expanded(name: str) -> Path:
    path = Path(name)
    try:
        return path.expanduser()
    except RuntimeError:
        # A home of nobody stays as it is written, and nothing is there.
        return path
