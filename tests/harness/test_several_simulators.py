"""A list of simulators: a task for each, their static requests made once, one simulator loaded at a time."""

from __future__ import annotations

import copy
import json

import lm_eval
import pytest
import yaml
from lm_eval.api.registry import get_model
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager
from lm_eval.utils import make_table

from lm_eval_plugin.cli.main import main
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.harness.registration import tasks_folder
from lm_eval_plugin.models import loading

DEMO = tasks_folder() / "demo" / "chatbench_demo.yaml"
TWO = ["demo", "scripted"]
DOUBTS = {"policy": "scripted", "habits": ["doubts_once"]}


def manager(folder=None, **dialogue):
    paths = [str(tasks_folder()), *([] if folder is None else [str(folder)])]
    metadata = {"dialogue": dialogue} if dialogue else None
    return TaskManager(include_path=paths, include_defaults=False, metadata=metadata)


def write(folder, **tasks):
    for name, content in tasks.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return folder


def labels(loaded):
    return {name: task.dialogue.simulator.label for name, task in loaded["tasks"].items()}


# Registration


def test_list_of_the_command_line_is_a_task_for_each():
    loaded = manager(simulator=[*TWO, DOUBTS], max_turns=3).load(["chatbench_demo"])
    assert labels(loaded) == {
        "chatbench_demo@demo": "demo",
        "chatbench_demo@scripted": "scripted",
        "chatbench_demo@scripted-habits-doubts_once": "scripted[habits=doubts_once]",
    }
    assert {task.dialogue.max_turns for task in loaded["tasks"].values()} == {3}


def test_list_of_a_yaml_is_a_task_for_each_and_one_of_the_command_line_takes_its_place(tmp_path):
    own = {"include": str(DEMO), "task": "mine", "dialogue": {"simulator": TWO}}
    folder = write(tmp_path, mine=own)
    assert labels(manager(folder).load(["mine"])) == {"mine@demo": "demo", "mine@scripted": "scripted"}
    assert labels(manager(folder, simulator="sharded").load(["mine"])) == {"mine": "sharded"}
    refined = manager(folder, simulator={"reasks": 0})
    with pytest.raises(ConfigError, match="'scripted' has no model; remove reasks"):
        refined.load(["mine"])


def test_keys_of_the_command_line_refine_every_simulator_of_a_yamls_list(tmp_path):
    listed = ["demo", {"preset": "demo", "temperature": 0.0}]
    folder = write(tmp_path, mine={"include": str(DEMO), "task": "mine", "dialogue": {"simulator": listed}})
    loaded = manager(folder, simulator={"reasks": 0}).load(["mine"])
    assert [task.dialogue.simulator.reasks for task in loaded["tasks"].values()] == [0, 0]
    assert list(loaded["tasks"]) == ["mine@demo-reasks-0", "mine@demo-temperature-0.0-reasks-0"]


def group(folder, **block):
    tasks = {name: {"include": str(DEMO), "task": name} for name in ("one", "two")}
    whole = {"group": "both", "task": ["one", "two"], "aggregate_metric_list": [{"metric": "acc"}]}
    return write(folder, **tasks, both={**whole, **({"dialogue": block} if block else {})})


@pytest.mark.parametrize("of_group", [True, False], ids=["in the group's YAML", "on the command line"])
def test_group_is_a_group_for_each(tmp_path, of_group):
    folder = group(tmp_path, **({"simulator": TWO} if of_group else {}))
    loaded = manager(folder, **({} if of_group else {"simulator": TWO})).load(["both"])
    assert loaded["group_map"] == {
        "both@demo": ["one@demo", "two@demo"],
        "both@scripted": ["one@scripted", "two@scripted"],
    }
    assert labels(loaded)["two@scripted"] == "scripted"


