"""The shares of dialogues of a length, or with a stop reason, are estimated as every other share is."""

from __future__ import annotations

import random

import pytest
from test_report import run_of

from lm_eval_plugin.report.data import _parts, run_facts
from lm_eval_plugin.scoring.kinds import Kind
from lm_eval_plugin.scoring.statistics import mean_estimate


@pytest.mark.parametrize("seed", range(25))
def test_shares_from_counts_are_those_from_every_dialogue(seed):
    dice = random.Random(seed)
    drawn = [[dice.randint(1, 4) for _ in range(dice.randint(1, 4))] for _ in range(dice.randint(1, 40))]
    parts = _parts(drawn)
    assert sum(part.dialogues for part in parts.values()) == sum(map(len, drawn))
    for value, part in parts.items():
        expected = mean_estimate([[float(each == value) for each in values] for values in drawn], Kind.SHARE)
        for name in ("value", "standard_error", "low", "high", "questions", "scores"):
            assert getattr(part.share, name) == pytest.approx(getattr(expected, name), abs=1e-9)


def test_stop_reasons_of_a_run_stand_most_frequent_first_and_lengths_in_their_order():
    facts = run_facts(run_of("a", "BBC"))
    assert [(part.name, part.dialogues, part.share.questions) for part in facts.turns] == [("1", 3, 3)]
    assert [part.name for part in facts.stops] == ["answered"]
