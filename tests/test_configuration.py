import re

import pytest
from pydantic import ValidationError

from lm_eval_plugin.config.dialogue import DialogueConfig as Config
from lm_eval_plugin.config.dialogue import (
    check_override,
    merge_blocks,
    read_dialogue_block,
    read_simulator,
    with_gen_kwargs,
)
from lm_eval_plugin.config.presets import MODEL_POLICIES, POLICIES, PRESETS, PROMPTED_POLICIES
from lm_eval_plugin.config.simulator import name_or_mapping
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.simulators.personas import PERSONAS
from lm_eval_plugin.simulators.scripted import HABITS

RELEASED = ("chatbench-distilgpt2", "chatbench-llama3-8b", "chatbench-mistral-7b")
TUNED = {"policy": "chatbench", "model_args": {"pretrained": "gpt2"}}


def read(**block):
    return read_dialogue_block(block, "task t")


def refusal(call, *args, **kwargs):
    """The message of the error that a call must end with."""
    with pytest.raises(ConfigError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


# What is read


def test_empty_block_is_the_protocol_of_the_paper_with_the_small_released_simulator():
    config = read()
    assert config.simulator.label == "chatbench-distilgpt2"
    assert config.simulator.model_args == PRESETS["chatbench-distilgpt2"]["model_args"]
    assert (config.simulator.temperature, config.simulator.max_tokens) == (1.0, 256)
    assert (config.simulator.backend, config.simulator.quantization) == ("hf", "8bit")
    assert (config.assistant.temperature, config.assistant.max_tokens, config.assistant.until) == (0.0, 512, [])
    assert (config.max_turns, config.repeats, config.static) == (10, 1, ["loglikelihood"])


@pytest.mark.parametrize(
    "block",
    [
        {},
        {"simulator": "scripted", "static": "none", "max_turns": 1},
        {"simulator": {"preset": "chatbench-mistral-7b", "temperature": 0.7, "reading": "B"}, "repeats": 10},
        {
            "simulator": {**TUNED, "quantization": "nf4", "gen_kwargs": {"top_p": 0.9}},
            "static": ["letter", "loglikelihood"],
        },
        {"assistant": {"until": "STOP", "temperature": 1, "gen_kwargs": {"top_k": 5}}, "dataset": "owner/name"},
        {"stem": "question", "choices": "options", "include": "mmlu/mmlu.yaml"},
    ],
)
def test_configuration_survives_json(block):
    config = read(**block)
    assert Config.model_validate(config.model_dump(mode="json")) == config


def test_configuration_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        read().max_turns = 3


def test_one_text_stands_for_a_list_of_one():
    config = read(static="letter", assistant={"until": "STOP"})
    assert (config.static, config.assistant.until) == (["letter"], ["STOP"])


@pytest.mark.parametrize("name", RELEASED)
def test_released_simulator_is_read_by_name(name):
    simulator = read_simulator(name, "task t")
    assert (simulator.label, simulator.policy, simulator.quantization) == (name, "chatbench", "8bit")


def test_scripted_simulator_needs_no_model():
    by_preset, by_policy = read_simulator("scripted", "task t"), read_simulator({"policy": "scripted"}, "task t")
    assert by_preset == by_policy
    assert (by_preset.label, by_preset.model_args, by_preset.quantization) == ("scripted", {}, "none")


def test_change_of_a_preset_shows_in_the_label():
    simulator = read_simulator({"preset": "chatbench-distilgpt2", "temperature": 0.5, "reading": "B"}, "task t")
    assert simulator.label == "chatbench-distilgpt2[temperature=0.5,reading=B]"
    assert (simulator.temperature, simulator.reading) == (0.5, "B")


def test_policy_with_a_model_names_it_in_the_label():
    assert read_simulator(TUNED, "task t").label == "chatbench[pretrained=gpt2]"


def test_batch_size_and_device_change_no_label():
    model_args = {"batch_size": 8, "device": "cpu"}
    simulator = read_simulator({"preset": "chatbench-distilgpt2", "model_args": model_args}, "task t")
    assert simulator.label == "chatbench-distilgpt2"
    assert simulator.model_args == {**PRESETS["chatbench-distilgpt2"]["model_args"], **model_args}


def test_other_base_leaves_the_tokenizer_of_the_preset_behind():
    simulator = read_simulator({"preset": "chatbench-distilgpt2", "base": "owner/model"}, "task t")
    assert simulator.model_args == {"pretrained": "owner/model", "max_length": 1024}
    assert simulator.label == "chatbench-distilgpt2[base=owner/model]"


def test_other_pretrained_leaves_the_tokenizer_of_the_preset_behind_too():
    given = {"preset": "chatbench-distilgpt2", "model_args": {"pretrained": "gpt2"}}
    simulator = read_simulator(given, "task t")
    assert simulator.model_args == {"pretrained": "gpt2", "max_length": 1024}
    assert simulator.label == "chatbench-distilgpt2[pretrained=gpt2]"


def test_other_backend_takes_the_policy_of_a_preset_and_the_model_that_is_given():
    served = {"model": "merged", "base_url": "http://localhost:1/v1/completions"}
    given = {"preset": "demo", "backend": "local-completions", "model_args": served}
    simulator = read_simulator(given, "task t")
    assert simulator.model_args == served
    assert (simulator.policy, simulator.temperature, simulator.max_tokens) == ("chatbench", 0.4, 96)
    assert simulator.quantization == "none"


def test_preset_without_an_adapter_keeps_its_model_under_another_backend():
    simulator = read_simulator({"preset": "userlm-8b", "backend": "vllm"}, "task t")
    assert simulator.model_args["pretrained"] == "microsoft/UserLM-8b"
    assert simulator.label == "userlm-8b[backend=vllm]"


def test_policy_over_vllm_needs_no_more_than_its_weights():
    simulator = read_simulator({"policy": "chatbench", "backend": "vllm", "model_args": {"pretrained": "m"}}, "t")
    assert (simulator.backend, simulator.model_args) == ("vllm", {"pretrained": "m"})


@pytest.mark.parametrize(
    ("backend", "model_args"), [("local-completions", {"base_url": "http://localhost:1/v1/completions"}), ("vllm", {})]
)
@pytest.mark.parametrize("preset", ["demo", "chatbench-mistral-7b"])
def test_adapter_of_a_preset_is_never_dropped_in_silence(preset, backend, model_args):
    message = refusal(read_simulator, {"preset": preset, "backend": backend, "model_args": model_args}, "task t")
    assert f"the adapter of the preset {preset!r} is put on by the backend hf alone" in message
    assert "serve the merged model" in message
    assert "lora_local_path" in message


@pytest.mark.parametrize("backend", ["local-completions", "openai-chat-completions", "vllm"])
def test_adapter_of_ones_own_is_refused_where_the_backend_would_ignore_it(backend):
    given = {"policy": "chatbench", "backend": backend, "base": "owner/base", "adapter": "owner/lora"}
    assert "puts no adapter on a model" in refusal(read_simulator, given, "task t")


def test_every_argument_that_may_change_what_a_model_says_is_in_the_label():
    model_args = {"pretrained": "m", "attn_implementation": "eager", "rope_scaling": {"type": "linear", "factor": 2}}
    simulator = read_simulator({"policy": "chatbench", "model_args": model_args}, "task t")
    assert simulator.label == "chatbench[pretrained=m,attn_implementation=eager,rope_scaling=type:linear+factor:2]"


def test_base_url_is_in_the_label_and_nothing_secret_is():
    model_args = {
        "model": "m",
        "base_url": "http://me:hunter2@host:8000/v1/completions?key=hunter2",
        "header": {"Authorization": "Bearer hunter2"},
        "auth_token": "hunter2",
        "api_key": "hunter2",
        "extra": {"token": "hunter2"},
        "num_concurrent": 8,
        "tokenized_requests": False,
    }
    given = {"policy": "two_step", "backend": "local-completions", "model_args": model_args}
    label = read_simulator(given, "task t").label
    assert label == "two_step[backend=local-completions,model=m,base_url=http://host:8000/v1/completions,extra=]"


@pytest.mark.parametrize("text", ['{"preset": "demo"}', '  {"preset": "demo"}\n'])
def test_mapping_on_a_command_line_is_json_with_or_without_spaces(text):
    assert name_or_mapping(text, "--user") == {"preset": "demo"}


def test_name_on_a_command_line_is_taken_as_it_is():
    assert name_or_mapping("demo", "--user") == "demo"
    assert refusal(name_or_mapping, "{'preset'}", "--user").startswith("--user: ")


def test_base_and_adapter_become_model_arguments_of_the_host():
    simulator = read_simulator({"policy": "chatbench", "base": "owner/base", "adapter": "owner/lora"}, "task t")
    assert simulator.model_args == {"pretrained": "owner/base", "peft": "owner/lora"}


def test_adapter_of_a_preset_is_taken_off_by_null():
    simulator = read_simulator({"preset": "chatbench-mistral-7b", "adapter": None}, "task t")
    assert simulator.model_args == {"pretrained": "mistralai/Mistral-7B-v0.1", "max_length": 2048}


def test_backend_other_than_hf_is_not_quantized_by_default():
    simulator = read_simulator({"policy": "chatbench", "backend": "local-completions", "base": "m"}, "task t")
    assert (simulator.backend, simulator.quantization) == ("local-completions", "none")


def test_existing_folder_is_taken_as_a_model(tmp_path):
    simulator = read_simulator({"policy": "chatbench", "base": str(tmp_path)}, "task t")
    assert simulator.model_args == {"pretrained": str(tmp_path)}


# What is refused: each message says where, what and what is allowed


@pytest.mark.parametrize("block", [None, [], "scripted", 6, True])
def test_block_that_is_no_mapping_is_refused(block):
    message = refusal(read_dialogue_block, block, "task t")
    assert message.startswith(f"task t: dialogue is {block!r}; it must be a mapping")


@pytest.mark.parametrize(
    ("block", "path", "nearest", "allowed"),
    [
        ({"max_turn": 6}, "dialogue has no key 'max_turn'", "max_turns", ["simulator", "repeats", "static", "include"]),
        ({"asistant": {}}, "dialogue has no key 'asistant'", "assistant", ["max_turns"]),
        (
            {"assistant": {"max_token": 6}},
            "dialogue has no key 'assistant.max_token'",
            "max_tokens",
            ["temperature", "until", "gen_kwargs"],
        ),
        (
            {"simulator": {"preset": "chatbench-distilgpt2", "adaptor": "x"}},
            "simulator has no key 'adaptor'",
            "adapter",
            ["preset", "base", "policy", "quantization", "reading"],
        ),
    ],
)
def test_unknown_key_is_named_with_the_nearest_and_all_known_ones(block, path, nearest, allowed):
    message = refusal(read, **block)
    assert message.startswith(f"task t: {path}; did you mean '{nearest}'? Known: ")
    assert set(allowed) <= set(message.split("Known: ")[1].split(", "))


def test_unknown_key_that_is_near_to_nothing_gets_no_guess():
    assert "has no key 'xyz'; Known: simulator, assistant" in refusal(read, xyz=1)


def test_all_problems_are_told_at_once():
    message = refusal(read, max_turn=6, repeats=0, assistant={"temperature": "hot"})
    assert len(message.splitlines()) == 3


@pytest.mark.parametrize(
    ("block", "path", "value"),
    [
        ({"max_turns": 0}, "max_turns", "0"),
        ({"max_turns": "6"}, "max_turns", "'6'"),
        ({"max_turns": True}, "max_turns", "True"),
        ({"max_turns": 6.0}, "max_turns", "6.0"),
        ({"max_turns": None}, "max_turns", "None"),
        ({"repeats": 0}, "repeats", "0"),
        ({"static": []}, "static", "[]"),
        ({"static": 1}, "static", "1"),
        ({"static": "letters"}, "static.0", "'letters'"),
        ({"dataset": 1}, "dataset", "1"),
        ({"assistant": 7}, "assistant", "7"),
        ({"assistant": {"temperature": -0.1}}, "assistant.temperature", "-0.1"),
        ({"assistant": {"temperature": "0"}}, "assistant.temperature", "'0'"),
        ({"assistant": {"max_tokens": 0}}, "assistant.max_tokens", "0"),
        ({"assistant": {"until": ["a", 1]}}, "assistant.until.1", "1"),
        ({"assistant": {"gen_kwargs": ["top_p"]}}, "assistant.gen_kwargs", "['top_p']"),
    ],
)
def test_value_of_another_type_or_range_is_named_by_its_path(block, path, value):
    assert re.match(rf"task t: dialogue\.{path} is {re.escape(value)}: \w+ should ", refusal(read, **block))


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("quantization", "4bit", "'8bit', 'nf4' or 'none'"),
        ("reading", "C", "'A' or 'B'"),
        ("temperature", -1.0, "greater than or equal to 0"),
        ("max_tokens", 0, "greater than or equal to 1"),
        ("backend", 1, "a valid string"),
        ("gen_kwargs", "x", "a valid dictionary"),
    ],
)
def test_value_of_a_simulator_is_refused_with_what_is_allowed(key, value, allowed):
    message = refusal(read_simulator, {**TUNED, key: value}, "task t")
    assert message.startswith(f"task t: simulator.{key} is {value!r}: Input should be ")
    assert message.endswith(allowed)