def test_task_of_mmlu_and_its_group_are_named_as_documented(tmp_path):
    config = manager(simulator=TWO)
    names = {name for name in config.all_tasks if name.startswith("chatbench_mmlu")}
    assert {"chatbench_mmlu", "chatbench_mmlu_conceptual_physics"} <= names


def test_questions_are_the_same_under_each_and_as_without_a_list():
    tasks = manager(simulator=TWO).load(["chatbench_demo"])["tasks"]
    (alone,) = manager(simulator="scripted").load(["chatbench_demo"])["tasks"].values()
    doc = next(iter(alone.test_docs()))
    assert {task.question(doc) for task in tasks.values()} == {alone.question(doc)}


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ([], "empty list"),
        (["demo", "demo"], "whose tasks would have one name"),
        (["demo", "nobody"], "preset 'nobody' is not known"),
        (["demo", {"temperature": 0}], "must name either a preset"),
    ],
)
def test_list_that_cannot_be_is_an_error_before_anything_is_run(listed, said):
    with pytest.raises(ConfigError, match=said):
        manager(simulator=listed).load(["chatbench_demo"])


def test_tasks_of_a_group_that_list_different_simulators_are_an_error(tmp_path):
    one = {"include": str(DEMO), "task": "one", "dialogue": {"simulator": ["demo", "scripted"]}}
    two = {"include": str(DEMO), "task": "two", "dialogue": {"simulator": ["demo", "sharded"]}}
    folder = write(tmp_path, one=one, two=two, both={"group": "both", "task": ["one", "two"]})
    with pytest.raises(ConfigError, match="task two lists other simulators"):
        manager(folder).load(["both"])


def test_conversation_without_a_task_has_one_user():
    from lm_eval_plugin.runner.simulation import simulate

    with pytest.raises(ConfigError, match="a list of simulators is for the tasks that lm_eval runs"):
        simulate({"question": "?", "choices": ["a", "b"]}, lambda _: "A", TWO)


# A run


@pytest.fixture(scope="module")
def counted():
    """The demo's model under test, which counts what it is asked of lm_eval's own and which simulators are loaded meanwhile."""
    lm = get_model("chatbench-demo").create_from_arg_obj({}, {"device": "cpu", "batch_size": 16})
    lm.asked = []
    scored = lm.loglikelihood

    def counting(requests, **options):
        lm.asked += [request.args for request in requests]
        return scored(requests, **options)

    lm.loglikelihood = counting
    return lm


STATIC = ["loglikelihood", "letter", "free_text"]


@pytest.fixture(scope="module")
def results(counted):
    run = {
        name: lm_eval.simple_evaluate(
            counted,
            tasks=["chatbench_demo"],
            task_manager=manager(simulator=simulator, static=STATIC),
            limit=10,
            bootstrap_iters=0,
        )
        for name, simulator in {"several": [*TWO, DOUBTS], "demo": "demo", "scripted": "scripted"}.items()
    }
    return {**run, "asked": counted.asked}


def test_static_requests_are_made_once(results):
    assert len(results["asked"]) == 3 * 10 * 4  # three runs, ten questions, four options; the first run has three tasks


@pytest.mark.parametrize("name", TWO)
def test_every_simulators_numbers_and_dialogues_are_those_of_a_run_of_its_own(results, name):
    def numbers(row):
        return {key: value for key, value in row.items() if key not in ("name", "alias")}

    several = results["several"]
    task = f"chatbench_demo@{name}"
    assert numbers(several["results"][task]) == numbers(results[name]["results"]["chatbench_demo"])
    pairs = zip(several["samples"][task], results[name]["samples"]["chatbench_demo"], strict=True)
    for ours, theirs in pairs:
        assert ours["resps"][:-2] == theirs["resps"][:-2]
        for place in (-2, -1):
            assert _without_times(ours["resps"][place]) == _without_times(theirs["resps"][place])


def _without_times(transcripts):
    read = [json.loads(text) for text in transcripts]
    for transcript in read:
        for message in transcript["messages"]:
            message.pop("seconds", None)
            message.pop("batch", None)
    return read


