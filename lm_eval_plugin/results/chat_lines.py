"""Dialogues as chat JSON lines, the form that OpenAI's fine-tuning and most trainers read.

    {"messages": [{"role": "system", "content": "You are a helpful assistant."},
                  {"role": "user", "content": "What is 7 x 8?"}, {"role": "assistant", "content": "It is 56."}],
     "metadata": {"model": "m", "task": "chatbench_demo", "question_id": "...", "answer": "B", "right": "true", ...}}

A line ends with the assistant's last reply, as these readers demand; what the user said then, with its answer, is `closing` in
the metadata, whose values are texts. A dialogue in which the assistant said nothing has no line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lm_eval_plugin.border.text_border import all_encodable
from lm_eval_plugin.dialogue.transcript import Role, StopReason, Transcript
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.results.runs import Run, TaskRun
from lm_eval_plugin.scoring.metrics import QuestionRecord, accuracy


def write_chat_lines(runs: Iterable[Run], out: Path) -> int:
    """Write runs to a file; it appears under its name when it is whole.

    Args:
        runs: Taken one at a time, so they need not be in memory together.
        out: The file.

    Returns:
        How many dialogues were written.

    Raises:
        ConfigError: The file cannot be written.
    """
    partial = out.with_name(f"{out.name}.part")
    written = 0
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as lines:
            for run in runs:
                for line in chat_lines(run):
                    lines.write(f"{json.dumps(line, ensure_ascii=False)}\n")
                    written += 1
        partial.replace(out)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return written


def chat_lines(run: Run) -> Iterator[dict[str, Any]]:
    """The lines of a run."""
    for name, task in run.tasks.items():
        for record in task.records:
            for held in record.transcripts:
                if any(message.role is Role.ASSISTANT for message in held.messages):
                    yield all_encodable(_line(run.model, name, task, record, held))


def _line(model: str, name: str, task: TaskRun, record: QuestionRecord, held: Transcript) -> dict[str, Any]:
    last = max(place for place, message in enumerate(held.messages) if message.role is Role.ASSISTANT)
    messages = [{"role": message.role.value, "content": message.content} for message in held.messages[: last + 1]]
    if system := task.settings.get("system_instruction"):
        messages.insert(0, {"role": "system", "content": str(system)})
    failed = held.stop_reason is StopReason.MODEL_ERROR
    told = {
        "model": model,
        "task": name,
        "question_id": record.question.id,
        "subject": record.question.subject,
        "simulator": held.simulator,
        "repeat": str(held.repeat),
        "stop_reason": held.stop_reason.value,
        "gold": "".join(sorted(record.gold)),
        "answer": held.answer,
        "right": None if failed else json.dumps(bool(accuracy(held, record.gold))),
        "belief": held.belief and held.belief.letter,
        "alone": held.alone and held.alone.letter,
        "acc_static": None if record.acc_static is None else str(record.acc_static),
        "closing": "\n".join(message.content for message in held.messages[last + 1 :]) or None,
    }
    return {"messages": messages, "metadata": {key: value for key, value in told.items() if value is not None}}
