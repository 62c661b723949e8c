"""A run as the files of `--use_cache` have it, finished or not, in the form in which finished runs are read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from lm_eval_plugin.border.dates import date_of_name
from lm_eval_plugin.cache.run_table import QuestionNote
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import StopReason, Transcript
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.results.noted_runs import Ended, Follower, NotedRun, cache_files, chosen_run
from lm_eval_plugin.results.runs import Progress, Run, TaskRun
from lm_eval_plugin.scoring.metrics import QuestionRecord

_RANK = re.compile(r"_rank\d+\.db$")


def is_cache(path: Path) -> bool:
    """Whether a path is that of a cache, and not of a folder or results file of a run."""
    return path.suffix == ".db" or (not path.exists() and any(path.parent.glob(f"{path.name}_rank*.db")))


def cache_of(path: Path) -> Path:
    """The path that `--use_cache` was given, of this path or of a file that lm_eval made of it."""
    return path.with_name(_RANK.sub("", path.name))


def load_cached_run(cache: Path, run: str | None = None) -> Run:
    """A run of a cache, as far as its dialogues have ended.

    Args:
        cache: The path that `--use_cache` was given, or one of the files that lm_eval made of it.
        run: The run's id; None for the latest.

    Raises:
        ConfigError: There is no such run, or none of its dialogues has ended.
    """
    files = cache_files(cache)
    noted = chosen_run(files, run)
    follower = Follower(files, noted.run)
    found = run_so_far(files[0], noted, follower.questions(), follower.new())
    if not found.tasks:
        raise ConfigError(f"no dialogue of the run {noted.run} in {cache} has ended yet; try again in a while")
    return found


def run_so_far(where: Path, noted: NotedRun, questions: Iterable[QuestionNote], ended: Iterable[Ended]) -> Run:
    """What there is of a run: the questions of which a dialogue has ended.

    Args:
        where: A file of its cache.
        noted: What it has noted of itself.
        questions: What it asks.
        ended: Its dialogues that have ended.
    """
    asked = list(questions)
    dialogues = _by_question(ended)
    tasks: dict[str, list[QuestionRecord]] = {}
    for note in asked:
        if held := dialogues.get(note.question_id):
            label = str(noted.tasks[note.task].get("simulator", ""))
            tasks.setdefault(note.task, []).append(_record(note, held, label))
    parts = {name: TaskRun(tuple(records), dict(noted.tasks[name])) for name, records in tasks.items()}
    repeats = sum(int(noted.tasks[note.task].get("repeats", 1)) for note in asked)
    done = sum(len(record.transcripts) for records in tasks.values() for record in records)
    state = noted.outcome or "not finished"
    date = date_of_name(noted.started)
    return Run(where, noted.model, date, parts, noted.configuration, progress=Progress(done, repeats, state))


def _by_question(ended: Iterable[Ended]) -> dict[str, dict[int, Transcript]]:
    """The dialogues of each question by repeat; one that was run again counts, and not the error before."""
    found: dict[str, dict[int, Transcript]] = {}
    for each in ended:
        transcript = each.transcript
        of_question = found.setdefault(transcript.question_id, {})
        if transcript.stop_reason is not StopReason.MODEL_ERROR or transcript.repeat not in of_question:
            of_question[transcript.repeat] = transcript
    return found


def _record(note: QuestionNote, held: dict[int, Transcript], label: str) -> QuestionRecord:
    # A model that lay elsewhere in an earlier run had another label.
    transcripts = tuple(replace(held[repeat], simulator=label) for repeat in sorted(held))
    question = Question(note.question_id, note.subject, note.stem, tuple(note.choices))
    return QuestionRecord(question, frozenset(note.gold), transcripts, note.acc_static)