def test_allowed_static_scores_are_named():
    assert "'loglikelihood', 'letter', 'letter_few_shot', 'free_text' or 'none'" in refusal(read, static="letters")


@pytest.mark.parametrize("static", [["none", "letter"], ["letter", "letter"], ["none", "none"]])
def test_static_scores_that_contradict_each_other_are_refused(static):
    message = refusal(read, static=static)
    assert message == f"task t: dialogue: static is {static}; name each score once, and none alone"


@pytest.mark.parametrize("value", [None, 3, True])
def test_simulator_that_is_neither_name_nor_mapping_is_refused(value):
    message = refusal(read, simulator=value)
    assert message.startswith(f"task t: simulator is {value!r}; name a preset (")
    assert all(preset in message for preset in PRESETS)


def test_list_of_simulators_is_refused_where_one_is_asked_for():
    message = refusal(read, simulator=["scripted"])
    assert message == "task t: a list of simulators is for the tasks that lm_eval runs; name one simulator here"


@pytest.mark.parametrize("value", [{}, {"temperature": 0.5}, {"preset": "scripted", "policy": "scripted"}])
def test_simulator_names_either_a_preset_or_a_policy(value):
    message = refusal(read_simulator, value, "task t")
    assert message.startswith(f"task t: simulator {value} must name either a preset (")


