"""Finding and reading what the host has written of a run.

A run is one folder of the host's `--output_path` and one date: `results_<date>.json` says what was run,
`samples_<task>_<date>.jsonl` holds the questions of each task.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lm_eval_plugin.border.logged_fields import ResultsFields, checked
from lm_eval_plugin.border.masking import masked
from lm_eval_plugin.config.request import DialogueRequest
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.results.jsonl import (
    Broken,
    json_objects,
    no_search_for_cycles,
    numbered_lines,
    refuse,
)
from lm_eval_plugin.results.run_files import NAME, RESULTS, date_of, files_of_date, results_of, sample_files
from lm_eval_plugin.results.samples import (
    Readings,
    StaticResponse,
    dialogue_request,
    of_first_filter,
    read_question,
    readings_of,
    task_settings,
)
from lm_eval_plugin.scoring.metrics import QuestionRecord
from lm_eval_plugin.scoring.summary import VERSION

_SAID = 3  # problems of one file that are told one by one


def read_run(paths: Iterable[Path], missing: Broken = refuse) -> dict[str, list[QuestionRecord]]:
    """The questions of each task of a run.

    Args:
        paths: Sample files, or folders that hold them; of several runs in a folder the latest counts.
        missing: Takes what is said of questions that the results beside a file tell of and that are not in it.

    Raises:
        ConfigError: There is no such file, two of them are of one task, or one cannot be read.
    """
    run: dict[str, list[QuestionRecord]] = {}
    for task, file in sample_files(paths):
        if task in run:
            raise ConfigError(f"{file}: a second file of the task {task}; name one run at a time")
        run[task] = [record for record, _, _ in _questions(file, refuse)]
        _check_whole(task, file, len(run[task]), missing)
    return run


def _check_whole(task: str, file: Path, read: int, missing: Broken) -> None:
    results = results_of(file) if NAME.fullmatch(file.name) else None
    if results is None or not results.is_file():
        return
    questions = _summaries(_results(results)).get(task, {}).get("questions", read)
    if questions != read:
        missing(_too_few(file, read, questions))


def _too_few(file: Path, read: int, questions: int) -> ConfigError:
    return ConfigError(f"{file}: {read} of the {questions} questions that its results tell of can be read")


@dataclass(frozen=True, slots=True)
class TaskRun:
    """One task of a run.

    Args:
        records: Its questions.
        settings: What its numbers depend on beside the model: the simulator's label and the other keys of the dialogue
            block, the assistant's prompting, the task's version, examples and limit.
        static: What the model said of each question without a dialogue; empty if that is not known. No number depends on
            it and an export does not hold it, so it is not compared.
        readings: Of each question and dialogue which options each reply of the assistant supports, as the run has read them
            ("AC" for A and C); None for a question of which that is not logged. Not compared, likewise.
    """

    records: tuple[QuestionRecord, ...]
    settings: Mapping[str, Any]
    static: tuple[tuple[StaticResponse, ...], ...] = field(default=(), compare=False)
    readings: tuple[Readings | None, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run was when it was read from its cache.

    Args:
        dialogues: How many had ended.
        of: How many it asks for, as far as its processes have said so.
        state: `finished`, `not finished`, or what ended it.
    """

    dialogues: int
    of: int
    state: str


@dataclass(frozen=True, slots=True)
class Run:
    """A run of one model.

    Args:
        where: Its results file.
        model: The model under test, as the host names it.
        date: When it was, as it stands in the names of its files.
        tasks: Its tasks with dialogues, by name.
        configuration: What else the host notes of it: the model's arguments, seeds, versions of the software.
        summaries: What its results say of each task with dialogues, as `summary.summarize` has it.
        progress: How far it is, where that is read from its cache; None for a run that has written its results.
    """

    where: Path
    model: str
    date: str
    tasks: Mapping[str, TaskRun]
    configuration: Mapping[str, Any] = field(default_factory=dict)
    summaries: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress | None = None


