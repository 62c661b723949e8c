"""Replies that show each cause for which an option was once read wrongly or not at all, and what each concept makes of them."""

import json
from pathlib import Path

import pytest

from lm_eval_plugin.answers.option_marks import marked
from lm_eval_plugin.answers.plain_text import plain
from lm_eval_plugin.answers.polarity import Polarity
from lm_eval_plugin.answers.supported_option import named_option
from lm_eval_plugin.answers.walks import walked
from lm_eval_plugin.dialogue.question import Question

DATA = Path(__file__).parents[1] / "data"
GAS = Question("q", "s", "Which gas do plants take up?", ("Oxygen", "Nitrogen", "Carbon dioxide", "Methane"))
CLOSEST = Question("q", "s", "Which planet is closest to the Sun?", ("Venus", "Mercury", "Earth", "Mars"))
PART = Question("q", "s", "What part of 8 slices are 3 slices?", ("1/8", "3/8", "5/8", "3/5"))
ANGLE = Question("q", "s", "What is the angle?", ("15.0°", "19.5°", "22.1°", "30.0°"))
POWER = Question("q", "s", "How is 2500 written?", ("2.5 x 10^2", "2.5 x 10^3", "25 x 10^3", "2.5 x 10^4"))
SALT = Question("q", "s", "What is table salt?", ("KCl, potassium chloride", "NaCl, sodium chloride"))
CAPITAL = Question("q", "s", "What is the capital of Canada?", ("Toronto", "Ottawa", "Montreal", "Vancouver"))
HALF = Question("q", "s", "How much is left?", ("5 g", "10 g", "20 g", "40 g"))
BILL = Question("q", "s", "What is 15% of 80?", ("8", "10", "12", "14"))


def cases(regime):
    lines = (DATA / "replies_by_cause.jsonl").read_text(encoding="utf-8").splitlines()
    return [case for case in map(json.loads, lines) if case["regime"] == regime]


def read(case):
    return named_option(case["reply"], Question("q", "s", case["stem"], tuple(case["choices"])))


@pytest.mark.parametrize(
    ("regime", "precision", "recall"),
    [("letter", 1, 1), ("negated", 0.98, 0.7), ("moral", 0.98, 0.95), ("option", 0.98, 0.9)],
)
def test_precision_and_recall_of_a_regime(regime, precision, recall):
    found = [(read(case), case["label"]) for case in cases(regime)]
    named = [one == label for one, label in found if one is not None]
    labelled = [one == label for one, label in found if label]
    assert sum(named) >= precision * len(named) > 0
    assert sum(labelled) >= recall * len(labelled) > 0


def test_hints_and_rejections_are_no_support():
    hints = cases("hint")
    assert sum(read(case) is not None for case in hints) <= 0.02 * len(hints)


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("[ ] Oxygen\n[ ] Nitrogen\n[x] Carbon dioxide\n[ ] Methane", "C"),
        ("[ ] Oxygen\n[ ] Nitrogen\n[ ] Carbon dioxide\n[ ] Methane", None),
        ("☐ Oxygen\n☐ Nitrogen\n☑ Carbon dioxide\n☐ Methane", "C"),
        ("~~Oxygen~~\n~~Nitrogen~~\nCarbon dioxide\n~~Methane~~", "C"),
        ("~~The answer is A.~~ The answer is C.", "C"),
        ("~~Oxygen~~ ~~Methane~~", None),
        ("A. Oxygen: wrong.\nB. Nitrogen: no.\nC. Carbon dioxide: yes.\nD. Methane: no.", "C"),
        ("A. Oxygen: wrong.\nB. Nitrogen: yes.\nC. Carbon dioxide: yes.\nD. Methane: no.", None),
        ("A. Oxygen: a gas.\nB. Nitrogen: a gas.\nC. Carbon dioxide: a gas.\nD. Methane: a gas.", None),
        ("A. Oxygen: no.\nB. Nitrogen: no.\nC. Carbon dioxide: yes.\nD. Methane: no.\n\nThe answer is B.", "B"),
    ],
)
def test_walks_boxes_and_struck_out_text(reply, letter):
    assert named_option(reply, GAS) == letter


def test_a_walk_is_read_by_what_the_question_asks_for():
    said = marked(plain("A: yes. B: no. C: yes. D: yes."), CAPITAL).lower()
    assert walked(said, CAPITAL, Polarity.NOT).letters == frozenset("B")
    assert walked(said, CAPITAL, Polarity.POSITIVE).letters == frozenset()
    assert walked("ottawa", CAPITAL, Polarity.NOT) is None


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("Mercury is closer to the Sun than Venus, Earth and Mars.", "B"),
        ("Mercury is closer than all the others.", "B"),
        ("Mercury is closer than Earth.", None),
        ("Mercury is not closer than Venus, Earth and Mars.", None),
        ("Venus is hotter than Mercury, Earth and Mars.", None),
        ("Unlike Venus, Mercury is the closest.", "B"),
        ("Although Venus is hotter, Mercury is closest.", "B"),
        ("Venus can be ruled out, and so can Earth and Mars.", "B"),
        ("Venus is second.", None),
        ("Venus is the second.", None),
    ],
)
def test_comparison_and_elimination(reply, letter):
    assert named_option(reply, CLOSEST) == letter


@pytest.mark.parametrize(
    ("reply", "question", "letter"),
    [
        ("three eighths", PART, "B"),
        ("3 out of 8", PART, "B"),
        ("0,375", PART, "B"),
        ("one eighths", PART, None),
        ("19.47°", ANGLE, "B"),
        ("19.47 degrees", ANGLE, "B"),
        ("19.4°", ANGLE, None),
        ("19.47 m", ANGLE, None),
        ("2.5e3", POWER, "B"),
        ("2.5 x 10**3", POWER, "B"),
        ("2.5 times ten to the third power", POWER, "B"),
        ("2.5 times ten to the hundredth", POWER, None),
        ("NaCl", SALT, "B"),
        ("It is sodium chloride.", SALT, "B"),
        ("It is chloride.", SALT, None),
        ("80 → 40 → 20 → 10 → 5 g", HALF, "A"),
        ("It comes out as 10 g. 3 days take 40 g away.", HALF, "B"),
    ],
)
def test_equal_forms(reply, question, letter):
    assert named_option(reply, question) == letter


@pytest.mark.parametrize(
    "reply",
    [
        "La risposta è B.",
        "Odpowiedź: B",
        "Правильный ответ: B",
        "答えは B です。",
        "정답은 B입니다.",
        "الإجابة هي B",
        "उत्तर B है",
        "Cevap B",
    ],
)
def test_answer_in_another_language(reply):
    assert named_option(reply, CAPITAL) == "B"


@pytest.mark.parametrize("reply", ["Non è Toronto.", "Não é Toronto.", "Nicht Toronto.", "Ce n'est pas Toronto."])
def test_rejection_in_another_language(reply):
    assert named_option(reply, CAPITAL) is None


@pytest.mark.parametrize(
    "reply",
    [
        "10% of 80 is 8. Now add half of that.",
        "Remember that 10% of 80 is 8.",
        "What would 10% be? It's 8. And 5% is half of it.",
        "Your answer of 10 is slightly off.",
        "10 would be right if you had 67 to begin with.",
        "I can't give you the answer, but 10% is 8.",
    ],
)
def test_a_step_on_the_way_is_no_support(reply):
    assert named_option(reply, BILL) is None
    assert named_option("What is 15% of 80? It's 12.", BILL) == "C"
