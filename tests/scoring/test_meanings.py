"""Every metric has a line that says what it is."""

from lm_eval_plugin.scoring.meanings import MEANINGS
from lm_eval_plugin.scoring.metrics import METRICS, NEUTRAL


def test_every_metric_has_a_meaning_and_nothing_else_does():
    assert list(MEANINGS) == list(METRICS)


def test_meanings_are_one_line_and_what_is_neutral_is_a_metric():
    assert [name for name, meaning in MEANINGS.items() if not meaning or "\n" in meaning or "|" in meaning] == []
    assert METRICS.keys() >= NEUTRAL
