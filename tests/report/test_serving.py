"""The page of a run that goes on: it grows by itself, and nobody but the browser that was sent to it gets an answer."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import threading
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from noted_runs import asked, ended, note, put
from test_dialogue_store import host_cache
from test_report import HOSTILE

from lm_eval_plugin.cache.run_table import note_end, note_questions, note_start
from lm_eval_plugin.dialogue.transcript import StopReason
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.report.serving import LiveRun, make_server
from lm_eval_plugin.results.noted_runs import chosen_run
from lm_eval_plugin.results.watching import Watched

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")


@pytest.fixture
def cache(tmp_path):
    """A run that asks three questions, of which one dialogue has ended."""
    path = host_cache(tmp_path)
    note_start(path, note())
    hostile = replace(asked(1, "q1"), stem=HOSTILE.replace("\ud800", ""))
    note_questions(path, "r1", [replace(asked(0, "q0"), acc_static=1.0), hostile, asked(2, "q2")])
    put(path, "r1", ("a", ended("q0")))
    return path


@pytest.fixture
def server(cache):
    made = make_server(LiveRun(Watched([cache], chosen_run([cache], None))))
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def got(server, path, method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer, body


def test_the_page_and_what_is_new_are_there_for_who_knows_the_address(server, cache):
    answer, page = got(server, urlsplit(server.address).path)
    assert answer.status == 200
    assert "connect-src &#39;self&#39;" in page
    assert answer.headers["Cache-Control"] == "no-store"
    put(cache, "r1", ("b", ended("q1", replies=2)))
    news = json.loads(got(server, f"/{server.token}/new?after=1")[1])
    assert [each["question_id"] for each in news["dialogues"]] == ["q1"]
    assert news["entries"][0]["turns"] == 2
    assert (news["state"], news["ended"]) == ("2 of 3 dialogues, running", False)
    note_end(cache, "r1", 0, "finished")
    assert json.loads(got(server, f"/{server.token}/new?after=2")[1])["ended"]


@pytest.mark.parametrize(
    "path", ["/", "/new?after=0", "/wrong/", "/wrong/new", "//", "/{token}", "/{token}/../etc", "/{token}/x"]
)
def test_without_the_token_and_elsewhere_there_is_nothing(server, path):
    answer, body = got(server, path.format(token=f"{server.token}x" if "{token}/" not in path else server.token))
    assert (answer.status, body) == (404, "There is nothing here.")


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "evil.example:{port}", "127.0.0.1:1", "localhost.evil:{port}", ""]
)
def test_a_name_that_somebody_points_to_this_machine_gets_nothing(server, host):
    answer, body = got(server, urlsplit(server.address).path, Host=host.format(port=server.server_port))
    assert answer.status == 403
    assert "q0" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(server, method):
    assert got(server, urlsplit(server.address).path, method)[0].status == 501


def test_it_listens_on_this_machine_alone_and_every_run_has_a_token_of_its_own(server, cache):
    assert server.server_address[0] == "127.0.0.1"
    other = make_server(LiveRun(Watched([cache], chosen_run([cache], None))))
    assert other.token != server.token
    other.server_close()
    with pytest.raises(ConfigError, match="--port"):
        make_server(server.run, server.server_port)


@pytest.mark.parametrize("after", ["x", "-1", "1e3"])
def test_a_number_that_is_none_is_refused(server, after):
    assert got(server, f"/{server.token}/new?after={after}")[0].status == 400


def test_before_the_first_dialogue_the_page_waits(tmp_path):
    path = host_cache(tmp_path)
    note_start(path, note())
    live = LiveRun(Watched([path], chosen_run([path], None)))
    assert "No dialogue of the run has ended yet" in live.page()
    assert live.new(0)["state"] == "0 of 0 dialogues, running"
    note_questions(path, "r1", [asked(0, "q0")])
    put(path, "r1", ("a", ended("q0")))
    assert 'id="transcripts"' in live.page()


def test_a_cache_that_cannot_be_read_is_said_and_the_server_goes_on(server, cache):
    whole = cache.read_bytes()
    cache.write_bytes(b"x" * 4096)
    answer, body = got(server, f"/{server.token}/new")
    assert answer.status == 503
    assert str(cache) in body
    cache.write_bytes(whole)
    assert got(server, f"/{server.token}/new")[0].status == 200


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium; install it or name it in CHROMIUM")
def test_new_conversations_appear_without_reloading_and_nothing_in_them_runs(server, cache):
    playwright = pytest.importorskip("playwright.sync_api", reason="the extra `test` brings playwright")
    said = []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page()
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.goto(server.address)
        playwright.expect(tab.locator("#count")).to_have_text("1 conversation")
        tab.evaluate("window.stays = true")
        put(cache, "r1", ("b", ended("q1", replies=2)), ("c", ended("q2", StopReason.FORCED)))
        playwright.expect(tab.locator("#count")).to_have_text("3 conversations", timeout=15_000)
        note_end(cache, "r1", 0, "finished")
        playwright.expect(tab.locator("#state")).to_have_text("3 of 3 dialogues, finished", timeout=15_000)
        playwright.expect(tab.locator(".tiles")).to_contain_text("3 questions", timeout=15_000)
        assert tab.evaluate("window.stays") is True
        tab.get_by_label("Stop reason", exact=True).select_option(label="forced")
        playwright.expect(tab.locator("#count")).to_have_text("1 of 3 conversations")
        tab.goto(f"{server.address}#transcript-1")
        playwright.expect(tab.locator("#transcript-heading")).to_have_text("Conversation 2 of 3")
        assert "<script>alert(1)</script>" in tab.locator(".stem").text_content()
        assert tab.title() == "ChatBench report"
        browser.close()
    assert said == []
