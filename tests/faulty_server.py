"""An OpenAI-compatible server that fails at a chosen share of its requests, and says the same to the same prompt."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import contextmanager, suppress
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Fault(Enum):
    """What a server may do instead of replying."""

    RATE_LIMIT = "429, and try again in a second"
    ERROR = "500"
    HANG = "nothing until the client gives up"
    HALF = "half of the announced reply"
    NO_JSON = "a page of HTML"
    OTHER_JSON = "JSON of another shape"
    FEWER = "one reply too few"
    NULL = "a null instead of a text"
    FILTERED = "a message without a text"
    REFUSED = "400"
    NO_KEY = "401"


PASSING = [Fault.RATE_LIMIT, Fault.ERROR, Fault.HANG, Fault.HALF, Fault.NO_JSON, Fault.OTHER_JSON, Fault.FEWER]
"""The faults that another try mends."""


def evenly(share: float, faults: list[Fault]) -> dict[Fault, float]:
    """Every fault with the same share, all together with the given one."""
    return dict.fromkeys(faults, share / len(faults))


def echo(prompt: str) -> str:
    """A reply that tells the prompt by which it was made."""
    return f"You said {hashlib.sha256(prompt.encode()).hexdigest()[:8]}."


class FaultyServer(ThreadingHTTPServer):
    """The server; `/v1/chat/completions` and `/v1/completions` of one port.

    Args:
        shares: How often each fault befalls a request, drawn from the prompt and how often it came before; an entry of
            `planned` goes before them.
        answer: What to reply to a prompt; a chat's prompt is its messages as JSON.
        seed: Of the draws.

    Every request is held for `hold_s` seconds, and before that until as many have come as the `meeting` is for.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(
        self, shares: Mapping[Fault, float] | None = None, answer: Callable[[str], str] = echo, seed: int = 0
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.shares = dict(shares or {})
        self.answer = answer
        self.seed = seed
        self.planned: list[Fault] = []
        self.bodies: list[dict] = []
        self.keys: list[str] = []
        self.befell: Counter[Fault | None] = Counter()
        self.under_way = 0
        self.most_under_way = 0
        self.hold_s = 0.0
        self.meeting: threading.Barrier | None = None
        self.closing = threading.Event()
        self._attempts: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def draw(self, body: dict) -> Fault | None:
        """What befalls this request."""
        prompt = json.dumps(body.get("messages", body.get("prompt")))
        with self._lock:
            attempt = self._attempts[prompt]
            self._attempts[prompt] += 1
            fault = self.planned.pop() if self.planned else self._drawn(f"{self.seed}|{attempt}|{prompt}")
            self.bodies.append(body)
            self.befell[fault] += 1
        return fault

    def _drawn(self, what: str) -> Fault | None:
        place = int.from_bytes(hashlib.sha256(what.encode()).digest()[:8], "big") / 2**64
        for fault, share in self.shares.items():
            place -= share
            if place < 0:
                return fault
        return None

    @contextmanager
    def counted(self):
        """Count the requests that are under way together."""
        with self._lock:
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            yield
        finally:
            with self._lock:
                self.under_way -= 1


@contextmanager
def serving_faults(*arguments, **options):
    """A running `FaultyServer`."""
    with FaultyServer(*arguments, **options) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.keys.append(self.headers.get("Authorization", ""))
        fault = self.server.draw(body)
        with self.server.counted():
            if self.server.meeting is not None:
                with suppress(threading.BrokenBarrierError):
                    self.server.meeting.wait()
            self.server.closing.wait(self.server.hold_s)
            self.reply_to(body, fault)

    def reply_to(self, body, fault):
        reply = json.dumps(self.completion(body, fault)).encode()
        if fault is Fault.HANG:
            self.server.closing.wait()
            self.close_connection = True
        elif fault is Fault.HALF:
            self.send(200, reply[: len(reply) // 2], announced=len(reply))
            self.close_connection = True
        elif fault is Fault.NO_JSON:
            self.send(200, b"<html>Bad gateway</html>")
        elif fault is Fault.OTHER_JSON:
            self.send(200, b'{"error": {"message": "overloaded"}}')
        elif fault is Fault.RATE_LIMIT:
            self.send(429, b'{"error": {"message": "slow down"}}', retry_after="1")
        elif fault in (Fault.ERROR, Fault.REFUSED, Fault.NO_KEY):
            said = f"not with the key {self.server.keys[-1].removeprefix('Bearer ')}"
            self.send(int(fault.value), json.dumps({"error": {"message": said}}).encode())
        else:
            self.send(200, reply)

    def completion(self, body, fault):
        chat, prompts = "messages" in body, body.get("prompt")
        asked = [json.dumps(body["messages"])] if chat else [prompts] if isinstance(prompts, str) else prompts
        said = [None if fault is Fault.NULL else self.server.answer(prompt) for prompt in asked]
        choices = [
            {"index": index, **({"message": {"role": "assistant", "content": text}} if chat else {"text": text})}
            for index, text in enumerate(said)
        ]
        if fault is Fault.FILTERED:
            choices = [{"index": 0, "message": {"role": "assistant"}, "finish_reason": "content_filter"}]
        return {"choices": choices[:-1] if fault is Fault.FEWER else choices}

    def send(self, status, content, announced=None, retry_after=None):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(announced or len(content)))
        if retry_after is not None:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass
