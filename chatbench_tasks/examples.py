"""The examples in a static prompt: which a question of the study gets, and that none of them is the question itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
from lm_eval.api.samplers import ContextSampler

from chatbench_tasks.harness_config import cache_of
from chatbench_tasks.mmlu_layout import check_mmlu_layout
from lm_eval_plugin.border.paths import check_local_path, local_or_hub
from lm_eval_plugin.errors import ConfigError

SPLIT = "dev"
_LONG_STEM = 30
"""Characters from which on a question's text stands in no other question by chance."""


class SubjectExamples(ContextSampler):
    """The first questions of a subject's `dev` split in cais/mmlu, which are the examples of lm_eval's own MMLU tasks.

    Args:
        source: cais/mmlu, or a local folder in its layout; read when it is first needed.
        where: Names it in errors.
    """

    def __init__(self, source: str, where: str) -> None:
        super().__init__()
        self._source = source
        self._where = where
        self._of_subjects: dict[str, Sequence[dict[str, Any]]] = {}
        self.subject = ""

    def sample(
        self, n: int, eval_doc: dict[str, Any] | None = None, df: Any = None, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """The first n examples of the subject that was set.

        Raises:
            ConfigError: They cannot be had, or there are fewer.
        """
        if self.subject not in self._of_subjects:
            self._of_subjects[self.subject] = list(self._loaded_examples())
        examples = self._of_subjects[self.subject]
        if n > len(examples):
            raise ConfigError(
                f"{self._where}: {n} examples are asked for, and {self._source} has {len(examples)} of {self.subject}; "
                "lower --num_fewshot"
            )
        return list(examples[:n])

    def _loaded_examples(self) -> Any:
        what = f"{self._where}: the examples of {self.subject}, from {self._source},"
        check_local_path(self._source, f"{self._where}: human.examples")
        source = local_or_hub(self._source)
        try:
            loaded = datasets.load_dataset(source, self.subject, split=SPLIT, cache_dir=cache_of(source))
        except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
            raise ConfigError(
                f"{what} cannot be loaded: {error}\nGive a local folder in the layout of cais/mmlu with "
                """--metadata '{"human": {"examples": FOLDER}}', or leave --num_fewshot out"""
            ) from error
        check_mmlu_layout({SPLIT: loaded}, [SPLIT], what)
        return loaded


def check_examples(context: object, question: str, stem: str, where: str) -> None:
    """Refuse a prompt that holds its own question among its examples, and with it the right answer.

    Args:
        context: The whole prompt.
        question: The question as the prompt shows it.
        stem: Without its options, which an example may have in another order.
        where: Names the task and the question.

    Raises:
        ConfigError: The question stands in the prompt more than once.
    """
    prompt = _bare(context if isinstance(context, str) else str(context))
    shown, alone = _bare(question.removesuffix("Answer:")), _bare(stem)
    if prompt.count(shown) > 1 or (len(alone) >= _LONG_STEM and prompt.count(alone) > _bare(question).count(alone)):
        raise ConfigError(
            f"{where}: the static prompt holds the question itself among its examples, with its answer; give the task a "
            "fewshot_split that its questions are not in, or leave --num_fewshot out"
        )


def _bare(text: str) -> str:
    # A chat is JSON or a template's text, where a line end may stand as two characters.
    return " ".join(text.replace("\\n", " ").split()).casefold()
