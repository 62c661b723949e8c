"""The questions of the ChatBench study, held as dialogues and set beside what people reached on them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import datasets

from chatbench_tasks.blocks import read_block
from chatbench_tasks.examples import SubjectExamples
from chatbench_tasks.mmlu_layout import check_mmlu_layout
from chatbench_tasks.task import DialogueTask
from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.chatbench_data.release import Release, ReleaseQuestion, load_release
from lm_eval_plugin.chatbench_data.splits import split_questions
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.scoring.agreement import FIGURES, HumanAccuracy, People, complete, human_accuracies

logger = logger_of(__name__)


class StudyPeople(People):
    """The `human:` block: which people, and where the static prompts of their questions have their examples from.

    Args:
        examples: cais/mmlu, or a local folder in its layout, of which each subject's `dev` split is used.
    """

    examples: str = "cais/mmlu"


class HumanTask(DialogueTask):
    """A `DialogueTask` whose data set is a ChatBench release, with the accuracy of people beside its own.

    Beside the `dialogue:` block its YAML has a `human:` block, whose keys are those of `StudyPeople`;
    `--metadata '{"human": {...}}'` overrides it key by key.

    Args:
        config: The YAML as the host read it.

    Raises:
        ConfigError: A block or the data set is wrong, or the data has no such people.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        rest, self.people = read_block(config, "human", StudyPeople)
        super().__init__(rest)
        self.sampler = SubjectExamples(self.people.examples, self._where)

    @property
    def settled_metrics(self) -> Collection[str]:
        """Those of a `DialogueTask`, and what people reached, which not every question has."""
        return [*super().settled_metrics, "acc_human"]

    def download(self, dataset_kwargs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Read the questions and what people reached on them.

        Raises:
            ConfigError: They cannot be had, or the data has no such people.
        """
        revision = (dataset_kwargs or {}).get("revision")
        release = load_release(
            self.DATASET_PATH, revision=revision, study=self.people.study, filtered=self.people.filtered
        )
        reached = human_accuracies(release, self.people, self._where)
        asked = _asked(release, self.people)
        rows = [self._row(question, reached.get(question.id)) for question in asked]
        self.dataset = {"test": datasets.Dataset.from_list(rows)}
        check_mmlu_layout(self.dataset, ["test"], f"{self._where}: data set {self.DATASET_PATH!r}")
        self._say_who(rows)

    def fewshot_context(self, doc: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """The static prompt of a question, with the examples of its subject; the data set itself has none."""
        # The study names its questions by the configuration of mmlu-redux-2.0 that they are from.
        configuration, of_redux, _ = doc["question_id"].partition("-redux-")
        self.sampler.subject = configuration if of_redux else doc["subject"]
        return super().fewshot_context(doc, *args, **kwargs)

    def process_results(self, doc: dict[str, Any], results: list[Any]) -> dict[str, Any]:
        """The metrics of one question, and its accuracies in pairs with that of people."""
        metrics = super().process_results(doc, results)
        if not self.holds_dialogues:
            return metrics
        people = doc["people"]["accuracy"]
        pairs = {name: (metrics.get(self._foretelling(name)), people) for name in self._figures()}
        return {**metrics, "acc_human": people, **pairs}

    def aggregation(self) -> dict[str, Any]:
        """How each metric becomes that of the run; the figures about people are taken over the questions with both sides."""
        if not self.holds_dialogues:
            return super().aggregation()
        figures = {name: partial(_over_pairs, figure) for name, figure in self._figures().items()}
        return {**super().aggregation(), **figures}

    def higher_is_better(self) -> dict[str, bool | None]:
        """Whether more of a metric is better; None where it is neither better nor worse."""
        if not self.holds_dialogues:
            return super().higher_is_better()
        return {**super().higher_is_better(), **{name: "pearson" in name for name in self._figures()}}

    def _figures(self) -> dict[str, Callable[[Sequence[float], Sequence[float]], float]]:
        """The figures about people, by the names of their metrics."""
        sides = ["", "_static"] if self.static_scores else [""]
        return {f"{name}{side}": figure for side in sides for name, figure in FIGURES.items()}

    @staticmethod
    def _foretelling(figure: str) -> str:
        """The accuracy that a figure holds against that of people."""
        return "acc_static" if figure.endswith("_static") else "acc_answered"

    def _row(self, question: ReleaseQuestion, reached: HumanAccuracy | None) -> dict[str, Any]:
        people = self.people.model_dump(exclude={"examples"}) | {
            "accuracy": None if reached is None else reached.accuracy,
            "answers": 0 if reached is None else reached.answers,
        }
        return {
            "question_id": question.id,
            "subject": question.question.subject,
            "question": question.question.stem,
            "choices": list(question.question.choices),
            "answer": question.question.letters.index(question.gold),
            "people": people,
        }

    def _say_who(self, rows: Sequence[dict[str, Any]]) -> None:
        unasked = sum(row["people"]["accuracy"] is None for row in rows)
        if unasked == len(rows):
            raise ConfigError(
                f"{self._where}: nobody answered one of its {len(rows)} questions with {self.people.model}"
            )
        logger.warning(
            "%s: the model under test stands for %s, with which people (%s) answered %d of %d questions%s.",
            self._where,
            self.people.model,
            f"condition {self.people.condition}" if self.people.condition else "of all conditions",
            len(rows) - unasked,
            len(rows),
            "" if self.people.split is None else f" that split {self.people.split} holds out",
        )


def _asked(release: Release, people: People) -> list[ReleaseQuestion]:
    """The questions to ask, in the order of the release."""
    if people.split is None:
        return list(release.questions.values())
    held_out = split_questions(release.questions, people.split, people.held_out_percent).held_out
    return [question for question in release.questions.values() if question.id in held_out]


def _over_pairs(
    figure: Callable[[Sequence[float], Sequence[float]], float], pairs: Sequence[Sequence[float | None]]
) -> float:
    return figure(*complete(pairs))
