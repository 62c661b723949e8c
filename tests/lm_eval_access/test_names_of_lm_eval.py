"""Every name that this package takes of lm_eval is there in the lm_eval that is installed; else the test says which is not."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import textwrap
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ACCESS = ROOT / "lm_eval_plugin" / "lm_eval_access"

SEEN = re.compile(r"Seen in lm_eval (?P<version>\d+\.\d+\.\d+): (?P<names>`[^`]+`(?:,\s+`[^`]+`)*)\.")


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef))


def private_attributes(node: ast.AST) -> set[str]:
    """The private names that a function uses of something else than of itself by its own right."""
    return {
        found.attr
        for found in ast.walk(node)
        if isinstance(found, ast.Attribute) and found.attr.startswith("_") and not found.attr.startswith("__")
    }


def seen_names() -> list[tuple[str, str, str]]:
    """The function, the version and the name of each private name, from the docstrings."""
    return [
        (f"lm_eval_access.{path.stem}.{function.name}", found["version"], name)
        for path in sorted(ACCESS.glob("*.py"))
        for function in functions(path)
        for found in SEEN.finditer(ast.get_docstring(function) or "")
        for name in re.findall(r"`([^`]+)`", found["names"])
    ]


def imported_names() -> list[tuple[str, str]]:
    """The file, and the module and name, of all that the package imports of lm_eval."""
    files = [
        file for package in ("lm_eval_plugin", "chatbench_tasks") for file in sorted((ROOT / package).rglob("*.py"))
    ]
    return sorted(
        {
            (file.relative_to(ROOT).as_posix(), f"{node.module}.{alias.name}")
            for file in files
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "lm_eval"
            for alias in node.names
        }
    )


def is_there(name: str) -> bool:
    """Whether lm_eval has a name, be it only an attribute that a class gives its objects."""
    parts = name.split(".")
    most = next(count for count in range(len(parts), 0, -1) if is_module(".".join(parts[:count])))
    holder: object = importlib.import_module(".".join(parts[:most]))
    for part in parts[most:]:
        if not hasattr(holder, part):
            return inspect.isclass(holder) and part == parts[-1] and gives_its_objects(holder, part)
        holder = getattr(holder, part)
    return True


def is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def gives_its_objects(kind: type, name: str) -> bool:
    """Whether a class or one of its bases sets an attribute of its objects."""
    sources = [textwrap.dedent(inspect.getsource(base)) for base in kind.__mro__ if base is not object]
    return any(
        isinstance(node, ast.Attribute) and node.attr == name and isinstance(node.ctx, ast.Store)
        for source in sources
        for node in ast.walk(ast.parse(source))
    )


@pytest.mark.parametrize(("function", "seen_in", "name"), seen_names(), ids=str)
def test_private_name_is_still_there(function, seen_in, name):
    assert is_there(name), (
        f"lm_eval {version('lm_eval')} has no {name}, which lm_eval {seen_in} had; {function} uses it: find what took its place"
    )


@pytest.mark.parametrize(("file", "name"), imported_names(), ids=str)
def test_imported_name_is_still_there(file, name):
    assert is_there(name), f"lm_eval {version('lm_eval')} has no {name}, which {file} imports: find what took its place"


@pytest.mark.parametrize("path", sorted(ACCESS.glob("*.py")), ids=lambda path: path.stem)
def test_every_function_that_uses_a_private_name_says_where_it_was_seen(path):
    silent = {
        function.name
        for function in functions(path)
        if not function.name.startswith("_")
        and (private := {name for name in private_attributes(function) if name.startswith("_")})
        and not private & set(re.findall(r"\w+", ast.get_docstring(function) or ""))
    }

    assert not silent


def test_private_names_are_found():
    assert (
        "lm_eval_access.private_names.logits",
        "0.4.13",
        "lm_eval.models.huggingface.HFLM._model_call",
    ) in seen_names()


@pytest.mark.parametrize(
    "name",
    [
        "lm_eval.models.huggingface.HFLM._no_such_method",
        "lm_eval.api.model.LM._no_such_attribute",
        "lm_eval.tasks._no_such_module.load_yaml",
        "lm_eval.api.model.NoSuchClass._rank",
    ],
)
def test_absent_name_is_found_out(name):
    assert not is_there(name)


def test_attribute_that_only_a_constructor_sets_is_there():
    assert is_there("lm_eval.api.model.LM._rank")
