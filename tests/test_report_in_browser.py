"""The page as a person uses it, in headless Chromium; nothing that runs hold can act in it."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from sample_runs import Writer, sample, write_run

from lm_eval_plugin.cli.main import main
from lm_eval_plugin.config.dialogue import read_dialogue_block
from lm_eval_plugin.config.request import DialogueRequest
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import Message, Role, StopReason, Transcript

playwright = pytest.importorskip("playwright.sync_api", reason="the extra `test` brings playwright")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="the extra `test` brings axe")

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium; install it or name it in CHROMIUM")

HOSTILE = (
    "</script><script>document.title = 'owned'</script>",
    "<img src=x onerror=\"document.title = 'owned'\">",
    "<svg onload=\"document.title = 'owned'\"><a href=\"javascript:document.title = 'owned'\">a</a>",
    "{{ 7 * 7 }} ${7 * 7} {% raw %} `x` **bold** [link](javascript:alert(1)) <!-- -->",
    "\u202eright to left\u202c \u05d0\u05d1 \x00 \x1b[31m \ud800 \u2028 \ufeff",
    "long " * 4 + "x" * 1_000_000,
)
PHONE, TABLET, DESKTOP = (375, 740), (768, 1024), (1280, 900)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        # A container of CI has no user namespaces, which Chromium's sandbox needs.
        launched = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser):
    """Opens a file and takes note of whatever the console says, of which there must be nothing."""
    said, contexts = [], []

    def opened(file, size=DESKTOP, scheme="light", fragment=""):
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(60_000)
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("request", lambda request: request.url.startswith("file:") or said.append(request.url))
        tab.goto(f"{Path(file).as_uri()}{fragment}")
        playwright.expect(tab.locator("#count")).to_contain_text("conversation")
        return tab

    yield opened
    for context in contexts:
        context.close()
    assert said == []


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Two models over two subjects, 60 conversations each; they are not comparable."""
    folder = tmp_path_factory.mktemp("runs")
    writer = Writer(folder, texts=["Every sentence is alike.", "Some are a little longer than others are.", "Short."])
    tasks = {"chatbench_mmlu_virology": 40, "chatbench_mmlu_abstract_algebra": 20}
    runs = [
        writer.run("one", tasks, accuracy=0.5, static=0.8),
        writer.run("two", tasks, accuracy=0.8, static=0.5, limit=7),
    ]
    return written(runs, folder)


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory):
    """Everything that a run holds in words is hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    config = read_dialogue_block({"simulator": "demo"}, "hostile run")
    samples = []
    for place, text in enumerate(HOSTILE):
        question = Question(f"{text[:200]}-{place}", text[:200], text, (text, "B", "C", "D"))
        said = (
            Message(Role.USER, text, 3, 0.1),
            Message(Role.ASSISTANT, text, 3, 0.1, text[:1000]),
            Message(Role.USER, "Answer: A"),
        )
        held = Transcript(question.id, text[:200], 0, 0, said, "A", StopReason.ANSWERED, persona=text[:200])
        samples.append(sample(DialogueRequest(question, config), "A", [held], 1.0))
    names = ("a", "b")
    runs = [
        write_run(folder / name, f"{name} {''.join(HOSTILE[:5])}", {"t": samples}, HOSTILE=HOSTILE[0]) for name in names
    ]
    (damaged,) = runs[1].glob("samples_*")
    damaged.write_bytes(damaged.read_bytes().replace(b"**bold**", b"**b\xff\xfed**"))
    return written(runs, folder, code=1)


@pytest.fixture(scope="module")
def reading_page(tmp_path_factory):
    """A dialogue whose readings the run has logged, and one whose reply is read for the page."""
    folder = tmp_path_factory.mktemp("readings")
    config = read_dialogue_block({"simulator": "demo"}, "run with readings")
    samples = []
    for name, replies, logged in (
        ("logged", ["a", "b", "c", "d"], [["A", "", "AB", "B"]]),
        ("read now", ["The answer is C."], None),
    ):
        said = [Message(role, text) for text in replies for role, text in ((Role.USER, "?"), (Role.ASSISTANT, text))]
        said.append(Message(Role.USER, "Answer: A"))
        question = Question(name, "s", name, ("one", "two", "three", "four"))
        held = Transcript(name, "demo", 0, 0, tuple(said), "A", StopReason.ANSWERED)
        samples.append(sample(DialogueRequest(question, config), "B", [held], 1.0, logged))
    return written([write_run(folder / "run", "m", {"t": samples})], folder)


def written(runs, folder, code=0):
    out = folder / "report.html"
    assert main(["report", *map(str, runs), "-o", str(out)]) == code
    return out


def count(tab):
    return int(re.match(r"[\d,]+", tab.locator("#count").inner_text())[0].replace(",", ""))


def counted(tab, number, of):
    playwright.expect(tab.locator("#count")).to_have_text(f"{number} of {of} conversations")


# What a person does


def test_filter_search_open_by_link_and_back(page, open_page):
    tab = open_page(page)
    assert count(tab) == 120
    tab.get_by_label("Static answer").select_option("right")
    tab.get_by_label("Interactive answer").select_option("wrong")
    playwright.expect(tab.locator("#count")).to_contain_text("of 120")
    misled = count(tab)
    assert 0 < misled < 60
    for row in tab.locator(".results li").all():
        assert "static ✓ right" in row.inner_text()
        assert "interactive ✗ wrong" in row.inner_text()

    number = re.search(r"\((\d+)\)", tab.locator(".results .asked").last.inner_text())[0]
    tab.get_by_label("Search in what was said and asked").fill(number)
    playwright.expect(tab.locator("#count")).to_have_text(re.compile("^[1-4] of 120"))
    left = count(tab)
    link = tab.locator(".results a").last
    target = link.get_attribute("href")
    link.click()
    playwright.expect(tab.locator("#transcript")).to_be_visible()
    playwright.expect(tab.locator("#transcript-heading")).to_be_focused()
    assert tab.url.endswith(target)
    assert number in tab.locator(".stem").inner_text()
    assert tab.locator(".turn.user").count() >= 1
    tab.locator(".about > summary").click()
    assert re.search(r"\d+ tokens, [\d.]+ s, in a batch of 16", tab.locator(".turn h4").first.inner_text())
    assert "-0.500 (likeliest)" in tab.locator(".static").inner_text()
    assert tab.locator(".options .gold").count() == 1
    assert re.search(r"Answer accepted\n([A-D]|none)\n", tab.locator(".facts").inner_text())

    tab.go_back()
    playwright.expect(tab.locator("#transcript")).to_be_hidden()
    counted(tab, left, 120)
    assert tab.evaluate("document.activeElement.getAttribute('href')") == target


def test_a_link_to_a_conversation_opens_it(page, open_page):
    tab = open_page(page, fragment="#transcript-61")
    playwright.expect(tab.locator("#transcript-heading")).to_have_text("Conversation 62 of 120")
    playwright.expect(tab.locator("#overview")).to_be_hidden()
    tab.get_by_role("link", name="Later").click()
    playwright.expect(tab.locator("#transcript-heading")).to_have_text("Conversation 63 of 120")
    tab.get_by_role("link", name="All conversations").click()
    playwright.expect(tab.locator("#transcripts")).to_be_visible()


def test_a_link_to_a_conversation_that_there_is_not_shows_the_list(page, open_page):
    tab = open_page(page, fragment="#transcript-9999")
    assert count(tab) == 120
    playwright.expect(tab.locator("#transcript")).to_be_hidden()


def test_every_filter_leaves_what_it_says_and_clearing_brings_all_back(page, open_page):
    tab = open_page(page)
    asked = {
        "Model": ("two", "two"),
        "Subject": ("abstract algebra", "abstract algebra"),
        "Stop reason": ("forced", "forced"),
        "Event": ("at least one", "events:"),
    }
    for label, (option, said) in asked.items():
        tab.get_by_label(label, exact=True).select_option(label=option)
        playwright.expect(tab.locator("#count")).to_contain_text("of 120")
        rows = [row.inner_text() for row in tab.locator(".results li").all()]
        assert rows
        assert all(said in row for row in rows)
        tab.get_by_role("button", name="Clear filters").click()
        playwright.expect(tab.locator("#count")).to_have_text("120 conversations")
    tab.get_by_label("Turns from").fill("3")
    tab.get_by_label("Turns to").fill("4")
    playwright.expect(tab.locator("#count")).to_contain_text("of 120")
    assert all(re.search(r"\b[34] turns", row.inner_text()) for row in tab.locator(".results li").all())


def test_a_cell_of_the_table_shows_its_conversations(page, open_page):
    tab = open_page(page)
    cell = tab.locator('.cell[data-model="1"][data-static="wrong"][data-outcome="right"]')
    tab.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    expected = int(re.match(r"\d+", cell.inner_text())[0])
    cell.click()
    counted(tab, expected, 120)
    assert tab.get_by_label("Model", exact=True).evaluate("each => each.selectedOptions[0].text") == "two"


def test_it_works_with_the_keyboard_alone(page, open_page):
    tab = open_page(page)
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the conversations"
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.id") == "search"
    tab.locator(".results a").first.focus()
    tab.keyboard.press("Enter")
    playwright.expect(tab.locator("#transcript-heading")).to_be_focused()
    tab.keyboard.press("Shift+Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Later"
    tab.locator("#back").press("Enter")
    playwright.expect(tab.locator("#transcripts")).to_be_visible()


def test_keys_step_through_conversations_and_messages_and_leave(page, open_page):
    tab = open_page(page, fragment="#transcript-3")
    playwright.expect(tab.locator("#transcript-heading")).to_have_text("Conversation 4 of 120")
    tab.keyboard.press("ArrowRight")
    playwright.expect(tab.locator("#transcript-heading")).to_have_text("Conversation 5 of 120")
    tab.keyboard.press("j")
    tab.keyboard.press("j")
    assert tab.url.endswith("#transcript-4-2")
    playwright.expect(tab.locator(".turn.chosen")).to_have_count(1)
    assert tab.locator(".turn").nth(1).evaluate("each => each.classList.contains('chosen')")
    tab.keyboard.press("k")
    assert tab.url.endswith("#transcript-4-1")
    tab.keyboard.press("ArrowLeft")
    playwright.expect(tab.locator("#transcript-heading")).to_have_text("Conversation 4 of 120")
    tab.keyboard.press("Escape")
    playwright.expect(tab.locator("#transcripts")).to_be_visible()
    tab.locator("#search").press("j")
    assert tab.locator("#search").input_value() == "j"


def test_a_link_to_a_message_opens_its_conversation_there(page, open_page):
    tab = open_page(page, fragment="#transcript-3-2")
    chosen = tab.locator(".turn.chosen")
    playwright.expect(chosen).to_have_count(1)
    assert chosen.locator(".anchor").get_attribute("href") == "#transcript-3-2"
    tab.locator(".turn .anchor").first.click()
    playwright.expect(tab.locator(".turn").first).to_have_class(re.compile("chosen"))
    assert tab.url.endswith("#transcript-3-1")


def test_beside_each_reply_stands_what_it_supports_and_the_options_are_marked(reading_page, open_page):
    tab = open_page(reading_page, fragment="#transcript-0")
    replies = tab.locator(".turn.assistant .reading")
    assert replies.all_inner_texts() == ["supports A ✗", "supports no option", "supports A and B", "supports B ✓"]
    assert tab.locator(".turn.user .reading").all_inner_texts() == ["accepted A ✗"]
    assert tab.locator(".options .gold .marks").inner_text() == "right"
    assert tab.locator(".options .taken .marks").inner_text() == "accepted"
    tab.goto(f"{reading_page.as_uri()}#transcript-1")
    playwright.expect(tab.locator("#transcript-heading")).to_have_text("Conversation 2 of 2")
    assert tab.locator(".turn.assistant .reading").all_inner_texts() == ["supports C ✗"]


def test_the_list_has_pages(page, open_page):
    tab = open_page(page)
    first = tab.locator(".results a").first.get_attribute("href")
    tab.get_by_role("button", name="Next").click()
    playwright.expect(tab.locator("#page")).to_have_text("Page 2 of 3")
    assert tab.locator(".results a").first.get_attribute("href") != first
    playwright.expect(tab.get_by_role("button", name="Previous")).to_be_enabled()


def test_printed_it_has_no_controls(page, open_page):
    tab = open_page(page)
    tab.emulate_media(media="print")
    playwright.expect(tab.locator("form")).to_be_hidden()
    playwright.expect(tab.locator("#models")).to_be_visible()


# Everybody can use it


@pytest.mark.parametrize(
    ("size", "scheme"), [(DESKTOP, "light"), (DESKTOP, "dark"), (TABLET, "light"), (PHONE, "light"), (PHONE, "dark")]
)
@pytest.mark.parametrize("fragment", ["", "#transcript-3"])
def test_axe_finds_no_barrier_and_nothing_wider_than_the_screen(page, open_page, size, scheme, fragment):
    tab = open_page(page, size, scheme, fragment)
    if fragment:
        playwright.expect(tab.locator("#transcript")).to_be_visible()
    tab.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    found = axe.Axe().run(tab).response["violations"]
    assert [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found] == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= size[0]


@pytest.mark.parametrize(("size", "fragment"), [(DESKTOP, ""), (PHONE, ""), (DESKTOP, "#transcript-0")])
def test_axe_finds_no_barrier_in_the_page_of_one_model(reading_page, open_page, size, fragment):
    tab = open_page(reading_page, size, "light", fragment)
    tab.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert [each["id"] for each in axe.Axe().run(tab).response["violations"]] == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_what_keeps_the_runs_from_being_compared_is_on_top(page, open_page):
    notice = open_page(page).get_by_role("region", name="Before you compare").inner_text()
    assert "limit: " in notice


# Hostile content


def test_hostile_content_is_text_in_the_overview(hostile_page, open_page):
    tab = open_page(hostile_page)
    assert tab.title() == "ChatBench report"
    shown = tab.locator("#overview").text_content()
    assert "<script>document.title = 'owned'</script>" in shown
    assert "line 4: no UTF-8" in shown
    assert tab.locator("img").count() == 0


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_content_is_text_in_a_conversation(hostile_page, open_page, number):
    tab = open_page(hostile_page, fragment=f"#transcript-{number}")
    said = tab.locator(".turn.user .text").first
    expected = HOSTILE[number][:20_000].translate(
        {0: "␀", 0x1B: "␛", 0x202E: "\ufffd", 0x202C: "\ufffd", 0xD800: "\ufffd"}
    )
    assert said.text_content().replace("\ud800", "\ufffd") == expected
    assert tab.title() == "ChatBench report"
    assert tab.locator("#dialogue :is(script, img, svg, a:not(.anchor))").count() == 0


def test_a_line_of_a_megabyte_is_cut_until_it_is_asked_for(hostile_page, open_page):
    tab = open_page(hostile_page, fragment="#transcript-5")
    bubble = tab.locator(".turn.user").first
    bubble.get_by_role("button", name="Show all 1,000,020 characters").click()
    assert len(bubble.locator(".text").text_content()) == 1_000_020


def test_bytes_that_are_no_utf_8_are_shown_as_replaced(hostile_page, open_page):
    tab = open_page(hostile_page, fragment="#transcript-9")
    playwright.expect(tab.locator(".turn.user .text").first).to_contain_text("**b\ufffd\ufffdd**")
