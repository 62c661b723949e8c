"""README and guide name what there is, their links lead somewhere, and their Python runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lm_eval_plugin.cli.guide import GUIDE
from lm_eval_plugin.cli.main import COMMANDS, main
from lm_eval_plugin.config.dialogue import DialogueConfig
from lm_eval_plugin.config.presets import POLICIES, PRESETS
from lm_eval_plugin.config.simulator import SimulatorConfig
from lm_eval_plugin.dialogue.transcript import StopReason
from lm_eval_plugin.scoring.metrics import HIGHER_IS_BETTER
from lm_eval_plugin.simulators.personas import ANY, PERSONAS
from lm_eval_plugin.simulators.scripted import HABITS

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = sorted(GUIDE.glob("*.md"))
TEXTS = {page: page.read_text(encoding="utf-8") for page in [README, *PAGES]}
DOCUMENTATION = "\n".join(TEXTS.values())


@pytest.mark.parametrize(
    "names",
    [
        PRESETS,
        [policy for policy in POLICIES if not policy.startswith("two_step_")],
        [*PERSONAS, ANY],
        HABITS,
        DialogueConfig.model_fields,
        SimulatorConfig.known_keys(),
        [reason.value for reason in StopReason],
        [metric for metric in HIGHER_IS_BETTER if not metric.startswith("event_")],
    ],
    ids=["presets", "policies", "personas", "habits", "keys", "simulator keys", "stop reasons", "metrics"],
)
def test_every_name_stands_in_readme_or_guide(names):
    assert [name for name in names if f"`{name}`" not in DOCUMENTATION and f'`"{name}"' not in DOCUMENTATION] == []


def test_every_command_stands_in_readme_and_guide():
    assert [name for name in COMMANDS if f"chatbench {name}" not in DOCUMENTATION] == []
    assert [name for name in COMMANDS if f"`{name}`" not in TEXTS[README]] == []


def test_readme_is_read_in_five_minutes():
    assert len(TEXTS[README].splitlines()) <= 200
    assert len(TEXTS[README].split()) <= 1300


def test_readme_lists_every_page_with_its_question():
    missing = [
        page.stem
        for page in PAGES
        if f"| [{page.stem}](lm_eval_plugin/guide/{page.name}) | {title(page)} |" not in TEXTS[README]
    ]
    assert missing == []


def test_every_page_begins_with_the_question_that_it_answers():
    assert [page.stem for page in PAGES if not title(page).endswith("?")] == []


def test_the_picture_is_small_and_says_what_it_shows():
    ((told, file),) = re.findall(r"^!\[(.+)\]\((.+)\)$", TEXTS[README], re.MULTILINE)
    picture = ROOT / file
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert picture.stat().st_size < 60_000
    assert len(told.split()) > 5


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.stem)
def test_links_between_pages_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", TEXTS[page])
    targets = [((page.parent / file).resolve() if file else page, anchor) for file, anchor in links]
    assert [str(file) for file, _ in targets if not file.is_file()] == []
    assert [anchor for file, anchor in targets if anchor and anchor not in anchors(file)] == []


def test_its_simulation_in_python_prints_what_it_says(capsys):
    (snippet,) = re.findall(r"```python\n(from lm_eval_plugin\.demo.*?)```", DOCUMENTATION, re.DOTALL)
    exec(compile(snippet, "one-conversation.md", "exec"), {})
    said = re.findall(r"^print.*# (.*)$", snippet, re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == said


def test_guide_without_a_topic_lists_all_pages_with_their_questions(capsys):
    assert main(["guide"]) == 0
    listed = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert {topic: question.strip() for topic, question in listed.items()} == {p.stem: title(p) for p in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_guide_prints_a_page_as_it_is_written_where_no_terminal_reads(page, capsys):
    assert main(["guide", page.stem]) == 0
    assert capsys.readouterr().out == TEXTS[page]


def test_guide_names_the_page_that_was_meant(capsys):
    assert main(["guide", "number"]) == 2
    assert "did you mean 'numbers'?" in capsys.readouterr().err


def title(page):
    return TEXTS[page].splitlines()[0].removeprefix("# ")


def anchors(page):
    """The headings of a page as GitHub makes them into anchors."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
