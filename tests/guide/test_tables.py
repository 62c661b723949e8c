"""The tables of the guide are those that the code makes, and `chatbench list` shows the same names."""

from __future__ import annotations

import json

import pytest
from documented import PAGES
from tables import PLACE, TABLES, arguments, filled

from lm_eval_plugin.cli.list import LISTS
from lm_eval_plugin.cli.main import main
from lm_eval_plugin.config import descriptions
from lm_eval_plugin.config.dialogue import DialogueConfig
from lm_eval_plugin.config.presets import POLICIES, PRESETS
from lm_eval_plugin.scoring.metrics import METRICS
from lm_eval_plugin.simulators.personas import ANY, PERSONAS
from lm_eval_plugin.simulators.scripted import HABITS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tables_are_those_of_the_code(page):
    text = page.read_text(encoding="utf-8")
    assert filled(text) == text, "run python tests/guide/tables.py"


def test_every_table_stands_somewhere():
    standing = [place["name"] for page in PAGES for place in PLACE.finditer(page.read_text(encoding="utf-8"))]
    assert sorted(standing) == sorted(TABLES)


def test_a_key_without_a_word_in_its_docstring_has_no_table():
    assert arguments(DialogueConfig).keys() == DialogueConfig.model_fields.keys()


@pytest.mark.parametrize(
    ("told", "names"),
    [
        (descriptions.PRESETS_TOLD, PRESETS),
        (descriptions.POLICIES_TOLD, POLICIES),
        (descriptions.PERSONAS_TOLD, [*PERSONAS, ANY]),
        (descriptions.HABITS_TOLD, HABITS),
    ],
    ids=["presets", "policies", "personas", "habits"],
)
def test_whatever_has_a_name_has_a_line(told, names):
    assert set(told) == set(names)
    assert all(line and "\n" not in line and "|" not in line for line in told.values())


def test_list_shows_every_name_with_its_line_and_a_metric_with_its_kind(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for what, rows in LISTS.items():
        assert what in lines
        assert [name for name in rows() if not any(line.split()[:1] == [name] for line in lines)] == []
    assert main(["list", "metrics"]) == 0
    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert shown.keys() == METRICS.keys()
    assert shown["acc_gap"].startswith("difference of shares: ")


def test_list_is_read_by_programs(capsys):
    assert main(["list", "habits", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == dict(descriptions.HABITS_TOLD)
    assert main(["list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out).keys() == LISTS.keys()
