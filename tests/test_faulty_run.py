"""A whole run whose two models sit behind servers that fail at a tenth of their requests."""

from __future__ import annotations

import hashlib
import json
import re

import lm_eval
import pytest
from faulty_server import PASSING, Fault, echo, evenly, serving_faults
from lm_eval.tasks import TaskManager
from lm_eval.utils import make_table

from lm_eval_plugin.errors import ModelError
from lm_eval_plugin.harness.tasks_folder import tasks_folder

TENTH = evenly(0.1, [*PASSING, Fault.NULL, Fault.REFUSED])
REPEATS = 4


def person(prompt):
    """A user who accepts an answer after one, two or a few replies, and asks on until then."""
    drawn = hashlib.sha256(prompt.encode()).digest()[0]
    return f"Answer: {'ABCD'[drawn % 4]}" if drawn < 100 else f"Why? {echo(prompt)}"


def backend(server):
    return {
        "base_url": f"{server.address}/chat/completions",
        "model": "any",
        "num_concurrent": 16,
        "timeout": 3,
        "max_retries": 3,
    }


def run(assistant, user):
    simulator = {"policy": "two_step", "backend": "local-chat-completions", "model_args": backend(user)}
    dialogue = {"simulator": simulator, "static": "none", "repeats": REPEATS, "max_turns": 4}
    return lm_eval.simple_evaluate(
        "local-chat-completions",
        model_args=backend(assistant),
        tasks=["chatbench_demo"],
        task_manager=TaskManager(
            include_path=str(tasks_folder()), include_defaults=False, metadata={"dialogue": dialogue}
        ),
        apply_chat_template=True,
        bootstrap_iters=0,
        limit=12,
    )


def dialogues(results):
    samples = results["samples"]["chatbench_demo"]
    held = [json.loads(response) for sample in samples for responses in sample["resps"] for response in responses]
    return {
        (transcript["question_id"], transcript["repeat"]): (
            transcript["stop_reason"],
            transcript["answer"],
            [message["content"] for message in transcript["messages"]],
        )
        for transcript in held
    }


def test_a_tenth_of_faults_costs_some_dialogues_and_changes_no_other():
    with serving_faults() as assistant, serving_faults(answer=person) as user:
        whole = dialogues(run(assistant, user))
    with serving_faults(TENTH) as assistant, serving_faults(TENTH, answer=person, seed=1) as user:
        results = run(assistant, user)
        befell = assistant.befell + user.befell
    assert befell.keys() == {None, *TENTH}
    held = dialogues(results)
    assert held.keys() == whole.keys()
    lost = [key for key, (stop_reason, *_) in held.items() if stop_reason == "model_error"]
    assert 0 < len(lost) < len(held) / 5
    assert all(held[key] == whole[key] for key in held.keys() - set(lost))
    assert {len(messages) for _, _, messages in whole.values()} >= {3, 5, 7}
    share = results["results"]["chatbench_demo"]["model_error,none"]
    assert share == pytest.approx(len(lost) / len(held))
    assert re.search(rf"\|model_error *\|↓ *\|{share:.4f}\|", make_table(results).replace("| ", "|"))


def test_a_run_without_a_server_ends_with_what_to_do():
    with serving_faults(answer=person) as user, serving_faults() as gone:
        gone.server_close()
        with pytest.raises(ModelError, match=r"the model under test at http://127.*Check that its server runs there"):
            run(gone, user)
