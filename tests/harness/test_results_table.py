"""The table that lm_eval prints: ten rows a task at most, what is amiss and what was asked for never left out silently."""

from __future__ import annotations

import copy

import pytest
from lm_eval import utils

from lm_eval_plugin.harness.results_table import (
    MAIN,
    MOST_ROWS,
    OF_SUBJECT,
    SWITCHED_ON_ALONE,
    shorten_make_table,
    shortened,
)
from lm_eval_plugin.scoring.metrics import DIRECTIONS, METRICS, NEUTRAL

AS_IT_SHOULD_BE = {
    **{name: 0.0 if name == "model_error" or name.startswith("event_") else 1.0 for name in METRICS},
    "acc": 0.5,
    "acc_static": 0.25,
    "acc_gap": 0.25,
    "user_turns": 2.0,
}
FOR_JUDGE = ("coherence", "satisfaction", "judged")
USER_ALONE = (*SWITCHED_ON_ALONE, "valid_user_alone")
DEFAULT = {name: value for name, value in AS_IT_SHOULD_BE.items() if name not in {*FOR_JUDGE, *USER_ALONE}}


def row(alias, values):
    entries = {"alias": alias, "sample_len": 4}
    for name, value in values.items():
        entries |= {f"{name},none": value, f"{name}_stderr,none": 0.1}
    return entries


def results(tasks, groups=None, dialogue=None):
    """Results as lm_eval has them, with tasks and groups by name, each a mapping of values."""
    groups = groups or {}
    rows = {name: row(name, values) for name, values in tasks.items()}
    of_groups = {name: row(name, values) for name, (values, _) in groups.items()}
    return {
        "results": {**of_groups, **rows},
        "groups": of_groups,
        "group_subtasks": {name: below for name, (_, below) in groups.items()},
        "versions": dict.fromkeys([*tasks, *groups], 1),
        "n-shot": dict.fromkeys(tasks, 0),
        "higher_is_better": dict.fromkeys([*tasks, *groups], DIRECTIONS),
        "configs": {name: {"metadata": {"dialogue": {"metrics": "main", **(dialogue or {})}}} for name in tasks},
        "chatbench": {"tasks": {name: {} for name in tasks}},
    }


def metrics_shown(given, name, column="results"):
    shown, _ = shortened(given, column)
    return {key.partition(",")[0] for key in shown[column][name] if "," in key and "_stderr" not in key}


def test_a_run_as_it_should_be_shows_its_main_metrics_alone():
    assert metrics_shown(results({"t": DEFAULT}), "t") == set(MAIN)


@pytest.mark.parametrize("metric", ["valid", "replies_read", "model_error", "event_echo", "event_answer_leak"])
def test_what_is_not_as_it_should_be_is_shown(metric):
    amiss = {**DEFAULT, metric: 0.03}
    assert metrics_shown(results({"t": amiss}), "t") == {*MAIN, metric}


def test_ten_rows_at_most_and_what_has_no_room_is_said_below_with_its_value():
    amiss = {**DEFAULT, "valid": 0.9, "replies_read": 0.5, "model_error": 0.01, "event_echo": 0.02, "event_empty": 0.03}
    given = results({"t": amiss})
    shown = metrics_shown(given, "t")
    assert len(shown) == MOST_ROWS
    assert shown == {*MAIN, "model_error", "replies_read", "valid"}
    _, below = shortened(given, "results")
    assert below[0] == "Not as it should be, too: event_empty 0.0300, event_echo 0.0200."


def test_an_unknown_value_is_not_taken_for_zero():
    assert metrics_shown(results({"t": {**DEFAULT, "event_echo": float("nan")}}), "t") == {*MAIN, "event_echo"}


@pytest.mark.parametrize(
    ("values", "dialogue"),
    [
        (dict.fromkeys(FOR_JUDGE, 0.0), {}),
        ({"acc_static_letter": 0.0, "valid_static_letter": 0.0}, {}),
        ({"acc_user_alone": 0.0}, {}),
        ({}, {"protocol": "paper"}),
    ],
    ids=["judge", "second static score", "what a later version adds", "paper"],
)
def test_what_was_switched_on_is_shown_though_it_is_zero(values, dialogue):
    wanted = {*MAIN, *values, *(("acc_answered", "answer_given") if dialogue else ())}
    assert metrics_shown(results({"t": {**DEFAULT, **values}}, dialogue=dialogue), "t") == wanted


