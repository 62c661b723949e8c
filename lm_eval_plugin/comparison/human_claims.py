"""What people would reach with the model of a run, where people have talked with it about some of the run's questions.

`scoring.prediction_powered` makes the estimate; here run and people are brought together. Questions are found by their words and
options; people whose data takes another option to be right than the run does are left out of the question, and counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from lm_eval_plugin.chatbench_data.columns import plain
from lm_eval_plugin.chatbench_data.release import HumanConversation, Release, ReleaseQuestion, UserAnswer
from lm_eval_plugin.comparison.same_question import question_key
from lm_eval_plugin.config.strict import nearest
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.results.runs import Run, TaskRun
from lm_eval_plugin.scoring.agreement import answers_with_ai
from lm_eval_plugin.scoring.metrics import QuestionRecord, accuracy
from lm_eval_plugin.scoring.prediction_powered import Powered, powered_estimate
from lm_eval_plugin.scoring.stratified_sample import Answers

_CONDITIONS = {"direct": "directtoai"}


@dataclass(frozen=True, slots=True)
class Study:
    """The people that runs are held against.

    Args:
        release: The data.
        condition: `answer-first` or `direct-to-AI`; None for both.
        named: The data's name for the model of a run, by the run's; under None the one that holds for all runs.
        population: Whether the claim is about questions like those of the run instead of exactly these.
    """

    release: Release
    condition: str | None = None
    named: Mapping[str | None, str] | None = None
    population: bool = False


@dataclass(frozen=True, slots=True)
class RunAsked:
    """The questions of a run under one simulated user.

    Args:
        model: The model under test.
        simulator: The simulated user's label.
        tasks: The run's tasks with this user.
        records: Their questions that have a dialogue that counts.
        unscored: How many others there are, all of whose dialogues ended by a model error; they are left out.
    """

    model: str
    simulator: str
    tasks: Mapping[str, TaskRun]
    records: tuple[QuestionRecord, ...]
    unscored: int

    @property
    def simulated(self) -> list[float]:
        """The simulated accuracy of each question."""
        return [fmean(accuracy(held, each.gold) for held in each.scored) for each in self.records]


@dataclass(frozen=True, slots=True)
class Claim:
    """What people would reach with a model that people have talked with.

    Args:
        model: The model under test.
        simulator: The simulated user's label.
        people_model: The model's name in the data.
        condition: Of the people; None for both.
        population: Whether the target is questions like these.
        powered: The estimate.
        unscored: Questions of the run that are left out because no dialogue about them counts.
        other_gold: Questions whose people are left out because data and run take other answers to be right.
    """

    model: str
    simulator: str
    people_model: str
    condition: str | None
    population: bool
    powered: Powered
    unscored: int
    other_gold: int


def by_simulator(run: Run) -> list[RunAsked]:
    """The questions of a run under each of its simulated users.

    Raises:
        ConfigError: No dialogue under one of them counts.
    """
    tasks: defaultdict[str, dict[str, TaskRun]] = defaultdict(dict)
    for name, task in run.tasks.items():
        tasks[task.records[0].transcripts[0].simulator][name] = task
    return [_asked(run.model, simulator, held) for simulator, held in tasks.items()]


def _asked(model: str, simulator: str, tasks: Mapping[str, TaskRun]) -> RunAsked:
    records = [record for task in tasks.values() for record in task.records]
    scored = tuple(record for record in records if record.scored)
    if not scored:
        raise ConfigError(
            f"{model} with {simulator}: no question has a dialogue that counts, so there is nothing to claim"
        )
    return RunAsked(model, simulator, tasks, scored, len(records) - len(scored))


class HumanStudy:
    """The answers of a study, found by model and by question.

    Args:
        study: Which.

    Raises:
        ConfigError: The data cannot be read, or has no such condition.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self.source = study.release.source
        given = answers_with_ai(study.release)
        self.models = sorted({answer.model for answer, _ in given})
        self.condition = _named_condition(study.condition, {answer.condition for answer, _ in given}, self.source)
        self._by_text: defaultdict[tuple[str, ...], list[ReleaseQuestion]] = defaultdict(list)
        for question in study.release.questions.values():
            self._by_text[question_key(question.question)].append(question)
        self._given: defaultdict[tuple[str, str], list[tuple[UserAnswer | HumanConversation, bool]]] = defaultdict(list)
        for answer, right in given:
            if self.condition in {None, answer.condition}:
                self._given[answer.model, answer.question_id].append((answer, right))

    def claim(self, asked: RunAsked) -> Claim | None:
        """What people would reach with the model of a run; None where nobody talked with it."""
        model = self._model(asked.model)
        if model is None:
            return None
        answers, other_gold = self._answers(asked, model)
        if not len(answers.right):
            raise ConfigError(
                f"{self.source}: nobody who talked with {model} answered one of the {len(asked.records)} questions of the run "
                f"of {asked.model}; give the data that the run's questions are from"
            )
        strata = [record.question.subject for record in asked.records]
        powered = powered_estimate(np.array(asked.simulated), strata, answers, population=self._study.population)
        return Claim(
            asked.model,
            asked.simulator,
            model,
            self.condition,
            self._study.population,
            powered,
            asked.unscored,
            other_gold,
        )

    def _model(self, name: str) -> str | None:
        """The data's name of a run's model; without one that was given, the one of the same letters and numbers."""
        named = self._study.named or {}
        given = named.get(name, named.get(None))
        if given is not None and given not in self.models:
            raise ConfigError(f"{self.source}: nobody talked with {given!r}{nearest(given, self.models)}")
        return given or next((each for each in self.models if _bare(each) == _bare(name)), None)

    def _answers(self, asked: RunAsked, model: str) -> tuple[Answers, int]:
        """The answers by the index of the run's question, and on how many questions another answer is right."""
        rows: list[tuple[int, str, bool]] = []
        other_gold = 0
        for index, record in enumerate(asked.records):
            alike = self._by_text.get(question_key(record.question), [])
            same = [each for each in alike if _gold_text(each) in _gold_texts(record)]
            other_gold += bool(alike) and not same
            rows += [
                (index, answer.worker, right)
                for each in same
                for answer, right in self._given.get((model, each.id), [])
            ]
        workers = {worker: number for number, worker in enumerate(sorted({worker for _, worker, _ in rows}))}
        return Answers(
            np.array([index for index, _, _ in rows], dtype=np.int64),
            np.array([workers[worker] for _, worker, _ in rows], dtype=np.int64),
            np.array([right for _, _, right in rows], dtype=np.float64),
        ), other_gold


def _bare(name: str) -> str:
    """A model's name without its owner, case and punctuation."""
    return "".join(filter(str.isalnum, name.rstrip("/").rsplit("/", 1)[-1].lower()))


def _named_condition(wanted: str | None, known: set[str], source: str) -> str | None:
    if wanted is None:
        return None
    compared = _CONDITIONS.get(plain(wanted), plain(wanted))
    found = next((each for each in sorted(known) if plain(each) == compared), None)
    if found is None:
        raise ConfigError(f"{source}: the condition {wanted!r} is nobody's{nearest(wanted, sorted(known))}")
    return found


def _gold_text(question: ReleaseQuestion) -> str:
    return _choice(question.question, question.gold)


def _gold_texts(record: QuestionRecord) -> set[str]:
    return {_choice(record.question, letter) for letter in record.gold}


def _choice(question: Question, letter: str) -> str:
    return " ".join(question.choices[question.letters.index(letter)].split())
