"""A multiple-choice task of the host, held as dialogues beside its static score.

Translation only: documents become questions and requests, transcripts become metrics. The static requests, their prompt
and their score are the host's own.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import datasets
import jinja2
import torch
from lm_eval.api.instance import Instance
from lm_eval.api.metrics import mean

from chatbench_tasks.aggregation import mean_of_known
from chatbench_tasks.examples import check_examples
from chatbench_tasks.finite_scores import check_finite
from chatbench_tasks.harness_config import host_config
from chatbench_tasks.mmlu_layout import check_mmlu_layout
from chatbench_tasks.one_of_several import OneOfSeveral
from lm_eval_plugin.border.masking import conceal, masked
from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.config.dialogue import DialogueConfig, merge_blocks, read_dialogue_block, with_gen_kwargs
from lm_eval_plugin.config.protocol import PAPER
from lm_eval_plugin.config.request import DEFAULT_SYSTEM, DialogueRequest
from lm_eval_plugin.dialogue.question import LETTERS, Question
from lm_eval_plugin.dialogue.transcript import StopReason, Transcript
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.harness import registration
from lm_eval_plugin.harness.early_checks import check_metadata_keys
from lm_eval_plugin.harness.letter_until import LETTER_GENERATION, LETTER_INSTRUCTION, read_letter
from lm_eval_plugin.harness.shared_static import asked, is_dialogue
from lm_eval_plugin.runner.runner import check_simulator, free_text
from lm_eval_plugin.scoring.metrics import DIRECTIONS, HIGHER_IS_BETTER, QuestionRecord, question_metrics, supported

logger = logger_of(__name__)

_PRIMARY = ("acc", "exact_match")
_OWN_STATIC = (
    *(f"{what}_static_{score}" for score in ("letter", "letter_few_shot", "free_text") for what in ("acc", "valid")),
    "judged_static_free_text",
)
_PAPERS_EXAMPLES = 5
_BAD_ROW = (KeyError, IndexError, TypeError, ValueError, SyntaxError, jinja2.UndefinedError)


class OwnRequest(Instance):  # type: ignore[misc]
    """A request that this package adds to the host's; the filters of the host's task are not for its responses."""


class DialogueTask(OneOfSeveral):
    """A task whose questions are answered in a conversation with a simulated user.

    Its YAML is one of the host's multiple-choice tasks with this class and a `dialogue:` block, whose keys are those of
    `configuration.DialogueConfig`.

    Args:
        config: The YAML as the host read it, with `--metadata` and the model's arguments under `metadata`.

    Raises:
        ConfigError: The block, the data set or one of its rows is wrong.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        registration.attach_dialogues()
        config = self._without_base_name(config)
        self._where = f"task {config.get('task')}"
        check_metadata_keys(config.get("metadata") or {}, ours=True)
        override = (config.get("metadata") or {}).get("dialogue", {})
        if not isinstance(override, Mapping):
            raise ConfigError(f"--metadata: dialogue is {override!r}; it must be a mapping, such as {{'max_turns': 6}}")
        block = config.get("dialogue") or {}
        whole = merge_blocks(block, override) if isinstance(block, Mapping) else block
        self.dialogue = read_dialogue_block(whole, self._where)
        self._prompting: dict[str, Any] = {}
        try:
            super().__init__(config=host_config(config, self.dialogue, self._where))
        except (KeyError, IndexError, jinja2.UndefinedError) as error:
            raise ConfigError(f"{self._where}: its data set does not hold what the task reads: {error}") from error
        self._check_kind()
        self._check_rows()
        self._use_gen_kwargs(self.dialogue)
        if self._without_judge:
            logger.warning(
                "%s: free_text is left out, since the paper has its replies read by a judge and there is none.",
                self._where,
            )

    @property
    def holds_dialogues(self) -> bool:
        """Whether its samples hold dialogues and their scores, which they do not when only predictions are asked for."""
        return "bypass" not in self._metric_fn_list

    @property
    def static_scores(self) -> Sequence[str]:
        """The static scores beside the interactive one, the first of which is `acc_static`."""
        unread = {"free_text"} if self._without_judge else set()
        return [score for score in self.dialogue.static if score not in {"none", *unread}]

    @property
    def _without_judge(self) -> bool:
        """Whether the protocol asks for free text and there is no judge to read it."""
        dialogue = self.dialogue
        return dialogue.protocol == PAPER and "free_text" in dialogue.static and dialogue.judge is None

    @property
    def settled_metrics(self) -> Collection[str]:
        """Metrics of which the run's results hold the mean of the questions that have them, as one of several processes."""
        return [*HIGHER_IS_BETTER, *_OWN_STATIC] if self._prompting.get("world_size", 1) > 1 else ()

    # What the host asks of a task before it runs

    def download(self, dataset_kwargs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Load the data set; one that stands in for MMLU is checked row by row.

        Raises:
            ConfigError: It cannot be loaded, or lacks a split or column, or has a bad row.
        """
        what = f"{self._where}: data set {self.DATASET_PATH!r}"
        try:
            super().download(dataset_kwargs, **kwargs)
        except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
            reason = f"{error} {error.__cause__ or ''}".strip()
            raise ConfigError(
                f"{what}, configuration {self.DATASET_NAME!r}, cannot be loaded: {reason}\nGive a local folder in the "
                """layout of cais/mmlu with --metadata '{"dialogue": {"dataset": FOLDER}}', or check name and network"""
            ) from error
        if self.dialogue.dataset is not None and self.config.doc_to_choice == ["A", "B", "C", "D"]:
            splits = [split for split in (self.config.test_split, self.config.fewshot_split) if split]
            check_mmlu_layout(self.dataset, splits, what)

    def get_config(self, key: str) -> Any:
        """The host's view of a key; to the question whether it generates, which decides on `--gen_kwargs`, it does."""
        return "generate_until" if key == "output_type" else super().get_config(key)

    def set_config(self, key: str, value: Any, update: bool = False) -> None:  # noqa: FBT001, FBT002
        """Take what the command line sets; `--gen_kwargs` is for the assistant and for a static side that generates."""
        if key == "generation_kwargs":
            self._use_gen_kwargs(with_gen_kwargs(self.dialogue, value))
            if self.OUTPUT_TYPE != "generate_until":
                return
        super().set_config(key, value, update)

    def build_all_requests(
        self, *, cache_requests: bool = False, rewrite_requests_cache: bool = False, **prompting: Any
    ) -> None:
        """Build the requests, static ones first, and make sure that the simulator can hold every question.

        Raises:
            ConfigError: There is no question for this process.
            ModelError: The simulator's model cannot be loaded.
            SimulatorError: It does not fit the questions.
        """
        if cache_requests:
            logger.warning(
                "%s: --cache_requests is not used, since the host's cache does not tell dialogue settings apart.",
                self._where,
            )
        self._prompting = prompting
        super().build_all_requests(**prompting)
        if not self._instances:
            raise ConfigError(
                f"{self._where}: there are fewer questions than processes ({prompting.get('world_size', 1)}), and each needs one; "
                "launch fewer processes"
            )
        talked_about = {id(request.doc): request.doc for request in self._instances if is_dialogue(request)}
        questions = [self.question(doc) for doc in talked_about.values()]
        self._unload_others()
        check_simulator(self.dialogue, questions)
        self._share_static()

    # From documents to requests, from responses to metrics

    def construct_requests(self, doc: dict[str, Any], ctx: str | list[str], **kwargs: Any) -> list[Instance]:
        """The static requests of a document and one for its dialogues, in this order."""
        task, doc_id, _ = kwargs["metadata"]
        requests: list[Instance] = []
        if "loglikelihood" in self.static_scores:
            made = super().construct_requests(doc, ctx, **kwargs)
            requests += made if isinstance(made, list) else [made]
        for score in self._letter_scores:
            arguments = (self._letter_context(doc, score), self._letter_generation())
            requests.append(OwnRequest("letter_until", doc, arguments, len(requests), (task, doc_id, 1)))
        asked = DialogueRequest(
            question=self.question(doc),
            dialogue=self.dialogue,
            system=self._prompting.get("system_instruction") or DEFAULT_SYSTEM,
            chat_template=bool(kwargs.get("apply_chat_template")),
            seed=torch.initial_seed(),
        )
        if "free_text" in self.static_scores:
            arguments = self._reads_its_replies(free_text(asked)).to_arguments()
            requests.append(OwnRequest("free_text_until", doc, arguments, len(requests), (task, doc_id, 1)))
        metadata = (task, doc_id, self.dialogue.repeats)
        requests.append(OwnRequest("converse_until", doc, asked.to_arguments(), len(requests), metadata))
        return requests

    def fewshot_context(self, doc: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """The static prompt of a question.

        Raises:
            ConfigError: It holds the question itself among its examples.
        """
        context = super().fewshot_context(doc, *args, **kwargs)
        text = self.doc_to_text(doc)
        if isinstance(text, str):
            question = self.question(doc)
            check_examples(context, text, question.stem, f"{self._where}, question {question.id}")
        return context

    @property
    def _letter_scores(self) -> list[str]:
        """The static scores by one generated letter, in the order of their requests."""
        return [score for score in ("letter", "letter_few_shot") if score in self.static_scores]

    def _letter_generation(self) -> dict[str, Any]:
        """How a letter is generated: greedily, or under the paper's protocol as the assistant's replies are."""
        temperature = self.dialogue.assistant.temperature if self.dialogue.protocol == PAPER else 0.0
        return {**LETTER_GENERATION, "do_sample": temperature > 0, "temperature": temperature}

    def _reads_its_replies(self, request: DialogueRequest) -> DialogueRequest:
        """The request, with a judge that reads its replies where the paper's protocol has one."""
        judge = request.dialogue.judge
        if self.dialogue.protocol != PAPER or judge is None:
            return request
        reads = judge.model_copy(update={"reads_free_text": True})
        return replace(request, dialogue=request.dialogue.model_copy(update={"judge": reads}))

    def apply_filters(self) -> None:
        """Filter the responses of the host's requests; of its own, keep a letter as it is and all of the transcripts."""
        own = [request for request in self._instances if isinstance(asked(request), OwnRequest)]
        host = [request for request in self._instances if not isinstance(asked(request), OwnRequest)]
        for ensemble in self._filters:
            if host:
                ensemble.apply(host)
            for request in own:
                # Padding of the host's data parallelism can add responses beyond the repeats.
                kept = request.resps[: request.repeats]
                request.filtered_resps[ensemble.name] = kept if is_dialogue(request) else kept[0]

    def process_results(self, doc: dict[str, Any], results: list[Any]) -> dict[str, Any]:
        """The metrics of one question: those of its dialogues, and the static ones.

        Raises:
            ModelError: The static scores are no numbers.
        """
        if "bypass" in self._metric_fn_list:
            return {"bypass": None}
        *static, transcripts = results
        scores = self.static_metrics(doc, static)
        primary = scores.pop("acc_static", None)
        held = tuple(Transcript.from_json(transcript) for transcript in transcripts)
        metrics: dict[str, Any] = question_metrics(
            QuestionRecord(self.question(doc), self.gold_letters(doc), held, primary)
        )
        # The host gathers from several processes only the metrics that every one of them has.
        return {**dict.fromkeys(self.settled_metrics), **metrics, **scores}

    def aggregation(self) -> dict[str, Any]:
        """Means over questions; the host's own static metrics are aggregated as the host does."""
        if "bypass" in self._metric_fn_list:
            return dict(super().aggregation())
        host = {self._static_name(name): function for name, function in self._aggregation_list.items()}
        own = dict.fromkeys([*HIGHER_IS_BETTER, *_OWN_STATIC], mean)
        return {**own, **dict.fromkeys(self.settled_metrics, mean_of_known), **host}

    def higher_is_better(self) -> dict[str, bool | None]:
        """Whether more of a metric is better; None where it is neither better nor worse."""
        if "bypass" in self._metric_fn_list:
            return dict(super().higher_is_better())
        host = {self._static_name(name): better for name, better in self._higher_is_better.items()}
        return {**DIRECTIONS, **dict.fromkeys(_OWN_STATIC, True), **host}

    def question(self, doc: dict[str, Any]) -> Question:
        """The question of a document, without its answer.

        Its id depends on its text alone, so it stays the same whatever part of a data set is run, and in which order.
        """
        stem = self.doc_to_text(doc, self.dialogue.stem)
        choices = self.doc_to_choice(doc, self.dialogue.choices)
        if self.dialogue.stem is None and isinstance(stem, str):
            stem = stem.strip().removesuffix("Answer:").removeprefix("Question:").strip()
        digest = hashlib.sha256(json.dumps([stem, choices]).encode()).hexdigest()[:10]
        shown = [choices[place] for place in self._order(digest, len(choices))]
        subject = self.DATASET_NAME or self._base_name
        return Question(f"{self._base_name}-{digest}", subject, stem, tuple(shown))

    def gold_letters(self, doc: dict[str, Any]) -> frozenset[str]:
        """The letters of the right options, as the question shows them.

        Raises:
            ValueError: The document's target is none of its options.
        """
        question = self.question(doc)
        order = self._order(question.id.rpartition("-")[2], len(question.choices))
        return frozenset(question.letters[order.index(place)] for place in self._gold_places(doc))

    def _gold_places(self, doc: dict[str, Any]) -> list[int]:
        """The places of the right options in the data set, from 0."""
        target = self.doc_to_target(doc)
        options = LETTERS if self.config.doc_to_choice is None else self.doc_to_choice(doc)
        return [_place(entry, options) for entry in (target if isinstance(target, list) else [target])]

    def _order(self, digest: str, options: int) -> list[int]:
        """The data set's places of the options in the order in which a question shows them."""
        order = list(range(options))
        if self.dialogue.shuffle_choices:
            random.Random(digest).shuffle(order)
        return order

    def _letter_context(self, doc: dict[str, Any], score: str) -> str:
        """The host's prompt of a document, with the instruction to reply with a letter."""
        shots = _PAPERS_EXAMPLES if score == "letter_few_shot" else self.config.num_fewshot or 0
        given = self._prompting.get("system_instruction")
        state = self.sampler.rnd.getstate()
        context: str = self.fewshot_context(
            doc,
            num_fewshot=0 if score == "letter" and self.dialogue.protocol == PAPER else shots,
            system_instruction=f"{given}\n\n{LETTER_INSTRUCTION}" if given else LETTER_INSTRUCTION,
            **{
                key: self._prompting.get(key)
                for key in ("apply_chat_template", "fewshot_as_multiturn", "chat_template")
            },
            gen_prefix=self.doc_to_prefix(doc),
        )
        # The host's own prompt of the next document must draw the examples that it draws without this one.
        self.sampler.rnd.setstate(state)
        return context

    def static_metrics(self, doc: dict[str, Any], results: list[Any]) -> dict[str, Any]:
        """The static scores of a question, by what was said to its static requests, in their order."""
        metrics: dict[str, Any] = {}
        if "free_text" in self.static_scores:
            *results, (transcript,) = results
            metrics |= self._free_text_metrics(doc, Transcript.from_json(transcript))
        for score in reversed(self._letter_scores):
            *results, reply = results
            metrics |= self._letter_metrics(doc, reply, score)
        if "loglikelihood" in self.static_scores:
            check_finite(results, f"{self._where}, question {self.question(doc).id}")
            host = super().process_results(doc, results)
            metrics |= {self._static_name(name): value for name, value in host.items()}
        return metrics

    def _letter_metrics(self, doc: dict[str, Any], reply: str | None, score: str) -> dict[str, Any]:
        """The score of one letter; none without a reply, and wrong if it is none of the question's letters."""
        if reply is None:
            return {}
        letter = read_letter(reply, self.question(doc))
        # The prompt shows the options as the data set has them, whatever their order in the dialogues.
        right = [LETTERS[place] for place in self._gold_places(doc)]
        return {
            self._static_accuracy(score): float(letter in right),
            f"valid_static_{score}": float(letter is not None),
        }

    def _free_text_metrics(self, doc: dict[str, Any], asked: Transcript) -> dict[str, Any]:
        """The score of one free reply; none without a reply or a verdict on it, and wrong if it decides for no option."""
        if asked.stop_reason is StopReason.MODEL_ERROR:
            return {}
        question, dialogue, judge = self.question(doc), self.dialogue, self.dialogue.judge
        by_judge = judge is not None and (judge.reads_free_text or dialogue.protocol == PAPER)
        if by_judge:
            unread, letter = asked.stop_reason is StopReason.INVALID, asked.answer
        else:
            unread = any(read.letters is None for read in asked.reads or ())
            letter = next(iter(supported(asked, question)), None)
        read = {"judged_static_free_text": float(not unread)} if by_judge or dialogue.reader_model is not None else {}
        if unread:
            return read
        return {
            self._static_accuracy("free_text"): float(letter in self.gold_letters(doc)),
            "valid_static_free_text": float(letter is not None),
            **read,
        }

    def _static_name(self, name: str) -> str:
        """The name of a metric of the host beside the interactive ones."""
        primary = next((metric for metric in _PRIMARY if metric in self._metric_fn_list), None)
        return self._static_accuracy("loglikelihood") if name == primary else f"{name}_static"

    def _static_accuracy(self, score: str) -> str:
        """The name of the accuracy by one of the static scores: `acc_static` for the first that the task lists."""
        return "acc_static" if score in self.static_scores[:1] else f"acc_static_{score}"

    def _use_gen_kwargs(self, dialogue: DialogueConfig) -> None:
        """Take over how the assistant generates, and note it where the host logs and saves it."""
        self.dialogue = dialogue
        # The model's own arguments are among it, and all of it goes into the results.
        self.config.metadata = {**masked(self.config.metadata), "dialogue": conceal(dialogue.model_dump(mode="json"))}
        if self.OUTPUT_TYPE != "generate_until":
            self.config.generation_kwargs = dialogue.assistant.model_dump()

    def _check_kind(self) -> None:
        """Refuse what cannot be held as a dialogue about a question with options."""
        if self.OUTPUT_TYPE not in ("multiple_choice", "generate_until") or self.multiple_input:
            raise ConfigError(f"{self._where} is not a question with options, so no dialogue can be held about it")
        if "loglikelihood" in self.static_scores and not set(_PRIMARY) & self._metric_fn_list.keys():
            raise ConfigError(
                f"{self._where}: of its metrics ({', '.join(self._metric_fn_list)}) none is {' or '.join(_PRIMARY)}, so it has no "
                "static accuracy; set static: none"
            )
        if self.config.doc_to_choice is None and self.dialogue.choices is None:
            raise ConfigError(
                f"{self._where} has no doc_to_choice; name the column of the option texts in dialogue: choices:"
            )
        for key in ("stem", "choices"):
            column = getattr(self.dialogue, key)
            if column is not None and "{{" not in column and column not in self.features:
                raise ConfigError(
                    f"{self._where}: dialogue.{key} is {column!r}; the columns are {', '.join(self.features)}"
                )

    def _check_rows(self) -> None:
        golds = set()
        for number, doc in enumerate(self.task_docs):
            try:
                question = self.question(doc)
                golds.add(self.gold_letters(doc))
            except _BAD_ROW as error:
                raise ConfigError(f"{self._where}, row {number} of its documents: {error}") from error
            if question.choices == tuple(question.letters):
                raise ConfigError(
                    f"{self._where}, row {number}: the options are the bare letters {', '.join(question.choices)}; name the column "
                    "of their texts in dialogue: choices:"
                )
            if self.dialogue.stem is None and all(choice in question.stem for choice in question.choices):
                raise ConfigError(
                    f"{self._where}, row {number}: the question has its options in it already; name the column without them in "
                    "dialogue: stem:"
                )
            if self._letter_scores and not all(choice in self.doc_to_text(doc) for choice in question.choices):
                raise ConfigError(
                    f"{self._where}, row {number}: the task's prompt does not show the options, so static: letter cannot ask for "
                    "one; set static to loglikelihood or none"
                )
        if len(golds) == 1 and len(self.task_docs) > 1:
            logger.warning(
                "%s: the right option is %s in every question, which a model that likes that letter profits from; "
                "consider dialogue: shuffle_choices: true",
                self._where,
                " or ".join(*golds),
            )


def _place(target: object, options: Sequence[str]) -> int:
    """The place of a right option, from 0; the target is that place, or the option as the task has it."""
    if isinstance(target, int) and 0 <= target < len(options):
        return target
    if isinstance(target, str) and target in list(options):
        return options.index(target)
    raise ValueError(f"the target {target!r} is none of the options {', '.join(map(str, options))}")
