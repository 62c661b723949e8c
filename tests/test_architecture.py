"""The architecture: which room may import which, and how large a file and a function may get. It reads the sources alone."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

EXCEPTION = re.compile(r"# (?:noqa|type: ignore)\b.*")
REASON = re.compile(r"^# (?:noqa: [A-Z0-9, ]+|type: ignore\[[a-z-]+\])(?:  # | - )\S")

REPOSITORY = Path(__file__).parents[1]
PACKAGES = ("lm_eval_plugin", "chatbench_tasks")

LAYERS = (
    "lm_eval_access",
    "errors",
    "border",
    "dialogue",
    "answers",
    "judge",
    "simulators",
    "config",
    "models",
    "cache",
    "chatbench_data",
    "doctor",
    "scoring",
    "runner",
    "training",
    "demo",
    "results",
    "comparison",
    "harness",
    "report",
    "chatbench_tasks",
    "cli",
)
"""The rooms from the bottom to the top; a room imports from those before it alone."""

FACE = "lm_eval_plugin"
"""The package's own `__init__`: it may show what any room has, and no room may import from it."""

NO_CODE = ("__init__.py", "autoload.pth", "guide", "py.typed")
"""What lies beside the rooms."""

ROOMS_OF_LM_EVAL = ("lm_eval_access", "harness")
"""The rooms that may import lm_eval."""

TASKS = "chatbench_tasks"
"""Tasks of lm_eval, which may import its public interface of tasks, `lm_eval.api`."""

STILL_IMPORT_LM_EVAL = ("lm_eval_plugin/models/lm_model.py", "lm_eval_plugin/models/generation/")
"""Files and folders that are still to go through `lm_eval_access`."""

MOST_AT_FIRST_LEVEL = 26
MOST_PAIRS_OF_ROOMS = 110
MOST_LINES_OF_A_FILE = 300
MOST_LINES_OF_A_BODY = 35
MOST_OF_THE_MEDIAN_BODY = 6
MOST_OF_NINE_BODIES_IN_TEN = 15

MOST_EXCEPTIONS = 45
"""Exceptions from what ruff and mypy ask: `noqa` and `type: ignore` in the package, and files ignored in pyproject.toml."""

STILL_WITHOUT_A_REASON = (
    "lm_eval_plugin/dialogue/engine.py",
    "lm_eval_plugin/models/",
    "chatbench_tasks/task.py",
    "lm_eval_plugin/config/",
)
"""Files and folders whose exceptions are still to be given a reason."""

LONG_FILES: Mapping[str, int] = {
    "chatbench_tasks/task.py": 459,
    "lm_eval_plugin/models/lm_model.py": 310,
}
"""Files that are still to be divided, with the lines that they have today: they may only get shorter."""

LONG_BODIES: Mapping[str, int] = {
    "lm_eval_plugin.runner.run_dialogues.hold": 40,
}
"""The same of functions."""


@dataclass(frozen=True)
class Module:
    """A file of the package.

    Args:
        name: As Python imports it.
        path: Below the repository.
        tree: Its source.
        lines: How many it has.
    """

    name: str
    path: str
    tree: ast.Module
    lines: int

    @property
    def room(self) -> str:
        parts = self.name.split(".")
        return parts[1] if parts[0] == "lm_eval_plugin" and len(parts) > 1 else parts[0]


def read_modules(root: Path) -> dict[str, Module]:
    """The modules of the package below a folder, by name."""
    paths = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    return {name: read_module(name, path, root) for path in paths for name in [module_name(path.relative_to(root))]}


def module_name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def read_module(name: str, path: Path, root: Path) -> Module:
    source = path.read_text(encoding="utf-8")
    return Module(name, path.relative_to(root).as_posix(), ast.parse(source), len(source.splitlines()))


def imported(module: Module, modules: Mapping[str, Module]) -> Iterator[tuple[str, int]]:
    """The modules of ours that a module imports, wherever in it, with the line."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, (
                f"{module.path}, line {node.lineno}: write the whole name instead of a relative import"
            )
            whole = (f"{node.module}.{alias.name}" for alias in node.names)
            names = [name if name in modules else str(node.module) for name in whole]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.partition(".")[0] in PACKAGES:
                assert name in modules, f"{module.path}, line {node.lineno}: there is no module {name}"
                yield name, node.lineno


def unknown_rooms(modules: Mapping[str, Module]) -> list[str]:
    return [
        f"{module.path}: the room {module.room} is no layer of the architecture; put the file into a room, or say in LAYERS "
        "between which rooms the new one lies"
        for module in modules.values()
        if module.name != FACE and module.room not in LAYERS
    ]


def upward_imports(modules: Mapping[str, Module]) -> list[str]:
    """A sentence for each import that runs from a room to one above it."""
    return [
        f"{module.path}, line {line}: {module.room} imports {name}, and {modules[name].room} lies above it; a room imports from "
        "those below it alone, so move what is wanted down or hand it in from above"
        for module in modules.values()
        for name, line in imported(module, modules)
        if module.name != FACE and level(modules[name].room) > level(module.room)
    ]


def imports_of_lm_eval(module: Module) -> Iterator[tuple[str, int]]:
    """What a module imports of lm_eval, wherever in it, with the line."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from ((name, node.lineno) for name in names if name.partition(".")[0] == "lm_eval")