def load_run(path: Path, broken: Broken = refuse) -> Run:
    """A run with its results.

    Args:
        path: The folder of a run, of whose runs the latest counts, or one `results_*.json`.
        broken: Takes what is said of a task, a line or a sample that cannot be read; the run is then what else there is.

    Raises:
        ConfigError: There is no such run, nothing of it can be read, or its results file is missing or of another version.
    """
    if path.is_file() and not (match := RESULTS.fullmatch(path.name)):
        raise ConfigError(f"{path} is no results_*.json; name that, or the folder that holds it")
    files = files_of_date(path.parent, match["date"]) if path.is_file() and match else dict(sample_files([path]))
    some = next(iter(files.values()))
    where = results_of(some)
    date = date_of(some)
    results = _results(where)
    for name in _summaries(results).keys() - files.keys():
        broken(ConfigError(f"{where} tells of the task {name}, but there is no samples_{name}_{date}.jsonl beside it"))
    read = {name: _task_run(name, file, results, broken) for name, file in sorted(files.items())}
    tasks = {name: task for name, task in read.items() if task is not None}
    if not tasks:
        raise ConfigError(f"{where}: no question of its samples can be read")
    return Run(where, _model(results, some.parent.name), date, tasks, _configuration(results), _summaries(results))


def _results(file: Path) -> Mapping[str, Any]:
    if not file.is_file():
        raise ConfigError(f"{file} is missing, which says what its samples were made with")
    results = next(iter(json_objects(file)), {})
    try:
        fields = checked(ResultsFields, results)
    except ValueError as error:
        raise ConfigError(f"{file}: {error}; it is damaged, or no results file of lm_eval 0.4.13 or later") from error
    if fields.chatbench.version != VERSION:
        raise ConfigError(
            f"{file}: version {fields.chatbench.version} of chatbench and not {VERSION}; read it with the release that wrote it"
        )
    return results


def _summaries(results: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the results say of each task with dialogues."""
    found: Mapping[str, Any] = results.get("chatbench", {}).get("tasks", {})
    return found


def model_of(samples: Path) -> str:
    """The model that a samples file is of, as the host names it; the file's folder where no results file lies beside it."""
    results = results_of(samples) if NAME.fullmatch(samples.name) else None
    folder = samples.parent.name
    return folder if results is None or not results.is_file() else _model(_results(results), folder)


def _model(results: Mapping[str, Any], folder: str) -> str:
    """The model's name; of a model type without arguments, that of the type."""
    named = results.get("model_name") if results["config"].get("model_args") else results.get("model_source")
    return str(named or folder)


def _configuration(results: Mapping[str, Any]) -> dict[str, Any]:
    versions = ("lm_eval_version", "transformers_version", "git_hash")
    return {**masked(results["config"]), **{name: results[name] for name in versions if results.get(name)}}


def _task_run(name: str, file: Path, results: Mapping[str, Any], broken: Broken) -> TaskRun | None:
    """A task of a run; None if none of its questions can be read."""
    problems: list[ConfigError] = []
    records: list[QuestionRecord] = []
    static: list[tuple[StaticResponse, ...]] = []
    readings: list[Readings | None] = []
    request: DialogueRequest | None = None
    try:
        with no_search_for_cycles():
            for record, responses, sample in _questions(file, problems.append):
                records.append(record)
                static.append(responses)
                readings.append(readings_of(sample))
                request = request or dialogue_request(sample, str(file))
    except ConfigError as error:
        problems.append(error)
    questions = _summaries(results).get(name, {}).get("questions", len(records))
    if questions != len(records):
        problems.append(_too_few(file, len(records), questions))
    for problem in _few(problems, file):
        broken(problem)
    if request is None:
        return None
    settings = task_settings(
        request,
        simulator=records[0].transcripts[0].simulator,
        version=results["versions"].get(name),
        num_fewshot=results["n-shot"].get(name),
        limit=results["config"].get("limit"),
    )
    return TaskRun(tuple(records), settings, tuple(static), tuple(readings))


def _questions(
    file: Path, broken: Broken
) -> Iterator[tuple[QuestionRecord, tuple[StaticResponse, ...], Mapping[str, Any]]]:
    """The questions of a file one at a time, each with its static responses and the sample that it was read from."""
    for number, sample in of_first_filter(numbered_lines(file, broken)):
        where = f"{file}, line {number}"
        try:
            yield *read_question(sample, where), sample
        except ConfigError as error:
            broken(error)


def _few(problems: Sequence[ConfigError], file: Path) -> Iterator[ConfigError]:
    """What is said of a file: the first problems, and how many more there are."""
    yield from problems[:_SAID]
    if len(problems) > _SAID:
        yield ConfigError(f"{file}: {len(problems) - _SAID} more such problems")


def differing_settings(first: TaskRun, second: TaskRun) -> list[str]:
    """What keeps two runs of a task from being compared, each as `key: one and other`; empty if nothing does."""
    keys = sorted({*first.settings, *second.settings})
    pairs = ((key, first.settings.get(key), second.settings.get(key)) for key in keys)
    return [f"{key}: {one} and {other}" for key, one, other in pairs if one != other]
