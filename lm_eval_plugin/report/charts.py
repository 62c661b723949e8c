"""The page's charts, drawn by matplotlib; each shows what a table beside it says in numbers."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lm_eval_plugin.border.escaping import shortened
from lm_eval_plugin.comparison.standings import Ranking, Standing
from lm_eval_plugin.report.data import Part, SubjectScores
from lm_eval_plugin.report.svg import for_page
from lm_eval_plugin.scoring.statistics import Estimate

INK, FAINT, STATIC, INTERACTIVE = "#000001", "#000002", "#000003", "#000004"
COLOURS = {INK: "ink", FAINT: "faint", STATIC: "static", INTERACTIVE: "interactive"}
"""Stand for the colours that the page's style sheet gives these names."""

_WIDTH = 4.0  # inches; as wide as a phone, so that its text stays readable there
_LONGEST = 24  # characters of a name
_DIAMOND: dict[str, Any] = {"marker": "D", "s": 22, "facecolor": "none", "edgecolor": STATIC, "linewidth": 1.4}
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "chatbench",
    # A name such as $x$ is no formula.
    "text.parse_math": False,
    "text.color": INK,
    "font.size": 9,
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
    """Static beside interactive accuracy of each model, with intervals; None for fewer than two models with both."""
    both = [each for each in ranking.standings if {"acc", "acc_static"} <= each.ranks.keys()]
    if len(both) < 2:
        return None

    def draw(axes: Axes) -> None:
        ends = {metric: _ends(axes, both, metric, x) for metric, x in (("acc_static", 0.0), ("acc", 1.0))}
        for place, standing in enumerate(both):
            (left, low), (right, high) = (ends[metric][place] for metric in ("acc_static", "acc"))
            axes.plot([left, right], [low, high], color=_colour(standing), linewidth=1.4, zorder=1)
        longest = max(map(len, _labels(both).values()))
        axes.set(xlim=(-0.42, 1.4 + 0.045 * longest), xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        for x, text in ((0, "static"), (1, "interactive")):
            axes.text(x, 1.02, text, ha="center", va="bottom", weight="bold", transform=axes.get_xaxis_transform())

    moved = sum(each.ranks["acc"] != each.ranks["acc_static"] for each in both)
    return _drawn(
        draw,
        _height(both),
        name,
        "Static and interactive accuracy of each model, with 95 % intervals",
        f"{moved} of {len(both)} models have another rank by interactive than by static accuracy; the table has every value.",
    )


def gap_chart(ranking: Ranking, name: str) -> str | None:
    """The gap of each model in percentage points, with intervals; None for fewer than two models with one."""
    known = [(each, each.estimates["acc_gap"]) for each in ranking.standings if "acc_gap" in each.estimates][::-1]
    if len(known) < 2:
        return None

    def draw(axes: Axes) -> None:
        names = _labels([each for each, _ in known])
        axes.axvline(0, color=INK, linewidth=0.8)
        _whiskers(axes, enumerate(gap for _, gap in known), INTERACTIVE, scale=100)
        axes.plot([100 * gap.value for _, gap in known], range(len(known)), "o", color=INTERACTIVE, markersize=5)
        axes.set_yticks(range(len(known)), [names[each.name] for each, _ in known])
        axes.set(ylim=(-0.6, len(known) - 0.4), xlabel="percentage points")
        axes.grid(axis="x")
        axes.tick_params(length=0)

    told = sum(gap.low is not None and gap.high is not None and not gap.low <= 0 <= gap.high for _, gap in known)
    return _drawn(
        draw,
        _height(known),
        name,
        "Gap of each model in percentage points, with 95 % intervals",
        f"The interval of {told} of {len(known)} gaps leaves out 0; the table has every value.",
    )


def _height(standings: Sequence[object]) -> float:
    """Of a chart with a line for each, in inches."""
    return 0.3 * len(standings) + 1.6


def _labels(standings: Sequence[Standing]) -> dict[str, str]:
    """What a chart calls each model: the part of its name behind the last slash, where that tells it from the others."""
    ends = Counter(each.name.rpartition("/")[2] for each in standings)
    tails = {each.name: each.name.rpartition("/")[2] for each in standings}
    return {name: shortened(tail if ends[tail] == 1 else name, _LONGEST) for name, tail in tails.items()}


def _colour(standing: Standing) -> str:
    return INTERACTIVE if standing.ranks["acc"] != standing.ranks["acc_static"] else FAINT


def _ends(axes: Axes, standings: Sequence[Standing], metric: str, side: float) -> list[tuple[float, float]]:
    """One side of the slopes, with intervals and labels; where each slope ends."""
    found = [(standing, standing.estimates[metric]) for standing in standings]
    lowest, highest = _range(ends.estimates[key] for ends in standings for key in ("acc", "acc_static"))
    labels = _apart([each.value for _, each in found], (highest - lowest) * 0.18 / (_height(standings) - 0.5))
    outside, names = (1 if side else -1), _labels(standings)
    places = []
    for place, (standing, each) in enumerate(found):
        # Intervals stand beside each other, not on each other.
        x = side + outside * 0.018 * (place - (len(found) - 1) / 2)
        _whiskers(axes, [(x, each)], _colour(standing), upright=True)
        axes.plot(x, each.value, "o", color=_colour(standing), markersize=4, zorder=2)
        axes.plot([x, side + outside * 0.1], [each.value, labels[place]], color=FAINT, linewidth=0.4, zorder=0)
        text = f"{standing.ranks[metric]}. {100 * each.value:.1f} %"
        text = f"{text}  {names[standing.name]}" if side else text
        axes.text(side + outside * 0.12, labels[place], text, ha="left" if side else "right", va="center")
        places.append((x, each.value))
    return places


def _range(estimates: Iterable[Estimate]) -> tuple[float, float]:
    values = [value for each in estimates for value in (each.low, each.value, each.high) if value is not None]
    return min(values), max(values) + 1e-9


def _apart(values: Sequence[float], least: float) -> list[float]:
    """Where labels of values stand: as near to their own as can be, in their order and the least distance apart.

    Source: isotonic regression by pooling neighbours, of each value less its rank times the distance.
    """
    order = sorted(range(len(values)), key=lambda place: values[place])
    pools: list[list[float]] = []
    for rank, place in enumerate(order):
        pools.append([values[place] - rank * least])
        while len(pools) > 1 and fmean(pools[-2]) > fmean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    levels = [fmean(pool) for pool in pools for _ in pool]
    placed = {place: levels[rank] + rank * least for rank, place in enumerate(order)}
    return [placed[place] for place in range(len(values))]


def _whiskers(
    axes: Axes, estimates: Iterable[tuple[float, Estimate]], colour: str, *, upright: bool = False, scale: float = 1
) -> None:
    """The 95 % intervals of estimates as lines at their places, where there are any."""
    ends = [
        (place, scale * each.low, scale * each.high)
        for place, each in estimates
        if each.low is not None and each.high is not None
    ]
    if ends:
        places, low, high = zip(*ends, strict=True)
        (axes.vlines if upright else axes.hlines)(places, low, high, color=colour, linewidth=1.1, zorder=1)


def subject_chart(subjects: Sequence[SubjectScores], name: str) -> str | None:
    """Static and interactive accuracy of each subject, with intervals, the largest gain on top; None if none has both."""
    both = [(each.subject, each.acc_static, each.acc) for each in subjects if each.acc and each.acc_static]
    if not both:
        return None
    both.sort(key=lambda each: (each[2].value - each[1].value, each[0]))

    def draw(axes: Axes) -> None:
        _whiskers(axes, [(row - 0.16, each[1]) for row, each in enumerate(both)], STATIC)
        _whiskers(axes, [(row + 0.16, each[2]) for row, each in enumerate(both)], INTERACTIVE)
        rows = range(len(both))
        axes.scatter(
            [each[2].value for each in both], [row + 0.16 for row in rows], s=26, color=INTERACTIVE, label="interactive"
        )
        axes.scatter([each[1].value for each in both], [row - 0.16 for row in rows], **_DIAMOND, label="static")
        axes.set_yticks(rows, [shortened(each[0].replace("_", " "), _LONGEST + 2) for each in both])
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.6, len(both) - 0.4), xlabel="accuracy, with 95 % intervals")
        axes.grid(axis="x")
        axes.tick_params(length=0)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, handletextpad=0.2)

    gained = sum(interactive.value > static.value for _, static, interactive in both)
    return _drawn(
        draw,
        0.34 * len(both) + 1.0,
        name,
        "Static and interactive accuracy by subject, with 95 % intervals",
        f"Interactive accuracy is the higher one in {gained} of {len(both)} subjects; the table has every value.",
    )


