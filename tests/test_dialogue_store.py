"""Finished dialogues in the host's cache: there as soon as they are put, found under their key and no other."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace

import pytest
from doubles import PRODUCT
from lm_eval.api.model import CachingLM
from sqlitedict import SqliteDict
from test_conversations import TalkingLM
from users import configured

from lm_eval_plugin.cache.dialogue_store import DialogueStore, dialogue_key
from lm_eval_plugin.config.request import DialogueRequest
from lm_eval_plugin.errors import ConfigError

AT_ONCE = 0.05
TEXT = json.dumps({"messages": ["Größe?", "x" * 3000]}, ensure_ascii=False)


def host_cache(folder, rank=0):
    """A file as the host makes it."""
    path = folder / f"run_rank{rank}.db"
    SqliteDict(str(path), autocommit=True).close()
    return path


@pytest.fixture
def cache(tmp_path):
    return host_cache(tmp_path)


def test_dialogue_is_found_under_its_key_alone(cache):
    with DialogueStore.opened(cache) as store:
        store.put("a", TEXT)
        assert store.get("a") == TEXT
        assert store.get("b") is None


def test_dialogue_is_there_for_others_when_put_returns(cache):
    with DialogueStore.opened(cache) as store:
        store.put("a", TEXT)
        with closing(sqlite3.connect(cache)) as other:
            assert other.execute("SELECT * FROM dialogues").fetchall() == [("a", TEXT)]


def test_dialogue_outlives_a_process_that_is_killed_right_after_put(cache):
    code = (
        "import os, pathlib, sys; from lm_eval_plugin.cache.dialogue_store import DialogueStore\n"
        "with DialogueStore.opened(pathlib.Path(sys.argv[1])) as store:\n"
        "    store.put('a', 'first'); store.put('b', 'second'); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(cache)], check=False).returncode == -9
    with DialogueStore.opened(cache) as store:
        assert [store.get("a"), store.get("b")] == ["first", "second"]


def test_host_writes_its_responses_beside_it(tmp_path):
    lm = CachingLM(TalkingLM(), str(tmp_path / "run_rank0.db"))
    with DialogueStore.beside(lm.lm) as store:
        assert store.path == tmp_path / "run_rank0.db"
        for number in range(20):
            lm.dbdict[str(number)] = number
            store.put(str(number), TEXT)
        assert store.get("19") == TEXT
    assert len(lm.dbdict) == 20
    lm.dbdict.close()


def test_model_without_a_cache_has_no_store():
    with DialogueStore.beside(TalkingLM()) as store:
        assert store is None


def test_dialogues_of_other_processes_are_found_and_their_files_left_alone(tmp_path):
    paths = [host_cache(tmp_path, rank) for rank in range(3)]
    for path in paths[:2]:
        with DialogueStore.opened(path) as store:
            store.put(path.name, TEXT)
    before = paths[1].read_bytes()
    with DialogueStore.opened(paths[2]) as store:
        assert store.get("run_rank0.db") == store.get("run_rank1.db") == TEXT
        store.put("own", TEXT)
    assert paths[1].read_bytes() == before


def test_those_asked_for_are_counted_wherever_they_are_kept(tmp_path):
    with DialogueStore.opened(host_cache(tmp_path, 0)) as store:
        store.put("others", TEXT)
        store.put("both", TEXT)
    with DialogueStore.opened(host_cache(tmp_path, 1)) as store:
        store.put("both", TEXT)
        store.put("own", TEXT)
        store.put("not asked for", TEXT)
        assert store.count(["own", "both", "missing", "others"]) == 3
        assert store.count([]) == 0


def test_another_process_that_was_killed_while_it_wrote_is_read_without_its_last_write(tmp_path):
    mine, others = host_cache(tmp_path, 0), host_cache(tmp_path, 1)
    with DialogueStore.opened(others) as store:
        store.put("whole", TEXT)
    # A cache this small makes sqlite write to the file before the commit, which never comes.
    code = (
        "import os, sqlite3, sys; file = sqlite3.connect(sys.argv[1]); file.execute('PRAGMA cache_size = 1')\n"
        "for n in range(500): file.execute('REPLACE INTO dialogues VALUES (?, ?)', (f'half{n}', 'x' * 3000))\n"
        "os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code, str(others)], check=False)
    assert others.with_name(f"{others.name}-journal").stat().st_size > 0
    with DialogueStore.opened(mine) as store:
        assert store.get("whole") == TEXT
        assert store.get("half0") is None


def test_file_of_another_process_without_dialogues_is_passed_over(tmp_path):
    host_cache(tmp_path, 1)
    with DialogueStore.opened(host_cache(tmp_path, 0)) as store:
        assert store.get("a") is None


def test_damaged_file_of_another_process_is_named(tmp_path):
    (tmp_path / "run_rank1.db").write_text("no database")
    with (
        pytest.raises(ConfigError, match=r"run_rank1\.db cannot be used .*move it away"),
        DialogueStore.opened(host_cache(tmp_path, 0)),
    ):
        pytest.fail("it was opened")


def test_file_that_another_process_holds_is_named(cache):
    with DialogueStore.opened(cache, AT_ONCE) as store, closing(sqlite3.connect(cache)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ConfigError, match=f"{cache} cannot be used .*locked.*wait for it or end it"):
            store.put("a", TEXT)
        other.rollback()
        store.put("a", TEXT)


def test_file_that_is_only_written_to_for_a_moment_is_waited_for(cache):
    with DialogueStore.opened(cache) as store, closing(sqlite3.connect(cache, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        later = threading.Timer(0.3, other.rollback)
        later.start()
        store.put("a", TEXT)
        later.join()


def test_threads_may_take_turns(cache):
    with DialogueStore.opened(cache) as store:
        threads = [threading.Thread(target=store.put, args=(str(number), TEXT)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [store.get(str(number)) for number in range(8)] == [TEXT] * 8


def test_full_disk_is_said_at_once_and_what_was_kept_stays(small_disk):
    cache = host_cache(small_disk)
    full = pytest.raises(ConfigError, match=f"{cache} cannot be used .*full.*make room on its disk")
    with DialogueStore.opened(cache) as store, full:
        put_many(store)
    with DialogueStore.opened(cache) as store:
        found = [store.get(str(number)) is not None for number in range(1000)]
    kept = found.index(False)
    assert kept > 10
    assert found == [True] * kept + [False] * (1000 - kept)


def put_many(store):
    for number in range(1000):
        store.put(str(number), TEXT)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of half a MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_file_that_may_not_grow_is_said_at_once(cache):
    code = (
        "import pathlib, resource, signal, sys; from lm_eval_plugin.cache.dialogue_store import DialogueStore\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "with DialogueStore.opened(pathlib.Path(sys.argv[1])) as store:\n"
        "    for number in range(1000): store.put(str(number), 'x' * 3000)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(cache)], capture_output=True, text=True, check=False)
    assert f"ConfigError: --use_cache: the file {cache} cannot be used (disk I/O error)" in done.stderr
    assert cache.stat().st_size <= 100_000


# Keys

ASSISTANT, USER = {"weights": "one"}, {"weights": "two"}
REQUEST = DialogueRequest(PRODUCT, configured({"policy": "two_step", "model_args": {"pretrained": "gpt2"}}), seed=1)


def key_of(request=REQUEST, repeat=0, assistant=ASSISTANT, user=USER):
    return dialogue_key(request, repeat, assistant, user).key


def with_block(**block):
    simulator = block.pop("simulator", {"policy": "two_step", "model_args": {"pretrained": "gpt2"}})
    return replace(REQUEST, dialogue=configured(simulator, **block))


def test_key_is_the_same_for_a_request_that_travelled_through_the_host():
    travelled = DialogueRequest.from_arguments(tuple(json.loads(json.dumps(REQUEST.to_arguments()))))
    assert key_of(travelled) == key_of()
    assert len(key_of()) == 64


def test_key_differs_with_everything_that_decides_what_is_said():
    two_step = {"policy": "two_step", "model_args": {"pretrained": "gpt2"}}
    others = [
        key_of(repeat=1),
        key_of(assistant=USER),
        key_of(user=ASSISTANT),
        key_of(assistant=USER, user=ASSISTANT),
        key_of(user={}),
        key_of(replace(REQUEST, seed=2)),
        key_of(replace(REQUEST, system="Be brief.")),
        key_of(replace(REQUEST, chat_template=True)),
        key_of(replace(REQUEST, question=replace(PRODUCT, stem="What is 7 x 9?"))),
        key_of(replace(REQUEST, question=replace(PRODUCT, choices=("56", "54", "58", "63")))),
        key_of(with_block(max_turns=3)),
        key_of(with_block(persona="novice")),
        key_of(with_block(chain_of_thought=True)),
        key_of(with_block(assistant={"temperature": 0.5})),
        key_of(with_block(assistant={"max_tokens": 7})),
        key_of(with_block(assistant={"until": ["\n"]})),
        key_of(with_block(assistant={"gen_kwargs": {"top_p": 0.9}})),
        key_of(with_block(simulator={**two_step, "temperature": 0.2})),
        key_of(with_block(simulator={**two_step, "quantization": "none"})),
        key_of(with_block(simulator={**two_step, "policy": "two_step_problem"})),
    ]
    assert len({key_of(), *others}) == len(others) + 1


def test_key_is_the_same_whatever_decides_nothing():
    same = [
        with_block(repeats=10),
        with_block(static="none"),
        with_block(judge={"model_args": {"pretrained": "gpt2"}}),
        with_block(kv_cache=0),
        with_block(simulator={"policy": "two_step", "model_args": {"pretrained": "gpt2", "batch_size": 4}}),
    ]
    assert {key_of(request) for request in same} == {key_of()}


def test_key_of_what_was_there_before_is_the_one_that_it_had():
    known = dialogue_key(REQUEST, 0, ASSISTANT, USER)
    assert known.key == "c7cd62369ce9cd5000b886b61d3ede0959404a7c9c92ca7a7db7af1c1648dcc7"
    assert known.earlier == "2f59b5be764dab5553cd4abfefebfd4da1b2489127e1b3f0aac84d27a0fbfca9"


def test_user_that_answers_first_says_something_else_and_one_that_is_asked_apart_does_not():
    assert key_of(with_block(user_alone=True)) == key_of(with_block(condition="direct-to-AI")) == key_of()
    first = dialogue_key(with_block(condition="answer_first"), 0, ASSISTANT, USER)
    assert first.key != key_of()
    assert first.earlier is None
