"""The report as one HTML file that needs nothing else and in which nothing of what it shows can run.

Its policy allows the one script and the one style sheet of this package, by their hashes, and nothing from anywhere
else; what runs hold is escaped by the template, or packed in blocks that the script shows as text.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from lm_eval_plugin.border.escaping import shortened, visible
from lm_eval_plugin.comparison.leaderboard import entries_of, rank_all
from lm_eval_plugin.comparison.standings import Entry, Ranking
from lm_eval_plugin.report import charts, measures
from lm_eval_plugin.report.data import RIGHT, UNKNOWN, WRONG, RunFacts, comparability, run_facts
from lm_eval_plugin.report.sentences import about_ranking, about_reading, about_run
from lm_eval_plugin.report.transcripts import TranscriptStore
from lm_eval_plugin.results.runs import Run

STYLE = ("page.css", "conversation.css")
"""The parts of the style sheet."""

SCRIPT = ("elements.js", "list.js", "conversation.js", "live.js", "page.js")
"""The parts of the script."""

LONGEST_NAME = 120
"""Characters of a name in a table."""

LONGEST_SENTENCE = 1_000
"""Characters of a warning, or of a value of the configuration."""


def report(runs: Iterable[Run], failures: Sequence[str]) -> str:
    """The page of runs.

    Args:
        runs: Taken one at a time; of each only what the page shows is kept.
        failures: What is said of runs, and of parts of them, that could not be read; complete once `runs` is used up.
    """
    entries: list[Entry] = []
    facts: list[RunFacts] = []
    store = TranscriptStore()
    for run in runs:
        entries += entries_of(run, "acc")
        facts.append(run_facts(run))
        store.add(run)
    context = _overview(entries, facts, failures)
    return _page(context, store, live=0)


def live_page(run: Run, dialogues: TranscriptStore, count: int) -> str:
    """The page of a run that goes on, which asks its server for what is new.

    Args:
        run: The run so far.
        dialogues: Its dialogues, in the order in which they ended.
        count: How many they are.
    """
    return _page(_overview(entries_of(run, "acc"), [run_facts(run)], ()), dialogues, live=count)


def live_overview(run: Run) -> dict[str, str]:
    """What stands above the conversations of a run that goes on, as `head` and `overview`, to be put in the place of the old."""
    context = _overview(entries_of(run, "acc"), [run_facts(run)], ())
    return {name: _environment().get_template(f"{name}.html.j2").render(context) for name in ("head", "overview")}


def _page(context: Mapping[str, Any], store: TranscriptStore, *, live: int) -> str:
    """The whole page; `live` says how many dialogues a live one has, 0 that it is none."""
    index = store.index([facts.name for facts, _ in context["runs"]])
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            context,
            policy=_policy(live=live > 0),
            style=_own(_joined(STYLE)),
            script=_own(_joined(SCRIPT)),
            live=live,
            index=_own(index),
            blocks=map(_own, store.blocks),
        )
    )


def _overview(entries: Iterable[Entry], facts: Sequence[RunFacts], failures: Sequence[str]) -> dict[str, object]:
    """What the templates show above the conversations."""
    rankings = rank_all(entries)
    named = _named(facts, rankings)
    return {
        "sentence": escape(_sentence(named, rankings)),
        "rankings": [
            (ranking, *(_markup(draw(ranking, f"{name}-{n}")) for name, draw in _OF_MODELS.items()))
            for n, ranking in enumerate(rankings)
        ],
        "runs": [(each, _run_charts(each, f"run-{n}")) for n, each in enumerate(named)],
        "failures": failures,
        "warnings": comparability(rankings),
        "seldom_read": [said for each in named if (said := about_reading(each))],
    }


_OF_MODELS = {"slope": charts.slope_chart, "gap": charts.gap_chart}


def _sentence(facts: Sequence[RunFacts], rankings: Sequence[Ranking]) -> str:
    """The one sentence that the numbers of the page allow."""
    if len(facts) == 1:
        return about_run(facts[0])
    if len(rankings) == 1:
        return about_ranking(rankings[0])
    return f"The runs form {len(rankings)} rankings, and what is in different ones is not comparable."


def _named(facts: Sequence[RunFacts], rankings: Iterable[Ranking]) -> list[RunFacts]:
    """The runs by the names that the rankings give them, which tell those of one model apart."""
    names = {(each.model, each.date, each.folder): each.name for ranking in rankings for each in ranking.standings}
    return [replace(each, name=names[each.name, each.date, each.folder]) for each in facts]


def _run_charts(facts: RunFacts, name: str) -> dict[str, Markup | None]:
    several = len(facts.subjects) > 1
    return {
        "subjects": _markup(charts.subject_chart(facts.subjects, f"{name}-subjects")) if several else None,
        "turns": _markup(charts.turns_chart(facts.turns, f"{name}-turns")) if len(facts.turns) > 1 else None,
        "stops": _markup(charts.stops_chart(facts.stops, f"{name}-stops")) if len(facts.stops) > 1 else None,
    }


def _markup(drawn: str | None) -> Markup | None:
    return None if drawn is None else _own(drawn)


def _own(text: str) -> Markup:
    """A text of this package as it goes into the page: its files, base64, or SVG whose texts the writer of XML escaped."""
    return Markup(text)  # noqa: S704  # nothing that a model or a person wrote comes here


def _policy(*, live: bool) -> str:
    asks = "connect-src 'self'; " if live else ""
    return (
        f"default-src 'none'; script-src '{_hash(SCRIPT)}'; style-src '{_hash(STYLE)}'; {asks}base-uri 'none'; "
        "form-action 'none'"
    )


def _hash(parts: Sequence[str]) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(_joined(parts).encode()).digest()).decode()}"


def _joined(parts: Sequence[str]) -> str:
    return "\n".join(map(_part, parts))


def _part(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_part),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters |= {
        "name": lambda text: shortened(text, LONGEST_NAME),
        "sentence": lambda text: shortened(text, LONGEST_SENTENCE),
        "words": lambda name: name.replace("_", " "),
    }
    environment.globals |= {
        "OUTCOMES": measures.OUTCOMES,
        "FIDELITY": measures.FIDELITY,
        "TILES": measures.TILES,
        "is_zero": measures.is_zero,
        "value_of": measures.value_of,
        "interval_of": measures.interval_of,
        "share_of": measures.share_of,
        "RIGHT": RIGHT,
        "WRONG": WRONG,
        "UNKNOWN": UNKNOWN,
    }
    return environment


def _shown(value: object) -> object:
    """What the template puts into the page: text in which nothing reorders or hides what stands beside it."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