def test_samples_of_every_simulator_hold_what_was_said_to_the_static_requests(results):
    for name, samples in results["several"]["samples"].items():
        assert len(samples) == 10, name
        for sample in samples:
            assert len(sample["resps"]) == len(sample["arguments"]) == 4 + 1 + 1 + 1
            assert all(len(resps) == 1 for resps in sample["resps"])


def test_simulator_is_unloaded_when_its_turn_is_over(counted, results):
    loading._LOADED.clear()
    listed = ["demo", {"preset": "demo", "quantization": "none"}, "scripted"]
    lm_eval.simple_evaluate(
        counted, tasks=["chatbench_demo"], task_manager=manager(simulator=listed), limit=4, bootstrap_iters=0
    )
    assert loading._LOADED == {}


def test_model_that_is_needed_by_another_stays():
    args = json.dumps({"pretrained": "x"}, sort_keys=True)
    loading._LOADED[("hf", args, "none")] = object()
    assert loading.unload_model("hf", {"pretrained": "other"}, "none") is False
    assert loading.unload_model("hf", {"pretrained": "x"}, "8bit") is False
    assert loading.unload_model("hf", {"pretrained": "x"}, "none") is True
    assert loading.unload_model("hf", {"pretrained": "x"}, "none") is False


# What reads the run


@pytest.fixture
def folder(results, tmp_path):
    for name in ("several", "demo"):
        _saved(results[name], tmp_path / name)
    return tmp_path


def _saved(run, folder):
    # lm_eval writes the responses as texts into the very samples.
    run = copy.deepcopy(run)
    samples = run.pop("samples")
    tracker = EvaluationTracker(output_path=str(folder))
    tracker.general_config_tracker.model_name = tracker.general_config_tracker.model_name_sanitized = "m"
    tracker.save_results_aggregated(results=run, samples=samples)
    for task, logged in samples.items():
        tracker.save_results_samples(task_name=task, samples=logged)


def test_table_files_and_commands_know_the_suffix(folder, results, capsys):
    assert "chatbench_demo@scripted" in make_table(dict(results["several"]))
    assert len(list((folder / "several" / "m").glob("samples_chatbench_demo@*.jsonl"))) == 3
    assert main(["score", str(folder / "several"), "--json"]) == 0
    scored = json.loads(capsys.readouterr().out)
    assert scored["tasks"].keys() == {f"chatbench_demo@{name}" for name in (*TWO, "scripted-habits-doubts_once")}
    # Scores under different simulators are never pooled.
    assert scored["groups"] == {}
    out = folder / "runs.jsonl"
    assert main(["export", str(folder / "several"), "-o", str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert {(row["task"], row["simulator"]) for row in rows} >= {("chatbench_demo@demo", "demo")}
    assert main(["report", str(folder / "several"), "-o", str(folder / "page.html")]) == 0


def test_leaderboard_has_the_rank_under_each(folder, capsys):
    assert main(["leaderboard", str(folder / "several"), "--format", "json"]) == 0
    board = json.loads(capsys.readouterr().out)
    (ranks,) = board["ranks_by_simulator"].values()
    assert ranks == {"demo": 1, "scripted": 1, "scripted[habits=doubts_once]": 1}
    assert board["agreement"] == []


def test_gate_holds_a_run_of_one_simulator_against_the_same_of_several(folder, capsys):
    several, one = str(folder / "several"), str(folder / "demo")
    assert main(["gate", "--baseline", several, "--candidate", one]) == 2
    assert "only one run has the task" in capsys.readouterr().err
    assert main(["gate", "--baseline", several, "--candidate", one, "--allow-differences", "--json"]) == 0
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert [(check["task"], check["drop"], check["pairs"]) for check in checks] == [("chatbench_demo@demo", 0.0, 10)]
