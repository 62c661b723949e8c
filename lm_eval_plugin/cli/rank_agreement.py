"""What `chatbench leaderboard` says of several simulators together: the ranks under each, and how far they agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lm_eval_plugin.border.escaping import in_markdown, markdown_table, shortened

if TYPE_CHECKING:
    from lm_eval_plugin.comparison.rank_agreement import RankAgreement
    from lm_eval_plugin.comparison.standings import Entry, Ranking

_LONGEST = 60  # of a label in a table


def under_each(rankings: Sequence[Ranking], metric: str) -> Any:
    """The rank of every model under every simulator, as a table for a terminal."""
    from rich.table import Table
    from rich.text import Text

    headings, rows = _ranks(rankings, metric)
    table = Table(title=Text(f"ranks by {metric} under each simulator"), title_justify="left", box=None)
    for place, heading in enumerate(headings):
        table.add_column(Text(heading), justify="right" if place else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def agreement_lines(entries: Sequence[Entry], metric: str) -> list[str]:
    """A sentence for each two simulators."""
    from lm_eval_plugin.comparison.rank_agreement import rank_agreements

    return [_sentence(each) for each in rank_agreements(entries, metric)]


def agreement_in_markdown(rankings: Sequence[Ranking], entries: Sequence[Entry], metric: str) -> str:
    """Both of the above."""
    headings, rows = _ranks(rankings, metric)
    table = markdown_table([*map(in_markdown, headings)], [[*map(in_markdown, row)] for row in rows])
    notes = "\n".join(f"- {in_markdown(line)}" for line in agreement_lines(entries, metric))
    return f"### Ranks by {in_markdown(metric)} under each simulator\n\n{table}\n\n{notes}\n"


def _ranks(rankings: Sequence[Ranking], metric: str) -> tuple[list[str], list[list[str]]]:
    from lm_eval_plugin.comparison.rank_agreement import ranks_by_simulator

    labels = list(dict.fromkeys(ranking.simulator for ranking in rankings))
    found = ranks_by_simulator(rankings, metric)
    rows = [
        [shortened(model, _LONGEST), *(str(ranks.get(label, "-")) for label in labels)]
        for model, ranks in sorted(found.items(), key=lambda each: (min(each[1].values()), each[0]))
    ]
    return ["model", *(shortened(label, _LONGEST) for label in labels)], rows


def _sentence(agreement: RankAgreement) -> str:
    from lm_eval_plugin.comparison.rank_agreement import LEAST_MODELS

    both = f"{shortened(agreement.first, _LONGEST)} and {shortened(agreement.second, _LONGEST)}"
    size = f"{agreement.models} models, {agreement.questions} questions that all of them have under both"
    if agreement.tau is None:
        few = (
            f"; fewer than {LEAST_MODELS} models tell no tau" if agreement.models < LEAST_MODELS else "; all are equal"
        )
        return f"{both}: {size}{few}"
    interval = "" if agreement.low is None else f" ({agreement.low:.2f} to {agreement.high:.2f})"
    return f"{both}: Kendall's tau {agreement.tau:.2f}{interval}, {size}"