def test_subjects_of_a_group_show_three_metrics_and_what_is_amiss_in_them_is_said_below():
    tasks = {"a": {**DEFAULT, "event_echo": 0.02}, "b": {**DEFAULT, "event_echo": 0.05, "model_error": 0.1}}
    given = results(tasks, {"g": ({"acc": 0.5, "model_error": 0.05, "acc_subjects": 0.4}, ["a", "b"])})
    assert metrics_shown(given, "a") == set(OF_SUBJECT)
    assert metrics_shown(given, "b") == {*OF_SUBJECT, "model_error"}
    assert metrics_shown(given, "g") == {"acc", "model_error", "acc_subjects"}
    _, below = shortened(given, "results")
    assert below[0] == "Not as it should be, too: event_echo up to 0.0500 in b."


def test_a_subject_of_a_group_shows_what_was_switched_on():
    given = results({"a": AS_IT_SHOULD_BE, "b": AS_IT_SHOULD_BE}, {"g": ({"acc": 0.5}, ["a", "b"])})
    assert metrics_shown(given, "a") == {*OF_SUBJECT, *FOR_JUDGE, *SWITCHED_ON_ALONE}


def test_a_group_of_many_subjects_shows_itself_alone_and_says_what_is_amiss_below():
    tasks = {f"t{place}": {**DEFAULT, "valid": 1 - place / 1000} for place in range(57)}
    given = results(tasks, {"all": ({"acc": 0.5}, list(tasks))})
    shown, below = shortened(given, "results")
    assert list(shown["results"]) == ["all"]
    assert below[:2] == ["57 subjects are not shown.", "Not as it should be, too: valid down to 0.9440 in t56."]
    assert utils.make_table(given)  # as lm_eval makes it


def test_groups_of_groups_show_the_groups():
    tasks = {f"t{place}": DEFAULT for place in range(30)}
    inner = {"x": ({"acc": 0.5}, list(tasks)[:15]), "y": ({"acc": 0.5}, list(tasks)[15:])}
    shown, _ = shortened(results(tasks, {"all": ({"acc": 0.5}, ["x", "y"]), **inner}), "results")
    assert list(shown["results"]) == ["all", "x", "y"]


def test_all_metrics_are_shown_on_request():
    given = results({"t": AS_IT_SHOULD_BE}, dialogue={"metrics": "all"})
    assert shortened(given, "results") == (given, [])


def test_other_tasks_of_the_run_stay_as_lm_eval_shows_them():
    given = results({"t": DEFAULT})
    given["results"]["arc_easy"] = row("arc_easy", {"acc": 0.3, "acc_norm": 0.2, "valid": 0.1})
    shown, _ = shortened(given, "results")
    assert shown["results"]["arc_easy"] == given["results"]["arc_easy"]
    without = {**given, "chatbench": {"tasks": {}}}
    assert shortened(without, "results") == (without, [])


def test_lm_evals_table_is_wrapped_once_and_the_results_are_left_as_they_are():
    shorten_make_table()
    wrapped = utils.make_table
    shorten_make_table()
    assert utils.make_table is wrapped
    given = results({"t": {**DEFAULT, "event_echo": 0.5}})
    before = copy.deepcopy(given)
    table = utils.make_table(given)
    assert given == before
    assert [line.split("|")[5].strip() for line in table.splitlines() if line.startswith("|")][2:] == sorted(
        [*MAIN, "event_echo"]
    )
    assert table.count("Every metric is in the results") == 1


def test_no_arrow_stands_at_what_is_neither_better_nor_worse():
    given = results({"t": AS_IT_SHOULD_BE}, dialogue={"metrics": "all"})
    directions = {
        line.split("|")[5].strip(): line.split("|")[6].strip() for line in utils.make_table(given).splitlines()
    }
    assert {name for name in METRICS if directions[name] == ""} == NEUTRAL
    assert (directions["acc"], directions["misled"]) == ("↑", "↓")
