"""What `chatbench human` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lm_eval_plugin.border.escaping import visible
from lm_eval_plugin.cli.interval import interval
from lm_eval_plugin.comparison.human_claims import Claim
from lm_eval_plugin.comparison.human_prediction import Prediction

if TYPE_CHECKING:
    from lm_eval_plugin.comparison.human_study import AgainstPeople
    from lm_eval_plugin.scoring.agreement import Agreement
    from lm_eval_plugin.scoring.prediction_powered import HumanEstimate, Powered

_SIDES = {"simulated": "simulated users", "static": "the model alone"}


def as_json(each: Claim | Prediction | AgainstPeople) -> dict[str, object]:
    """The fields, and for a claim or a prediction which of the two it is."""
    kind = {Claim: "estimate", Prediction: "prediction"}.get(type(each))
    return asdict(each) if kind is None else {"kind": kind, **asdict(each)}


def print_claims(found: Sequence[Claim | Prediction]) -> None:
    """Print what people would reach with each model."""
    console = Console(highlight=False)
    for each in found:
        if isinstance(each, Claim):
            _print_claim(console, each)
        else:
            _print_prediction(console, each)


def _print_claim(console: Console, each: Claim) -> None:
    powered = each.powered
    of = "questions like these" if each.population else "these questions"
    title = f"{visible(each.model)} with {visible(each.simulator)}: what people would reach on {of}"
    console.print(Text(title), soft_wrap=True)
    table = _table("accuracy", "questions", "answers", "people")
    table.add_row("estimate", _cell(powered.estimate), str(powered.questions))
    seen = str(powered.answered), str(powered.answers), str(powered.people)
    table.add_row("people alone", _cell(powered.people_alone), *seen)
    table.add_row("simulated users", f"{powered.simulated:.3f}", str(powered.questions))
    console.print(table)
    for line in [_worth(powered), *_caveats(each)]:
        console.print(Text(f" {line}"), soft_wrap=True)


def _worth(powered: Powered) -> str:
    ratio, weight = powered.variance_ratio, f"the simulated accuracy weighs {powered.weight:.2f}"
    more = round((ratio - 1) * powered.people)
    if more < 1:
        return f"The simulation was worth no further people (ratio of variances {ratio:.2f}; {weight})."
    more = round((ratio - 1) * powered.people)
    return f"The simulation was worth {more} further people beside the {powered.people} (ratio of variances {ratio:.2f}; {weight})."


def _caveats(each: Claim) -> list[str]:
    """What a reader must know of an estimate beside its numbers."""
    powered, condition = each.powered, each.condition or "in all conditions"
    lines = [
        f"People talked with {visible(each.people_model)}, {visible(condition)}; the questions that they answered are taken as "
        "drawn at random" + (" from each subject." if len(powered.strata) > 1 else ".")
    ]
    if pooled := [", ".join(map(visible, names)) for names in powered.strata if len(names) > 1]:
        lines.append(f"Subjects with fewer than eight answered questions are taken together: {'; '.join(pooled)}.")
    if each.unscored:
        lines.append(f"{each.unscored} questions of the run are left out: no dialogue about them counts.")
    if each.other_gold:
        lines.append(
            f"People on {each.other_gold} questions are left out: their data takes another option to be right."
        )
    return lines


def _print_prediction(console: Console, each: Prediction) -> None:
    console.print(
        Text(f"{visible(each.model)} with {visible(each.simulator)}: nobody has talked with it"), soft_wrap=True
    )
    table = _table("accuracy")
    table.add_row("predicted", interval(each.value, each.low, each.high))
    table.add_row("simulated users", f"{each.simulated:.3f}")
    console.print(table)
    for line in _extrapolates(each):
        console.print(Text(f" {line}"), soft_wrap=True)


def _extrapolates(each: Prediction) -> list[str]:
    models = ", ".join(map(visible, each.errors))
    alone = f"its prediction from the others is off by {_signed(each.errors)}"
    lines = [
        f"This extrapolates: it takes simulated users to err with this model as they do with {models}. It is no measurement.",
        f"Leaving one of these out, {alone}; the simulated accuracy as it is by {_signed(each.as_it_is)}.",
    ]
    if each.low is None:
        lines.append("From two models there is no interval: they do not tell how much models differ.")
    return lines


def _signed(errors: Mapping[str, float]) -> str:
    return ", ".join(f"{error:+.3f} ({visible(name)})" for name, error in errors.items())


def print_comparison(found: Sequence[AgainstPeople]) -> None:
    """Print how well simulated users and the model alone predict people, a table a run."""
    console = Console(highlight=False)
    for each in found:
        title = f"{visible(each.model)} with {visible(each.simulator)}, against {visible(_people(each))}"
        console.print(Text(title), soft_wrap=True)
        table = _table("n", "accuracy", "correlation", "absolute error")
        table.add_row("people", str(each.questions - each.without_people), f"{each.accuracy:.3f}")
        for side, figures in each.foretold_by.items():
            table.add_row(_SIDES[side], *_cells(figures))
        console.print(table)


def _table(*headings: str) -> Table:
    table = Table(box=None)
    table.add_column("", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _people(each: AgainstPeople) -> str:
    people = each.people
    chosen = [people.condition or "all conditions", "" if people.split is None else f"held out by split {people.split}"]
    missing = f"; {each.without_people} more without people" if each.without_people else ""
    answered = f"; {each.answer_given:.0%} of the simulated dialogues ended with an answer and count"
    return f"people with {people.model}, {', '.join(filter(None, chosen))}{missing}{answered}"


def _cells(figures: Agreement) -> list[str]:
    both = [figures.pearson, figures.error]
    told = (interval(figure.value, figure.low, figure.high) for figure in both)
    return [str(figures.questions), f"{figures.accuracy:.3f}", *told]


def _cell(estimate: HumanEstimate) -> str:
    return interval(estimate.value, estimate.low, estimate.high)
