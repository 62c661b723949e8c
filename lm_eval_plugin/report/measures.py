"""The metrics in the words of the page, in the groups in which it shows them."""

from __future__ import annotations

from collections.abc import Mapping

from lm_eval_plugin.dialogue.transcript import Event
from lm_eval_plugin.scoring.kinds import Kind
from lm_eval_plugin.scoring.metrics import METRICS
from lm_eval_plugin.scoring.statistics import Estimate

OUTCOMES: Mapping[str, str] = {
    "acc": "The user's final answer is right.",
    "acc_answered": "The user's final answer is right, of the dialogues that ended with an answer; the paper's accuracy.",
    "answer_given": "The dialogue ended with an answer.",
    "acc_static": "The model alone is right.",
    "acc_gap": "Interactive minus static accuracy, question by question.",
    "flip_gain": "Right in the dialogue, wrong without it.",
    "flip_loss": "Wrong in the dialogue, right without it.",
    "acc_user_alone": "The user alone, without help, is right.",
    "uplift": "The user with the model minus the user alone, dialogue by dialogue.",
    "alone_wrong_together_right": "The user ended right, of those wrong alone; 54 % of people in the paper.",
    "alone_right_together_wrong": "The user ended wrong, of those right alone; 10 % of people in the paper.",
    "valid_user_alone": "The user's answer alone is one of the letters; the four before rest on these.",
    "replies_read": "A reply of the assistant supports an option that could be read; the next three rest on these alone.",
    "recovered": "The user ended right although the assistant first supported a wrong option.",
    "misled": "The user ended wrong although the assistant supported a right option.",
    "followed": "The answer is the option that the assistant supported last.",
    "user_turns": "User messages that were replied to.",
    "user_tokens": "Tokens of the user's messages.",
    "assistant_tokens": "Tokens of the assistant's messages.",
    "model_error": "A model returned nothing; such a dialogue is in no other number.",
}
"""What came of the dialogues."""

FIDELITY: Mapping[str, str] = {
    "answered": "The user accepted an answer by itself.",
    "valid": "The final answer is one of the letters.",
    "mirrored": "The first message restates the question with its options; 39.8 % of people's conversations do.",
    "user_words_first": "Words of the first message.",
    "coherence": "A judge's score for the user's coherence, 1 to 5.",
    "satisfaction": "A judge's score for the user's satisfaction, 1 to 5.",
    "judged": "Verdicts of the judge that could be read.",
    f"event_{Event.EMPTY.value}": "The user said nothing.",
    f"event_{Event.ECHO.value}": "The user said what the assistant had just said.",
    f"event_{Event.REPEAT.value}": "The user said its last message again.",
    f"event_{Event.SWAPPED_ROLE.value}": "The user spoke as the assistant.",
    f"event_{Event.LEAKED_REASONING.value}": "The user said aloud what it thought or was told to be.",
    f"event_{Event.MARKER.value}": "The user wrote a piece of its prompt's structure.",
    f"event_{Event.ANSWER_LEAK.value}": "The user stated an answer before the assistant had said anything.",
}
"""How much the simulated user is like a person."""

TILES = (
    ("acc", "Interactive"),
    ("acc_static", "Static"),
    ("acc_gap", "Gap"),
    ("acc_subjects", "Interactive, mean over subjects"),
    ("acc_user_alone", "User alone"),
    ("uplift", "Uplift"),
    ("alone_wrong_together_right", "Wrong alone, right together"),
    ("alone_right_together_wrong", "Right alone, wrong together"),
    ("recovered", "Recovered"),
    ("misled", "Misled"),
    ("answered", "Answered by itself"),
)
"""The measures that have a card of their own, and its heading."""

_PERCENT = "\N{NARROW NO-BREAK SPACE}%"
_POINTS = "\N{NO-BREAK SPACE}points"
_PLAIN = {Kind.COUNT, Kind.SCORE, Kind.SECONDS}


def value_of(name: str, estimate: Estimate | None) -> str:
    """A metric's value as the page has it: a percentage, percentage points, or a number of what it counts."""
    return "–" if estimate is None else f"{_number(name, estimate.value)}{_unit(name)}"


def interval_of(name: str, estimate: Estimate | None) -> str:
    """Its 95 % interval, likewise; empty if there is none."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return ""
    return f"{_number(name, estimate.low)} to {_number(name, estimate.high)}{_unit(name)}"


def is_zero(estimate: Estimate) -> bool:
    """Whether a measure says only that something never happened."""
    return estimate.value == 0


def share_of(part: int, whole: int) -> str:
    """How much of the whole a part is, as a percentage."""
    return f"{100 * part / whole:.1f}{_PERCENT}"


def _kind(name: str) -> Kind:
    return METRICS[name].kind if name in METRICS else Kind.SHARE


def _unit(name: str) -> str:
    kind = _kind(name)
    return "" if kind in _PLAIN else _POINTS if kind is Kind.DIFFERENCE else _PERCENT


def _number(name: str, value: float) -> str:
    kind = _kind(name)
    sign = "+" if kind is Kind.DIFFERENCE else ""
    text = f"{value:{sign}.2f}" if kind in _PLAIN else f"{100 * value:{sign}.1f}"
    return text.replace("-", "\N{MINUS SIGN}")
