"""Dialogues of every user policy, with transcripts worked out by hand.

Each file of `golden/policies/` is a policy, or a switch that several of them have. A case holds what the user's model (for
`human`, the person) and the assistant say, in the order in which they are asked, and the transcript that must come of it.
Its `dialogue` block and `label` go over those of the file. In a transcript the user speaks first and roles take turns; a
message is a text or its fields; what is left out has the value that it has in most cases. `cannot` names the cases that a
policy cannot come to.
"""

import json
from pathlib import Path

import pytest
from doubles import hold, saying
from users import in_turn

from lm_eval_plugin.config.dialogue import read_dialogue_block
from lm_eval_plugin.config.presets import POLICIES
from lm_eval_plugin.config.request import DialogueRequest
from lm_eval_plugin.dialogue.engine import Failure, Reply
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import Event, StopReason, Transcript
from lm_eval_plugin.models.person import Person
from lm_eval_plugin.runner.participants import make_simulator
from lm_eval_plugin.simulators.scripted import HABITS

FILES = {
    path.stem: json.loads(path.read_text())
    for path in sorted((Path(__file__).parents[1] / "golden" / "policies").glob("*.json"))
}
CASES = {f"{name}-{case}": (file, file["cases"][case]) for name, file in FILES.items() for case in file["cases"]}
EVERY_POLICY = {
    *("accepted", "forced", "invalid", "answer_at_once"),
    *("window_of_the_user", "window_of_the_assistant"),
}
SWITCHES = ("guardrails", "chain_of_thought", "persona")

every_case = pytest.mark.parametrize(("file", "case"), CASES.values(), ids=CASES)
every_policy = pytest.mark.parametrize("name", [name for name in FILES if name not in SWITCHES])


def request_of(file, case):
    """What a task with the block of this case would ask for."""
    question = Question(**{**file["question"], "choices": tuple(file["question"]["choices"])})
    block = {**file["dialogue"], **case.get("dialogue", {})}
    return DialogueRequest(question, read_dialogue_block(block, "golden"))


def speakers(file, case):
    """Whoever says the lines of a case, and how many of them are left."""

    def line(entry):
        if isinstance(entry, str):
            return entry
        return Failure(StopReason(entry["failure"])) if "failure" in entry else Reply(**entry)

    assistant = in_turn(*map(line, case["assistant"]))
    if file["dialogue"]["simulator"] == "human":
        typed = iter(case["user"])

        def read(prompt):
            text = next(typed)
            if text is None:
                raise EOFError
            return text

        return (
            Person(read, show=lambda text, speaker: None),
            assistant,
            lambda: (len(list(typed)), len(assistant.shown)),
        )
    user = in_turn(*map(line, case.get("user", [])))
    return user, assistant, lambda: (len(case.get("user", [])) - len(user.shown), len(assistant.shown))


def held(file, case):
    """The transcript of a case as it comes out, and how many lines were not said."""
    request = request_of(file, case)
    user, assistant, counts = speakers(file, case)
    transcript = hold(
        user,
        assistant,
        question=request.question,
        simulator=make_simulator(request.dialogue),
        max_turns=request.dialogue.max_turns,
        persona=request.persona(),
        seed=100,
    )
    left, replies = counts()
    return transcript, left + len(case["assistant"]) - replies


def worked_out(file, case):
    """The transcript of a case as it must come out, whole."""
    worked = case["transcript"]
    messages = [
        {
            "role": ("user", "assistant")[place % 2],
            "tokens": None,
            "seconds": None,
            **({"content": message} if isinstance(message, str) else message),
        }
        for place, message in enumerate(worked["messages"])
    ]
    left_out = {
        "version": 1,
        "question_id": file["question"]["id"],
        "simulator": case.get("label", file["label"]),
        "repeat": 0,
        "seed": 100,
        "context_trimmed": False,
    }
    return {**left_out, **worked, "messages": messages}


def untimed(transcript):
    """The fields of a transcript, without the time that a person took."""
    fields = json.loads(transcript.to_json())
    if transcript.simulator == "human":
        for message in fields["messages"]:
            assert message["seconds"] is None or message["seconds"] >= 0
            message["seconds"] = None
    return fields


@every_case
def test_script_gives_the_transcript_worked_out_by_hand(file, case):
    transcript, unsaid = held(file, case)
    assert untimed(transcript) == worked_out(file, case)
    assert unsaid == 0


@every_case
def test_events_stand_in_the_order_of_their_list(file, case):
    events = case["transcript"].get("events", {})
    assert list(events) == [event.value for event in Event if event.value in events]
    assert list(held(file, case)[0].events or {}) == [Event(event) for event in events]


@every_case
def test_transcript_survives_json(file, case):
    transcript, _ = held(file, case)
    assert Transcript.from_json(transcript.to_json()) == transcript


@every_case
def test_each_case_says_how_it_came_about(file, case):
    assert case["worked"]
    assert all(sentence.endswith(".") for sentence in [*file["worked"], *case["worked"]])


@every_policy
def test_each_policy_has_the_cases_that_it_can_come_to(name):
    cannot = set(FILES[name].get("cannot", ()))
    assert EVERY_POLICY - cannot <= FILES[name]["cases"].keys()
    assert not cannot & FILES[name]["cases"].keys()


def test_every_policy_has_a_file():
    assert {request_of(file, {}).dialogue.simulator.policy for file in FILES.values()} == set(POLICIES)


def test_every_habit_has_a_case_of_its_name():
    assert set(HABITS) <= FILES["scripted"]["cases"].keys()


def test_models_are_asked_for_nothing_in_a_scripted_dialogue():
    for name in ("scripted", "sharded"):
        file = FILES[name]
        request = request_of(file, file["cases"]["accepted"])
        user, (_, assistant, _) = saying(), speakers(file, file["cases"]["accepted"])
        hold(user, assistant, question=request.question, simulator=make_simulator(request.dialogue), max_turns=4)
        assert user.batches == []
