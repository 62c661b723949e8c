"""Perplexity of a simulated user's weights on what people of a ChatBench release wrote."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

import datasets
from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask
from pydantic import Field

from chatbench_tasks.aggregation import mean_of_known, perplexity_of_known
from chatbench_tasks.blocks import read_block
from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.chatbench_data.columns import STUDY
from lm_eval_plugin.chatbench_data.release import Release, load_release
from lm_eval_plugin.chatbench_data.splits import HELD_OUT_PERCENT, split_questions
from lm_eval_plugin.config.strict import Strict
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.harness import registration
from lm_eval_plugin.training.examples import Example, examples
from lm_eval_plugin.training.perplexity import ReplyScore, score_arguments, score_reply

logger = logger_of(__name__)


class ExamplesConfig(Strict):
    """Which examples are scored: the `examples:` block of the task.

    Args:
        dataset: A name on the hub, or a local folder in the layout of microsoft/ChatBench.
        revision: Its commit, branch or tag on the hub.
        study: The folder of the study in it.
        split: The seed of the split of the questions, as a simulator is trained with; None for all questions.
        held_out_percent: How many of 100 questions are held out.
        side: Which side of the split.
        reading: How the conversation stands in the prompt, `A` or `B`.
    """

    dataset: str = "microsoft/ChatBench"
    revision: str | None = None
    study: str = STUDY
    split: int | None = Field(0, ge=0)
    held_out_percent: int = Field(HELD_OUT_PERCENT, ge=1, le=99)
    side: Literal["held_out", "train"] = "held_out"
    reading: Literal["A", "B"] = "A"


class PerplexityTask(ConfigurableTask):
    """How well a model foretells the replies of people, prompted as a simulated user is.

    Its YAML has an `examples:` block, whose keys are those of `ExamplesConfig`; `--metadata '{"examples": {...}}'`
    overrides it key by key.

    Args:
        config: The YAML as the host read it.

    Raises:
        ConfigError: The block or the data set is wrong.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        rest, self.examples = read_block(config, "examples", ExamplesConfig)
        self._where = f"task {config.get('task')}"
        registration.attach_scoring(score_reply)
        super().__init__(config=rest)

    def download(self, dataset_kwargs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Make the examples.

        Raises:
            ConfigError: The data cannot be had, or there is no conversation about one of the questions.
        """
        release = load_release(self.examples.dataset, revision=self.examples.revision, study=self.examples.study)
        chosen = self._questions(release)
        made = examples(release.conversations, release.questions, chosen, self.examples.reading)
        if not made:
            raise ConfigError(f"{self._where}: there is no conversation about one of its {len(chosen)} questions")
        self.dataset = {"test": datasets.Dataset.from_list([_row(example) for example in made])}

    def build_all_requests(self, **prompting: Any) -> None:
        """Build the requests; how the host prompts does not change them, which is said where it was asked for."""
        ignored = [key for key in ("apply_chat_template", "system_instruction") if prompting.get(key)]
        if ignored or self.config.num_fewshot:
            logger.warning(
                "%s scores the simulator's own prompts; %s has no effect on them",
                self._where,
                " and ".join(f"--{key}" for key in [*ignored, *["num_fewshot"] * bool(self.config.num_fewshot)]),
            )
        super().build_all_requests(**prompting)

    def construct_requests(self, doc: dict[str, Any], ctx: str | list[str], **kwargs: Any) -> Instance:
        """One request, whose arguments do not depend on how the host prompts."""
        arguments = score_arguments(doc["prompt"], doc["reply"], doc["letters"])
        return Instance("score_reply", doc, arguments, 0, kwargs["metadata"])

    def process_results(self, doc: dict[str, Any], results: list[Any]) -> dict[str, Any]:
        """What an example adds to each metric; None where it adds nothing."""
        score = ReplyScore(**results[0])
        return {
            "reply_perplexity": None if score.reply is None else (score.reply, score.reply_tokens),
            "string_perplexity": None if score.string is None else (score.string, score.tokens),
            "answer_named": None if score.likeliest is None else float(score.likeliest == doc["letter"]),
            "too_long": float(score.string is None),
        }

    def aggregation(self) -> dict[str, Any]:
        """Perplexities over all tokens; shares of examples."""
        return {
            "reply_perplexity": perplexity_of_known,
            "string_perplexity": perplexity_of_known,
            "answer_named": mean_of_known,
            "too_long": _share_too_long,
        }

    def higher_is_better(self) -> dict[str, bool]:
        """Whether more of a metric is better."""
        return {"reply_perplexity": False, "string_perplexity": False, "answer_named": True, "too_long": False}

    def _questions(self, release: Release) -> Collection[str]:
        if self.examples.split is None:
            return list(release.questions)
        split = split_questions(release.questions, self.examples.split, self.examples.held_out_percent)
        return split.held_out if self.examples.side == "held_out" else split.train


def _row(example: Example) -> dict[str, Any]:
    return {
        "question_id": example.question.id,
        "row": example.row,
        "turn": example.turn,
        "prompt": example.prompt,
        "reply": example.completion,
        "letter": example.letter,
        "letters": "" if example.letter is None else example.question.letters,
    }


def _share_too_long(values: list[float]) -> float:
    """The share of strings that the model's window cannot hold, which are not scored; said if there are any."""
    if count := int(sum(values)):
        logger.warning("%d of %d strings are longer than the model's window and are not scored", count, len(values))
    return mean_of_known(values)
