import pytest
from users import MODEL, WITH_A_MODEL, WITHOUT_A_MODEL, configured, user_of

from lm_eval_plugin.config.presets import POLICIES, PRESETS
from lm_eval_plugin.errors import ConfigError, ModelError
from lm_eval_plugin.models.person import Person
from lm_eval_plugin.runner.participants import label_of, make_simulator, user_model
from lm_eval_plugin.simulators.chatbench import ChatbenchFormat, Reading
from lm_eval_plugin.simulators.human import HumanUser
from lm_eval_plugin.simulators.iqa_eval import IqaEval
from lm_eval_plugin.simulators.model_user import ModelUser
from lm_eval_plugin.simulators.scripted import ScriptedUser
from lm_eval_plugin.simulators.sharded import ShardedUser
from lm_eval_plugin.simulators.two_step import Opening, TwoStep, help_opener
from lm_eval_plugin.simulators.userlm import UserLM

SCRIPTS = {
    "chatbench_a": ChatbenchFormat(Reading.A),
    "chatbench_b": ChatbenchFormat(Reading.B),
    "two_step": TwoStep(Opening.FREE),
    "two_step_problem": TwoStep(Opening.PROBLEM),
    "two_step_help": TwoStep(Opening.FREE),
    "iqa_eval": IqaEval(),
    "userlm": UserLM(),
}


@pytest.mark.parametrize("name", WITH_A_MODEL)
def test_policy_with_a_model_is_made_of_its_script_without_loading_anything(name):
    made = user_of(WITH_A_MODEL[name])
    opener = help_opener if name == "two_step_help" else None
    label = label_of(configured(WITH_A_MODEL[name]))
    assert made == ModelUser(label, SCRIPTS[name], chain_of_thought=False, reasks=2, opener=opener)
    assert made.guarded


@pytest.mark.parametrize("name", WITHOUT_A_MODEL)
def test_policy_without_a_model_is_made_of_its_own_kind(name):
    made = {"scripted": ScriptedUser(), "sharded": ShardedUser(turns=9), "human": HumanUser()}[name]
    assert user_of(WITHOUT_A_MODEL[name]) == made
    assert not made.guarded


def test_tests_know_every_policy():
    named = [*WITH_A_MODEL.values(), *WITHOUT_A_MODEL.values()]
    assert {simulator["policy"] for simulator in named} == set(POLICIES)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_makes_a_user_of_its_label(preset):
    assert user_of(preset).label == preset


def test_habits_reach_the_scripted_user():
    made = user_of({"policy": "scripted", "habits": ["pastes_stem", "gives_up"]})
    assert made == ScriptedUser("scripted[habits=pastes_stem+gives_up]", ("pastes_stem", "gives_up"))


@pytest.mark.parametrize(
    ("switches", "end"),
    [
        ({}, ""),
        ({"chain_of_thought": True}, "+chain_of_thought"),
        ({"persona": "novice"}, "+persona=novice"),
        ({"persona": ["novice", "expert"]}, "+persona=novice|expert"),
        ({"persona": "any", "chain_of_thought": True}, "+chain_of_thought+persona=any"),
        # The first digits of what `sha256sum` says of the text.
        ({"persona": ["You teach.", "expert"]}, "+persona=416c58|expert"),
        ({"persona": [], "chain_of_thought": False}, ""),
    ],
)
def test_label_names_the_switches(switches, end):
    config = configured({"policy": "two_step", **MODEL}, **switches)
    assert label_of(config) == make_simulator(config).label == f"two_step[pretrained=gpt2]{end}"


def test_user_without_a_model_has_none():
    assert user_model(configured("scripted").simulator) is None
    assert user_model(configured("sharded").simulator) is None


def test_person_speaks_for_the_human_user():
    assert isinstance(user_model(configured("human").simulator), Person)


def test_chain_of_thought_reaches_the_user():
    assert user_of({"policy": "userlm", **MODEL}, chain_of_thought=True).chain_of_thought


def test_chat_api_cannot_continue_a_text():
    chat = {"backend": "local-chat-completions", "model_args": {"model": "m", "base_url": "http://127.0.0.1:1"}}
    with pytest.raises(ConfigError, match="continues a text, which the chat API"):
        user_model(configured({"policy": "userlm", **chat}).simulator)


@pytest.mark.parametrize(
    ("backend", "message"), [("nosuch", "no model type 'nosuch'"), ("anthropic-chat", "ANTHROPIC_API_KEY")]
)
def test_backend_that_cannot_be_had_is_said_before_it_is_asked_for_anything(backend, message, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    config = configured({"policy": "two_step", "backend": backend, "model_args": {"model": "m"}}).simulator
    with pytest.raises(ModelError, match=message):
        user_model(config)


def test_model_of_another_backend_that_is_nowhere_says_what_to_do():
    config = configured({"policy": "two_step", "backend": "hf-auto", "model_args": {"pretrained": "own/uncached"}})
    with pytest.raises(ModelError, match="hf download own/uncached"):
        user_model(config.simulator)
