"""The examples in static prompts: those of the study's questions, and never a question in its own prompt."""

from __future__ import annotations

import json
import shutil

import pytest
from conftest import sum_row
from human_runs import TASK
from lm_eval.tasks import TaskManager
from releases import QUESTIONS, answer, write_release

from chatbench_tasks.examples import check_examples
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.harness.tasks_folder import tasks_folder

SUBJECT = QUESTIONS[0]["question_id"].rpartition("-redux-")[0] or "elementary_mathematics"


def task_of(name, folder=None, **metadata):
    paths = [str(tasks_folder()), *([] if folder is None else [str(folder)])]
    return TaskManager(include_path=paths, include_defaults=False, metadata=metadata).load([name])["tasks"][name]


def contexts(task, shots, **prompting):
    """The static prompts of a task."""
    task.set_config("num_fewshot", shots)
    task.set_fewshot_seed(1234)
    task.build_all_requests(**prompting)
    return [request.args[0] for request in task.instances if request.request_type == "loglikelihood"]


def write_examples(folder, subjects, count=5):
    """A data set in the layout of cais/mmlu with examples of several subjects."""
    folder.mkdir()
    front = "---\nconfigs:\n"
    for number, subject in enumerate(subjects):
        rows = [sum_row(100 * (number + 1) + each, 7) for each in range(count)]
        (folder / f"{subject}.jsonl").write_text(
            "".join(json.dumps({**row, "subject": subject}) + "\n" for row in rows)
        )
        front += f"- config_name: {subject}\n  data_files:\n  - split: dev\n    path: {subject}.jsonl\n"
    (folder / "README.md").write_text(front + "---\n")
    return folder


@pytest.fixture
def human(tmp_path):
    data = write_release(tmp_path / "release", answers=[answer(question) for question in QUESTIONS])

    def made(**people):
        return task_of(
            TASK, dialogue={"dataset": str(data), "simulator": "scripted"}, human={"model": "gpt-4o", **people}
        )

    return made


def subjects_of(task):
    return sorted({doc["subject"] for doc in task.task_docs})


def test_a_question_of_the_study_gets_the_five_examples_of_its_subject(human, tmp_path):
    subjects = subjects_of(human())
    task = human(examples=str(write_examples(tmp_path / "mmlu", [*subjects, "moral_scenarios"])))
    made = contexts(task, 5)
    for context, doc in zip(made[::4], task.task_docs, strict=True):
        assert context.count("\nAnswer:") == 6
        number = subjects.index(doc["subject"]) + 1
        assert all(sum_row(100 * number + each, 7)["question"] in context for each in range(5))
        assert context.count(doc["question"]) == 1


def test_without_examples_none_are_read(human):
    assert all(context.count("Answer:") == 1 for context in contexts(human(examples="nobody/nothing"), 0))


def test_examples_that_cannot_be_had_are_an_error_that_says_what_to_give(human):
    with pytest.raises(ConfigError, match=r"(?s)the examples of .* cannot be loaded.*human.*examples.*FOLDER"):
        contexts(human(examples="nobody/nothing"), 5)


def test_more_examples_than_there_are_is_an_error(human, tmp_path):
    folder = write_examples(tmp_path / "mmlu", subjects_of(human()), count=2)
    with pytest.raises(ConfigError, match=r"3 examples are asked for, and .* has 2"):
        contexts(human(examples=str(folder)), 3)


def test_an_example_that_is_the_question_is_an_error(human, tmp_path):
    folder = tmp_path / "mmlu"
    subjects = subjects_of(human())
    write_examples(folder, subjects)
    for subject in subjects:
        rows = [
            {"question": each["question"], "choices": [each[f"option_{letter}"] for letter in "ABCD"], "answer": 1}
            for each in QUESTIONS[:5]
        ]
        (folder / f"{subject}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ConfigError, match="holds the question itself among its examples"):
        contexts(human(examples=str(folder)), 5)


@pytest.mark.parametrize("shots", [0, 2])
def test_examples_of_another_split_pass(shots):
    assert contexts(task_of("chatbench_demo", dialogue={"simulator": "scripted"}), shots)


@pytest.mark.parametrize("static", ["loglikelihood", "letter"])
def test_every_task_of_ours_refuses_its_own_questions_as_examples(arithmetic_folder, tmp_path, static):
    shutil.copytree(arithmetic_folder, tmp_path / "data")
    (tmp_path / "data" / "dev.jsonl").write_text((arithmetic_folder / "test.jsonl").read_text())
    block = {"dataset": str(tmp_path / "data"), "simulator": "scripted", "static": static}
    with pytest.raises(ConfigError, match="holds the question itself among its examples"):
        contexts(task_of("chatbench_demo", dialogue=block), 2)


LONG = "Which of the following bodies in free fall gains the most speed?"


@pytest.mark.parametrize(
    ("context", "question", "stem"),
    [
        ("Q?\nA. 1\nB. 2\nAnswer: A\n\nQ?\nA. 1\nB. 2\nAnswer:", "Q?\nA. 1\nB. 2\nAnswer:", "Q?"),
        ("q?\nA. 1\nB.  2\nAnswer: A\n\nQ?\nA. 1\nB. 2\nAnswer:", "Q?\nA. 1\nB. 2\nAnswer:", "Q?"),
        (
            '[{"content": "Q?\\nA. 1\\nB. 2\\nAnswer:"}, {"content": "Q?\\nA. 1\\nB. 2\\nAnswer:"}]',
            "Q?\nA. 1\nB. 2\nAnswer:",
            "Q?",
        ),
        (f"{LONG}\nA. y\nB. x\nAnswer: B\n\n{LONG}\nA. x\nB. y\nAnswer:", f"{LONG}\nA. x\nB. y\nAnswer:", LONG),
    ],
)
def test_question_that_stands_twice_is_an_error(context, question, stem):
    with pytest.raises(ConfigError, match="task t"):
        check_examples(context, question, stem, "task t")


@pytest.mark.parametrize(
    ("context", "question", "stem"),
    [
        ("Q?\nA. 1\nB. 2\nAnswer:", "Q?\nA. 1\nB. 2\nAnswer:", "Q?"),
        ("Q?\nA. 3\nB. 4\nAnswer: A\n\nQ?\nA. 1\nB. 2\nAnswer:", "Q?\nA. 1\nB. 2\nAnswer:", "Q?"),
        (f"{LONG} {LONG}\nA. x\nB. y\nAnswer:", f"{LONG} {LONG}\nA. x\nB. y\nAnswer:", LONG),
    ],
)
def test_question_that_stands_once_passes(context, question, stem):
    check_examples(context, question, stem, "task t")
