"""The paper's protocol: what its loop does with given replies, and what it changes of a configuration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from doubles import PRODUCT
from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from lm_eval.api.registry import model_registry, register_model
from lm_eval.tasks import TaskManager
from sample_runs import Writer

from lm_eval_plugin.cli.main import main
from lm_eval_plugin.config.dialogue import read_dialogue_block
from lm_eval_plugin.config.protocol import PAPER_POLICIES
from lm_eval_plugin.config.protocol_label import is_of_paper, protocol_label
from lm_eval_plugin.dialogue.engine import Reply, converse
from lm_eval_plugin.dialogue.transcript import Role, StopReason
from lm_eval_plugin.errors import ConfigError, ModelError
from lm_eval_plugin.harness.tasks_folder import tasks_folder
from lm_eval_plugin.runner.participants import label_of, make_simulator
from lm_eval_plugin.runner.simulation import simulate, simulate_many
from lm_eval_plugin.simulators.loop import dialogue

GIVEN = Path(__file__).parents[2] / "shared" / "data" / "paper_protocol.jsonl"
GOLD = "B"


def config_of(**block):
    return read_dialogue_block({"protocol": "paper", **block}, "task t")


class Given:
    """A participant that says given texts one after the other, whatever it is asked, and counts the asks."""

    def __init__(self, texts):
        self.texts = texts
        self.asked = 0

    def reply(self, asks):
        replies = [Reply(text) for text in self.texts[self.asked : self.asked + len(asks)]]
        self.asked += len(asks)
        return replies


def held(policy, user, assistant):
    config = config_of(simulator=policy)
    script = dialogue(
        PRODUCT, make_simulator(config), assistant_system="Help.", max_turns=config.max_turns, repeat=0, seed=0
    )
    return converse([script], {Role.USER: user, Role.ASSISTANT: assistant})[0]


def given_lines():
    return [json.loads(line) for line in GIVEN.read_text(encoding="utf-8").splitlines()] if GIVEN.is_file() else []


@pytest.mark.skipif(not GIVEN.is_file(), reason=f"what the paper's loop does is not at {GIVEN}")
def test_every_given_dialogue_goes_as_in_the_papers_loop():
    lines = given_lines()
    assert len(lines) == 588
    for line in lines:
        user, assistant = Given(line["simulator_replies"]), Given(line["assistant_replies"])
        transcript = held(line["policy"], user, assistant)
        messages = [[message.role.value, message.content] for message in transcript.messages]
        if messages and messages[-1][0] == "user":
            # The answer, or what came in its place where it was demanded.
            messages.pop()
        expected = line["messages"][:-2] if line["answer"] is None else line["messages"]
        if line["first_message_is_fixed"]:
            messages = messages[1:]
        where = f"{line['policy']}, {line['name']}"
        assert messages == expected, where
        assert user.asked == line["asked"], where
        letter = line["answer"][:1] if (line["answer"] or "")[:1] in PRODUCT.letters and line["answer"] else None
        assert transcript.answer == letter, where
        assert (transcript.answer == GOLD) == line["correct"], where


@pytest.mark.parametrize(
    ("said", "letter"),
    [
        ("Answer: B", "B"),
        ('"Answer: C"', "C"),
        ("YOU: Answer: A", "A"),
        ("Answer: Because", "B"),
        ("Answer: D is wrong", "D"),
        ("Answer: **B**", None),
        ("Answer:  B", None),
        ("Answer: b", None),
        ("Answer: E", None),
    ],
)
def test_an_answer_is_the_one_character_behind_its_head(said, letter):
    transcript = held("two_step", Given(["7 x 8?", said]), Given(["It is 56."]))
    assert transcript.answer == letter
    assert transcript.stop_reason is (StopReason.INVALID if letter is None else StopReason.ANSWERED)


@pytest.mark.parametrize(
    "said", ["answer: B", "'Answer: B'", "Thanks! Answer: B", "Answer:", "Answer: ", "**Answer: B**", ""]
)
def test_anything_else_is_a_message(said):
    transcript = held("two_step", Given(["7 x 8?", said, "Answer: B"]), Given(["It is 56.", "Yes."]))
    assert [message.content for message in transcript.messages][2:] == [said.strip(), "Yes.", "Answer: B"]


def test_iqa_eval_answers_anywhere_with_its_first_statement_even_before_a_reply():
    said = "I think so. So, the answer is: A? So, the answer is: B"
    assert held("iqa_eval", Given([said]), Given([])).answer == "A"
    assert held("iqa_eval", Given(["x?", *["Answer: B"] * 10]), Given(["y"] * 10)).stop_reason is StopReason.NO_ANSWER


def test_nobody_is_asked_again():
    user = Given(["How can I help you today?", "It is 56.", "It is 56.", "Answer: B"])
    held("two_step", user, Given(["It is 56."] * 3))
    assert user.asked == 4


def test_protocol_changes_the_defaults():
    config = config_of()
    assert config.simulator.policy == "two_step"
    assert (config.simulator.temperature, config.simulator.max_tokens, config.simulator.reasks) == (1.0, 1000, 0)
    assert (config.assistant.temperature, config.assistant.max_tokens) == (0.7, 1000)
    assert (config.repeats, config.max_turns) == (10, 10)
    assert config.static == ["letter_few_shot", "letter", "free_text"]
    assert protocol_label(config) == "paper"


@pytest.mark.parametrize(
    ("block", "changed"),
    [
        ({"repeats": 2}, "repeats"),
        ({"max_turns": 9}, "max_turns"),
        ({"static": "none"}, "static"),
        ({"assistant": {"temperature": 0}}, "assistant.temperature"),
        (
            {"simulator": {"policy": "two_step", "backend": "hf", "model_args": {"pretrained": "m"}, "reasks": 2}},
            "simulator.reasks",
        ),
        ({"repeats": 3, "chain_of_thought": True}, "repeats, chain_of_thought"),
    ],
)
def test_explicit_keys_go_first_and_the_label_says_so(block, changed):
    config = config_of(**block)
    assert protocol_label(config) == f"paper, changed: {changed}"
    assert label_of(config).endswith(f"+paper, changed: {changed}")


def test_keys_that_repeat_the_protocol_change_nothing():
    assert protocol_label(config_of(repeats=10, assistant={"temperature": 0.7}, simulator="two_step")) == "paper"


def test_default_protocol_has_no_label():
    assert protocol_label(read_dialogue_block({}, "t")) == ""
    assert label_of(read_dialogue_block({"protocol": "default"}, "t")) == label_of(read_dialogue_block({}, "t"))


@pytest.mark.parametrize("simulator", ["scripted", "demo", "chatbench-distilgpt2", "sharded", "userlm-8b"])
def test_policy_that_the_paper_does_not_have_is_an_error(simulator):
    with pytest.raises(ConfigError, match=f"protocol paper is for the policies {', '.join(PAPER_POLICIES)}"):
        config_of(simulator=simulator)


@pytest.mark.parametrize("policy", PAPER_POLICIES)
def test_every_policy_of_the_paper_is_taken(policy):
    assert config_of(simulator=policy).simulator.policy == policy


def test_unknown_protocol_is_an_error():
    with pytest.raises(ConfigError, match="protocol"):
        config_of(protocol="papers")


def test_simulations_take_the_protocol():
    with pytest.raises(ConfigError, match="protocol paper is for the policies"):
        simulate({"question": "a?", "choices": ["b", "c"]}, lambda _: "B", "scripted", protocol="paper")
    with pytest.raises(ConfigError, match="protocol paper is for the policies"):
        simulate_many([{"question": "a?", "choices": ["b", "c"]}], lambda _: "B", "scripted", protocol="paper")


def test_simulation_without_a_simulator_has_the_protocols(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelError, match="simulator two_step"):
        simulate({"question": "a?", "choices": ["b", "c"]}, lambda _: "B", protocol="paper")


def paper_run(backend, **block):
    """A run of the demo's questions under the protocol, in which everybody says the same."""
    simulator = {"policy": "two_step", "backend": backend, "model_args": {"model": "x"}, "quantization": "none"}
    metadata = {"dialogue": {"protocol": "paper", "simulator": simulator, "repeats": 2, **block}}
    manager = TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata=metadata)
    model = Agreeing()
    return model, simple_evaluate(model, tasks=["chatbench_demo"], task_manager=manager, limit=3, bootstrap_iters=0)


