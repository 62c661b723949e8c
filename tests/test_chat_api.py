"""A chat API as the model under test, spoken to over loopback: letters instead of log-likelihoods."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import lm_eval
import pytest
from lm_eval.tasks import TaskManager

from lm_eval_plugin.harness.tasks_folder import tasks_folder


class ChatServer(ThreadingHTTPServer):
    """Answers B to everything, and nothing at all to whoever mentions a train."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        asked = body["messages"][-1]["content"]
        content = None if "train" in asked and "Answer:" not in asked else "B. That one."
        reply = {"choices": [{"index": 0, "message": {"role": "assistant", "content": content}}]}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(reply).encode())

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with ChatServer() as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_chat_api_is_scored_by_letters_and_talks_in_chat_roles(server):
    dialogue = {"simulator": "scripted", "static": "letter"}
    results = lm_eval.simple_evaluate(
        "local-chat-completions",
        model_args={"base_url": f"http://127.0.0.1:{server.server_port}/v1/chat/completions", "model": "any"},
        tasks=["chatbench_demo"],
        task_manager=TaskManager(
            include_path=str(tasks_folder()), include_defaults=False, metadata={"dialogue": dialogue}
        ),
        apply_chat_template=True,
        bootstrap_iters=0,
    )
    samples = results["samples"]["chatbench_demo"]
    assert all(sample["acc_static"] == float(sample["doc"]["answer"] == 1) for sample in samples)
    dialogues = [body["messages"] for body in server.asked if "Answer:" not in body["messages"][-1]["content"]]
    assert all([message["role"] for message in turns] == ["system", "user"] for turns in dialogues)
    silent = [sample for sample in samples if "train" in json.dumps(sample["doc"])]
    assert silent
    assert all(sample["model_error"] == 1 and "acc" not in sample for sample in silent)
    assert json.dumps(samples)
