"""The page's charts, drawn by matplotlib; each shows what a table beside it says in numbers."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lm_eval_plugin.border.escaping import shortened
from lm_eval_plugin.comparison.leaderboard import Ranking, Standing
from lm_eval_plugin.dialogue.transcript import StopReason
from lm_eval_plugin.report.data import SubjectScores
from lm_eval_plugin.report.svg import for_page

INK, FAINT, STATIC, INTERACTIVE = "#000001", "#000002", "#000003", "#000004"
COLOURS = {INK: "ink", FAINT: "faint", STATIC: "static", INTERACTIVE: "interactive"}
"""Stand for the colours that the page's style sheet gives these names."""

_WIDTH = 4.4  # inches; as wide as a phone, so that its text stays readable there
_LONGEST = 22  # characters of a name
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "chatbench",
    # A name such as $x$ is no formula.
    "text.parse_math": False,
    "text.color": INK,
    "font.size": 8.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}


def slope_chart(ranking: Ranking, name: str) -> str | None:
    """The rank by static against that by interactive accuracy; None for fewer than two models with both."""
    both = [each for each in ranking.standings if {"acc", "acc_static"} <= each.ranks.keys()]
    if len(both) < 2:
        return None
    left = _places(both, "acc_static")
    right = _places(both, "acc")

    def draw(axes: Axes) -> None:
        for standing in both:
            ends = left[standing.name], right[standing.name]
            moved = standing.ranks["acc"] != standing.ranks["acc_static"]
            axes.plot([0, 1], ends, "o-", color=INTERACTIVE if moved else FAINT, linewidth=1.6, markersize=4)
            for x, y, metric, side in ((-0.04, ends[0], "acc_static", "right"), (1.04, ends[1], "acc", "left")):
                text = f"{standing.ranks[metric]}. {shortened(standing.name, _LONGEST)}"
                axes.text(x, y, text, ha=side, va="center")
        for x, text in ((0, "static"), (1, "interactive")):
            axes.text(x, -1, text, ha="center", va="center", weight="bold")
        axes.set(xlim=(-beside, 1 + beside), ylim=(len(both) - 0.4, -1.5))
        axes.axis("off")

    # In widths between the two sides; a character takes about a twentieth of one.
    beside = 0.3 + 0.05 * max(len(shortened(each.name, _LONGEST)) for each in both)
    moved = sum(each.ranks["acc"] != each.ranks["acc_static"] for each in both)
    return _drawn(
        draw,
        0.27 * len(both) + 0.6,
        name,
        "Rank by static and by interactive accuracy",
        f"{moved} of {len(both)} models have another rank by interactive than by static accuracy; the table says which.",
    )


def subject_chart(subjects: Sequence[SubjectScores], name: str) -> str | None:
    """Static beside interactive accuracy of each subject, the largest gain on top; None if no subject has both."""
    both = [(each.subject, each.acc_static.value, each.acc.value) for each in subjects if each.acc and each.acc_static]
    if not both:
        return None
    both.sort(key=lambda each: (each[2] - each[1], each[0]))

    def draw(axes: Axes) -> None:
        rows = range(len(both))
        static, interactive = [each[1] for each in both], [each[2] for each in both]
        axes.hlines(rows, static, interactive, color=FAINT, linewidth=2)
        axes.scatter(interactive, rows, s=34, color=INTERACTIVE, label="interactive")
        axes.scatter(static, rows, marker="D", s=32, facecolor="none", edgecolor=STATIC, linewidth=1.6, label="static")
        axes.set_yticks(rows, [shortened(each[0].replace("_", " "), _LONGEST + 4) for each in both])
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.6, len(both) - 0.4), xlabel="accuracy")
        axes.grid(axis="x")
        axes.tick_params(length=0)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, handletextpad=0.2)

    gained = sum(interactive > static for _, static, interactive in both)
    return _drawn(
        draw,
        0.24 * len(both) + 1.0,
        name,
        "Static and interactive accuracy by subject",
        f"Interactive accuracy is the higher one in {gained} of {len(both)} subjects; the table has every value.",
    )


def turns_chart(turns: Mapping[int, int], name: str) -> str:
    """How many dialogues have how many user turns."""
    lengths = range(min(turns), max(turns) + 1)

    def draw(axes: Axes) -> None:
        bars = axes.bar(lengths, [turns.get(each, 0) for each in lengths], color=INTERACTIVE, width=0.8)
        axes.bar_label(bars, fmt="{:,.0f}", padding=2, fontsize=8)
        axes.set_xticks(lengths)
        axes.set(xlabel="user turns", yticks=[])
        axes.spines["left"].set_visible(False)
        axes.tick_params(length=0)
        axes.margins(y=0.12)

    commonest = max(turns, key=lambda each: turns[each])
    return _drawn(
        draw,
        2.4,
        name,
        "Dialogues by number of user turns",
        f"From {min(turns)} to {max(turns)} user turns; {commonest} is the commonest number. The table has every count.",
    )


def stops_chart(stops: Mapping[StopReason, int], name: str) -> str:
    """How many dialogues ended for which reason."""
    ordered = sorted(stops.items(), key=lambda each: (each[1], each[0].value))

    def draw(axes: Axes) -> None:
        bars = axes.barh([each[0].value.replace("_", " ") for each in ordered], [each[1] for each in ordered])
        for bar in bars:
            bar.set(facecolor=INTERACTIVE, height=0.6)
        axes.bar_label(bars, fmt="{:,.0f}", padding=3, fontsize=8)
        axes.set(xticks=[])
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(length=0)
        axes.margins(x=0.14)

    return _drawn(
        draw,
        0.32 * len(ordered) + 0.35,
        name,
        "Dialogues by stop reason",
        f"Most dialogues ended by {ordered[-1][0].value.replace('_', ' ')}. The table has every count.",
    )


def _places(standings: Sequence[Standing], metric: str) -> dict[str, int]:
    """A line of its own for each, in the order of their ranks."""
    ordered = sorted(standings, key=lambda each: (each.ranks[metric], each.ranks["acc"], each.name))
    return {standing.name: place for place, standing in enumerate(ordered)}


def _drawn(draw: Callable[[Axes], None], height: float, name: str, title: str, description: str) -> str:
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():  # type: ignore[arg-type]  # keys of rcParams are texts
        # The browser's fonts show the text, not the one that it is measured with.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure = Figure((_WIDTH, height), layout="constrained")
        draw(figure.add_subplot())
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return for_page(file.getvalue(), name, title, description, COLOURS)