def turns_chart(turns: Sequence[Part], name: str) -> str:
    """The share of dialogues that have so many user turns, with intervals."""

    def draw(axes: Axes) -> None:
        places = range(len(turns))
        axes.bar(places, [each.share.value for each in turns], color=INTERACTIVE, width=0.72)
        top = max(_reach(each) for each in turns)
        _whiskers(axes, enumerate(each.share for each in turns), INK, upright=True)
        for place, each in zip(places, turns, strict=True):
            axes.text(place, _reach(each) + 0.02 * top, f"{each.dialogues:,}", ha="center", va="bottom", fontsize=8.5)
        axes.set_xticks(places, [each.name for each in turns])
        axes.set(xlabel="user turns", yticks=[], ylim=(0, 1.1 * top))
        axes.spines["left"].set_visible(False)
        axes.tick_params(length=0)

    commonest = max(turns, key=lambda each: each.dialogues)
    return _drawn(
        draw,
        2.2,
        name,
        "Dialogues by number of user turns, with 95 % intervals of their shares",
        f"From {turns[0].name} to {turns[-1].name} user turns, most often {commonest.name}. The table has every count.",
    )


def stops_chart(stops: Sequence[Part], name: str) -> str:
    """The share of dialogues that ended for each reason, with intervals."""
    ordered = stops[::-1]

    def draw(axes: Axes) -> None:
        places = range(len(ordered))
        axes.barh(places, [each.share.value for each in ordered], color=INTERACTIVE, height=0.6)
        top = max(_reach(each) for each in ordered)
        _whiskers(axes, enumerate(each.share for each in ordered), INK)
        for place, each in zip(places, ordered, strict=True):
            axes.text(_reach(each) + 0.02 * top, place, f"{each.dialogues:,}", va="center", fontsize=8.5)
        axes.set_yticks(places, [each.name.replace("_", " ") for each in ordered])
        axes.set(xticks=[], xlim=(0, 1.15 * top))
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(length=0)

    return _drawn(
        draw,
        0.34 * len(ordered) + 0.35,
        name,
        "Dialogues by stop reason, with 95 % intervals of their shares",
        f"Most dialogues ended by {stops[0].name.replace('_', ' ')}. The table has every count.",
    )


def _reach(part: Part) -> float:
    return part.share.value if part.share.high is None else part.share.high


def _drawn(draw: Callable[[Axes], None], height: float, name: str, title: str, description: str) -> str:
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():  # type: ignore[arg-type]  # keys of rcParams are texts
        # The browser's fonts show the text, not the one that it is measured with.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure = Figure((_WIDTH, height), layout="constrained")
        draw(figure.add_subplot())
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return for_page(file.getvalue(), name, title, description, COLOURS)