def test_unknown_preset_is_named_with_the_nearest_and_all_known_ones():
    message = refusal(read, simulator="chatbench-distilgpt")
    assert "simulator preset 'chatbench-distilgpt' is not known; did you mean 'chatbench-distilgpt2'?" in message
    assert message.endswith(f"Known: {', '.join(PRESETS)}")


def test_unknown_policy_is_named_with_the_nearest_and_all_known_ones():
    message = refusal(read_simulator, {"policy": "script"}, "task t")
    assert "simulator policy 'script' is not known; did you mean 'scripted'?" in message
    assert message.endswith(f"Known: {', '.join(POLICIES)}")


@pytest.mark.parametrize("value", [{"preset": 1}, {"preset": ["scripted"]}, {"policy": None}, {"policy": {}}])
def test_preset_or_policy_that_is_no_text_is_refused(value):
    assert "is not known" in refusal(read_simulator, value, "task t")


def test_model_settings_of_a_user_without_a_model_are_refused():
    message = refusal(read_simulator, {"preset": "scripted", "temperature": 0.5, "base": "gpt2"}, "task t")
    assert message == "task t: simulator policy 'scripted' has no model; remove temperature, base"


@pytest.mark.parametrize("value", [{"policy": "chatbench"}, {"preset": "chatbench-distilgpt2", "base": None}])
def test_user_with_a_model_must_name_it(value):
    message = refusal(read_simulator, value, "task t")
    assert message == "task t: simulator policy 'chatbench' needs model_args.pretrained, a model's name or folder"


