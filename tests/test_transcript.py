import json

import pytest
from hypothesis import given
from strategies import PROPERTY, transcripts

from lm_eval_plugin.dialogue.transcript import Message, Role, StopReason, Transcript

DIALOGUE = Transcript(
    question_id="product",
    simulator="demo",
    repeat=1,
    seed=7,
    messages=(
        Message(Role.USER, "What is 7 × 8?", tokens=8, seconds=0.41),
        Message(Role.ASSISTANT, "56.", reasoning="7 x 8"),
        Message(Role.USER, "Answer: B"),
    ),
    answer="B",
    stop_reason=StopReason.ANSWERED,
)


def changed(**fields) -> str:
    return json.dumps({**json.loads(DIALOGUE.to_json()), **fields})


@given(transcripts)
@PROPERTY
def test_json_round_trip_gives_an_equal_transcript(transcript):
    assert Transcript.from_json(transcript.to_json()) == transcript


@given(transcripts)
@PROPERTY
def test_json_is_one_line(transcript):
    assert "\n" not in transcript.to_json()


def test_json_holds_the_documented_fields_in_their_order():
    assert json.loads(DIALOGUE.to_json()) == {
        "version": 1,
        "question_id": "product",
        "simulator": "demo",
        "repeat": 1,
        "seed": 7,
        "messages": [
            {"role": "user", "content": "What is 7 × 8?", "tokens": 8, "seconds": 0.41},
            {"role": "assistant", "content": "56.", "tokens": None, "seconds": None, "reasoning": "7 x 8"},
            {"role": "user", "content": "Answer: B", "tokens": None, "seconds": None},
        ],
        "answer": "B",
        "stop_reason": "answered",
        "context_trimmed": False,
    }


def test_json_keeps_letters_outside_ascii_readable():
    assert "7 × 8" in DIALOGUE.to_json()


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_unknown_version_is_refused(version):
    with pytest.raises(ValueError, match="not a transcript of version 1"):
        Transcript.from_json(changed(version=version))


@pytest.mark.parametrize("text", ["", "no json", "[]", "1", "null", '"text"', "{}"])
def test_text_that_is_no_transcript_is_refused(text):
    with pytest.raises(ValueError, match=r"not a transcript|Expecting value"):
        Transcript.from_json(text)


@pytest.mark.parametrize("field", [field for field in json.loads(DIALOGUE.to_json()) if field != "version"])
def test_missing_field_is_named(field):
    fields = json.loads(DIALOGUE.to_json())
    del fields[field]
    with pytest.raises(ValueError, match=rf"a transcript\'s {field}: field required"):
        Transcript.from_json(json.dumps(fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"stop_reason": "bored"},
        {"messages": None},
        {"messages": ["hello"]},
        {"messages": [{"role": "judge", "content": "hello"}]},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "user", "content": "hello", "mood": "good"}]},
    ],
)
def test_field_of_another_shape_is_refused(fields):
    with pytest.raises(ValueError, match="a transcript's "):
        Transcript.from_json(changed(**fields))


def test_message_without_its_optional_fields_is_read():
    read = Transcript.from_json(changed(messages=[{"role": "user", "content": "hello"}]))
    assert read.messages == (Message(Role.USER, "hello"),)
