"""What the real libraries raise against a hub on loopback, and what is made of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from lm_eval_plugin.border.hub_errors import why_unavailable
from lm_eval_plugin.config.presets import DEMO_SIMULATOR_BASE

ANSWERS = {
    "gated": (401, {"X-Error-Code": "GatedRepo"}),
    "missing": (401, {"X-Error-Code": "RepoNotFound"}),
    "unversioned": (404, {"X-Error-Code": "RevisionNotFound"}),
    "refused": (403, {"X-Error-Message": "not for you"}),
    "disabled": (403, {"X-Error-Message": "Access to this resource is disabled."}),
    "bare": (404, {"X-Error-Code": "EntryNotFound"}),
}
"""Status and headers by the name of the repository, as the hub answers."""

LOAD_ALL = """
import json, sys
from lm_eval_plugin.errors import ChatbenchError
from lm_eval_plugin.border.hub_errors import why_unavailable
from lm_eval_plugin.models.quantized import load_quantized

said = {}
for name, model_args in json.loads(sys.argv[1]).items():
    try:
        load_quantized(model_args, "none")
    except ChatbenchError as error:
        said[name] = f"{type(error).__name__}: {error}"
try:
    try:
        raise ConnectionRefusedError("[Errno 111] Connection refused")
    except OSError as error:
        raise ValueError("cannot find it") from error
except ValueError as error:
    said["no network"] = why_unavailable("own/model", error)
print(json.dumps(said))
"""


class Hub(BaseHTTPRequestHandler):
    """Refuses each repository as its name says; `pickles` has a configuration and no safetensors."""

    def do_GET(self):
        path = self.path
        config = (DEMO_SIMULATOR_BASE / "config.json").read_bytes()
        if "/pickles/resolve/" in path and path.endswith("/config.json"):
            return self.answer(200, {"ETag": '"1"', "X-Repo-Commit": "0" * 40}, config)
        if "/api/models/own/pickles" in path:
            listed = {"id": "own/pickles", "sha": "0" * 40, "siblings": [{"rfilename": "pytorch_model.bin"}]}
            return self.answer(200, {"Content-Type": "application/json"}, json.dumps(listed).encode())
        for name, (status, headers) in ANSWERS.items():
            if f"own/{name}" in path:
                return self.answer(status, headers)
        return self.answer(404, ANSWERS["bare"][1])

    do_HEAD = do_GET  # noqa: N815

    def answer(self, status, headers, body=b"{}"):
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What `load_quantized` says of each case; one process, because the hub's address is read at import."""
    local = {"tokenizer": str(DEMO_SIMULATOR_BASE), "device": "cpu"}
    cases = {
        **{f"tokenizer {name}": {"pretrained": f"own/{name}"} for name in ANSWERS},
        **{f"base {name}": {"pretrained": f"own/{name}", **local} for name in (*ANSWERS, "pickles")},
        **{f"adapter {name}": {"pretrained": str(DEMO_SIMULATOR_BASE), "peft": f"own/{name}"} for name in ANSWERS},
        "adapter revision": {
            "pretrained": str(DEMO_SIMULATOR_BASE),
            "peft": "own/unversioned",
            "adapter_revision": "v9",
        },
    }
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environment = {
            **os.environ,
            "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
            "HF_HUB_OFFLINE": "0",
            "HF_HOME": str(tmp_path_factory.mktemp("hf_home")),
            "HF_TOKEN": "",
            "NO_PROXY": "127.0.0.1",
        }
        done = subprocess.run(
            [sys.executable, "-c", LOAD_ALL, json.dumps(cases)],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        server.shutdown()
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("part", ["tokenizer", "base", "adapter"])
@pytest.mark.parametrize(
    ("name", "ways_out"),
    [
        ("gated", ["it is gated", "https://huggingface.co/own/gated", "licence", "hf auth login", "HF_TOKEN"]),
        ("missing", ["no repository 'own/missing'", "Check the name", "private"]),
        ("unversioned", ["no such revision", "adapter_revision"]),
        ("refused", ["HTTP 403", "hf auth whoami"]),
        ("disabled", ["has disabled own/disabled"]),
        ("bare", ["own/bare", "that it is what it is used as"]),
    ],
)
def test_each_refusal_of_the_hub_says_what_to_do(said, part, name, ways_out):
    message = said[f"{part} {name}"]
    assert message.startswith("ModelError")
    for way_out in ways_out:
        assert way_out in message


def test_a_repository_of_pickles_is_said_to_need_converting(said):
    assert "only weights in safetensors are loaded" in said["base pickles"]


def test_a_hub_that_cannot_be_reached_names_the_download_and_the_simulators_without_one(said):
    for way_out in ("cannot be reached", "hf download own/model", "base and adapter", "'demo' or 'scripted'"):
        assert way_out in said["no network"]
    assert "HF_HUB_OFFLINE" not in said["no network"]


def test_offline_mode_is_named_as_the_reason():
    assert "Unset HF_HUB_OFFLINE" in why_unavailable("own/model", LocalEntryNotFoundError("not cached"))


def test_a_folder_is_never_looked_for_on_the_hub(tmp_path):
    message = why_unavailable(str(tmp_path), OSError(f"{tmp_path} does not appear to have a file named config.json"))
    assert "config.json" in message
    assert "hub" not in message.replace(str(tmp_path), "")


def test_a_name_that_the_hub_cannot_have_is_said_to_be_none():
    error = OSError("Incorrect path_or_model_id")
    error.__cause__ = HFValidationError("Repo id must be in the form 'repo_name'")
    assert "neither a folder nor a name of the hub" in why_unavailable("a b/c", error)


def test_causes_that_go_in_a_circle_end():
    one, two = OSError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert why_unavailable("own/model", one).startswith("one.")


def test_braces_in_names_and_errors_are_text():
    error = PermissionError("cannot write {name}")
    assert "cannot write {name}" in why_unavailable("own/{said}", error)