@pytest.mark.parametrize("model_args", ["pretrained=gpt2", None, []])
def test_model_args_that_are_no_mapping_are_refused(model_args):
    message = refusal(read_simulator, {"policy": "chatbench", "model_args": model_args}, "task t")
    assert message.startswith(f"task t: simulator.model_args is {model_args!r}; it must be a mapping such as")


@pytest.mark.parametrize("key", ["pretrained", "peft", "tokenizer"])
def test_folder_that_does_not_exist_is_named_before_anything_is_loaded(key):
    model_args = {"pretrained": "gpt2", key: "./no-such-folder"}
    message = refusal(read_simulator, {"policy": "chatbench", "model_args": model_args}, "task t")
    assert message.startswith(f"task t: simulator {key} is './no-such-folder', but nothing is there")


def test_quantization_is_for_the_hf_backend_alone():
    value = {**TUNED, "backend": "vllm", "quantization": "nf4"}
    message = refusal(read_simulator, value, "task t")
    assert message == "task t: simulator.quantization is for the hf backend; ask 'vllm' for it in its own model_args"


def test_label_is_not_a_key_of_a_simulator():
    assert "has no key 'label'" in refusal(
        read_simulator, {"preset": "chatbench-distilgpt2", "label": "mine"}, "task t"
    )


