"""The sqlite files of the host's `--use_cache`, `PATH_rank0.db` and so on for its processes: opened, checked, explained."""

from __future__ import annotations

import glob
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from lm_eval_plugin.errors import ConfigError

PATIENCE_S = 30.0
"""How long to wait for another process that is using a file."""

_ADVICE = {
    "full": "make room on its disk and give the same command again; what is in the file stays",
    "disk i/o": "look at its disk, and at its quota, and give the same command again; what is in the file stays",
    "locked": "another process is using it: wait for it or end it, or give this run a path of its own",
    "readonly": "make the file and its folder writable, or give another path",
    "unable to open": "make the file and its folder readable and writable, or give another path",
}
_DAMAGED = "it is damaged or no such file: move it away, and what it held is made again, or give another path"


def check_caches(use_cache: str, patience_s: float = PATIENCE_S) -> None:
    """Make sure that `--use_cache` can be used, before anything is loaded; nothing is written.

    Args:
        use_cache: The path that the flag gives.
        patience_s: How long to wait for another process that is using a file.

    Raises:
        ConfigError: One of its files is damaged, locked or cannot be written, or there is no place for them.
    """
    folder = Path(use_cache).absolute().parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(f"--use_cache {use_cache}: {folder} is no folder that can be written to; give another path")
    for path in rank_files(Path(use_cache)):
        check_cache(path, patience_s)


def check_cache(path: Path, patience_s: float = PATIENCE_S) -> None:
    """Make sure that a cache file, if it is there, is whole and can be written.

    Raises:
        ConfigError: It is damaged, locked, or cannot be written.
    """
    if not path.exists():
        return
    with explained(path), closing(connected(path, patience_s)) as file:
        (found,) = file.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        # What a write needs, without one; beside the file lies the journal.
        if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
            raise sqlite3.OperationalError("it is readonly")
        file.execute("BEGIN IMMEDIATE")
        file.execute("ROLLBACK")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what sqlite says of a cache file into an error that names it and says what to do.

    Raises:
        ConfigError: In place of any error of sqlite's.
    """
    try:
        yield
    except sqlite3.Error as error:
        said = " ".join(str(error).split())
        advice = next((advice for sign, advice in _ADVICE.items() if sign in said.lower()), _DAMAGED)
        raise ConfigError(f"--use_cache: the file {path} cannot be used ({said}); {advice}") from error


def connected(path: Path, patience_s: float) -> sqlite3.Connection:
    """A connection to a file that exists; each statement is a transaction of its own, in whatever thread."""
    # Even to be read, a file must be open for writing: after a kill, sqlite first takes back what was half written.
    address = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(address, uri=True, timeout=patience_s, isolation_level=None, check_same_thread=False)


def of_other_processes(path: Path) -> list[Path]:
    """The files that the path of `--use_cache` gives to other processes, `PATH_rank1.db` beside `PATH_rank0.db`."""
    prefix, _, _ = path.name.rpartition("_rank")
    return [other for other in rank_files(path.with_name(prefix)) if other != path]


def rank_files(use_cache: Path) -> list[Path]:
    """The files that lm_eval has made of a path of `--use_cache`, one a process."""
    return sorted(use_cache.parent.glob(f"{glob.escape(use_cache.name)}_rank*.db"))
