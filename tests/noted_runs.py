"""Runs that have noted themselves in a cache file, for tests of what shows them."""

from __future__ import annotations

from lm_eval_plugin.cache.dialogue_store import DialogueStore
from lm_eval_plugin.cache.run_table import QuestionNote, RunNote, noting
from lm_eval_plugin.dialogue.transcript import Message, Role, StopReason, Transcript


def note(run="r1", rank=0, started=100.0, **configuration):
    return RunNote(run, rank, started, "model", {"t": {"simulator": "demo", "repeats": 1}}, configuration)


def asked(place, question_id):
    return QuestionNote("t", place, question_id, "s", "What?", ("6", "7"), ("B",), None)


def ended(question_id, stop=StopReason.ANSWERED, replies=1, repeat=0):
    said = [Message(role, "x", 5) for _ in range(replies) for role in (Role.USER, Role.ASSISTANT)]
    said.append(Message(Role.USER, "Answer: B", 3))
    answer = "B" if stop is StopReason.ANSWERED else None
    return Transcript(question_id, "demo", repeat, 0, tuple(said), answer, stop)


def put(path, run, *dialogues):
    with noting(run), DialogueStore.opened(path) as store:
        for key, transcript in dialogues:
            store.put(key, transcript.to_json())
