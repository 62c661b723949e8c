"""The page of a run that goes on, served to the browser of this machine alone.

It listens on 127.0.0.1 and answers nobody who does not know the token in its address; a page elsewhere that has another name
point to this machine is told apart by the `Host` that its browser sends. Nothing can be changed through it.

    /TOKEN/                 the page
    /TOKEN/new?after=N      the dialogues after the first N, in the order in which they ended, as JSON
    /TOKEN/overview         what stands above them, as JSON
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from urllib.parse import parse_qs, urlsplit

from lm_eval_plugin.border.terminal import say
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import Transcript
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.report.page import live_overview, live_page
from lm_eval_plugin.report.transcripts import TranscriptStore, dialogue_shown, listed
from lm_eval_plugin.results.runs import Run
from lm_eval_plugin.results.watching import Watched
from lm_eval_plugin.scoring.metrics import BY_READING, METRICS, QuestionRecord, readings
from lm_eval_plugin.scoring.statistics import mean_estimate
from lm_eval_plugin.scoring.summary import scores_of

ADDRESS = "127.0.0.1"

_AT_ONCE = 200  # dialogues in one answer
_READ_AT_ONCE = 200  # dialogues whose replies are read while somebody waits
_WAITING = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'"><title>ChatBench report</title></head>
<body><p>No dialogue of the run has ended yet; this page looks again every two seconds.</p></body></html>"""


class LiveRun:
    """What the server answers of a run; each answer looks at its cache first.

    Args:
        watched: The run.
    """

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._looking = Lock()
        self._shown: list[tuple[dict[str, object], dict[str, object]]] = []

    def page(self) -> str:
        """The page as it is now."""
        with self._looking:
            self._look()
            if not self._shown:
                return _WAITING
            store = TranscriptStore()
            for entry, shown in self._shown:
                store.add_dialogue(entry, shown)
            return live_page(_quickly(self._watched.run()), store, len(self._shown))

    def new(self, after: int) -> dict[str, object]:
        """The dialogues after the first ones, and how the run stands.

        Args:
            after: How many are known.
        """
        with self._looking:
            self._look()
            part = self._shown[after : after + _AT_ONCE]
            noted = self._watched.noted
            state = f"{self._watched.done():,} of {self._watched.of():,} dialogues, {noted.outcome or 'running'}"
            return {
                "entries": [entry for entry, _ in part],
                "dialogues": [shown for _, shown in part],
                "ended": noted.outcome is not None and after + len(part) == len(self._shown),
                "state": state,
            }

    def overview(self) -> dict[str, str]:
        """What stands above the dialogues."""
        with self._looking:
            self._look()
            return live_overview(_quickly(self._watched.run()))

    def _look(self) -> None:
        self._watched.look()
        for each in self._watched.ended[len(self._shown) :]:
            record = self._record(each.transcript)
            # Reading thousands of replies takes minutes, for which nobody would wait; those that come are read.
            read = None
            if len(self._watched.ended) - len(self._shown) <= _READ_AT_ONCE:
                read = ["".join(sorted(letters)) for letters in readings(each.transcript, record.question)]
            self._shown.append((listed(record, each.transcript), dialogue_shown(record, each.transcript, (), read)))

    def _record(self, transcript: Transcript) -> QuestionRecord:
        note = self._watched.questions[transcript.question_id]
        question = Question(note.question_id, note.subject, note.stem, tuple(note.choices))
        return QuestionRecord(question, frozenset(note.gold), (transcript,), note.acc_static)


def _quickly(run: Run) -> Run:
    """The run with the metrics that can be told at once; those for which every reply is read are in the page of a finished run."""
    if sum(len(record.transcripts) for task in run.tasks.values() for record in task.records) <= _READ_AT_ONCE:
        return run
    summaries = {
        name: {"questions": len(task.records), "metrics": dict(_metrics(task.records))}
        for name, task in run.tasks.items()
    }
    return replace(run, summaries=summaries)


def _metrics(records: tuple[QuestionRecord, ...]) -> Mapping[str, object]:
    found = {}
    for name, metric in METRICS.items():
        if name not in BY_READING and (scores := [each for each in scores_of(records, name) if each]):
            found[name] = asdict(mean_estimate(scores, metric.kind))
    return found


def serve(watched: Watched, port: int = 0) -> None:
    """Serve the page of a run until Ctrl-C.

    Args:
        watched: The run.
        port: Where; 0 for a port that is free.

    Raises:
        ConfigError: The port is taken.
    """
    server = make_server(LiveRun(watched), port)
    say(f"chatbench: {server.address} (Ctrl-C ends it)")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        say("chatbench: no longer served")
    finally:
        server.server_close()


class _Server(ThreadingHTTPServer):
    """A server of one run.

    Args:
        run: The run.
        port: Where.
    """

    daemon_threads = True
    # Another process must not get what is meant for this one.
    allow_reuse_address = False

    def __init__(self, run: LiveRun, port: int) -> None:
        super().__init__((ADDRESS, port), _Handler)
        self.run = run
        self.token = secrets.token_urlsafe(24)

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{ADDRESS}:{self.server_port}/{self.token}/"

    def knows(self, host: str | None) -> bool:
        """Whether a browser that sends this `Host` was sent here by an address of ours."""
        return host in {f"{name}:{self.server_port}" for name in (ADDRESS, "localhost")}


def make_server(run: LiveRun, port: int = 0) -> _Server:
    """The server of a run, which has a token of its own and does not serve yet.

    Raises:
        ConfigError: The port is taken, or none.
    """
    try:
        return _Server(run, port)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"--port {port} cannot be used ({error}); give another, or none for one that is free"
        ) from error


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version, sys_version = "chatbench", ""

    def do_GET(self) -> None:  # the name that http.server asks for
        """Answer one request."""
        if not self.server.knows(self.headers.get("Host")):
            self._answer(HTTPStatus.FORBIDDEN, "text/plain", "This page is for the browser of this machine.")
            return
        address = urlsplit(self.path)
        token, _, rest = address.path.removeprefix("/").partition("/")
        answer = self._answers().get(rest)
        if answer is None or not secrets.compare_digest(token.encode(), self.server.token.encode()):
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", "There is nothing here.")
            return
        try:
            kind, text = answer(parse_qs(address.query))
        except ValueError:
            self._answer(HTTPStatus.BAD_REQUEST, "text/plain", "after is a number of dialogues.")
        except ConfigError as error:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", str(error))
        else:
            self._answer(HTTPStatus.OK, kind, text)

    def _answers(self) -> Mapping[str, Callable[[Mapping[str, list[str]]], tuple[str, str]]]:
        run = self.server.run
        return {
            "": lambda _: ("text/html", run.page()),
            "new": lambda query: ("application/json", json.dumps(run.new(_after(query)))),
            "overview": lambda _: ("application/json", json.dumps(run.overview())),
        }

    def _answer(self, status: HTTPStatus, kind: str, text: str) -> None:
        body = text.encode(errors="replace")
        self.send_response(status)
        for name, value in (
            ("Content-Type", f"{kind}; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that http.server has
        """Say nothing of requests."""


def _after(query: Mapping[str, list[str]]) -> int:
    """How many dialogues the page has.

    Raises:
        ValueError: It is no such number.
    """
    after = int(query.get("after", ["0"])[0])
    if after < 0:
        raise ValueError(after)
    return after
