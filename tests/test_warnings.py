"""Which warnings are errors: those that our own modules raise, but nothing that a dependency deprecates."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = "import warnings\ndef test_it():\n    warnings.warn_explicit('x', {category}, '{module}.py', 1, module='{module}')\n"


def outcome(tmp_path, category, module, *arguments):
    """Pytest's exit code for a test in which a module warns, under the project's own settings."""
    test = tmp_path / "test_it.py"
    test.write_text(PROGRAM.format(category=category, module=module))
    command = [sys.executable, "-m", "pytest", "-q", "-c", ROOT / "pyproject.toml", f"--rootdir={tmp_path}", *arguments]
    return subprocess.run([*command, test], capture_output=True, check=False, cwd=tmp_path).returncode


@pytest.mark.parametrize("module", ["lm_eval_plugin.comparison.gate", "chatbench_tasks.task"])
def test_a_warning_of_our_own_is_an_error(tmp_path, module):
    assert outcome(tmp_path, "RuntimeWarning", module) == 1


@pytest.mark.parametrize("category", ["DeprecationWarning", "FutureWarning", "PendingDeprecationWarning"])
def test_what_a_dependency_deprecates_is_none_even_where_we_use_it(tmp_path, category):
    assert outcome(tmp_path, category, "lm_eval_plugin.models.quantized") == 0


def test_a_warning_of_a_dependency_is_none(tmp_path):
    assert outcome(tmp_path, "UserWarning", "peft.config") == 0


def test_in_ci_each_of_them_is_an_error(tmp_path):
    assert "-W error" in (ROOT / ".ci" / "run").read_text()
    assert outcome(tmp_path, "DeprecationWarning", "peft.config", "-W", "error") == 1
