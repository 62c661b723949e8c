"""How well the rules read which option a reply supports, by how the reply says it, and what each concept of theirs does."""

import hashlib
import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import PROPERTY

from lm_eval_plugin.answers.polarity import Polarity, polarity_of
from lm_eval_plugin.answers.quantities import quantity
from lm_eval_plugin.answers.supported_option import named_option
from lm_eval_plugin.dialogue.question import Question

DATA = Path(__file__).parent / "data"
LOCKED = "53dbb63d8d1c36199667027f8676875b1087dd2f56da3ecce0ac83582c2eeb3a"
PRIME = Question("q", "s", "Which of these is NOT a prime number?", ("2", "9", "11", "13"))
EUROPE = Question("q", "s", "All of these are in Europe EXCEPT", ("Portugal", "Morocco", "Greece", "Poland"))
BILL = Question("q", "s", "What is 15% of 80?", ("8", "10", "12", "14"))
PARTS = Question("q", "s", "What is three out of eight?", ("1/8", "3/8", "5/8", "7/8"))


def cases(name):
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def read(case):
    return named_option(case["reply"], Question("q", "s", case["stem"], tuple(case["choices"])))


def test_locked_half_is_as_it_was_when_no_rule_was_written():
    assert hashlib.sha256((DATA / "replies_by_regime_locked.jsonl").read_bytes()).hexdigest() == LOCKED


def test_no_question_stands_in_both_halves():
    halves = [{case["stem"] for case in cases(f"replies_by_regime{end}.jsonl")} for end in ("", "_locked")]
    assert not halves[0] & halves[1]


@pytest.mark.parametrize(
    ("regime", "precision", "recall"),
    [("letter", 0.99, 0.99), ("option", 0.95, 0.9), ("negated", 0.95, 0.8), ("moral", 0.95, 0.95)],
)
def test_precision_and_recall_of_a_regime(regime, precision, recall):
    chosen = [case for case in cases("replies_by_regime.jsonl") if case["regime"] == regime]
    named = [case for case in chosen if read(case) is not None]
    assert sum(read(case) == case["label"] for case in named) >= precision * len(named) > 0
    labelled = [case for case in chosen if case["label"]]
    assert sum(read(case) == case["label"] for case in labelled) >= recall * len(labelled)


def test_hints_and_rejections_are_no_support():
    hints = [case for case in cases("replies_by_regime.jsonl") if case["regime"] == "hint"]
    assert sum(read(case) is not None for case in hints) <= 0.02 * len(hints)


@pytest.mark.parametrize(
    ("stem", "polarity"),
    [
        ("Which of these is NOT a metal?", Polarity.NOT),
        ("All of these are metals EXCEPT", Polarity.NOT),
        ("Which doesn't float?", Polarity.NOT),
        ("Which statement is false?", Polarity.FALSE),
        ("Which of these is not true of squares?", Polarity.FALSE),
        ("Which is least likely to sink?", Polarity.LEAST),
        ("Which number is at least 7?", Polarity.POSITIVE),
        ("Ann did not pay. Who paid?", Polarity.POSITIVE),
        ("Which is not only cheap but also good?", Polarity.POSITIVE),
    ],
)
def test_what_a_question_asks_for_is_told_by_its_last_part(stem, polarity):
    assert polarity_of(stem) is polarity


@pytest.mark.parametrize(
    ("reply", "question", "letter"),
    [
        ("9 is not prime.", PRIME, "B"),
        ("2, 11 and 13 are prime.", PRIME, "B"),
        ("2 is prime.", PRIME, None),
        ("Portugal is not in Africa.", EUROPE, None),
        ("Portugal, Greece and Poland are in Europe, but Morocco is in Africa.", EUROPE, "B"),
        ("Greece is not what we are looking for.", EUROPE, None),
    ],
)
def test_lack_names_the_answer_only_of_what_the_question_asks_about(reply, question, letter):
    assert named_option(reply, question) == letter


@pytest.mark.parametrize(
    "reply",
    ["Not quite! 10 would be 12.5% of 80. Try again.", "Close, but 14 is a bit too high.", "Hint: 10% of 80 is 8."],
)
def test_hint_is_no_support_and_a_verdict_in_one_is(reply):
    assert named_option(reply, BILL) is None
    assert named_option(f"{reply} The answer is 12.", BILL) == "C"


@pytest.mark.parametrize("form", ["0.375", ".375", "37.5%", "37.5 percent", "3 / 8", r"\frac{3}{8}", "⅜", "0.3750"])
def test_quantity_is_one_in_every_form(form):
    assert named_option(f"It is {form}", PARTS) == "B"


digits = st.integers(0, 10**9)


@given(digits, st.integers(0, 10**6), st.integers(-20, 20), st.booleans())
@PROPERTY
def test_quantity_has_the_value_that_decimal_gives(whole, part, power, percent):
    text = f"{whole}.{part}"
    expected = Fraction(Decimal(text)) * Fraction(10) ** power / (100 if percent else 1)
    assert quantity(f"{text} x 10^{power}{'%' if percent else ''}") == expected


@pytest.mark.parametrize(
    "text", ["1/0", "2**9", "1e9", "1 x 10^401", "9" * 41, "√2", "", "x", "1+1", "(" * 50, "__import__"]
)
def test_what_is_no_quantity_within_the_bounds_has_no_value(text):
    assert quantity(text) is None