class Agreeing(LM):
    """Answers B to everything, and keeps how it was asked to generate."""

    tokenizer = None
    loglikelihood = loglikelihood_rolling = None

    def __init__(self, model=""):
        super().__init__()
        self.asked = []

    def generate_until(self, requests, disable_tqdm=False):
        self.asked += [request.args for request in requests]
        return [
            "Answer: B" if "YOU:" in request.args[0] or "Write your" in request.args[0] else "B" for request in requests
        ]


@pytest.fixture(scope="module")
def agreeing():
    name = "test-agreeing"
    if name not in model_registry:
        register_model(name)(Agreeing)
    return name


def test_static_scores_are_the_papers(agreeing, caplog):
    static = ["letter_few_shot", "letter", "free_text"]
    model, results = paper_run(agreeing, static=static)
    row = results["results"]["chatbench_demo"]
    right = sum(sample["doc"]["answer"] == 1 for sample in results["samples"]["chatbench_demo"]) / 3
    assert row["acc_static,none"] == row["acc_static_letter,none"] == right
    assert caplog.text.count("free_text is left out") == 1
    assert not any("free_text" in name for name in row)
    letters = [prompt for prompt, settings in model.asked if settings["max_gen_toks"] == 10]
    assert sorted({prompt.count("\nAnswer:") for prompt in letters}) == [1, 6]
    assert {settings["temperature"] for _, settings in model.asked} == {0.7}
    assert {settings["do_sample"] for _, settings in model.asked} == {True}


