"""A task's `dialogue:` block is overridden key by key, by whatever overrides a task's keys."""

from __future__ import annotations

import json

import pytest
import yaml
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager

from chatbench_tasks.task import DialogueTask
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.harness.tasks_folder import tasks_folder

DEMO = tasks_folder() / "demo" / "chatbench_demo.yaml"
OWN = {"max_turns": 3, "repeats": 2}


def manager(folder=None, **options):
    paths = [str(tasks_folder()), *([] if folder is None else [str(folder)])]
    return TaskManager(include_path=paths, include_defaults=False, **options)


def write(folder, **tasks):
    """YAML files, by the name of their task or group."""
    folder.mkdir(exist_ok=True)
    for name, content in tasks.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return folder


def told(task):
    """What a task says of its dialogues, as far as these tests ask."""
    assert isinstance(task, DialogueTask)
    return task.dialogue.simulator.label, task.dialogue.max_turns, task.dialogue.repeats


DEFAULT = ("demo", 10, 1)


def test_a_yaml_that_includes_one_of_ours_keeps_the_keys_that_it_does_not_name(tmp_path):
    folder = write(tmp_path / "own", mine={"include": str(DEMO), "task": "mine", "dialogue": OWN})
    loaded = manager(folder).load(["mine", "chatbench_demo"])["tasks"]
    assert told(loaded["mine"]) == ("demo", 3, 2)
    assert told(loaded["chatbench_demo"]) == DEFAULT


def test_includes_are_merged_through_every_level(tmp_path):
    folder = write(
        tmp_path / "own",
        middle={"include": str(DEMO), "task": "middle", "dialogue": {"max_turns": 4, "simulator": "scripted"}},
        last={"include": "middle.yaml", "task": "last", "dialogue": {"repeats": 3}},
        bare={"include": "last.yaml", "task": "bare"},
    )
    loaded = manager(folder).load(["last", "bare"])["tasks"]
    assert told(loaded["last"]) == told(loaded["bare"]) == ("scripted", 4, 3)


def test_a_simulator_that_is_refined_keeps_its_other_keys(tmp_path):
    own = {"include": str(DEMO), "task": "mine", "dialogue": {"simulator": {"temperature": 0.9}}}
    simulator = manager(write(tmp_path / "own", mine=own)).load(["mine"])["tasks"]["mine"].dialogue.simulator
    assert simulator.temperature == 0.9
    assert simulator.max_tokens == 96


def test_a_file_given_as_a_task_is_merged_too(tmp_path):
    folder = write(tmp_path / "own", mine={"include": str(DEMO), "task": "mine", "dialogue": OWN})
    (task,) = manager().load([str(folder / "mine.yaml")])["tasks"].values()
    assert told(task) == ("demo", 3, 2)


def test_a_task_given_as_a_mapping_overrides_the_registered_one():
    loaded = manager().load([{"task": "chatbench_demo", "dialogue": OWN}])["tasks"]
    assert told(loaded["chatbench_demo"]) == ("demo", 3, 2)


def test_a_task_given_as_a_mapping_without_a_block_is_the_registered_one():
    assert told(manager().load([{"task": "chatbench_demo"}])["tasks"]["chatbench_demo"]) == DEFAULT


def test_entries_and_keys_of_a_group_are_merged(tmp_path):
    group = {
        "group": "both",
        "task": [{"task": "chatbench_demo", "dialogue": {"max_turns": 3}}, "other"],
        "dialogue": {"repeats": 2},
    }
    folder = write(tmp_path / "own", both=group, other={"include": str(DEMO), "task": "other"})
    loaded = manager(folder).load(["both"])["tasks"]
    assert told(loaded["chatbench_demo"]) == ("demo", 3, 2)
    assert told(loaded["other"]) == ("demo", 10, 2)


def test_a_group_given_as_a_mapping_overrides_every_task_of_it(tmp_path):
    folder = write(tmp_path / "own", pair={"group": "pair", "task": ["chatbench_demo"]})
    loaded = manager(folder).load([{"group": "pair", "dialogue": OWN}])["tasks"]
    assert told(loaded["chatbench_demo"]) == ("demo", 3, 2)


