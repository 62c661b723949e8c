"""The names of tasks with and without their simulators."""

from __future__ import annotations

from pathlib import Path

import pytest

from lm_eval_plugin.results.by_simulator import full_name, named_alike, plain_name, simulators_of, split_by_simulator
from lm_eval_plugin.results.runs import Run, TaskRun


def run(**labels):
    tasks = {name: TaskRun((), {"simulator": label}) for name, label in labels.items()}
    return Run(Path("results.json"), "m", "1", tasks, {}, {name: {"questions": 1} for name in tasks})


@pytest.mark.parametrize(
    ("task", "label", "plain"),
    [
        ("t@demo", "demo", "t"),
        ("t@demo", "demo+answer_first", "t"),
        ("t@demo-temperature-0.5", "demo[temperature=0.5]", "t"),
        ("t@demo-temperature-0.5", "demo[temperature=0.5]+paper", "t"),
        ("t", "demo", "t"),
        ("t@other", "demo", "t@other"),
        ("a@b@demo", "demo", "a@b"),
        ("@demo", "demo", "@demo"),
        ("t@", "demo", "t@"),
    ],
)
def test_name_ends_with_the_tasks_own_simulator_or_with_none(task, label, plain):
    assert plain_name(task, label) == plain


def test_run_of_one_simulator_stays_as_it_is():
    one = run(a="demo", b="demo")
    assert split_by_simulator(one) == [one]
    assert split_by_simulator(one)[0] is one


def test_run_of_several_is_one_for_each_with_plain_names():
    parts = split_by_simulator(run(**{"a@demo": "demo", "b@demo": "demo", "a@scripted": "scripted"}))
    assert [list(part.tasks) for part in parts] == [["a", "b"], ["a"]]
    assert [list(part.summaries) for part in parts] == [["a", "b"], ["a"]]
    assert [part.tasks["a"].settings["simulator"] for part in parts] == ["demo", "scripted"]


def test_tasks_that_would_have_one_name_keep_theirs():
    twice = run(**{"a": "demo", "a@demo": "demo"})
    assert split_by_simulator(twice) == [twice]


def test_runs_with_and_without_names_of_simulators_are_named_alike():
    several, one = named_alike(run(**{"a@demo": "demo", "a@scripted": "scripted"}), run(a="demo"))
    assert list(several.tasks) == ["a@demo", "a@scripted"]
    assert list(one.tasks) == ["a@demo"]
    plain = run(a="demo")
    assert named_alike(plain, plain) == [plain, plain]


def test_full_name_is_the_same_whichever_run_it_is_of():
    assert full_name("t", "demo+paper") == full_name("t@demo", "demo+paper") == "t@demo-paper"
    assert simulators_of(["a@x", "b@x", "a@y"]) == {"x": ["a@x", "b@x"], "y": ["a@y"]}
    assert simulators_of(["a", "b"]) == {"": ["a", "b"]}
