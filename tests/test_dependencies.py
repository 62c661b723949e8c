"""What the packages import and what the distribution declares are the same, and every bound is stated."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from conftest import CORE
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 cannot read pyproject.toml")

ROOT = Path(__file__).parents[1]
OURS = {"lm_eval_plugin", "chatbench_tasks"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DECLARED = [Requirement(line) for line in PROJECT["dependencies"]]
FOR_TESTS = [Requirement(line) for line in PROJECT["optional-dependencies"]["test"]]


def modules(tree: ast.AST) -> Iterator[str]:
    """The top-level modules that a program imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.partition(".")[0]


def imported(files) -> set[str]:
    """The distributions that files import, beside Python's own modules and those that lie in the folders themselves."""
    files = list(files)
    found = {module for file in files for module in modules(ast.parse(file.read_text()))}
    foreign = found - OURS - set(sys.stdlib_module_names) - {file.stem for file in files}
    known = packages_distributions()
    return {canonicalize_name(known[module][0]) if module in known else module for module in foreign}


def names(requirements) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in requirements}


def test_what_is_imported_is_declared_and_nothing_else():
    files = [file for package in OURS for file in (ROOT / package).rglob("*.py")]
    assert imported(files) == names(DECLARED)


def test_what_the_tests_import_is_declared_for_them():
    files = [*(ROOT / "tests").glob("*.py"), *(ROOT / "tests" / "simulators").glob("*.py")]
    assert imported(files) <= names(DECLARED) | names(FOR_TESTS)


def test_an_import_within_a_function_counts():
    program = "def f():\n    import torch.nn\n    from scipy.stats import norm\n    from . import sibling\n"
    assert set(modules(ast.parse(program))) == {"torch", "scipy"}


@pytest.mark.parametrize("requirement", DECLARED, ids=str)
def test_every_dependency_has_a_lower_bound(requirement):
    assert [each.version for each in requirement.specifier if each.operator == ">="]


@pytest.mark.parametrize(("name", "removed_in"), [("transformers", "6"), ("lm_eval", "0.5")])
def test_a_release_that_removes_what_is_used_here_is_kept_out(name, removed_in):
    bounds = {each.name: each.specifier for each in DECLARED}
    assert not bounds[name].contains(f"{removed_in}.0")


def test_the_classifiers_name_pythons_that_are_allowed_and_the_one_that_ci_runs():
    stated = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    floor = int(PROJECT["requires-python"].removeprefix(">=3."))
    assert stated
    assert all(int(version.partition(".")[2]) >= floor for version in stated)


def test_every_module_of_the_core_is_there():
    assert {file.stem for file in (ROOT / "tests").glob("test_*.py")} >= CORE
