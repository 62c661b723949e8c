"""The right answer reaches nobody who takes part in a dialogue."""

import dataclasses
import json

import pytest
from conftest import write_mmlu
from doubles import ScriptedModel, hold
from lm_eval.tasks import TaskManager
from users import WITH_A_MODEL, WITHOUT_A_MODEL

from lm_eval_plugin.config.request import DialogueRequest
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.harness.tasks_folder import tasks_folder
from lm_eval_plugin.runner.participants import make_simulator
from lm_eval_plugin.simulators.loop import Situation

TASK = "chatbench_mmlu_elementary_mathematics"
CHOICES = ["one hundred", "two hundred", "three hundred", "four hundred"]
SIMULATORS = {**WITH_A_MODEL, **WITHOUT_A_MODEL}


def rows(answer):
    """Two questions with the right option in one place."""
    return [
        {"question": f"How much is it, {number}?", "subject": "arithmetic", "choices": CHOICES, "answer": answer}
        for number in range(2)
    ]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The same questions four times, each time with another right option."""
    return [write_mmlu(tmp_path_factory.mktemp(f"gold{answer}"), rows(answer)) for answer in range(4)]


def requests_of(folder, dialogue):
    """What a task asks of the dialogues over a data set."""
    metadata = {"dialogue": {**dialogue, "static": "none", "dataset": str(folder)}}
    manager = TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata=metadata)
    task = manager.load([TASK])["tasks"][TASK]
    return [
        task.construct_requests(doc, "", metadata=(TASK, number, 1))[-1].arguments
        for number, doc in enumerate(task.eval_docs)
    ]


def everything_shown(arguments):
    """The transcript of a dialogue, and what user and assistant were shown in it."""
    request = DialogueRequest.from_arguments(arguments)
    user = ScriptedModel(lambda ask: "Tell me more, please." if len(ask.history) < 4 else "So, the answer is: B")
    assistant = ScriptedModel(lambda ask: f"It is {CHOICES[len(ask.history) % 4]}, or so.")
    held = hold(
        user,
        assistant,
        question=request.question,
        simulator=make_simulator(request.dialogue),
        system=request.system,
        max_turns=3,
        seed=request.dialogue_seed(0),
        persona=request.persona(),
    )
    return held, user.shown, assistant.shown


@pytest.mark.parametrize("name", SIMULATORS)
def test_prompts_of_user_and_assistant_are_the_same_whichever_option_is_right(folders, name):
    switches = {"chain_of_thought": True, "persona": "any"} if name in WITH_A_MODEL else {}
    asked = [requests_of(folder, {"simulator": SIMULATORS[name], **switches}) for folder in folders]
    for first, *others in zip(*asked, strict=True):
        shown = everything_shown(first)
        assert shown[2]
        for other in others:
            settings = {**other[1]["dialogue"], "dataset": first[1]["dialogue"]["dataset"]}
            assert (other[0], {**other[1], "dialogue": settings}) == first
            assert everything_shown(other) == shown


def test_shuffled_options_are_the_same_whichever_is_right(folders):
    asked = [requests_of(folder, {"simulator": "scripted", "shuffle_choices": True}) for folder in folders]
    for same in zip(*asked, strict=True):
        assert len({json.dumps(arguments[1]["question"]) for arguments in same}) == 1


@pytest.mark.parametrize("kind", [Question, Situation])
def test_what_a_user_brings_has_no_field_for_the_right_answer(kind):
    fields = {field.name for field in dataclasses.fields(kind)}
    # The belief is the letter that the user itself has answered before.
    own = {"question", "rng", "persona", "belief"}
    assert fields == ({"id", "subject", "stem", "choices"} if kind is Question else own)


def test_request_holds_nothing_of_the_document_but_its_question(folders):
    arguments = requests_of(folders[2], {"simulator": "scripted"})[0]
    assert arguments[1].keys() == {"question", "dialogue", "system", "chat_template", "seed"}
    assert arguments[1]["question"].keys() == {"id", "subject", "stem", "choices"}