def test_papers_accuracy_stands_beside_acc(agreeing):
    _, results = paper_run(agreeing, static="none")
    row = results["results"]["chatbench_demo"]
    assert next(iter(results["chatbench"]["tasks"]["chatbench_demo"]["metrics"])) == "acc_answered"
    assert row["acc_answered,none"] == row["acc,none"]
    assert row["answer_given,none"] == 1
    labels = {
        json.loads(text)["simulator"] for each in results["samples"]["chatbench_demo"] for text in each["resps"][-1]
    }
    assert all(label.endswith("+paper, changed: repeats, static, assistant.max_tokens") for label in labels)


@pytest.mark.parametrize("label", ["two_step+paper", "iqa_eval[model=m]+paper, changed: repeats, max_turns"])
def test_label_of_the_protocol_is_known(label):
    assert is_of_paper(label)


@pytest.mark.parametrize("label", ["two_step", "demo+persona=paper+x", "two_step[assistant=paper]"])
def test_other_labels_are_not_of_the_protocol(label):
    assert not is_of_paper(label)


def test_runs_of_different_protocols_are_not_compared_without_a_flag(tmp_path, capsys):
    writer = Writer(tmp_path)
    two_step = {"simulator": {"policy": "two_step", "model_args": {"pretrained": "m"}}}
    runs = [
        writer.run(name, {"chatbench_mmlu_virology": 8}, dialogue={**two_step, **block}) for name, block in PROTOCOLS
    ]
    main(["leaderboard", *map(str, runs)])
    assert capsys.readouterr().out.count("simulator: two_step[pretrained=m]") == 2  # ranked apart
    gate = ["gate", "--baseline", str(runs[0]), "--candidate", str(runs[1])]
    assert main(gate) == 2
    assert "protocol" in capsys.readouterr().err
    assert main([*gate, "--allow-differences"]) in (0, 1)


PROTOCOLS = [("one", {}), ("two", {"protocol": "paper", "repeats": 1})]