def imports_past_the_access(modules: Mapping[str, Module]) -> list[str]:
    """A sentence for each import of lm_eval outside the rooms that may import it."""
    return [
        f"{module.path}, line {line}: {module.room} imports {name}; only {' and '.join(ROOMS_OF_LM_EVAL)} import lm_eval, and "
        "chatbench_tasks its lm_eval.api, so take it from lm_eval_access, and add it there if it is missing"
        for module in modules.values()
        if module.room not in ROOMS_OF_LM_EVAL and not module.path.startswith(STILL_IMPORT_LM_EVAL)
        for name, line in imports_of_lm_eval(module)
        if not (module.room == TASKS and name.startswith("lm_eval.api."))
    ]


def level(room: str) -> int:
    return LAYERS.index(room) if room in LAYERS else len(LAYERS)


def pairs_of_rooms(modules: Mapping[str, Module]) -> set[tuple[str, str]]:
    """Which rooms import from which."""
    return {
        (module.room, modules[name].room)
        for module in modules.values()
        if module.name != FACE
        for name, _ in imported(module, modules)
        if module.room != modules[name].room
    }


def circles(modules: Mapping[str, Module]) -> list[str]:
    """A sentence for each circle that is met: a module that imports others until one of them imports it."""
    graph = {
        name: sorted({other for other, _ in imported(module, modules)} - {name}) for name, module in modules.items()
    }
    done: set[str] = set()
    found: list[str] = []

    def follow(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            found.append("a circle of imports: " + " -> ".join((*way[way.index(name) :], name)))
        elif name not in done:
            for other in graph[name]:
                follow(other, (*way, name))
            done.add(name)

    for name in graph:
        follow(name, ())
    return found


def bodies(modules: Mapping[str, Module]) -> Iterator[tuple[str, int]]:
    """The lines of every function's body without its docstring, comments and empty lines among them."""
    for module in modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                body = node.body[1:] if ast.get_docstring(node) is not None else node.body
                yield (
                    f"{module.name}.{node.name}",
                    (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0,
                )


def exceptions(root: Path) -> Iterator[tuple[str, str]]:
    """The file and the comment of every exception from ruff's and mypy's rules."""
    for path in sorted(path for package in PACKAGES for path in (root / package).rglob("*.py")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if found := EXCEPTION.search(line):
                yield path.relative_to(root).as_posix(), found[0]


def ignored_files(settings: str) -> list[str]:
    """The lines of pyproject.toml that except files from rules, and say why."""
    section = settings.partition("[tool.ruff.lint.per-file-ignores]\n")[2].partition("\n[")[0]
    return [line for line in section.splitlines() if " = [" in line]


@pytest.fixture(scope="module")
def modules() -> dict[str, Module]:
    return read_modules(REPOSITORY)


def test_every_module_is_in_a_room(modules):
    assert not unknown_rooms(modules)


def test_no_import_runs_upward(modules):
    assert not upward_imports(modules)


def test_two_rooms_alone_import_lm_eval(modules):
    assert not imports_past_the_access(modules)


def test_the_access_to_lm_eval_imports_nothing_of_ours(modules):
    ours = {
        f"{module.path}, line {line}: {name}"
        for module in modules.values()
        if module.room == "lm_eval_access"
        for name, line in imported(module, modules)
        if modules[name].room != "lm_eval_access"
    }

    assert not ours


def test_no_circle_of_modules(modules):
    assert not circles(modules)


def test_no_more_pairs_of_rooms_than_can_be_kept_in_mind(modules):
    pairs = pairs_of_rooms(modules)

    assert len(pairs) <= MOST_PAIRS_OF_ROOMS, f"{len(pairs)} pairs of rooms import from each other: {sorted(pairs)}"


def test_first_level_reads_as_the_architecture():
    entries = {
        path.name
        for path in (REPOSITORY / "lm_eval_plugin").iterdir()
        if path.name != "__pycache__" and not path.name.startswith(".")
    }
    rooms = {entry.removesuffix(".py") for entry in entries.difference(NO_CODE)}

    assert len(entries) <= MOST_AT_FIRST_LEVEL, f"lm_eval_plugin has {len(entries)} entries: {sorted(entries)}"
    assert rooms <= set(LAYERS), f"no layer of the architecture: {sorted(rooms.difference(LAYERS))}"


def test_no_file_is_too_long(modules):
    long = {
        module.path: module.lines
        for module in modules.values()
        if module.lines > LONG_FILES.get(module.path, MOST_LINES_OF_A_FILE)
    }

    assert not long, f"divide these files by concept, each {MOST_LINES_OF_A_FILE} lines at most: {long}"


def test_no_function_is_too_long(modules):
    long = {name: lines for name, lines in bodies(modules) if lines > LONG_BODIES.get(name, MOST_LINES_OF_A_BODY)}

    assert not long, f"divide these functions, each {MOST_LINES_OF_A_BODY} lines at most: {long}"


def test_most_functions_are_short(modules):
    lines = sorted(count for _, count in bodies(modules))

    assert statistics.median(lines) <= MOST_OF_THE_MEDIAN_BODY
    assert statistics.quantiles(lines, n=10)[-1] <= MOST_OF_NINE_BODIES_IN_TEN


def test_exceptions_from_the_rules_are_few():
    found = [*exceptions(REPOSITORY), *ignored_files((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))]

    assert len(found) <= MOST_EXCEPTIONS, (
        f"{len(found)} exceptions from the rules; write the code that needs none: {found}"
    )


def test_every_exception_from_the_rules_says_why():
    silent = [
        f"{path}: {comment}"
        for path, comment in exceptions(REPOSITORY)
        if not path.startswith(STILL_WITHOUT_A_REASON) and not REASON.search(comment)
    ]
    silent += [line for line in ignored_files((REPOSITORY / "pyproject.toml").read_text()) if "# " not in line]

    assert not silent, f"say behind each why it must be, as in `# noqa: S608  # names of ours`: {silent}"


def written(root: Path, sources: Mapping[str, str]) -> dict[str, Module]:
    for name, source in sources.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return read_modules(root)


def test_import_inside_a_function_counts(tmp_path):
    low = "def of():\n    from lm_eval_plugin.cli.main import main\n"

    (sentence,) = upward_imports(
        written(tmp_path, {"lm_eval_plugin/answers/low.py": low, "lm_eval_plugin/cli/main.py": "main = 1\n"})
    )

    assert sentence.startswith(
        "lm_eval_plugin/answers/low.py, line 2: answers imports lm_eval_plugin.cli.main, and cli lies"
    )


@pytest.mark.parametrize(
    "source",
    [
        "import lm_eval\n",
        "import lm_eval.tasks\n",
        "from lm_eval import utils\n",
        "def of():\n    from lm_eval.api.model import LM\n",
    ],
)
def test_import_of_lm_eval_elsewhere_is_found(tmp_path, source):
    (sentence,) = imports_past_the_access(written(tmp_path, {"lm_eval_plugin/scoring/means.py": source}))

    assert sentence.startswith("lm_eval_plugin/scoring/means.py, line ")


def test_tasks_may_import_the_interface_of_tasks_and_nothing_private(tmp_path):
    source = "from lm_eval.api.task import ConfigurableTask\nfrom lm_eval.tasks._factory import TaskFactory\n"

    (sentence,) = imports_past_the_access(written(tmp_path, {"chatbench_tasks/task.py": source}))

    assert "line 2: chatbench_tasks imports lm_eval.tasks._factory.TaskFactory" in sentence


def test_package_whose_name_only_begins_like_lm_eval_is_another(tmp_path):
    found = written(tmp_path, {"lm_eval_plugin/scoring/means.py": "import lm_eval_other\n"})

    assert not imports_past_the_access(found)


def test_import_of_the_face_runs_upward(tmp_path):
    main = "from lm_eval_plugin import simulate\n"

    found = written(tmp_path, {"lm_eval_plugin/cli/main.py": main, "lm_eval_plugin/__init__.py": "simulate = 1\n"})

    assert len(upward_imports(found)) == 1


def test_import_of_a_module_as_a_name_counts(tmp_path):
    main = "from lm_eval_plugin import errors\n"

    found = written(tmp_path, {"lm_eval_plugin/errors.py": "", "lm_eval_plugin/cli/main.py": main})

    assert pairs_of_rooms(found) == {("cli", "errors")}


def test_new_room_is_unknown_until_it_has_a_layer(tmp_path):
    (sentence,) = unknown_rooms(written(tmp_path, {"lm_eval_plugin/attic/old.py": ""}))

    assert "the room attic is no layer" in sentence


def test_circle_within_a_room_is_found(tmp_path):
    found = written(
        tmp_path,
        {
            "lm_eval_plugin/answers/a.py": "from lm_eval_plugin.answers.b import b\n",
            "lm_eval_plugin/answers/b.py": "def b():\n    import lm_eval_plugin.answers.a\n",
        },
    )

    assert circles(found) == [
        "a circle of imports: lm_eval_plugin.answers.a -> lm_eval_plugin.answers.b -> lm_eval_plugin.answers.a"
    ]


def test_docstring_is_no_line_of_a_body(tmp_path):
    source = 'def of():\n    """A fact.\n\n    More of it.\n    """\n    # Why.\n    return 1\n\n\n# Not of it.\n'

    assert dict(bodies(written(tmp_path, {"lm_eval_plugin/errors.py": source}))) == {"lm_eval_plugin.errors.of": 1}
