"""What is pushed to the hub is private unless asked for, holds no secret, and people's words only with leave."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import datasets
import pytest
from doubles import PRODUCT

from lm_eval_plugin.cli.hub import may_be_a_person, push_to_hub
from lm_eval_plugin.cli.main import main
from lm_eval_plugin.dialogue.transcript import Message, Role, StopReason, Transcript
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.results.runs import Run, TaskRun
from lm_eval_plugin.scoring.metrics import QuestionRecord

SECRET = "hunter2hunter2"


def dialogue(simulator="demo", tokens=5, events=None):
    said = (Message(Role.USER, "My name is Ada.", tokens), Message(Role.ASSISTANT, "It is B.", 4))
    return Transcript(PRODUCT.id, simulator, 0, 0, said, "B", StopReason.ANSWERED, events=events)


def run_of(transcript, **settings):
    record = QuestionRecord(PRODUCT, frozenset("B"), (transcript,))
    return Run(Path("r"), "m", "2026", {"t": TaskRun((record,), {"simulator": transcript.simulator, **settings})})


@pytest.fixture
def hub(monkeypatch):
    """Takes what is pushed in the hub's place."""
    pushed = []

    def push(table, repository, **options):
        pushed.append((table.to_list(), repository, options))

    monkeypatch.setattr(datasets.Dataset, "push_to_hub", push)
    return pushed


def test_it_is_private_unless_it_is_to_be_public(hub):
    assert push_to_hub([run_of(dialogue())], "me/dialogues") == 1
    push_to_hub([run_of(dialogue())], "me/dialogues", public=True)
    assert [(repository, options["private"]) for _, repository, options in hub] == [
        ("me/dialogues", True),
        ("me/dialogues", False),
    ]
    ((row,), *_) = hub[0]
    assert row["messages"][0]["content"] == "My name is Ada."


def test_no_secret_is_pushed(hub):
    settings = {"judge": {"model_args": {"api_key": SECRET, "base_url": f"http://u:{SECRET}@host/v1"}}}
    push_to_hub([replace(run_of(dialogue(), **settings), model=f"http://u:{SECRET}@host/m")], "me/x")
    assert SECRET not in str(hub)
    assert "host" in hub[0][0][0]["settings"]


@pytest.mark.parametrize(
    ("transcript", "expected"),
    [
        (dialogue("human", None), True),
        (dialogue("my-own-label", None), True),
        (dialogue("demo", 5), False),
        (dialogue("api", None, events={}), False),
        (dialogue("scripted", None), False),
        (replace(dialogue("human", None), messages=()), False),
    ],
)
def test_whoever_is_neither_a_model_nor_a_script_may_be_a_person(transcript, expected):
    assert may_be_a_person(transcript) is expected


def test_peoples_words_are_pushed_only_with_leave(hub):
    runs = [run_of(dialogue()), run_of(dialogue("human", None))]
    with pytest.raises(ConfigError, match=r"a person may have played the user.*--with-people"):
        push_to_hub(runs, "me/x")
    assert hub == []
    assert push_to_hub(runs, "me/x", people=True) == 2


def test_what_the_hub_refuses_is_said_with_what_to_do(monkeypatch):
    def refuse(table, repository, **options):
        raise OSError(f"403 Forbidden: token={SECRET}")

    monkeypatch.setattr(datasets.Dataset, "push_to_hub", refuse)
    with pytest.raises(ConfigError, match="run hf auth login") as error:
        push_to_hub([run_of(dialogue())], "me/x")
    assert SECRET not in str(error.value)


def test_the_command_pushes_what_it_also_writes(hub, tmp_path, capsys):
    from sample_runs import Writer

    Writer(tmp_path, texts=["A sentence."]).run("m", {"t": 3})
    out = tmp_path / "x.parquet"
    assert main(["export", str(tmp_path / "m"), "-o", str(out), "--push-to-hub", "me/x"]) == 0
    assert out.exists()
    assert len(hub[0][0]) == 3
    assert "3 dialogues pushed to me/x" in capsys.readouterr().err
