"""Task files read with pyyaml are what lm_eval's own loader makes of them, and `dialogue:` blocks are merged key by key."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from lm_eval.tasks._yaml_loader import load_yaml

from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.harness.task_files import dialogue_block, lm_eval_tasks, read_task_file

OF_LM_EVAL = (
    "mmlu/default/_mmlu.yaml",
    "mmlu/default/mmlu_college_mathematics.yaml",
    "mmlu/flan_n_shot/generative/mmlu_anatomy.yaml",
    "gsm8k/gsm8k-cot.yaml",
    "hellaswag/hellaswag.yaml",
    "mmlu_pro/mmlu_pro_math.yaml",
    "leaderboard/bbh_mc/date_understanding.yaml",
)


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder / "task.yaml"


def described(entry: object) -> object:
    """An entry with its functions named: lm_eval imports a file again if it is not the one that did so first."""
    if isinstance(entry, dict):
        return {key: described(each) for key, each in entry.items()}
    if isinstance(entry, partial):
        return described(entry.func), entry.args, entry.keywords
    return (entry.__module__, entry.__qualname__) if callable(entry) else entry


@pytest.mark.parametrize("name", OF_LM_EVAL)
def test_file_of_lm_eval_reads_as_lm_eval_reads_it(name):
    path = lm_eval_tasks() / name

    assert read_task_file(path) == load_yaml(path, resolve_func=False)


@pytest.mark.parametrize("name", OF_LM_EVAL)
def test_functions_are_those_that_lm_eval_finds(name):
    path = lm_eval_tasks() / name

    ours, lm_evals = (described(keys) for keys in (read_task_file(path, with_functions=True), load_yaml(path)))

    assert ours == lm_evals


def test_function_of_a_file_beside_the_task_is_imported(tmp_path):
    (tmp_path / "shout.py").write_text("def loud(doc):\n    return doc.upper()\n")

    keys = read_task_file(written(tmp_path, task="task: t\ndoc_to_text: !function shout.loud\n"), with_functions=True)

    assert keys["doc_to_text"]("a") == "A"


def test_function_of_an_installed_module_is_imported(tmp_path):
    keys = read_task_file(
        written(tmp_path, task="task: t\ndoc_to_text: !function os.path.basename\n"), with_functions=True
    )

    assert keys["doc_to_text"]("a/b") == "b"


def test_block_is_put_over_that_of_the_included_file_key_by_key(tmp_path):
    below = "dialogue: {simulator: scripted, max_turns: 3}\nnum_fewshot: 2\ntask_list: [a]\n"

    keys = read_task_file(written(tmp_path, below=below, task="include: below.yaml\ndialogue: {max_turns: 5}\n"))

    assert keys == {"num_fewshot": 2, "dialogue": {"simulator": "scripted", "max_turns": 5}}


def test_data_set_beside_an_included_file_is_named_by_its_path(tmp_path):
    (tmp_path / "lower" / "rows").mkdir(parents=True)
    (tmp_path / "lower" / "below.yaml").write_text("dialogue: {dataset: rows}\n")

    block = dialogue_block(written(tmp_path, task="include: lower/below.yaml\n"))

    assert block == {"dataset": str(tmp_path / "lower" / "rows")}


def test_files_that_include_each_other_are_refused(tmp_path):
    path = written(tmp_path, task="include: other.yaml\n", other="include: task.yaml\n")

    with pytest.raises(ConfigError, match="includes itself"):
        read_task_file(path)


def test_file_that_is_no_mapping_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no task file"):
        read_task_file(written(tmp_path, task="- a\n"))