# --metadata over the block of a task


def test_override_replaces_a_key_and_leaves_the_others():
    merged = merge_blocks({"max_turns": 10, "repeats": 2}, {"max_turns": 3, "static": "none"})
    assert merged == {"max_turns": 3, "repeats": 2, "static": "none"}


def test_assistant_is_merged_by_its_own_keys():
    merged = merge_blocks({"assistant": {"temperature": 0.7, "max_tokens": 9}}, {"assistant": {"max_tokens": 5}})
    assert merged == {"assistant": {"temperature": 0.7, "max_tokens": 5}}


@pytest.mark.parametrize(
    ("base", "override", "merged"),
    [
        ("demo", {"temperature": 0.5}, {"preset": "demo", "temperature": 0.5}),
        (
            {"preset": "demo", "max_tokens": 9},
            {"temperature": 0.5},
            {"preset": "demo", "max_tokens": 9, "temperature": 0.5},
        ),
        ({"preset": "demo", "max_tokens": 9}, {"max_tokens": 5}, {"preset": "demo", "max_tokens": 5}),
        ({"preset": "demo", "max_tokens": 9}, {"preset": "demo"}, {"preset": "demo"}),
        ({"preset": "demo", "max_tokens": 9}, {"policy": "scripted"}, {"policy": "scripted"}),
        ({"preset": "demo", "max_tokens": 9}, "scripted", "scripted"),
        ("demo", {}, {"preset": "demo"}),
    ],
)
def test_simulator_mapping_refines_unless_it_names_a_preset_or_policy(base, override, merged):
    assert merge_blocks({"simulator": base}, {"simulator": override}) == {"simulator": merged}


def test_simulator_mapping_without_one_in_the_block_refines_the_default():
    assert merge_blocks({}, {"simulator": {"reading": "B"}}) == {
        "simulator": {"preset": "chatbench-distilgpt2", "reading": "B"}
    }


def test_merging_changes_neither_side():
    block, override = {"assistant": {"temperature": 0.7}}, {"assistant": {"max_tokens": 5}}
    merge_blocks(block, override)
    assert (block, override) == ({"assistant": {"temperature": 0.7}}, {"assistant": {"max_tokens": 5}})


@pytest.mark.parametrize("base", [None, 3])
def test_simulator_of_a_block_that_is_no_simulator_is_refused_when_it_is_refined(base):
    def merge_and_read():
        read_dialogue_block(merge_blocks({"simulator": base}, {"simulator": {"temperature": 0.5}}), "task t")

    assert "simulator" in refusal(merge_and_read)


def test_override_is_checked_without_a_task():
    check_override({"max_turns": 3, "simulator": {"temperature": 0.5}})
    assert refusal(check_override, {"turns": 3}).startswith("--metadata: dialogue has no key 'turns'")
    assert refusal(check_override, "demo").startswith("--metadata: dialogue is 'demo'; it must be a mapping")


def test_override_with_a_data_set_that_does_not_exist_is_refused(tmp_path):
    check_override({"dataset": str(tmp_path)})
    check_override({"dataset": "cais/mmlu"})
    message = refusal(check_override, {"dataset": str(tmp_path / "absent")})
    assert message.startswith("--metadata: dialogue.dataset is ")


# --gen_kwargs over the assistant's settings


@pytest.mark.parametrize("alias", ["max_tokens", "max_gen_toks", "max_new_tokens", "max_completion_tokens"])
def test_every_name_of_the_reply_length_is_known(alias):
    assistant = with_gen_kwargs(read(), {alias: 7}).assistant
    assert (assistant.max_tokens, assistant.gen_kwargs) == (7, {})


def test_name_of_the_host_wins_over_other_names_of_the_reply_length():
    assert with_gen_kwargs(read(), {"max_gen_toks": 7, "max_tokens": 9}).assistant.max_tokens == 7


def test_temperature_and_until_are_settings_and_the_rest_goes_to_the_backend():
    config = read(assistant={"temperature": 0.2, "gen_kwargs": {"top_p": 0.9, "top_k": 5}})
    changed = with_gen_kwargs(config, {"temperature": 0.7, "until": "STOP", "top_p": 0.5, "do_sample": True})
    assert changed.assistant.model_dump() == {
        "temperature": 0.7,
        "max_tokens": 512,
        "until": ["STOP"],
        "gen_kwargs": {"top_p": 0.5, "top_k": 5},
    }
    assert config.assistant.temperature == 0.2


