"""`chatbench gate`: stop a checkpoint that got worse, with an exit code for continuous integration.

Nothing speaks against a candidate of which the gate cannot tell, so that passes unless `--cannot-tell` says otherwise; JUnit
shows such a check as skipped, so it is seen.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from lm_eval_plugin.border.escaping import in_markdown, markdown_table
from lm_eval_plugin.cli.shared import write_text

if TYPE_CHECKING:
    from lm_eval_plugin.comparison.checks import Check
    from lm_eval_plugin.comparison.gate import GateResult

_COLUMNS = (
    "metric",
    "task",
    "baseline",
    "candidate",
    "drop",
    "interval",
    "p",
    "adjusted",
    "detectable",
    "fails at",
    "verdict",
)


VERSION = 2
"""Version of the JSON form."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "--baseline", required=True, type=Path, metavar="RUN", help="the folder of the run to hold against"
    )
    parser.add_argument("--candidate", required=True, type=Path, metavar="RUN", help="the folder of the run to check")
    parser.add_argument("--metric", nargs="+", default=["acc"], help="what must not get worse (default: acc)")
    parser.add_argument("--max-drop", type=float, default=0.02, help="tolerated, in the metric's units (default: 0.02)")
    parser.add_argument(
        "--alpha", type=float, default=0.05, help="how often a candidate at that limit may fail (default: 0.05)"
    )
    parser.add_argument(
        "--cannot-tell",
        type=int,
        choices=(0, 1, 2),
        default=0,
        help="exit code if the questions do not decide (default: 0)",
    )
    parser.add_argument(
        "--max-unscored", type=float, default=0.05, help="share of dialogues that may lack a score (default: 0.05)"
    )
    parser.add_argument(
        "--allow-differences", action="store_true", help="compare runs although simulator or settings differ"
    )
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write a JUnit XML report")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write a comment for a pull request")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(chosen: argparse.Namespace) -> int:
    """Print the checks and say by the exit code what they amount to."""
    from lm_eval_plugin.comparison.checks import Limits, Verdict
    from lm_eval_plugin.comparison.gate import gate
    from lm_eval_plugin.results.runs import load_run

    result = gate(
        load_run(chosen.baseline),
        load_run(chosen.candidate),
        chosen.metric,
        Limits(chosen.max_drop, chosen.alpha, chosen.max_unscored),
        allow_differences=chosen.allow_differences,
    )
    if chosen.junit is not None:
        write_text(chosen.junit, junit(result))
    if chosen.markdown is not None:
        write_text(chosen.markdown, markdown(result))
    if chosen.json:
        print(json.dumps(as_json(result), indent=2))
    else:
        _print(result)
    codes: dict[Verdict, int] = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.CANNOT_TELL: chosen.cannot_tell}
    return codes[result.verdict]


def as_json(result: GateResult) -> dict[str, object]:
    """Everything that the gate found."""
    checks = [{**asdict(check), "verdict": check.verdict.value} for check in result.checks]
    return {"version": VERSION, "verdict": result.verdict.value, **asdict(result), "checks": checks}


def junit(result: GateResult) -> str:
    """JUnit XML: a test case a check, failed if it fails and skipped if it cannot tell."""
    from lm_eval_plugin.comparison.checks import Verdict

    element = {Verdict.FAIL: "failure", Verdict.CANNOT_TELL: "skipped"}
    counts = {which: sum(check.verdict is which for check in result.checks) for which in Verdict}
    suite = ET.Element(
        "testsuite",
        name="chatbench gate",
        tests=str(len(result.checks)),
        failures=str(counts[Verdict.FAIL]),
        errors="0",
        skipped=str(counts[Verdict.CANNOT_TELL]),
    )
    for check in result.checks:
        case = ET.SubElement(suite, "testcase", classname=_visible(check.task), name=_visible(check.metric))
        if check.verdict in element:
            ET.SubElement(case, element[check.verdict], message=check.verdict.value).text = _visible(_sentence(check))
        else:
            ET.SubElement(case, "system-out").text = _visible(_sentence(check))
    ET.SubElement(suite, "system-out").text = "\n".join(map(_visible, _heading(result)))
    ET.indent(suite)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suite, encoding="unicode")}\n'


def markdown(result: GateResult) -> str:
    """A heading, a table and what was allowed to differ, for a comment on a pull request or to be read as it is."""
    first, *rest = _heading(result)
    table = markdown_table(_COLUMNS, [[in_markdown(cell) for cell in _cells(check)] for check in result.checks])
    return "\n\n".join([f"### {in_markdown(first)}", *map(in_markdown, rest), table]) + "\n"


def _print(result: GateResult) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for line in (*_heading(result), *map(_sentence, result.checks)):
        console.print(Text(_visible(line)))


def _heading(result: GateResult) -> Iterator[str]:
    limits = result.limits
    yield f"chatbench gate: {result.verdict.value}"
    against = (
        f"{result.baseline}, which is the same run, so that nothing was compared"
        if result.same_run
        else result.baseline
    )
    yield (
        f"{result.candidate} against {against}: fails where the interval of the drop lies above {limits.max_drop:g}, "
        f"passes where it lies below, and cannot tell where it does neither; alpha {limits.alpha:g} at each end"
        + ("" if len(result.checks) == 1 else f", shared by {len(result.checks)} checks")
    )
    for difference in result.differences:
        yield f"Allowed although not comparable: {difference}"


def _sentence(check: Check) -> str:
    side = f"{check.metric}, {check.task}: {check.verdict.value}. {check.baseline:.4f} to {check.candidate:.4f}"
    unscored = f", {check.unscored:.1%} not scored" if check.unscored else ""
    size = f"{check.questions} questions, {check.pairs} pairs{unscored}"
    if check.low is None:
        return f"{side}, drop {check.drop:+.4f}; {size}: one question says nothing about the spread"
    told = f"{side}, drop {check.drop:+.4f} ({_interval(check)}), p {_share(check.p_value)}, adjusted {_share(check.adjusted)}"
    if check.detectable is None:
        return f"{told}; {size} are too few to tell any drop from none"
    fails = "fail none" if check.fails_at is None else f"fail one of {check.fails_at:.4f}"
    return f"{told}; {size} tell a drop of {check.detectable:.4f} from none and {fails}, each with 80 % power"


def _cells(check: Check) -> list[str]:
    return [
        check.metric,
        check.task,
        *(f"{value:.4f}" for value in (check.baseline, check.candidate)),
        f"{check.drop:+.4f}",
        _interval(check),
        _share(check.p_value),
        _share(check.adjusted),
        *("none" if value is None else f"{value:.4f}" for value in (check.detectable, check.fails_at)),
        check.verdict.value,
    ]


def _interval(check: Check) -> str:
    return "unknown" if check.low is None or check.high is None else f"{check.low:+.4f} to {check.high:+.4f}"


def _share(p_value: float | None) -> str:
    if p_value is None:
        return "unknown"
    return "below 0.0001" if p_value < 1e-4 else f"{p_value:.4f}"


def _visible(text: str) -> str:
    """The text with control characters, marks of direction and halves of characters as escapes; XML allows none of them."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
