"""`chatbench human`: what people would reach with a model, or how well simulated users predicted what they reached."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lm_eval_plugin.chatbench_data.columns import STUDY
from lm_eval_plugin.errors import ConfigError

if TYPE_CHECKING:
    from lm_eval_plugin.comparison.human_claims import Claim
    from lm_eval_plugin.comparison.human_prediction import Prediction
    from lm_eval_plugin.comparison.human_study import AgainstPeople

VERSION = 1
"""Version of the JSON form."""

_FOR_PEOPLE = ("model", "condition", "study", "filtered", "population")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "runs",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="the folder that lm_eval wrote a run to; without --human, of chatbench_human",
    )
    people = parser.add_argument_group("what people would reach")
    people.add_argument(
        "--human",
        metavar="DATA",
        help="a folder or hub name of the ChatBench data set, or what chatbench collect wrote: estimate what people would "
        "reach with each run's model, with a 95%% interval",
    )
    people.add_argument(
        "--model",
        action="append",
        metavar="[RUN_MODEL=]NAME",
        help="the data's name for the run's model, where the two differ; for several runs once each",
    )
    people.add_argument("--condition", help="take one condition's people: direct-to-AI or answer-first (default: both)")
    people.add_argument("--study", metavar="FOLDER", help=f"the study's folder in the data (default: {STUDY})")
    people.add_argument(
        "--filtered", action="store_true", default=None, help="leave out the people whom the study left out"
    )
    people.add_argument(
        "--population",
        action="store_true",
        default=None,
        help="claim it of questions like the run's, instead of exactly these",
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(chosen: argparse.Namespace) -> int:
    """Print what people would reach, or a table of a run of `chatbench_human`, for each run."""
    if chosen.human is None:
        _check_alone(chosen)
        _compare(chosen)
    else:
        _claim(chosen)
    return 0


def _check_alone(chosen: argparse.Namespace) -> None:
    if idle := [name for name in _FOR_PEOPLE if getattr(chosen, name) is not None]:
        raise ConfigError(
            f"--{' and --'.join(idle)} mean something with --human alone; a run of chatbench_human has its own"
        )


def _compare(chosen: argparse.Namespace) -> None:
    from lm_eval_plugin.cli.human_tables import as_json, print_comparison
    from lm_eval_plugin.comparison.human_study import against_people

    found: list[AgainstPeople] = [each for path in chosen.runs for each in against_people(path)]
    if chosen.json:
        rows = [{**as_json(each), "people": each.people.model_dump()} for each in found]
        print(json.dumps({"version": VERSION, "runs": rows}, indent=2))
    else:
        print_comparison(found)


def _claim(chosen: argparse.Namespace) -> None:
    from lm_eval_plugin.chatbench_data.release import load_release
    from lm_eval_plugin.cli.human_tables import as_json, print_claims
    from lm_eval_plugin.comparison.human_claims import Study
    from lm_eval_plugin.comparison.human_prediction import claims
    from lm_eval_plugin.results.runs import load_run

    release = load_release(chosen.human, study=chosen.study or STUDY, filtered=bool(chosen.filtered))
    study = Study(release, chosen.condition, _named(chosen.model or []), bool(chosen.population))
    found: Sequence[Claim | Prediction] = claims([load_run(path) for path in chosen.runs], study)
    if chosen.json:
        print(json.dumps({"version": VERSION, "claims": [as_json(each) for each in found]}, indent=2))
    else:
        print_claims(found)


def _named(given: Sequence[str]) -> Mapping[str | None, str]:
    """The data's names of models by the run's; under None the one that is given for all."""
    named: dict[str | None, str] = {}
    for text in given:
        model, told, name = text.rpartition("=")
        key = model if told else None
        if key in named:
            raise ConfigError(
                f"--model: two names for {key or 'all runs'}; give several runs as --model RUN_MODEL=NAME"
            )
        named[key] = name
    return named
