"""The finished dialogues of a run that a server ended, written as the samples of a run that `score` and `report` read.

`unfinished_<task>_<date>.jsonl` has the questions of which at least one dialogue is finished, and
`unfinished_results_<date>.json` says what they were made with, in the folder that the run would have written to.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from lm_eval_plugin.border.dates import date_of_name
from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.harness.shared_static import asked as run_request
from lm_eval_plugin.lm_eval_access.texts import folder_name

logger = logger_of(__name__)


class _Task(Protocol):
    @property
    def instances(self) -> Sequence[Any]: ...

    @property
    def config(self) -> Any: ...

    def gold_letters(self, doc: dict[str, Any]) -> frozenset[str]: ...

    def static_metrics(self, doc: dict[str, Any], results: list[Any]) -> dict[str, Any]: ...


def write_unfinished(
    folder: Path, tasks: Mapping[str, _Task], finished: Mapping[tuple[int, int], str], model: Mapping[str, Any]
) -> list[Path]:
    """Write what is finished of a run, if anything is.

    Args:
        folder: The run's output path.
        tasks: The tasks with dialogues, by name.
        finished: Transcripts as JSON, by the identity of their request and which of its dialogues they are.
        model: The model under test: `model_source` and `model_args`, as lm_eval notes them.

    Returns:
        The files of samples; none, with an error in the log, where they cannot be written.
    """
    date = date_of_name(time.time())
    samples = {name: _samples(task, finished) for name, task in tasks.items()}
    written = {name: lines for name, lines in samples.items() if lines}
    if not written:
        return []
    try:
        files = _write(folder, tasks, written, model, date)
    except OSError as error:
        # Why the run ended is still to be said.
        logger.error("What is finished cannot be written: %s", error)  # noqa: TRY400  # its text says all
        return []
    logger.warning("What is finished is in %s.", ", ".join(map(str, files)))
    return files


def _write(
    folder: Path,
    tasks: Mapping[str, _Task],
    written: Mapping[str, Sequence[dict[str, Any]]],
    model: Mapping[str, Any],
    date: str,
) -> list[Path]:
    name = str(model["model_args"].get("pretrained") or model["model_args"].get("model") or "model")
    place = folder.parent if folder.suffix == ".json" else folder / folder_name(name)
    place.mkdir(parents=True, exist_ok=True)
    files = []
    for task, lines in written.items():
        file = place / f"unfinished_{task}_{date}.jsonl"
        file.write_text("".join(f"{json.dumps(line, default=str)}\n" for line in lines), encoding="utf-8")
        files.append(file)
    results = {
        "config": {"model": model["model_source"], "model_args": {}},
        "model_name": name,
        "model_source": model["model_source"],
        "versions": {task: (tasks[task].config.metadata or {}).get("version") for task in written},
        "n-shot": {task: tasks[task].config.num_fewshot for task in written},
    }
    (place / f"unfinished_results_{date}.json").write_text(json.dumps(results, default=str), encoding="utf-8")
    return files


def _samples(task: _Task, finished: Mapping[tuple[int, int], str]) -> list[dict[str, Any]]:
    requests: dict[int, list[Any]] = {}
    for request in task.instances:
        requests.setdefault(request.doc_id, []).append(request)
    lines = []
    for doc_id, asked in sorted(requests.items()):
        *static, dialogue = sorted(asked, key=lambda request: request.idx)
        held = [
            text for repeat in range(dialogue.repeats) if (text := finished.get((id(dialogue), repeat))) is not None
        ]
        if not held or not all(request.resps for request in static):
            continue
        doc = dialogue.doc
        lines.append(
            {
                "doc_id": doc_id,
                "doc": doc,
                "filter": "none",
                "arguments": [request.args for request in (*static, dialogue)],
                "resps": [*([request.resps[0]] for request in static), held],
                "gold": sorted(task.gold_letters(doc)),
                **task.static_metrics(doc, static_responses(static)),
            }
        )
    return lines


def static_responses(requests: Sequence[Any]) -> list[Any]:
    """The responses to a document's static requests as the task takes them: of one in free text a list of transcripts."""
    return [
        request.resps[:1] if run_request(request).request_type == "free_text_until" else request.resps[0]
        for request in requests
    ]