def test_no_gen_kwargs_change_nothing():
    assert with_gen_kwargs(read(), {}) == read()


def test_everything_but_the_assistant_stays():
    config = read(simulator="scripted", max_turns=3, repeats=2)
    changed = with_gen_kwargs(config, {"temperature": 0.7})
    assert changed.model_dump(exclude={"assistant"}) == config.model_dump(exclude={"assistant"})


def test_do_sample_false_is_greedy():
    config = read(assistant={"temperature": 0.7})
    assert with_gen_kwargs(config, {"do_sample": False}).assistant.temperature == 0.0
    assert with_gen_kwargs(config, {"do_sample": False, "temperature": 0.9}).assistant.temperature == 0.0


def test_do_sample_true_needs_a_temperature():
    sampled = with_gen_kwargs(read(assistant={"temperature": 0.7}), {"do_sample": True})
    assert sampled.assistant.temperature == 0.7
    message = refusal(with_gen_kwargs, read(), {"do_sample": True})
    assert message == "--gen_kwargs: do_sample=True needs a temperature above 0, such as temperature=0.7"


@pytest.mark.parametrize(
    ("gen_kwargs", "path"),
    [
        ({"temperature": "hot"}, "temperature is 'hot'"),
        ({"temperature": -1}, "temperature is -1"),
        ({"max_gen_toks": 0}, "max_tokens is 0"),
        ({"max_new_tokens": "many"}, "max_tokens is 'many'"),
        ({"until": 3}, "until is 3"),
    ],
)
def test_gen_kwargs_of_another_type_or_range_are_refused(gen_kwargs, path):
    assert refusal(with_gen_kwargs, read(), gen_kwargs).startswith(f"--gen_kwargs.{path}: Input should be ")


# Policies and presets of the simulated users


@pytest.mark.parametrize("policy", ["scripted", "sharded", "human"])
def test_policy_without_a_model_is_read_by_its_plain_name(policy):
    simulator = read(simulator=policy).simulator
    assert (simulator.label, simulator.policy, simulator.quantization) == (policy, policy, "none")
    assert read_simulator({"policy": policy}, "task t") == simulator


@pytest.mark.parametrize("policy", ["chatbench", "userlm"])
def test_plain_name_of_a_policy_whose_model_is_not_said_is_refused(policy):
    message = refusal(read, simulator=policy)
    assert message.startswith(f"task t: simulator policy {policy!r} needs model_args.pretrained")


@pytest.mark.parametrize("name", PROMPTED_POLICIES)
def test_plain_name_of_a_prompted_policy_is_the_papers_model_over_its_api(name):
    simulator = read(simulator=name).simulator
    assert (simulator.label, simulator.policy, simulator.backend) == (name, name, "openai-chat-completions")
    assert simulator.model_args["model"] == "gpt-4o"
    assert (simulator.temperature, simulator.max_tokens, simulator.quantization) == (1.0, 1000, "none")


@pytest.mark.parametrize("name", PROMPTED_POLICIES)
@pytest.mark.parametrize("change", [{"base": "owner/model"}, {"adapter": "owner/lora"}, {"backend": "hf"}])
def test_preset_behind_an_api_takes_no_weights(name, change):
    message = refusal(read_simulator, {"preset": name, **change}, "task t")
    assert message.startswith(
        f"task t: the preset {name!r} is a model behind an API; for another model give its policy"
    )
    assert f'{{"policy": "{name}", "model_args": {{"pretrained": DIR}}}}' in message


def test_preset_behind_an_api_takes_another_model_and_says_so_in_its_label():
    simulator = read_simulator({"preset": "two_step", "model_args": {"model": "gpt-4o-mini"}}, "task t")
    assert simulator.model_args["model"] == "gpt-4o-mini"
    assert simulator.model_args["num_concurrent"] == 8
    assert simulator.label == "two_step[model=gpt-4o-mini]"


def test_preset_behind_an_api_is_not_quantized():
    message = refusal(read_simulator, {"preset": "iqa_eval", "quantization": "8bit"}, "task t")
    assert "simulator.quantization is for the hf backend" in message


