"""Cache files that cannot be used: what is said of them, and when."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys

import lm_eval.tasks  # noqa: F401  # It is what this package waits for to attach itself to the host.
import pytest
from lm_eval.api.model import CachingLM
from sqlitedict import SqliteDict

from lm_eval_plugin.cache.sqlite_files import check_cache, check_caches, of_other_processes
from lm_eval_plugin.errors import ConfigError

AT_ONCE = 0.05


@pytest.fixture
def cache(tmp_path):
    """A file as the host makes it, with some responses."""
    path = tmp_path / "run_rank0.db"
    with SqliteDict(str(path), autocommit=True) as responses:
        responses.update({str(number): "x" * 500 for number in range(100)})
    return path


def test_files_that_are_whole_or_not_there_yet_pass(cache, tmp_path):
    check_cache(cache)
    check_caches(str(tmp_path / "run"))
    check_caches(str(tmp_path / "not" / "there" / "yet"))
    assert not (tmp_path / "not").exists()


def test_text_in_place_of_a_database_is_named(cache):
    cache.write_text("no database")
    with pytest.raises(ConfigError, match=rf"{cache} .*not a database.*move it away"):
        check_cache(cache)


def test_file_cut_short_by_a_full_disk_is_named(cache):
    os.truncate(cache, cache.stat().st_size // 2)
    with pytest.raises(ConfigError, match=rf"{cache} .*move it away"):
        check_cache(cache)


def test_page_that_was_overwritten_is_found_before_it_is_read(cache):
    with cache.open("r+b") as file:
        file.seek(5 * 4096)
        file.write(b"\xff" * 2000)
    with pytest.raises(ConfigError, match=rf"{cache} .*move it away"):
        check_cache(cache)


def test_file_that_another_process_holds_is_named_after_some_patience(cache):
    with sqlite3.connect(cache) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ConfigError, match=rf"{cache} .*locked.*wait for it or end it"):
            check_cache(cache, AT_ONCE)
    check_cache(cache, AT_ONCE)
    other.close()


def test_files_of_all_processes_are_looked_at(cache):
    cache.with_name("run_rank1.db").write_text("no database")
    with pytest.raises(ConfigError, match=r"run_rank1\.db"):
        check_caches(str(cache.with_name("run")))


def test_path_below_a_file_is_said(cache):
    with pytest.raises(ConfigError, match=f"{cache} is no folder that can be written to"):
        check_caches(str(cache / "run"))


def test_file_on_a_medium_that_cannot_be_written_is_named(cache, read_only):
    with pytest.raises(ConfigError, match=r"readonly.*make the file and its folder writable"):
        check_cache(read_only(cache))


@pytest.fixture
def read_only(tmp_path):
    """Shows a folder read-only at another place and returns where the file is there; root may write to all others."""
    place = tmp_path / "mounted"
    place.mkdir()
    mounted = []

    def mount(path):
        for options in (["--bind", str(path.parent), str(place)], ["-o", "remount,bind,ro", str(place)]):
            if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
                pytest.skip("nothing can be mounted here")
            mounted.append(place)
        return place / path.name

    yield mount
    if mounted:
        subprocess.run(["umount", str(place)], check=True)


def test_other_processes_have_the_same_path_and_another_number(tmp_path):
    for name in ("run_rank0.db", "run_rank1.db", "run_rank11.db", "run_rank1.db-journal", "other_rank1.db", "run.db"):
        (tmp_path / name).touch()
    found = of_other_processes(tmp_path / "run_rank1.db")
    assert [path.name for path in found] == ["run_rank0.db", "run_rank11.db"]


def test_brackets_in_a_path_are_no_pattern(tmp_path):
    for name in ("[ab]_rank0.db", "[ab]_rank1.db", "a_rank1.db"):
        (tmp_path / name).touch()
    assert of_other_processes(tmp_path / "[ab]_rank0.db") == [tmp_path / "[ab]_rank1.db"]


def test_host_is_stopped_by_a_damaged_file_before_it_loads_a_model(cache):
    cache.write_text("no database")
    command = [*("-m", "lm_eval", "run", "--tasks", "chatbench_demo", "--model", "hf"), "--use_cache"]
    done = subprocess.run(
        [sys.executable, *command, str(cache.with_name("run")), "--model_args", "pretrained=/no/such/model"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert f"lm_eval: error: --use_cache: the file {cache} cannot be used (file is not a database)" in done.stderr


def test_hosts_own_cache_names_its_file_from_python_too(cache):
    cache.write_text("no database")
    with pytest.raises(ConfigError, match=f"{cache} cannot be used"):
        CachingLM(None, str(cache))
