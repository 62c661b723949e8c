"""`chatbench watch`: a run while it goes on, in the terminal or as a page that grows."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console, RenderableType
    from rich.table import Table

    from lm_eval_plugin.results.noted_runs import Ended, NotedRun
    from lm_eval_plugin.results.watching import Watched

_LOOK_S = 1.0
_SHOWN = 12  # dialogues in the terminal
_SILENT_S = 120.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "cache", type=Path, metavar="CACHE", help="what lm_eval was given as --use_cache, or a file that it made of it"
    )
    parser.add_argument("--run", metavar="ID", help="the run to show; by default the latest")
    parser.add_argument("--list", action="store_true", help="list the runs of the cache and leave")
    parser.add_argument(
        "--once", action="store_true", help="show how it stands and leave; so it is without a terminal, too"
    )
    parser.add_argument(
        "--serve", action="store_true", help="show it as a page on 127.0.0.1 instead, which grows by itself"
    )
    parser.add_argument("--port", type=int, default=0, metavar="PORT", help="of the page; by default one that is free")


def run(chosen: argparse.Namespace) -> int:
    """Show the run until it ends; 0 if it finished or goes on, 1 if an error ended it."""
    from lm_eval_plugin.results.noted_runs import cache_files, chosen_run, noted_runs
    from lm_eval_plugin.results.watching import Watched

    files = cache_files(chosen.cache)
    if chosen.list:
        return _list(noted_runs(files))
    watched = Watched(files, chosen_run(files, chosen.run))
    if chosen.serve:
        from lm_eval_plugin.report.serving import serve

        serve(watched, chosen.port)
        return 0
    _show(watched, once=chosen.once or not sys.stdout.isatty())
    return int(watched.noted.outcome not in {None, "finished"})


def _list(runs: Sequence[NotedRun]) -> int:
    from lm_eval_plugin.border.terminal import say

    for each in runs:
        say(f"{each.run}  {each.model}  {', '.join(each.tasks)}  {each.outcome or 'not finished'}")
    return 0


def _show(watched: Watched, *, once: bool) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    watched.look()
    if once:
        console.print(_view(watched, console))
        return
    with Live(_view(watched, console), console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while watched.noted.outcome is None:
            time.sleep(_LOOK_S)
            watched.look()
            live.update(_view(watched, console), refresh=True)


def _view(watched: Watched, console: Console) -> RenderableType:
    from rich.console import Group

    room = max(3, min(_SHOWN, console.height - 16)) if console.is_terminal else _SHOWN
    return Group(*_head(watched), _sides(watched), *_what_happened(watched), _latest(watched, watched.ended[-room:]))


def _head(watched: Watched) -> Iterable[RenderableType]:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    from lm_eval_plugin.border.escaping import visible

    noted = watched.noted
    users = sorted({str(settings.get("simulator", "?")) for settings in noted.tasks.values()})
    yield Text(visible(f"{noted.model} with {', '.join(users)}, run {noted.run}"), style="bold")
    yield Text(visible(f"{watched.done():,} of {watched.of():,} dialogues, {_state(watched)}"))
    bar = Table.grid()
    bar.add_row(ProgressBar(total=max(watched.of(), 1), completed=watched.done(), width=60))
    yield bar
    yield Text(_accuracies(watched))


def _state(watched: Watched) -> str:
    noted = watched.noted
    if noted.outcome is not None:
        return noted.outcome
    last = max([noted.started, *(each.at for each in watched.ended[-1:])])
    silent = time.time() - last
    ranks = f" in {noted.ranks} processes" if noted.ranks > 1 else ""
    quiet = f"; nothing has ended for {silent / 60:.0f} minutes" if silent > _SILENT_S else ""
    return f"running{ranks} for {(time.time() - noted.started) / 60:.1f} minutes{quiet}"


def _accuracies(watched: Watched) -> str:
    acc, static = watched.accuracy(), watched.static_accuracy()
    if acc is None:
        return "no dialogue has ended yet"
    told = f"acc so far {_percent(acc.value)}"
    if acc.low is not None and acc.high is not None:
        told += f" (95 % interval {_percent(acc.low)} to {_percent(acc.high)}, {acc.questions:,} questions)"
    return told if static is None else f"{told}, static {_percent(static.value)} on the same questions"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _sides(watched: Watched) -> Table:
    from rich.table import Table

    from lm_eval_plugin.results.noted_runs import SideCounts

    table = Table("side", "replies", "replies/s", "tokens", "tokens/s", "errors", box=None, pad_edge=False)
    speeds = watched.speeds()
    for side, speed in speeds.items():
        counts = watched.counts.get(side, SideCounts())
        table.add_row(
            side,
            f"{counts.replies:,}",
            f"{speed.replies:.1f}",
            f"{counts.tokens:,}",
            f"{speed.tokens:.0f}",
            f"{counts.errors:,}",
        )
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _what_happened(watched: Watched) -> Iterable[RenderableType]:
    from rich.text import Text

    for what, counted in (("ended", watched.stops()), ("events", watched.events())):
        if counted:
            listed = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counted.most_common())
            yield Text(f"{what}: {listed}", style="dim")


def _latest(watched: Watched, ended: Sequence[Ended]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from lm_eval_plugin.border.escaping import shortened

    table = Table(
        "at", "", "answer", "right", "turns", "ended", "question", box=None, pad_edge=False, title_justify="left"
    )
    for each in reversed(ended):
        held = each.transcript
        question = watched.questions.get(held.question_id)
        right = watched.is_right(held)
        sign = Text("–") if right is None else Text("✓", style="green") if right else Text("✗", style="red")
        table.add_row(
            time.strftime("%H:%M:%S", time.localtime(each.at)),
            sign,
            held.answer or "none",
            " ".join(question.gold) if question else "?",
            str(len(held.messages) // 2),
            held.stop_reason.value.replace("_", " "),
            Text(shortened(question.stem if question else held.question_id, 200), no_wrap=True, overflow="ellipsis"),
        )
    return table
