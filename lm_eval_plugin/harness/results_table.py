"""The table that lm_eval prints of tasks with dialogues: what says how the run went, and what is not as it should be.

The results and their JSON hold every metric; `dialogue: metrics: all` has the table show them, too. lm_eval prints the very
results that it saves, so its `make_table` is given a smaller copy of them.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from lm_eval_plugin.scoring.metrics import METRICS

MAIN = ("acc", "acc_static", "acc_gap", "flip_gain", "flip_loss", "answered", "user_turns")
"""What a task always shows."""

OF_SUBJECT = ("acc", "acc_static", "acc_gap")
"""What a task always shows as part of a group."""

PAPERS = ("acc_answered", "answer_given")
"""What a task shows beside under the paper's protocol."""

MOST_ROWS = 10
"""Rows of a task with nothing switched on."""

MOST_SUBJECTS = 20
"""A group of more tasks shows its own numbers alone."""

_SHOULD_BE_ONE = ("valid", "replies_read", "valid_user_alone")
_SHOULD_BE_NOUGHT = ("model_error", *(name for name in METRICS if name.startswith("event_")))
SWITCHED_ON_ALONE = ("acc_user_alone", "uplift", "alone_wrong_together_right", "alone_right_together_wrong")
"""What `user_alone` and `condition: answer_first` switch on."""

_SWITCHED_ON = ("coherence", "satisfaction", "judged", *SWITCHED_ON_ALONE)


def shorten_make_table() -> None:
    """Wrap lm_eval's `make_table`; doing it twice does nothing. Seen in lm_eval 0.4.13."""
    from lm_eval import utils

    make_table = utils.make_table
    if hasattr(make_table, "__wrapped__"):
        return

    @functools.wraps(make_table)
    def make_short_table(result_dict: Any, column: str = "results", *args: Any, **kwargs: Any) -> str:
        shown, left_out = shortened(result_dict, column)
        table: str = make_table(shown, column, *args, **kwargs)
        return "\n".join([table.rstrip("\n"), "", *left_out, ""]) if left_out else table

    utils.make_table = make_short_table


def shortened(results: Mapping[str, Any], column: str) -> tuple[Mapping[str, Any], list[str]]:
    """A copy of the results with the rows that are shown, and what is said below the table of those that are not.

    Args:
        results: As lm_eval has them; without dialogues they stay as they are.
        column: `results` or `groups`.
    """
    ours = results.get("chatbench", {}).get("tasks", {})
    members = results.get("group_subtasks", {})
    groups = {name: below for name in members if (below := _tasks_below(name, members)) and ours.keys() >= set(below)}
    whole = {name for name in ours if _setting(results, name, "metrics") == "all"}
    whole |= {name for name, below in groups.items() if whole & set(below)}
    if not ours or whole >= ours.keys():
        return results, []
    folded = {
        task for name, below in groups.items() if len(below) > MOST_SUBJECTS and name not in whole for task in below
    }
    rows: dict[str, Any] = {}
    hidden: dict[str, Mapping[str, float]] = {}
    for name, row in results[column].items():
        if name in whole or name not in {*ours, *groups}:
            rows[name] = row
            continue
        kept = (
            set() if name in folded else _shown(results, name, row, of_group=name in ours and _in_group(name, groups))
        )
        if name not in folded:
            rows[name] = {key: value for key, value in row.items() if _metric(key) in kept or "," not in key}
        hidden[name] = _amiss(row, kept)
    return {**results, column: rows}, _below(hidden, len(folded & results[column].keys()), column)


def _shown(results: Mapping[str, object], name: str, row: Mapping[str, object], *, of_group: bool) -> set[str]:
    """The metrics of a row that are shown: the main ones, what the user switched on, and the first of what is amiss."""
    main = OF_SUBJECT if of_group else MAIN
    asked = PAPERS if _setting(results, name, "protocol") == "paper" else ()
    known = {_metric(key) for key in row if "," in key}
    # What is no metric of every run, such as a second static score, is there because somebody asked for it.
    kept = {metric for metric in known if metric in {*main, *asked, *_SWITCHED_ON} or metric not in METRICS}
    room = 0 if of_group else max(0, MOST_ROWS - len(MAIN))
    amiss = list(_amiss(row, kept))
    return kept | set(amiss[:room]) | ({"model_error"} & set(amiss))


def _amiss(row: Mapping[str, object], besides: Collection[str]) -> dict[str, float]:
    """What of a row is not as it should be, by how far it is from that; model errors first, then the largest."""
    far: dict[str, float] = {}
    for key, value in row.items():
        metric = _metric(key)
        if metric in besides or not isinstance(value, (int, float)) or metric != key.partition(",")[0]:
            continue
        if metric in _SHOULD_BE_ONE and value != 1:
            far[metric] = 1 - value
        elif metric in _SHOULD_BE_NOUGHT and value != 0:
            far[metric] = value
    return dict(sorted(far.items(), key=lambda entry: (entry[0] != "model_error", -entry[1])))


def _below(hidden: Mapping[str, Mapping[str, float]], folded: int, column: str) -> list[str]:
    """What is said below the table."""
    if column == "groups":
        return []
    worst: dict[str, tuple[float, str]] = {}
    for name, row in hidden.items():
        for metric, far in row.items():
            worst[metric] = max(worst.get(metric, (0.0, "")), (far, name))
    lines = [f"{folded} subjects are not shown."] if folded else []
    if worst:
        lines.append("Not as it should be, too: " + ", ".join(_said(worst, len(hidden))) + ".")
    return [
        *lines,
        """Every metric is in the results; --metadata '{"dialogue": {"metrics": "all"}}' shows them here, too.""",
    ]


def _said(worst: Mapping[str, tuple[float, str]], tasks: int) -> Iterator[str]:
    for metric, (far, name) in worst.items():
        value = 1 - far if metric in _SHOULD_BE_ONE else far
        where = "" if tasks == 1 else f" in {name}"
        yield f"{metric} {'' if tasks == 1 else 'down to ' if metric in _SHOULD_BE_ONE else 'up to '}{value:.4f}{where}"


def _metric(key: str) -> str:
    """The metric of a key such as `acc_stderr,none`."""
    return key.partition(",")[0].removesuffix("_stderr")


def _setting(results: Mapping[str, Any], task: str, key: str) -> Any:
    metadata = results.get("configs", {}).get(task, {}).get("metadata") or {}
    return metadata.get("dialogue", {}).get(key)


def _in_group(task: str, groups: Mapping[str, Collection[str]]) -> bool:
    return any(task in below for below in groups.values())


def _tasks_below(name: str, members: Mapping[str, list[str]]) -> list[str]:
    """The tasks of a group and of the groups in it; none for a task."""
    return [task for member in members.get(name, []) for task in (_tasks_below(member, members) or [member])]
