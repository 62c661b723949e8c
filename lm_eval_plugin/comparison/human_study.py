"""A finished run of `chatbench_human` beside people, from its logged samples alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum
from pathlib import Path
from statistics import fmean
from typing import Any

from lm_eval_plugin.config.strict import validated
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.results.jsonl import json_lines
from lm_eval_plugin.results.run_files import sample_files
from lm_eval_plugin.results.runs import model_of
from lm_eval_plugin.results.samples import read_records
from lm_eval_plugin.scoring.agreement import Agreement, People, agreement, complete
from lm_eval_plugin.scoring.metrics import answer_given
from lm_eval_plugin.scoring.summary import foretelling


@dataclass(frozen=True, slots=True)
class AgainstPeople:
    """A task of a run beside the people that its `human:` block names.

    Args:
        model: The model under test, as the host names it; its folder's name where the results are not beside the samples.
        simulator: The simulated user's label.
        people: The people.
        questions: How many questions were asked.
        without_people: How many of these no such person answered; they are left out of everything below.
        accuracy: What people reached, from 0 to 1.
        answer_given: The share of dialogues that ended with an answer, which are those that the simulated accuracy is taken over.
        foretold_by: How well the accuracy of the simulated users (`simulated`) and that of the model alone (`static`)
            foretell it; missing without a dialogue that ended with an answer, or without a static score.
    """

    model: str
    simulator: str
    people: People
    questions: int
    without_people: int
    accuracy: float
    answer_given: float
    foretold_by: Mapping[str, Agreement]


def against_people(run: Path) -> list[AgainstPeople]:
    """The tasks of a run that name people.

    Args:
        run: The folder that lm_eval wrote the run to, or a samples file of it.

    Raises:
        ConfigError: It cannot be read, or holds no such task, or nothing to compare.
    """
    tasks = [(file, list(json_lines(file))) for _, file in sample_files([run])]
    named = [(file, samples) for file, samples in tasks if "people" in samples[0].get("doc", {})]
    if not named:
        raise ConfigError(f"{run} holds no task with the accuracy of people; run lm_eval with --tasks chatbench_human")
    return [_compared(file, samples) for file, samples in named]


def _compared(file: Path, samples: list[dict[str, Any]]) -> AgainstPeople:
    reached = [sample["doc"]["people"] for sample in samples]
    records = read_records(samples, str(file))
    people = [each["accuracy"] for each in reached]
    known = [accuracy for accuracy in people if accuracy is not None]
    sides = {name: complete(zip(side, people, strict=True)) for name, side in foretelling(records).items()}
    if not known or not any(record.scored for record in records):
        raise ConfigError(f"{file}: no question has both a scored dialogue and an answer of a person")
    return AgainstPeople(
        model=model_of(file),
        simulator=records[0].transcripts[0].simulator,
        people=validated(
            People, {key: reached[0][key] for key in People.known_keys() if key in reached[0]}, f"{file}: people"
        ),
        questions=len(samples),
        without_people=len(people) - len(known),
        accuracy=fsum(known) / len(known),
        answer_given=fmean(answer_given(each) for record in records for each in record.scored),
        foretold_by={name: agreement(*pairs) for name, pairs in sides.items() if pairs[0]},
    )
