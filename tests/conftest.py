"""Shared fixtures: no network, tiny models made once a session, small data in the layouts of real data sets."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from pathlib import Path

import pytest

SHARED_MMLU = Path(__file__).parents[2] / "shared" / "data" / "mmlu"
SUBJECTS = (
    "elementary_mathematics",
    "high_school_mathematics",
    "college_mathematics",
    "conceptual_physics",
    "moral_scenarios",
)

CORE = {
    *("test_api_generation", "test_cache_files", "test_chat_api", "test_chat_format", "test_configuration"),
    *("test_conversations", "test_dialogue_store", "test_doctor", "test_export", "test_first_prompts", "test_gate"),
    *("test_host_model", "test_hub_errors", "test_human_task", "test_judge", "test_letter", "test_local_generation"),
    *("test_model_identity", "test_quantized", "test_report", "test_simulation", "test_simulator_ppl"),
    *("test_statistics", "test_task", "test_training", "test_weights"),
}
"""The modules of the marker `core`: together they use all that a dependency is used for, in some three minutes."""


def pytest_configure(config):
    """Set the environment before any test module imports a library that reads it."""
    config.datasets_cache = tempfile.TemporaryDirectory(prefix="datasets-")
    os.environ["HF_DATASETS_CACHE"] = config.datasets_cache.name
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    # Under nohup, and in some runners, SIGINT is ignored, and every child would ignore it too.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Mark the core of the suite."""
    for item in items:
        if item.path.stem in CORE:
            item.add_marker("core")


def pytest_unconfigure(config):
    """Remove what `datasets` has cached."""
    config.datasets_cache.cleanup()


@pytest.fixture(scope="session")
def mmlu_folder() -> Path:
    """Real MMLU questions of the five subjects, in the layout of cais/mmlu."""
    if not SHARED_MMLU.is_dir():
        pytest.skip(f"the MMLU sample is not at {SHARED_MMLU}")
    return SHARED_MMLU


@pytest.fixture(scope="session")
def arithmetic_folder(tmp_path_factory) -> Path:
    """A small data set of our own in the layout of cais/mmlu: one configuration, 6 questions and 2 examples."""
    return write_mmlu(tmp_path_factory.mktemp("arithmetic"), [sum_row(a, a + 3) for a in range(6)])


@pytest.fixture(scope="session")
def llama(tmp_path_factory) -> Path:
    """A tiny Llama without a chat template."""
    return _tiny_models().save_model(tmp_path_factory.mktemp("llama"), "llama")


@pytest.fixture(scope="session")
def chat_llama(tmp_path_factory) -> Path:
    """A tiny Llama whose chat template puts a BOS token in front."""
    tiny = _tiny_models()
    return tiny.save_model(tmp_path_factory.mktemp("chat_llama"), "llama", chat_template=tiny.CHAT_TEMPLATE)


def _tiny_models():
    # Imported late: tests of the plain modules need no torch.
    import tiny_models

    return tiny_models


def sum_row(a: int, b: int) -> dict:
    """A question in MMLU's layout; the right option is the second."""
    choices = [str(a + b - 1), str(a + b), str(a + b + 10), str(a * b + 100)]
    return {"question": f"What is {a} plus {b}?", "subject": "arithmetic", "choices": choices, "answer": 1}


def write_mmlu(folder: Path, rows: list[dict], subject: str = "elementary_mathematics") -> Path:
    """Write rows as the test split of a subject, and two sums as its examples."""
    front = f"---\nconfigs:\n- config_name: {subject}\n  data_files:\n"
    for split, entries in (("test", rows), ("dev", [sum_row(90, 4), sum_row(80, 3)])):
        front += f"  - split: {split}\n    path: {split}.jsonl\n"
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in entries))
    (folder / "README.md").write_text(front + "---\n")
    return folder
