"""The dialogue task under the host's own evaluator, over small local data and tiny models."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import lm_eval
import lm_eval.tasks
import pytest
import yaml
from conftest import SUBJECTS, sum_row, write_mmlu
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from lm_eval.utils import make_table

from lm_eval_plugin.errors import ConfigError, SimulatorError
from lm_eval_plugin.harness.tasks_folder import tasks_folder

SCRIPTED = {"simulator": "scripted", "max_turns": 2, "assistant": {"max_tokens": 12}}
HOST_TASKS = Path(lm_eval.tasks.__file__).parent


def evaluate(task, dialogue, *, model="hf", model_args=None, include=None, **options):
    manager = TaskManager(
        include_path=[str(tasks_folder()), *([str(include)] if include else [])],
        include_defaults=False,
        metadata={"dialogue": dialogue},
    )
    return lm_eval.simple_evaluate(
        model=model, model_args=model_args, tasks=[task], task_manager=manager, bootstrap_iters=0, **options
    )


def on_cpu(folder, **more):
    return {"pretrained": str(folder), "device": "cpu", **more}


def transcripts(results, task):
    return [json.loads(text) for sample in results["samples"][task] for text in sample["resps"][-1]]


def said(transcript):
    return [(message["role"], message["content"]) for message in transcript["messages"]]


def outcomes(results, task):
    """What was said and why it ended, by question; times left out."""
    return {
        (entry["question_id"], entry["repeat"]): (said(entry), entry["answer"], entry["stop_reason"])
        for entry in transcripts(results, task)
    }


@pytest.fixture
def task_yaml(tmp_path):
    """Writes a task file and returns the folder to include."""

    def write(**keys):
        folder = tmp_path / "tasks"
        folder.mkdir(exist_ok=True)
        text = yaml.safe_dump(keys).replace("class: CLASS", "class: !function chatbench_tasks.task.DialogueTask")
        (folder / f"{keys['task']}.yaml").write_text(text)
        return folder

    return write


# The static score


@pytest.mark.parametrize("shots", [0, 5])
@pytest.mark.parametrize("chat", [False, True])
def test_static_score_equals_the_hosts_mmlu_to_the_last_digit(mmlu_folder, llama, chat_llama, task_yaml, shots, chat):
    folder = None
    for subject in SUBJECTS:
        original = yaml.load((HOST_TASKS / f"mmlu/default/mmlu_{subject}.yaml").read_text(), yaml.SafeLoader)
        template = yaml.load((HOST_TASKS / "mmlu/default/_default_template_yaml").read_text(), yaml.SafeLoader)
        for key in ("include", "tag", "task_alias"):
            original.pop(key)
        folder = task_yaml(**{**template, **original, "dataset_path": str(mmlu_folder)})
    # The same object for both, so that nothing differs but the task.
    model = HFLM(**on_cpu(chat_llama if chat else llama, batch_size=16))
    options = {
        "model": model,
        "num_fewshot": shots,
        "apply_chat_template": chat,
        "fewshot_as_multiturn": chat,
        "limit": 10,
    }
    dialogue = {**SCRIPTED, "dataset": str(mmlu_folder), "max_turns": 1, "assistant": {"max_tokens": 1}}
    for subject in SUBJECTS:
        task, same = f"chatbench_mmlu_{subject}", f"mmlu_{subject}"
        ours = evaluate(task, dialogue, **options)
        host = evaluate(same, {}, include=folder, **options)
        assert ours["results"][task]["acc_static,none"] == host["results"][same]["acc,none"]
        for mine, theirs in zip(ours["samples"][task], host["samples"][same], strict=True):
            assert mine["arguments"][:-1] == theirs["arguments"]
            assert mine["resps"][:-1] == theirs["resps"]


def test_static_requests_are_answered_before_the_first_dialogue(arithmetic_folder, llama, caplog):
    caplog.set_level(logging.INFO)
    evaluate(
        "chatbench_mmlu_elementary_mathematics",
        {**SCRIPTED, "dataset": str(arithmetic_folder)},
        model_args=on_cpu(llama),
    )
    running = [record.getMessage() for record in caplog.records if record.getMessage().startswith("Running ")]
    assert running[-2:] == ["Running loglikelihood requests", "Running converse_until requests"]


def test_static_none_leaves_the_static_metrics_out(arithmetic_folder, llama):
    results = evaluate(
        "chatbench_mmlu_elementary_mathematics",
        {**SCRIPTED, "dataset": str(arithmetic_folder), "static": "none"},
        model_args=on_cpu(llama),
    )["results"]["chatbench_mmlu_elementary_mathematics"]
    assert "acc,none" in results
    assert "acc_static,none" not in results
    assert "acc_gap,none" not in results


def test_static_letter_is_one_generated_letter(arithmetic_folder, llama):
    task = "chatbench_mmlu_elementary_mathematics"
    dialogue = {**SCRIPTED, "dataset": str(arithmetic_folder), "static": "letter"}
    results = evaluate(task, dialogue, model_args=on_cpu(llama))
    sample = results["samples"][task][0]
    prompt, generation = sample["arguments"][0]
    assert prompt.startswith("Reply with the letter")
    assert generation["max_gen_toks"] == 10
    assert sample["acc_static"] == float(sample["resps"][0][0].strip()[:1] == "B")
    assert results["results"][task]["valid_static_letter,none"] <= 1


def test_two_static_scores_leave_the_hosts_prompt_as_it_is(mmlu_folder, llama):
    task = "chatbench_mmlu_college_mathematics"
    base = {**SCRIPTED, "dataset": str(mmlu_folder), "max_turns": 1}
    options = {"model_args": on_cpu(llama), "num_fewshot": 3, "limit": 4, "batch_size": 4}
    alone = evaluate(task, base, **options)["samples"][task]
    both = evaluate(task, {**base, "static": ["loglikelihood", "letter"]}, **options)["samples"][task]
    for first, second in zip(alone, both, strict=True):
        assert first["arguments"][:4] == second["arguments"][:4]
        assert first["acc_static"] == second["acc_static"]
        assert "acc_static_letter" in second


def test_the_first_of_two_static_scores_is_acc_static(arithmetic_folder, llama):
    task = "chatbench_mmlu_elementary_mathematics"
    dialogue = {**SCRIPTED, "dataset": str(arithmetic_folder), "static": ["letter", "loglikelihood"]}
    sample = evaluate(task, dialogue, model_args=on_cpu(llama), limit=2)["samples"][task][0]
    likelihoods = [response[0][0] for response in sample["resps"][:4]]
    assert sample["acc_static_loglikelihood"] == float(likelihoods.index(max(likelihoods)) == 1)
    assert sample["acc_static"] == float(sample["resps"][4][0].strip()[:1] == "B")


def test_shuffled_options_are_right_under_their_new_letters_alone(arithmetic_folder, llama):
    task = "chatbench_mmlu_elementary_mathematics"
    dialogue = {**SCRIPTED, "dataset": str(arithmetic_folder), "shuffle_choices": True}
    manager = TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata={"dialogue": dialogue})
    made = manager.load([task])["tasks"][task]
    letters = set()
    for doc in made.eval_docs:
        question, (gold,) = made.question(doc), made.gold_letters(doc)
        assert question.choices[question.letters.index(gold)] == doc["choices"][doc["answer"]]
        letters.add(gold)
    assert len(letters) > 1


# The dialogues


@pytest.mark.parametrize("simulator", ["scripted", "model"])
def test_greedy_dialogues_do_not_depend_on_batch_size_or_order(tmp_path, llama, simulator):
    rows = [sum_row(a, a + 3) for a in range(9)]
    (tmp_path / "forward").mkdir()
    (tmp_path / "reversed").mkdir()
    forward, backward = write_mmlu(tmp_path / "forward", rows), write_mmlu(tmp_path / "reversed", rows[::-1])
    user = (
        "scripted"
        if simulator == "scripted"
        else {
            "policy": "chatbench",
            "model_args": {"pretrained": str(llama)},
            "quantization": "none",
            "temperature": 0.0,
            "max_tokens": 12,
        }
    )
    task = "chatbench_mmlu_elementary_mathematics"
    runs = [
        outcomes(
            evaluate(
                task, {**SCRIPTED, "simulator": user, "dataset": str(data)}, model_args=on_cpu(llama), batch_size=size
            ),
            task,
        )
        for data, size in ((forward, 1), (forward, 3), (forward, 16), (backward, 3))
    ]
    assert len(runs[0]) == 9
    assert runs[0] == runs[1] == runs[2] == runs[3]


def test_sampled_runs_repeat_with_the_same_seeds(arithmetic_folder, llama):
    task = "chatbench_mmlu_elementary_mathematics"
    user = {"policy": "chatbench", "model_args": {"pretrained": str(llama)}, "max_tokens": 8}
    dialogue = {**SCRIPTED, "simulator": user, "dataset": str(arithmetic_folder)}
    runs = [
        outcomes(evaluate(task, dialogue, model_args=on_cpu(llama), torch_random_seed=seed, limit=3), task)
        for seed in (1, 1, 2)
    ]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_repeats_hold_that_many_dialogues_and_average_within_the_question(arithmetic_folder, llama):
    task = "chatbench_mmlu_elementary_mathematics"
    user = {"policy": "chatbench", "model_args": {"pretrained": str(llama)}, "max_tokens": 8}
    dialogue = {**SCRIPTED, "simulator": user, "dataset": str(arithmetic_folder), "repeats": 3}
    results = evaluate(task, dialogue, model_args=on_cpu(llama), limit=2, batch_size=8)
    held = transcripts(results, task)
    assert [entry["repeat"] for entry in held] == [0, 1, 2, 0, 1, 2]
    assert len({entry["seed"] for entry in held}) == 6
    assert len({json.dumps(said(entry)) for entry in held}) == 6
    assert results["n-samples"][task]["effective"] == 2


def test_system_instruction_and_gen_kwargs_reach_the_assistant(arithmetic_folder, llama):
    task = "chatbench_mmlu_elementary_mathematics"
    results = evaluate(
        task,
        {**SCRIPTED, "dataset": str(arithmetic_folder)},
        model_args=on_cpu(llama),
        limit=1,
        system_instruction="Reply in verse.",
        gen_kwargs="max_gen_toks=3,temperature=0.5,do_sample=True,top_p=0.9",
    )
    request = results["samples"][task][0]["arguments"][-1][1]
    assert request["system"] == "Reply in verse."
    assert request["dialogue"]["assistant"] == {
        "temperature": 0.5,
        "max_tokens": 3,
        "until": [],
        "gen_kwargs": {"top_p": 0.9},
    }
    assert results["configs"][task]["metadata"]["dialogue"]["assistant"]["max_tokens"] == 3
    replies = [text for role, text in said(transcripts(results, task)[0]) if role == "assistant"]
    assert all(len(text) < 60 for text in replies)


def test_predict_only_keeps_the_transcripts_and_computes_no_metric(arithmetic_folder, llama):
    task = "chatbench_mmlu_elementary_mathematics"
    results = evaluate(
        task, {**SCRIPTED, "dataset": str(arithmetic_folder)}, model_args=on_cpu(llama), limit=2, predict_only=True
    )
    assert len(transcripts(results, task)) == 2
    assert "acc,none" not in results["results"][task]


def test_samples_choose_questions_without_changing_their_dialogues(arithmetic_folder, llama):
    task = "chatbench_mmlu_elementary_mathematics"
    dialogue = {**SCRIPTED, "dataset": str(arithmetic_folder)}
    whole = outcomes(evaluate(task, dialogue, model_args=on_cpu(llama)), task)
    some = outcomes(evaluate(task, dialogue, model_args=on_cpu(llama), samples={task: [1, 4]}), task)
    assert len(some) == 2
    assert some.items() <= whole.items()


def test_group_rows_aggregate_over_the_five_subjects(mmlu_folder, llama):
    results = evaluate(
        "chatbench_mmlu", {**SCRIPTED, "dataset": str(mmlu_folder), "max_turns": 1}, model_args=on_cpu(llama), limit=2
    )
    group = results["groups"]["chatbench_mmlu"]
    values = [results["results"][f"chatbench_mmlu_{subject}"] for subject in SUBJECTS]
    for metric in ("acc", "acc_static", "acc_gap"):
        assert group[f"{metric},none"] == pytest.approx(sum(row[f"{metric},none"] for row in values) / 5)
    assert group["acc_gap,none"] == pytest.approx(group["acc,none"] - group["acc_static,none"])
    summary = results["chatbench"]["groups"]["chatbench_mmlu"]
    assert summary["composition"] == dict.fromkeys(sorted(SUBJECTS), 2)
    assert group["acc_subjects,none"] == summary["metrics"]["acc_subjects"]["value"] == pytest.approx(group["acc,none"])
    line = next(line for line in make_table(results, "groups").splitlines() if "acc_subjects" in line)
    assert f"{group['acc_subjects,none']:.4f}" in line
    assert f"{summary['metrics']['acc_subjects']['standard_error']:.4f}" in line
    assert "acc_subjects,none" not in values[0]


# Other tasks of the host


ARC = [
    {
        "id": f"q{n}",
        "question": f"Which of these is the number {n}?",
        "choices": {"text": [f"n{n + 1}", f"n{n}", f"n{n + 2}"], "label": ["A", "B", "C"]},
        "answerKey": "B",
    }
    for n in range(4)
]
MMLU_PRO = [
    {
        "question": f"What is {n} plus 3?",
        "options": [str(n + place) for place in range(10)],
        "answer": "D",
        "answer_index": 3,
        "cot_content": "A: Let's think step by step. The answer is (D).",
        "category": "math",
    }
    for n in range(4)
]
TRUTHFUL = [
    {"question": f"Is {n} a number?", "mc1_targets": {"choices": ["yes", "no", "only on Mondays"], "labels": [1, 0, 0]}}
    for n in range(4)
]


def local_data(folder, rows, split):
    folder.mkdir()
    (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    front = f"---\nconfigs:\n- config_name: small\n  data_files:\n  - split: {split}\n    path: {split}.jsonl\n---\n"
    (folder / "README.md").write_text(front)
    return {"dataset_path": str(folder), "dataset_name": "small"}


@pytest.mark.parametrize(
    ("include", "rows", "splits", "block", "static", "gold"),
    [
        (
            "arc/arc_easy.yaml",
            ARC,
            {"training_split": None, "validation_split": None, "test_split": "test"},
            {"stem": "question"},
            "acc",
            "B",
        ),
        (
            "mmlu_pro/mmlu_pro_math.yaml",
            MMLU_PRO,
            {
                "fewshot_split": "test",
                "num_fewshot": 0,
                "generation_kwargs": {"until": ["Question:"], "max_gen_toks": 8},
            },
            {"stem": "question", "choices": "options"},
            "exact_match",
            "D",
        ),
        (
            "truthfulqa/truthfulqa_mc1.yaml",
            TRUTHFUL,
            {"validation_split": "test"},
            {"stem": "question", "shuffle_choices": True},
            "acc",
            None,
        ),
    ],
    ids=["arc", "mmlu_pro", "truthfulqa_mc1"],
)
def test_any_multiple_choice_task_of_the_host_turns_interactive(
    tmp_path, task_yaml, llama, include, rows, splits, block, static, gold
):
    # The host keeps loaded data by the folder's last name, so every folder has one of its own.
    data = local_data(tmp_path / f"data_{include.replace('/', '_')}", rows, "test")
    include_path = task_yaml(
        task="interactive", **{"class": "CLASS"}, dialogue={**SCRIPTED, **block, "include": include}, **data, **splits
    )
    # The host's file under another name, with nothing changed but where the data lies.
    (include_path / "plain.yaml").write_text(
        yaml.safe_dump({"include": str(HOST_TASKS / include), "task": "plain", "tag": [], **data, **splits})
    )
    options = {"model_args": on_cpu(llama), "include": include_path, "batch_size": 4}
    ours, host = evaluate("interactive", {}, **options), evaluate("plain", {}, **options)
    filters = [key.partition(",")[2] for key in host["results"]["plain"] if key.startswith(f"{static},")]
    assert len(filters) == 1
    assert (
        ours["results"]["interactive"][f"acc_static,{filters[0]}"] == host["results"]["plain"][f"{static},{filters[0]}"]
    )
    held = transcripts(ours, "interactive")
    assert len(held) == len(rows)
    for entry, sample in zip(held, ours["samples"]["interactive"], strict=True):
        first = entry["messages"][0]["content"]
        assert rows[0]["question"].split()[0] in first
        right = gold or next(line[0] for line in first.splitlines() if line.endswith(". yes"))
        assert sample["acc"] == float(entry["answer"] == right)


# Errors


@pytest.mark.parametrize(
    ("dialogue", "message"),
    [
        ({"max_turn": 3}, "did you mean 'max_turns'"),
        ({"simulator": "chatbench-mistral7b"}, "did you mean 'chatbench-mistral-7b'"),
        ({"max_turns": 0}, "max_turns is 0"),
        ({"repeats": "3"}, "repeats is '3'"),
        ({"dataset": "./no/such/folder"}, "nothing is there"),
    ],
)
def test_a_wrong_block_is_an_error_before_anything_is_loaded(dialogue, message):
    with pytest.raises(ConfigError, match=message):
        TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata={"dialogue": dialogue}).load(
            ["chatbench_mmlu_anatomy"]
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"choices": ["1"]}, r"row 2: choices is \['1'\]"),
        ({"answer": 4}, "row 2: answer is 4"),
        ({"question": " "}, "row 2: question is ' '"),
        ({"choices": ["1", "2", "", "4"]}, "row 2: choices is"),
    ],
)
def test_a_bad_row_is_named(tmp_path, llama, change, message):
    rows = [sum_row(a, 1) for a in range(4)]
    rows[2].update(change)
    with pytest.raises(ConfigError, match=message):
        evaluate(
            "chatbench_mmlu_elementary_mathematics",
            {**SCRIPTED, "dataset": str(write_mmlu(tmp_path, rows))},
            model_args=on_cpu(llama),
        )


def test_a_missing_column_is_named(tmp_path, llama):
    rows = [{key: value for key, value in sum_row(a, 1).items() if key != "choices"} for a in range(2)]
    folder = write_mmlu(tmp_path, rows)
    (folder / "dev.jsonl").write_text((folder / "test.jsonl").read_text())
    with pytest.raises(ConfigError, match="has no column choices; it has question, subject, answer"):
        evaluate(
            "chatbench_mmlu_elementary_mathematics", {**SCRIPTED, "dataset": str(folder)}, model_args=on_cpu(llama)
        )


def test_rows_that_were_changed_since_the_last_run_are_the_ones_that_are_asked(tmp_path, llama):
    task = "chatbench_mmlu_elementary_mathematics"
    asked = []
    for a in (1, 2):
        folder = write_mmlu(tmp_path, [sum_row(a, a)])
        results = evaluate(task, {**SCRIPTED, "dataset": str(folder)}, model_args=on_cpu(llama))
        asked.append(results["samples"][task][0]["doc"]["question"])
    assert asked == ["What is 1 plus 1?", "What is 2 plus 2?"]


def test_a_subject_that_the_folder_lacks_is_an_error(arithmetic_folder, llama):
    with pytest.raises(ConfigError, match="'anatomy', cannot be loaded"):
        evaluate("chatbench_mmlu_anatomy", {**SCRIPTED, "dataset": str(arithmetic_folder)}, model_args=on_cpu(llama))


def test_options_that_stand_in_the_question_already_are_an_error(tmp_path, task_yaml, llama):
    data = local_data(tmp_path / "data_with_options", [sum_row(a, 1) for a in range(3)], "test")
    block = {**SCRIPTED, "include": "mmlu/default/mmlu_anatomy.yaml", "choices": "choices", "shuffle_choices": True}
    folder = task_yaml(task="interactive", **{"class": "CLASS"}, dialogue=block, fewshot_split="test", **data)
    with pytest.raises(ConfigError, match="has its options in it already"):
        evaluate("interactive", {}, model_args=on_cpu(llama), include=folder)


def test_letters_are_not_asked_for_where_the_prompt_shows_no_options(tmp_path, task_yaml, llama):
    data = local_data(tmp_path / "data_without_options", ARC, "test")
    splits = {"training_split": None, "validation_split": None, "test_split": "test"}
    block = {**SCRIPTED, "stem": "question", "include": "arc/arc_easy.yaml", "static": "letter"}
    folder = task_yaml(task="interactive", **{"class": "CLASS"}, dialogue=block, **data, **splits)
    with pytest.raises(ConfigError, match="does not show the options"):
        evaluate("interactive", {}, model_args=on_cpu(llama), include=folder)


def test_a_simulator_whose_window_cannot_hold_a_question_is_an_error_before_any_request(
    tmp_path, arithmetic_folder, llama
):
    import tiny_models

    small = tiny_models.save_model(tmp_path / "small", window=64)
    user = {"policy": "chatbench", "model_args": {"pretrained": str(small)}, "max_tokens": 16, "quantization": "none"}
    with pytest.raises(SimulatorError, match="6 questions do not fit into the window"):
        evaluate(
            "chatbench_mmlu_elementary_mathematics",
            {**SCRIPTED, "simulator": user, "dataset": str(arithmetic_folder)},
            model_args=on_cpu(llama),
        )
