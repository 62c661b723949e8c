"""What hypothesis draws: questions, transcripts, and texts made of the pieces that parsers and prompts react to."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from lm_eval_plugin.dialogue.question import LETTERS, Question
from lm_eval_plugin.dialogue.transcript import Event, Message, Role, StopReason, Transcript, Verdict

# The same examples every time, and no verdict that hangs on how busy the machine is.
PROPERTY = settings(deadline=None, max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

nonblank = st.text(min_size=1, max_size=20).filter(str.strip)
questions = st.builds(
    Question,
    id=st.text(max_size=8),
    subject=st.just("anything"),
    stem=nonblank,
    choices=st.lists(nonblank, min_size=2, max_size=26).map(tuple),
)

_PIECES = [
    *("[END]", "[USER]", "[SYSTEM]", "[ASSISTANT]", "[", "]", "END]", "[EN", "D]"),
    *("YOU:", "SYSTEM:", "User:", "Assistant:", "System:", "=" * 24, "="),
    *(
        "\n",
        "\r\n",
        " ",
        "\t",
        "Answer:",
        "Answer: B",
        "answer is",
        "so",
        "option",
        " or ",
        "B",
        "b",
        "(",
        "**",
        "I",
        "56",
    ),
    *("<s>", "</s>", "<|im_end|>", "<|", "|>", "<", ">", "<think>", "</think>"),
]
hostile = st.lists(st.sampled_from(_PIECES), max_size=30).map("".join)
anything_said = st.one_of(hostile, st.text(max_size=60))

messages = st.builds(
    Message,
    role=st.sampled_from(Role),
    content=st.text(max_size=30),
    tokens=st.none() | st.integers(min_value=0),
    seconds=st.none() | st.floats(min_value=0, allow_nan=False, allow_infinity=False),
    reasoning=st.text(max_size=10),
    batch=st.none() | st.floats(min_value=1, max_value=64),
)
transcripts = st.builds(
    Transcript,
    question_id=st.text(max_size=10),
    simulator=st.text(max_size=10),
    repeat=st.integers(min_value=0),
    seed=st.integers(min_value=0, max_value=2**32 - 1),
    messages=st.lists(messages, max_size=5).map(tuple),
    answer=st.none() | st.sampled_from(LETTERS),
    stop_reason=st.sampled_from(StopReason),
    context_trimmed=st.booleans(),
    events=st.none() | st.dictionaries(st.sampled_from(Event), st.integers(min_value=1, max_value=9)),
    persona=st.text(max_size=10),
    verdicts=st.none()
    | st.fixed_dictionaries(
        dict.fromkeys(
            ("coherence", "satisfaction"), st.none() | st.builds(Verdict, score=st.integers(1, 5), reason=nonblank)
        )
    ),
)
