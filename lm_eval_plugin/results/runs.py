"""Finding and reading what the host has written of a run.

A run is one folder of the host's `--output_path` and one date: `results_<date>.json` says what was run,
`samples_<task>_<date>.jsonl` holds the questions of each task.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.results.jsonl import (
    Broken,
    check_plain_file,
    json_objects,
    no_search_for_cycles,
    numbered_lines,
    refuse,
)
from lm_eval_plugin.border.logged_fields import ResultsFields, checked
from lm_eval_plugin.border.masking import masked
from lm_eval_plugin.scoring.metrics import QuestionRecord
from lm_eval_plugin.results.samples import (
    Readings,
    StaticResponse,
    dialogue_request,
    of_first_filter,
    read_question,
    readings_of,
)
from lm_eval_plugin.config.request import DialogueRequest
from lm_eval_plugin.scoring.summary import VERSION

_DATE = r"(?P<date>\d{4}-\d{2}-\d{2}T[\d-]+(?:\.\d+)?)"
_NAME = re.compile(rf"(?P<kind>samples|unfinished)_(?P<task>.+)_{_DATE}\.jsonl")
_RESULTS = re.compile(rf"(?:unfinished_)?results_{_DATE}\.json")
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
    results = _results_of(file) if _NAME.fullmatch(file.name) else None
    if results is None or not results.is_file():
        return
    questions = _summaries(_results(results)).get(task, {}).get("questions", read)
    if questions != read:
        missing(_too_few(file, read, questions))


def _too_few(file: Path, read: int, questions: int) -> ConfigError:
    return ConfigError(f"{file}: {read} of the {questions} questions that its results tell of can be read")


def sample_files(paths: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """The sample files that paths stand for, each with the name of its task.

    Raises:
        ConfigError: A path does not exist, holds no sample file, or is not named as the host names them.
    """
    for path in paths:
        if not path.exists():
            raise ConfigError(f"{path} does not exist; give samples_*.jsonl, or the folder of --output_path")
        if path.is_dir():
            yield from _latest(path).items()
        else:
            yield _task_of(path), path


def _latest(folder: Path) -> dict[str, Path]:
    """The sample files of the latest run in a folder, by task.

    Raises:
        ConfigError: There is none, or there are runs of several models, of which one would be mistaken for the other.
    """
    # What a run left that a server ended counts only where there is no finished one.
    named = list(_named(folder.rglob("samples_*.jsonl"))) or list(_named(folder.rglob("unfinished_*.jsonl")))
    if not named:
        raise ConfigError(f"{folder} holds no samples_*.jsonl; run lm_eval with --log_samples and --output_path")
    if len(places := sorted({str(file.parent) for file, _ in named})) > 1:
        raise ConfigError(f"{folder} holds runs in several folders; name one of {', '.join(places)}")
    latest = max(match["date"] for _, match in named)
    return {match["task"]: file for file, match in named if match["date"] == latest}


def _results_of(samples: Path) -> Path:
    """The results file that belongs to a file of samples."""
    match = _NAME.fullmatch(samples.name)
    assert match is not None  # noqa: S101  # files are found by this pattern
    unfinished = "unfinished_" if match["kind"] == "unfinished" else ""
    return samples.with_name(f"{unfinished}results_{match['date']}.json")


def _named(files: Iterable[Path]) -> Iterator[tuple[Path, re.Match[str]]]:
    for file in files:
        if match := _NAME.fullmatch(file.name):
            check_plain_file(file)
            yield file, match


def _task_of(file: Path) -> str:
    match = _NAME.fullmatch(file.name)
    return match["task"] if match else file.stem


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
class Run:
    """A run of one model.

    Args:
        where: Its results file.
        model: The model under test, as the host names it.
        date: When it was, as it stands in the names of its files.
        tasks: Its tasks with dialogues, by name.
        configuration: What else the host notes of it: the model's arguments, seeds, versions of the software.
        summaries: What its results say of each task with dialogues, as `summary.summarize` has it.
    """

    where: Path
    model: str
    date: str
    tasks: Mapping[str, TaskRun]
    configuration: Mapping[str, Any] = field(default_factory=dict)
    summaries: Mapping[str, Any] = field(default_factory=dict)


def load_run(path: Path, broken: Broken = refuse) -> Run:
    """A run with its results.

    Args:
        path: The folder of a run, of whose runs the latest counts, or one `results_*.json`.
        broken: Takes what is said of a task, a line or a sample that cannot be read; the run is then what else there is.

    Raises:
        ConfigError: There is no such run, nothing of it can be read, or its results file is missing or of another version.
    """
    if path.is_file() and not (match := _RESULTS.fullmatch(path.name)):
        raise ConfigError(f"{path} is no results_*.json; name that, or the folder that holds it")
    files = _of_date(path.parent, match["date"]) if path.is_file() and match else dict(sample_files([path]))
    some = next(iter(files.values()))
    where = _results_of(some)
    date = _NAME.fullmatch(some.name)["date"]  # type: ignore[index]  # files are found by this pattern
    results = _results(where)
    for name in _summaries(results).keys() - files.keys():
        broken(ConfigError(f"{where} tells of the task {name}, but there is no samples_{name}_{date}.jsonl beside it"))
    read = {name: _task_run(name, file, results, broken) for name, file in sorted(files.items())}
    tasks = {name: task for name, task in read.items() if task is not None}
    if not tasks:
        raise ConfigError(f"{where}: no question of its samples can be read")
    return Run(where, _model(results, some.parent.name), date, tasks, _configuration(results), _summaries(results))


def _of_date(folder: Path, date: str) -> dict[str, Path]:
    files = {match["task"]: file for file, match in _named(folder.glob("*.jsonl")) if match["date"] == date}
    if not files:
        raise ConfigError(f"{folder} holds no samples_*_{date}.jsonl; run lm_eval with --log_samples")
    return files


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
    results = _results_of(samples) if _NAME.fullmatch(samples.name) else None
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
    settings = {
        **masked(request.dialogue.model_dump(mode="json", exclude={"outage_s", "max_model_errors"})),
        "simulator": records[0].transcripts[0].simulator,
        "system_instruction": request.system,
        "chat_template": request.chat_template,
        "version": results["versions"].get(name),
        "num_fewshot": results["n-shot"].get(name),
        "limit": results["config"].get("limit"),
    }
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
