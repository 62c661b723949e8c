"""`chatbench watch` in a terminal shows how a run stands, and says how to have what it shows."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from noted_runs import asked, ended, note, put
from test_dialogue_store import host_cache
from test_report import HOSTILE

from lm_eval_plugin.cache.dialogue_store import DialogueStore
from lm_eval_plugin.cache.run_table import note_end, note_questions, note_start, noting
from lm_eval_plugin.cli.main import main
from lm_eval_plugin.dialogue.transcript import Event, StopReason, Transcript
from lm_eval_plugin.results.noted_runs import chosen_run
from lm_eval_plugin.results.watching import Watched


@pytest.fixture
def cache(tmp_path):
    path = host_cache(tmp_path)
    note_start(path, note(started=time.time()))
    questions = [replace(asked(place, f"q{place}"), acc_static=float(place == 0)) for place in range(4)]
    note_questions(path, "r1", questions)
    return path


def shown(capsys, *arguments, code=0):
    assert main(["watch", *map(str, arguments)]) == code
    return capsys.readouterr()


def test_it_shows_accuracy_with_its_interval_speed_of_each_side_events_and_dialogues(cache, capsys):
    wrong = replace(ended("q1"), answer="A", events={Event.ECHO: 2})
    put(cache, "r1", ("a", ended("q0")), ("b", wrong))
    said = shown(capsys, cache).out
    assert "2 of 4 dialogues, running for 0.0 minutes" in said
    assert "acc so far 50.0 % (95 % interval" in said
    assert "2 questions), static 50.0 % on the same questions" in said.replace("\n", " ")
    assert "events: echo 1" in said
    assert [line.split()[0] for line in said.splitlines() if line.startswith(("user", "assistant"))] == [
        "user",
        "assistant",
    ]
    assert said.count("✓") == said.count("✗") == 1


def test_a_model_error_is_shown_and_in_no_accuracy(cache, capsys):
    with noting("r1"), DialogueStore.opened(cache) as store:
        store.note_failed(Transcript("q0", "demo", 0, 0, (), None, StopReason.MODEL_ERROR).to_json())
    said = shown(capsys, cache).out
    assert "0 of 4 dialogues" in said
    assert "no dialogue has ended yet" in said
    assert "ended: model error 1" in said


def test_a_run_that_an_error_ended_has_an_exit_code_of_its_own(cache, capsys):
    note_end(cache, "r1", 0, "ServerGoneError: the server is gone")
    assert "ServerGoneError: the server is gone" in shown(capsys, cache, code=1).out


def test_the_latest_run_another_and_a_list_of_them(cache, capsys):
    note_start(cache, note("r0", started=1.0))
    assert "run r1" in shown(capsys, cache.with_name("run")).out
    assert "run r0" in shown(capsys, cache, "--run", "r0").out
    listed = shown(capsys, cache, "--list").out.splitlines()
    assert [line.split()[0] for line in listed] == ["r0", "r1"]


def test_without_a_cache_it_says_how_to_have_one(tmp_path, capsys):
    said = shown(capsys, tmp_path / "cache" / "mmlu", code=2).err
    assert "add --use_cache FOLDER/NAME to the lm_eval command" in said
    assert "notes no run" in shown(capsys, host_cache(tmp_path), code=2).err


def test_what_a_model_or_a_question_says_cannot_act_on_the_terminal(cache, capsys):
    note_questions(cache, "r1", [replace(asked(0, "q0"), stem="[red]x[/red] \x1b[2J" + HOSTILE.replace("\ud800", ""))])
    put(cache, "r1", ("a", ended("q0")))
    said = shown(capsys, cache).out
    assert "\x1b" not in said
    assert "[red]x[/red]" in said


def test_speed_is_that_of_the_last_minute_and_what_was_there_already_is_none(cache):
    put(cache, "r1", ("a", ended("q0")))
    note_start(cache, note("r2", started=time.time()))
    note_questions(cache, "r2", [asked(0, "q0"), asked(1, "q1")])
    with noting("r2"), DialogueStore.opened(cache) as store:
        store.get("a")
    watched = Watched([cache], chosen_run([cache], None))
    assert len(watched.look()) == 1
    assert watched.speeds()["user"].replies == 0
    put(cache, "r2", ("b", ended("q1")))
    assert len(watched.look()) == 1
    assert watched.speeds()["assistant"].replies > 0
    assert watched.done() == watched.of() == 2


def test_a_dialogue_under_an_earlier_releases_key_counts_once(cache):
    put(cache, "r1", ("old", ended("q0")), ("new", ended("q0")))
    watched = Watched([cache], chosen_run([cache], None))
    assert len(watched.look()) == 1
    assert watched.done() == 1
