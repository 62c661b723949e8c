"""What a run notes of itself is there for whoever looks on, without secrets, and joined over its processes."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from noted_runs import asked, ended, note, put
from test_dialogue_store import host_cache

import lm_eval_plugin
from lm_eval_plugin.cache.dialogue_store import DialogueStore
from lm_eval_plugin.cache.run_table import (
    note_end,
    note_questions,
    note_start,
    noting,
    transaction,
)
from lm_eval_plugin.dialogue.transcript import Message, Role, StopReason, Transcript
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.results.noted_runs import Follower, cache_files, chosen_run, noted_runs


@pytest.fixture
def cache(tmp_path):
    return host_cache(tmp_path)


def test_a_dialogue_is_followed_from_when_it_ended_and_each_once(cache):
    note_start(cache, note())
    follower = Follower([cache], "r1")
    assert follower.new() == []
    put(cache, "r1", ("a", ended("q1")))
    assert [each.transcript.question_id for each in follower.new()] == ["q1"]
    assert follower.new() == []
    put(cache, "r1", ("b", ended("q2")), ("c", ended("q3")))
    assert [each.transcript.question_id for each in follower.new()] == ["q2", "q3"]


def test_a_dialogue_that_was_there_already_is_the_runs_own_too_and_is_not_counted_as_said_now(cache):
    note_start(cache, note("r1"))
    put(cache, "r1", ("a", ended("q1")))
    note_start(cache, note("r2", started=200.0))
    with noting("r2"), DialogueStore.opened(cache) as store:
        assert store.get("a") is not None
        assert store.get("b") is None
    follower = Follower([cache], "r2")
    assert [each.transcript.question_id for each in follower.new()] == ["q1"]
    assert {side: each.replies for side, each in follower.counts().items()} == {"user": 0, "assistant": 0}


def test_dialogues_of_another_run_and_of_no_run_are_not_shown(cache):
    note_start(cache, note("r1"))
    note_start(cache, note("r2"))
    put(cache, "r2", ("a", ended("q1")))
    with DialogueStore.opened(cache) as store:
        store.put("b", ended("q2").to_json())
    assert Follower([cache], "r1").new() == []


def test_replies_tokens_and_errors_are_counted_by_side(cache):
    note_start(cache, note())
    with noting("r1"), DialogueStore.opened(cache) as store:
        store.put("a", ended("q1", replies=2).to_json())
        broken = Transcript("q2", "demo", 0, 0, (Message(Role.USER, "x", 5),), None, StopReason.MODEL_ERROR)
        store.note_failed(broken.to_json())
    counts = Follower([cache], "r1").counts()
    assert (counts["user"].replies, counts["user"].tokens, counts["user"].errors) == (3, 13, 0)
    assert (counts["assistant"].replies, counts["assistant"].tokens, counts["assistant"].errors) == (2, 10, 1)


def test_a_dialogue_that_failed_is_shown_and_not_kept(cache):
    note_start(cache, note())
    with noting("r1"), DialogueStore.opened(cache) as store:
        store.note_failed(ended("q1", StopReason.MODEL_ERROR).to_json())
        assert store.count(["q1"]) == 0
    assert [each.transcript.stop_reason for each in Follower([cache], "r1").new()] == [StopReason.MODEL_ERROR]


def test_processes_of_a_run_are_one_run(tmp_path):
    first, second = host_cache(tmp_path), host_cache(tmp_path, 1)
    for rank, path in enumerate((first, second)):
        note_start(path, note(rank=rank, started=100.0 + rank))
        note_questions(path, "r1", [asked(1 - rank, f"q{rank}")])
        put(path, "r1", (f"k{rank}", ended(f"q{rank}")))
    files = cache_files(tmp_path / "run")
    assert files == cache_files(first) == [first, second]
    (run,) = noted_runs(files)
    assert (run.ranks, run.started, run.ended, run.outcome) == (2, 100.0, None, None)
    follower = Follower(files, "r1")
    assert [each.question_id for each in follower.questions()] == ["q1", "q0"]
    assert len(follower.new()) == 2
    note_end(first, "r1", 0, "finished")
    assert chosen_run(files, None).outcome is None
    note_end(second, "r1", 1, "ServerGoneError: gone")
    assert chosen_run(files, None).outcome == "ServerGoneError: gone"


def test_a_dialogue_in_the_file_of_a_process_that_there_is_no_more_is_found(tmp_path):
    first, second = host_cache(tmp_path), host_cache(tmp_path, 1)
    put(second, "old", ("a", ended("q1")))
    note_start(first, note())
    with noting("r1"), DialogueStore.opened(first) as store:
        assert store.get("a") is not None
    assert [each.transcript.question_id for each in Follower([first, second], "r1").new()] == ["q1"]


def test_the_latest_run_is_chosen_and_an_unknown_one_is_named_with_those_there_are(cache):
    note_start(cache, note("r2", started=200.0))
    note_start(cache, note("r1", started=100.0))
    assert chosen_run([cache], None).run == "r2"
    assert chosen_run([cache], "r1").run == "r1"
    with pytest.raises(ConfigError, match="no run 'r3'; there are r1, r2"):
        chosen_run([cache], "r3")


def test_no_secret_is_noted(cache):
    secret = "hunter2hunter2"
    configuration = {"model_args": {"api_key": secret, "base_url": f"http://u:{secret}@host/v1"}, "token": secret}
    note_start(cache, note(**configuration))
    note_end(cache, "r1", 0, f"Error: Authorization: Bearer {secret}")
    assert secret.encode() not in cache.read_bytes()
    assert "host" in chosen_run([cache], None).configuration["model_args"]["base_url"]


def test_a_cache_of_an_earlier_release_says_that_no_run_is_noted(cache, tmp_path):
    with pytest.raises(ConfigError, match="notes no run; it was written by an earlier release"):
        chosen_run(cache_files(cache), None)
    with pytest.raises(ConfigError, match="add --use_cache FOLDER/NAME to the lm_eval command"):
        cache_files(tmp_path / "none")


def test_looking_on_writes_nothing(cache):
    note_start(cache, note())
    put(cache, "r1", ("a", ended("q1")))
    before = cache.read_bytes()
    cache.chmod(0o444)
    assert len(Follower([cache], "r1").new()) == 1
    assert noted_runs([cache])
    assert cache.read_bytes() == before


def test_what_a_killed_process_left_half_written_is_no_obstacle(cache):
    note_start(cache, note())
    put(cache, "r1", ("a", ended("q1")))
    code = (
        "import os, sqlite3, sys; file = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "file.execute('PRAGMA cache_size = 1'); file.execute('BEGIN IMMEDIATE')\n"
        "[file.execute('INSERT INTO dialogues VALUES (?, ?)', (str(n), 'x' * 5000)) for n in range(200)]\n"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(cache)], check=False).returncode == -9
    assert cache.with_name(f"{cache.name}-journal").exists()
    assert [each.transcript.question_id for each in Follower([cache], "r1").new()] == ["q1"]


def interrupted(_):
    raise KeyboardInterrupt


def test_what_cannot_be_written_whole_is_not_written_in_part(cache):
    note_start(cache, note())
    with closing(sqlite3.connect(cache, isolation_level=None)) as file:
        with pytest.raises(KeyboardInterrupt), transaction(file):
            interrupted(file.execute("DELETE FROM runs"))
        assert file.execute("SELECT count(*) FROM runs").fetchone() == (1,)


def test_settings_are_json_and_stay_when_a_run_says_more_of_itself(cache):
    note_start(cache, note(path=cache))
    note_start(cache, note(path=cache))
    (run,) = noted_runs([cache])
    assert run.tasks == {"t": {"simulator": "demo", "repeats": 1}}
    assert json.loads(json.dumps(run.configuration)) == {"path": str(cache)}


TAKING_PART = ("dialogue", "answers", "judge", "simulators", "config", "models", "runner")


def test_nobody_who_takes_part_reads_what_a_run_notes():
    """The right letters stand in it; only the store writes there, and only what shows runs reads it."""
    package = Path(lm_eval_plugin.__file__).parent
    files = [file for room in TAKING_PART for file in (package / room).rglob("*.py")]
    assert len(files) > 50
    readers = [str(file) for file in files if "noted_runs" in file.read_text() or "run_questions" in file.read_text()]
    assert readers == []
    store = (package / "cache" / "dialogue_store.py").read_text()
    assert "noted_runs" not in store
    assert "run_questions" not in store
