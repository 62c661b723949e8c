"""`chatbench score`: the numbers of a run again, from its logged samples alone."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lm_eval_plugin.border.escaping import visible
from lm_eval_plugin.border.terminal import say

if TYPE_CHECKING:
    from lm_eval_plugin.scoring.metrics import QuestionRecord


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "samples", nargs="+", type=Path, help="samples_*.jsonl of a run, or the folder that lm_eval wrote them to"
    )
    parser.add_argument(
        "--baseline", nargs="+", type=Path, default=[], help="another run, to compare interactive accuracy with, paired"
    )
    parser.add_argument(
        "--human", type=Path, help="the ChatBench data set, to compare the users' language with people's"
    )
    parser.add_argument(
        "--reader",
        choices=["rules"],
        help="read again, by the rules, which options replies support; by default as the run has read them",
    )
    parser.add_argument("--json", action="store_true", help="print what stands under chatbench in the results, as JSON")


def run(chosen: argparse.Namespace) -> int:
    """Print the numbers; 1 if they are not of all the questions that the results tell of."""
    from lm_eval_plugin.errors import ConfigError
    from lm_eval_plugin.results.runs import read_run
    from lm_eval_plugin.scoring.summary import compare, summarize_run, user_language

    cut_short: list[ConfigError] = []
    tasks = _read_as(chosen.reader, read_run(chosen.samples, cut_short.append))
    summary = summarize_run(tasks, _groups(tasks))
    if chosen.baseline:
        summary["against_baseline"] = _compared(
            tasks, _read_as(chosen.reader, read_run(chosen.baseline, cut_short.append)), compare
        )
    if chosen.human is not None:
        from lm_eval_plugin.chatbench_data.human_dialogues import human_messages

        summary["human_language"] = user_language(human_messages(chosen.human))
    if chosen.json:
        print(json.dumps(summary, indent=2))
    else:
        _print(summary)
    for error in cut_short:
        say(f"chatbench: {error}; the numbers are of these alone", file=sys.stderr)
    return 1 if cut_short else 0


def _groups(tasks: Mapping[str, Sequence[QuestionRecord]]) -> dict[str, list[str]]:
    """All tasks together, of several simulators those of each."""
    from lm_eval_plugin.results.by_simulator import full_name, plain_name

    labels = {name: records[0].transcripts[0].simulator for name, records in tasks.items() if records}
    if all(plain_name(name, label) == name for name, label in labels.items()):
        return {"all": list(tasks)} if len(tasks) > 1 else {}
    groups: dict[str, list[str]] = {}
    for name, label in labels.items():
        groups.setdefault(f"all@{full_name(name, label).rpartition('@')[2]}", []).append(name)
    return {group: members for group, members in groups.items() if len(members) > 1}


def _read_as(
    reader: str | None, tasks: Mapping[str, Sequence[QuestionRecord]]
) -> Mapping[str, Sequence[QuestionRecord]]:
    """The tasks as their run has read the replies, or, by the rules, without what it has read."""
    if reader is None:
        return tasks
    return {name: [_unread(record) for record in records] for name, records in tasks.items()}


def _unread(record: QuestionRecord) -> QuestionRecord:
    return replace(record, transcripts=tuple(replace(held, reads=None) for held in record.transcripts))


def _compared(
    tasks: Mapping[str, Sequence[QuestionRecord]], baseline: Mapping[str, Sequence[QuestionRecord]], compare: Any
) -> dict[str, Any]:
    from lm_eval_plugin.errors import ConfigError

    common = [name for name in tasks if name in baseline]
    if not common:
        raise ConfigError(f"the runs have no task in common: {', '.join(tasks)} and {', '.join(baseline)}")
    return {name: compare(tasks[name], baseline[name], f"task {name}") for name in common}


def _print(summary: Mapping[str, Any]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    for name, part in {**summary["tasks"], **summary["groups"]}.items():
        console.print(_table(name, part))
        if seldom := _seldom_read(part["metrics"].get("replies_read")):
            console.print(seldom)
        if composition := part.get("composition"):
            console.print(f"subjects: {_composition(composition)}")
        if "against_static" in part:
            console.print(f"acc - acc_static: {_difference(part['against_static'])}\n")
        if alone := part.get("against_user_alone"):
            console.print(f"{_alone(alone)}\n")
        if language := part.get("user_language"):
            console.print(f"the users' language: {_language(language)}")
    if human := summary.get("human_language"):
        console.print(f"people's language in ChatBench: {_language(human)}")
    for name, test in summary.get("against_baseline", {}).items():
        console.print(f"{name}: acc - acc of the baseline: {_difference(test)}")


def _table(name: str, part: Mapping[str, Any]) -> Any:
    from rich.table import Table
    from rich.text import Text

    unscored = f", {part['unscored']} of {part['dialogues']} dialogues not scored" if part.get("unscored") else ""
    table = Table(title=Text(f"{name}: {part['questions']} questions{unscored}"), title_justify="left", box=None)
    for heading in ("metric", "value", "standard error", "95 % interval", "questions"):
        table.add_column(heading, justify="left" if heading == "metric" else "right")
    for metric, estimate in part["metrics"].items():
        interval = "" if estimate["low"] is None else f"{estimate['low']:.4f} to {estimate['high']:.4f}"
        error = "" if estimate["standard_error"] is None else f"{estimate['standard_error']:.4f}"
        table.add_row(metric, f"{estimate['value']:.4f}", error, interval, str(estimate["questions"]))
    return table


def _seldom_read(estimate: Mapping[str, Any] | None) -> str:
    """What to bear in mind where few replies could be read; nothing where there is nothing to say."""
    from lm_eval_plugin.scoring.metrics import READ_TOO_SELDOM

    if estimate is None or estimate["value"] >= READ_TOO_SELDOM:
        return ""
    return f"warning: replies_read is {estimate['value']:.2f}; recovered, misled and followed speak of a minority of the dialogues"


def _composition(subjects: Mapping[str, int]) -> str:
    """How many questions of each subject there are, and what share of all."""
    total = sum(subjects.values())
    return ", ".join(f"{visible(name)} {count} ({count / total:.0%})" for name, count in subjects.items())


def _alone(alone: Mapping[str, Any]) -> str:
    """The user with the model against the user alone, and the four cells."""
    from lm_eval_plugin.scoring.alone_and_together import PEOPLE_MISLED, PEOPLE_REPAIRED

    cells = ", ".join(f"{name.replace('_', ' ')} {_share(each)}" for name, each in alone["cells"].items())
    people = f"of people in the paper {PEOPLE_REPAIRED:.0%} of those wrong alone end right"
    misled = f"{PEOPLE_MISLED:.0%} of those right alone wrong"
    return f"acc - acc_user_alone: {_difference(alone['test'])}\n{cells}\n{people}, {misled}"


def _share(estimate: Mapping[str, object]) -> str:
    interval = "" if estimate["low"] is None else f" ({estimate['low']:.3f} to {estimate['high']:.3f})"
    return f"{estimate['value']:.3f}{interval}"


def _difference(test: Mapping[str, object]) -> str:
    cells = f", {test['gains']} gained and {test['losses']} lost" if test["gains"] is not None else ""
    detectable = (
        "" if test["detectable"] is None else f"; {test['detectable']:.4f} would have been seen with 80 % power"
    )
    interval = "" if test["low"] is None else f" ({test['low']:+.4f} to {test['high']:+.4f})"
    p_value = "" if test["p_value"] is None else f", p = {test['p_value']:.4f} by {test['method']}"
    return f"{test['difference']:+.4f}{interval}{p_value} over {test['questions']} questions{cells}{detectable}"


def _language(language: Mapping[str, object]) -> str:
    distinct = language.get("distinct_in_100_words")
    variety = "" if distinct is None else f", {distinct:.1f} different ones among 100"
    return f"{language['words_per_message']:.1f} words a message{variety}, {language['messages']} messages"