@pytest.mark.parametrize("policy", PROMPTED_POLICIES)
def test_prompted_policy_over_a_local_model_is_loaded_in_8_bit(policy):
    simulator = read_simulator({"policy": policy, "base": "gpt2"}, "task t")
    assert (simulator.backend, simulator.quantization, simulator.label) == ("hf", "8bit", f"{policy}[base=gpt2]")


@pytest.mark.parametrize(
    ("policy", "temperature", "max_tokens", "gen_kwargs"),
    [
        ("chatbench", 1.0, 256, {}),
        ("userlm", 1.0, 256, {"top_p": 0.8}),
        *((name, 1.0, 1000, {}) for name in PROMPTED_POLICIES),
    ],
)
def test_generation_of_a_policy_is_that_of_its_source(policy, temperature, max_tokens, gen_kwargs):
    simulator = read_simulator({"policy": policy, "base": "gpt2"}, "task t")
    assert (simulator.temperature, simulator.max_tokens, simulator.gen_kwargs) == (temperature, max_tokens, gen_kwargs)


def test_generation_of_a_policy_is_overridden_by_what_is_given():
    simulator = read_simulator({"policy": "two_step", "base": "gpt2", "temperature": 0.3, "max_tokens": 60}, "task t")
    assert (simulator.temperature, simulator.max_tokens) == (0.3, 60)


def test_released_user_model_is_read_by_name():
    simulator = read(simulator="userlm-8b").simulator
    assert (simulator.label, simulator.policy, simulator.gen_kwargs) == ("userlm-8b", "userlm", {"top_p": 0.8})


@pytest.mark.parametrize("name", ["two_stp", "sharded_", "humn"])
def test_name_near_a_policy_is_refused_with_the_near_one(name):
    assert "did you mean" in refusal(read, simulator=name)


# Habits


@pytest.mark.parametrize("habit", HABITS)
def test_habit_is_read_alone_or_in_a_list(habit):
    alone = read_simulator({"policy": "scripted", "habits": habit}, "task t")
    assert alone == read_simulator({"policy": "scripted", "habits": [habit]}, "task t")
    assert (alone.habits, alone.label) == ([habit], f"scripted[habits={habit}]")


def test_habits_of_the_preset_are_those_of_the_policy():
    habits = ["paraphrases", "doubts_once", "gives_up"]
    preset, policy = ({key: "scripted", "habits": habits} for key in ("preset", "policy"))
    assert read_simulator(preset, "task t") == read_simulator(policy, "task t")


def test_unknown_habit_is_named_with_the_nearest_and_all_known_ones():
    message = refusal(read_simulator, {"policy": "scripted", "habits": ["doubt_once"]}, "task t")
    assert "the habit 'doubt_once' is not known; did you mean 'doubts_once'?" in message
    assert message.endswith(f"Known: {', '.join(HABITS)}")


@pytest.mark.parametrize(
    "habits", [["gives_up", "gives_up"], ["pastes_all", "pastes_stem"], ["paraphrases", "pastes_all"]]
)
def test_habit_named_twice_or_second_opening_is_refused(habits):
    message = refusal(read_simulator, {"policy": "scripted", "habits": habits}, "task t")
    assert message.startswith("task t: simulator.habits is ")
    assert "name each habit once, and at most one of the openings pastes_all, pastes_stem, paraphrases" in message


@pytest.mark.parametrize("habits", [1, [1], {"pastes_all": True}, None])
def test_habits_of_another_type_are_refused(habits):
    assert "simulator.habits" in refusal(read_simulator, {"policy": "scripted", "habits": habits}, "task t")


# Keys that mean something to some policies alone


@pytest.mark.parametrize(
    ("key", "value", "policies"),
    [("reading", "B", ["chatbench"]), ("habits", [], ["scripted"]), ("chat_template", True, list(PROMPTED_POLICIES))],
)
@pytest.mark.parametrize("policy", POLICIES)
def test_key_of_some_policies_is_refused_for_the_others(key, value, policies, policy):
    model = {"model_args": {"pretrained": "gpt2"}} if policy in MODEL_POLICIES else {}
    simulator = {"policy": policy, **model, key: value}
    if policy in policies:
        assert getattr(read_simulator(simulator, "task t"), key) == value
    else:
        message = refusal(read_simulator, simulator, "task t")
        assert f"simulator.{key} means nothing to policy {policy!r}; it is for {', '.join(policies)}" in message


# Personas and thoughts


