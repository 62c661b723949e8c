"""`chatbench leaderboard`: models by interactive and static accuracy, each simulator for itself."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from lm_eval_plugin.border.escaping import in_markdown, markdown_table, shortened, visible
from lm_eval_plugin.border.terminal import say
from lm_eval_plugin.cli.rank_agreement import agreement_in_markdown, agreement_lines, under_each
from lm_eval_plugin.cli.shared import readable_runs, write_text

if TYPE_CHECKING:
    from lm_eval_plugin.comparison.standings import Entry, Ranking, Standing

VERSION = 1
"""Version of the JSON form."""

WIDTH = 100
"""Columns of a table that is written to a file."""

_LONGEST = 120  # of a name in a table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="the folder that lm_eval wrote a run to")
    parser.add_argument("--sort", default="acc", metavar="METRIC", help="the metric to rank by, best first (acc)")
    parser.add_argument("--format", choices=tuple(_WRITERS), default="table", help="how to write it (table)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write to this file")


def run(chosen: argparse.Namespace) -> int:
    """Print the rankings; 1 if a run could not be read, or runs have no common question and are ranked apart."""
    from lm_eval_plugin.comparison.leaderboard import entries_of, rank, shown_metrics

    shown = shown_metrics(chosen.sort)
    failures: list[str] = []
    entries = [entry for read in readable_runs(chosen.runs, failures) for entry in entries_of(read, chosen.sort)]
    rankings = rank(entries, chosen.sort)
    text = _WRITERS[chosen.format](rankings, shown, chosen, entries)
    if chosen.format == "csv":
        for warning in (warning for each in rankings for warning in each.warnings):
            say(f"chatbench: not comparable: {visible(warning)}", file=sys.stderr)
    if chosen.output is None:
        sys.stdout.write(text)
    else:
        write_text(chosen.output, text)
    apart = any(each.apart for each in rankings)
    if apart:
        say("chatbench: runs without a common question are ranked apart", file=sys.stderr)
    return 1 if failures or apart else 0


def _title(ranking: Ranking) -> str:
    label = shortened(ranking.simulator, _LONGEST)
    return f"{label}, ranking {ranking.apart}" if ranking.apart else label


def _table(
    rankings: Sequence[Ranking], shown: Sequence[str], chosen: argparse.Namespace, entries: Sequence[Entry] = ()
) -> str:
    from rich.console import Console
    from rich.text import Text

    to_terminal = chosen.output is None
    console = Console(highlight=False) if to_terminal else Console(file=io.StringIO(), width=WIDTH)
    with console.capture() as captured:
        for ranking in rankings:
            console.print(_rich_table(ranking, shown, chosen.sort))
            for line in _notes(ranking):
                console.print(Text(line))
            console.print()
        if len({ranking.simulator for ranking in rankings}) > 1:
            console.print(under_each(rankings, chosen.sort))
            for line in agreement_lines(entries, chosen.sort):
                console.print(Text(line))
    return captured.get()


def _rich_table(ranking: Ranking, shown: Sequence[str], metric: str) -> object:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(f"simulator: {_title(ranking)}"), title_justify="left", box=None)
    table.add_column("#")
    table.add_column("model", overflow="fold", min_width=12)
    for heading in (*shown, "over"):
        table.add_column(heading, justify="right", no_wrap=True)
    for standing in ranking.standings:
        place, *cells = _cells(standing, shown, metric, " #{}", "\n")
        # Under the name and not in a column, which a narrow terminal would squeeze out.
        name = "\n".join([shortened(standing.name, _LONGEST), *(remark for remark in _remarks(standing) if remark)])
        table.add_row(*(Text(cell) for cell in [place, name, *cells]))
    return table


def _markdown(
    rankings: Sequence[Ranking], shown: Sequence[str], chosen: argparse.Namespace, entries: Sequence[Entry] = ()
) -> str:
    blocks = []
    for ranking in rankings:
        headings = ["#", "model", *(in_markdown(name) for name in shown), "over", "against the one above", "not scored"]
        rows = []
        for standing in ranking.standings:
            place, *cells = _cells(standing, shown, chosen.sort, " (rank {})", "<br>")
            rows.append([place, in_markdown(shortened(standing.name, _LONGEST)), *cells, *_remarks(standing)])
        notes = "\n".join(f"- {in_markdown(line)}" for line in _notes(ranking))
        blocks.append(f"### Simulator: {in_markdown(_title(ranking))}\n\n{markdown_table(headings, rows)}\n\n{notes}\n")
    if len({ranking.simulator for ranking in rankings}) > 1:
        blocks.append(agreement_in_markdown(rankings, entries, chosen.sort))
    return "\n".join(blocks)


def _csv(rankings: Iterable[Ranking], shown: Sequence[str], chosen: argparse.Namespace, _: Sequence[Entry] = ()) -> str:
    rows = [_flat(ranking, standing, shown, chosen.sort) for ranking in rankings for standing in ranking.standings]
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _harmless(value) for name, value in row.items()} for row in rows)
    return file.getvalue()


def _json(
    rankings: Sequence[Ranking], _: Sequence[str], chosen: argparse.Namespace, entries: Sequence[Entry] = ()
) -> str:
    from lm_eval_plugin.comparison.rank_agreement import rank_agreements, ranks_by_simulator

    found = {"version": VERSION, "sort": chosen.sort, "rankings": [asdict(ranking) for ranking in rankings]}
    if len({ranking.simulator for ranking in rankings}) > 1:
        found["ranks_by_simulator"] = ranks_by_simulator(rankings, chosen.sort)
        found["agreement"] = [asdict(each) for each in rank_agreements(entries, chosen.sort)]
    return json.dumps(found, indent=2) + "\n"


_WRITERS: Mapping[str, Callable[..., str]] = {
    "table": _table,
    "markdown": _markdown,
    "csv": _csv,
    "json": _json,
}


def _cells(standing: Standing, shown: Sequence[str], metric: str, place: str, line_end: str) -> list[str]:
    """What stands in a line beside the name: place, each metric with interval and rank, how many questions."""
    cells = [str(standing.ranks.get(metric, "-"))]
    for name in shown:
        estimate = standing.estimates.get(name)
        if estimate is None:
            cells.append("-")
            continue
        ranked = place.format(standing.ranks[name]) if name in standing.ranks else ""
        interval = "" if estimate.low is None else f"{line_end}{estimate.low:.3f}..{estimate.high:.3f}"
        cells.append(f"{estimate.value:.3f}{ranked}{interval}")
    return [*cells, str(standing.questions)]


def _remarks(standing: Standing) -> tuple[str, str]:
    """How it stands against the one above, and what of it is not scored; empty where there is nothing to say."""
    unscored = f"{standing.unscored} of {standing.dialogues} dialogues not scored" if standing.unscored else ""
    if standing.above is None:
        return "", unscored
    test, adjusted = standing.above.test, standing.above.adjusted
    p_values = "" if test.p_value is None else f"p = {test.p_value:.4f}, adjusted {adjusted:.4f}, "
    evidence = f" ({p_values}over {test.questions})"
    return f"{_MARKS[standing.above.outcome.name]}{evidence}", unscored


_MARKS = {
    "WORSE": "worse than the one above",
    "NOT_DISTINGUISHABLE": "not distinguishable from the one above",
    "BETTER": "better than the one above on their common questions",
}
"""What is said of an outcome."""


def _notes(ranking: Ranking) -> list[str]:
    return [f"not comparable: {visible(warning)}" for warning in ranking.warnings]


def _flat(ranking: Ranking, standing: Standing, shown: Sequence[str], metric: str) -> dict[str, object]:
    row: dict[str, object] = {
        "simulator": ranking.simulator,
        "ranking": ranking.apart,
        "rank": standing.ranks.get(metric),
        "model": standing.model,
        "date": standing.date,
        "folder": standing.folder,
        "questions": standing.questions,
        "dialogues": standing.dialogues,
        "unscored": standing.unscored,
    }
    for name in shown:
        estimate = standing.estimates.get(name)
        parts = ("value", "standard_error", "low", "high", "questions")
        row |= {f"{name}_{part}".removesuffix("_value"): estimate and getattr(estimate, part) for part in parts}
        if name in {"acc", "acc_static"}:
            row[f"{name}_rank"] = standing.ranks.get(name)
    test = standing.above and standing.above.test
    row["against_above"] = standing.above and standing.above.outcome.value
    row["above_adjusted"] = standing.above and standing.above.adjusted
    return row | {f"above_{part}": test and getattr(test, part) for part in ("difference", "p_value", "questions")}


def _harmless(value: object) -> object:
    """A cell that no spreadsheet takes for a formula; a number stays one."""
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