@pytest.mark.parametrize("as_group", [True, False])
def test_two_simulators_stand_in_one_run_as_two_tasks(tmp_path, as_group):
    entries = [
        {"task": "chatbench_demo"},
        {"task": "chatbench_demo", "dialogue": {"simulator": "scripted"}},
        {"task": "chatbench_demo", "dialogue": {"simulator": "scripted", "max_turns": 2}},
    ]
    if as_group:
        folder = write(tmp_path / "own", both={"group": "both", "task": entries})
        loaded = manager(folder).load(["both"])["tasks"]
    else:
        loaded = manager().load(entries)["tasks"]
    assert {name: told(task) for name, task in loaded.items()} == {
        "chatbench_demo": DEFAULT,
        "chatbench_demo@scripted": ("scripted", 10, 1),
        "chatbench_demo@scripted-2": ("scripted", 2, 1),
    }


def test_names_are_those_of_one_run():
    one = manager()
    for simulator in ("scripted", "sharded"):
        loaded = one.load([{"task": "chatbench_demo", "dialogue": {"simulator": simulator}}])["tasks"]
        assert list(loaded) == ["chatbench_demo"]


def test_two_simulators_are_scored_in_one_run(tmp_path):
    entries = [{"task": "chatbench_demo", "dialogue": {"simulator": name}} for name in ("scripted", "sharded")]
    folder = write(tmp_path / "own", both={"group": "both", "task": entries})
    results = simple_evaluate(
        "chatbench-demo", tasks=["both"], task_manager=manager(folder), limit=2, bootstrap_iters=0
    )
    samples = results["samples"]
    labels = {
        name: {json.loads(text)["simulator"] for each in logged for text in each["resps"][-1]}
        for name, logged in samples.items()
    }
    assert labels == {"chatbench_demo": {"scripted"}, "chatbench_demo@sharded": {"sharded"}}
    assert set(results["chatbench"]["tasks"]) == set(samples)


def test_metadata_goes_over_all_of_them(tmp_path):
    folder = write(tmp_path / "own", mine={"include": str(DEMO), "task": "mine", "dialogue": OWN})
    loaded = manager(folder, metadata={"dialogue": {"repeats": 5}}).load(["mine"])["tasks"]
    assert told(loaded["mine"]) == ("demo", 3, 5)


@pytest.mark.parametrize("block", [["max_turns"], "scripted", 3])
def test_block_that_is_no_mapping_is_an_error_that_says_so(tmp_path, block):
    folder = write(tmp_path / "own", mine={"include": str(DEMO), "task": "mine", "dialogue": block})
    with pytest.raises(ConfigError, match="must be a mapping"):
        manager(folder).load(["mine"])


@pytest.mark.parametrize("key", ["dialog", "dialogues", "Dialogue", "dialouge"])
def test_metadata_key_that_is_nearly_the_blocks_is_an_error(key):
    with pytest.raises(ConfigError, match=f"{key!r}, which means nothing; did you mean 'dialogue'"):
        manager(metadata={key: {"repeats": 2}})


@pytest.mark.parametrize(
    "key", ["simulator", "max_turns", "max_turn", "repeats", "static", "judge", "Simulator", "simulater"]
)
def test_metadata_key_that_belongs_inside_the_block_is_an_error(key):
    with pytest.raises(ConfigError, match=f"{key!r} beside 'dialogue', where it means nothing; it belongs inside"):
        manager(metadata={key: "x"}).load(["chatbench_demo"])


def test_arguments_of_a_model_are_no_keys_of_a_block():
    arguments = {
        "pretrained": "m",
        "device": "cpu",
        "dtype": "float32",
        "peft": "a",
        "base_url": "x",
        "max_length": 5,
        "model": "y",
    }
    assert manager(metadata={**arguments, "dialogue": OWN}).load(["chatbench_demo"])["tasks"]


def test_metadata_beside_a_manager_of_ones_own_is_an_error():
    with pytest.raises(ConfigError, match=r"stands beside a task_manager.*TaskManager\(metadata=...\)"):
        simple_evaluate(
            "chatbench-demo", tasks=["chatbench_demo"], task_manager=manager(), limit=1, metadata={"dialogue": OWN}
        )


def test_the_same_metadata_in_both_places_is_used():
    metadata = {"dialogue": {"simulator": "scripted"}}
    results = simple_evaluate(
        "chatbench-demo", tasks=["chatbench_demo"], task_manager=manager(metadata=metadata), limit=1, metadata=metadata
    )
    assert results["configs"]["chatbench_demo"]["metadata"]["dialogue"]["simulator"]["label"] == "scripted"