@pytest.mark.parametrize("persona", ["any", "You are a retired teacher.", *PERSONAS])
def test_persona_is_a_name_any_or_a_text(persona):
    assert read(simulator=TUNED, persona=persona).persona == [persona]


def test_personas_are_a_list_of_names_and_texts():
    people = ["novice", "expert", "a nurse on a night shift"]
    assert read(simulator=TUNED, persona=people).persona == people


@pytest.mark.parametrize(("given", "meant"), [("novic", "novice"), ("sceptic", "skeptic"), ("Expert", "expert")])
def test_single_word_that_names_nobody_is_refused_with_the_nearest(given, meant):
    message = refusal(read, simulator=TUNED, persona=given)
    assert f"the persona {given!r} is not known; did you mean {meant!r}?" in message
    assert message.endswith(", or a text")
    assert all(name in message for name in ("any", *PERSONAS))


@pytest.mark.parametrize("persona", ["", " ", ["novice", ""], 3, [3], None])
def test_persona_that_is_no_text_is_refused(persona):
    assert "dialogue.persona" in refusal(read, simulator=TUNED, persona=persona)


@pytest.mark.parametrize("policy", ["scripted", "sharded", "human"])
@pytest.mark.parametrize(("key", "value"), [("persona", "novice"), ("chain_of_thought", True)])
def test_switch_of_a_user_with_a_model_is_refused_for_one_without(policy, key, value):
    message = refusal(read, simulator=policy, **{key: value})
    assert message == f"task t: dialogue: {key} needs a simulator with a model; {policy!r} has none"


@pytest.mark.parametrize("switches", [{"persona": []}, {"chain_of_thought": False}])
def test_switch_that_is_off_is_no_switch(switches):
    assert read(simulator="scripted", **switches) == read(simulator="scripted")


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_chain_of_thought_is_true_or_false(value):
    assert "dialogue.chain_of_thought" in refusal(read, simulator=TUNED, chain_of_thought=value)


@pytest.mark.parametrize("switches", [{"persona": ["any"]}, {"chain_of_thought": True, "persona": "You teach."}])
def test_switches_survive_json(switches):
    config = read(simulator=TUNED, **switches)
    assert Config.model_validate(config.model_dump(mode="json")) == config


# The assistant's named settings


def test_assistant_of_the_paper_is_read_by_name():
    assistant = read(assistant="paper").assistant
    assert (assistant.temperature, assistant.max_tokens) == (0.7, 1000)


def test_unknown_name_of_assistant_settings_is_refused_with_the_known_ones():
    message = refusal(read, assistant="papers")
    assert "the settings 'papers' are not known; did you mean 'paper'? Known: paper; or give a mapping" in message


def test_mapping_goes_over_named_settings_of_the_block():
    merged = merge_blocks({"assistant": "paper"}, {"assistant": {"max_tokens": 5}})
    assert merged == {"assistant": {"temperature": 0.7, "max_tokens": 5}}


def test_name_replaces_the_settings_of_the_block():
    merged = merge_blocks({"assistant": {"max_tokens": 5, "until": "x"}}, {"assistant": "paper"})
    assert read_dialogue_block(merged, "task t").assistant == read(assistant="paper").assistant


def test_unknown_name_in_the_block_is_not_lost_when_it_is_merged_over():
    block = merge_blocks({"assistant": "papers"}, {"assistant": {"max_tokens": 5}})
    assert "'papers'" in refusal(read_dialogue_block, block, "task t")


def test_gen_kwargs_go_over_named_settings():
    assistant = with_gen_kwargs(read(assistant="paper"), {"temperature": 0.1}).assistant
    assert (assistant.temperature, assistant.max_tokens) == (0.1, 1000)


# Merging what simulators have of their own


def test_habits_given_over_a_plain_name_refine_it():
    merged = merge_blocks({"simulator": "scripted"}, {"simulator": {"habits": "gives_up"}})
    assert read_dialogue_block(merged, "task t").simulator.label == "scripted[habits=gives_up]"


@pytest.mark.parametrize("key", ["persona", "chain_of_thought"])
def test_switch_is_overridden_like_any_key(key):
    on, off = {"persona": "novice", "chain_of_thought": True}, {"persona": [], "chain_of_thought": False}
    merged = merge_blocks({"simulator": TUNED, **on}, {key: off[key]})
    assert getattr(read_dialogue_block(merged, "task t"), key) == off[key]
