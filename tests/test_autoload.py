"""The start-up watcher: silent, cheap, and out of the way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LINE = Path(__file__).parents[1] / "lm_eval_plugin" / "autoload.pth"

STAND_IN = """
from pathlib import Path

from lm_eval.tasks._factory import TaskFactory
from lm_eval.tasks._yaml_loader import load_yaml


class TaskIndex:
    @staticmethod
    def build(paths, **options):
        return [str(path) for path in paths]


class TaskManager:
    def __init__(self, verbosity=None, include_path=None, include_defaults=True, metadata=None):
        paths = [Path(__file__).parent] if include_defaults else []
        {discovery}
        paths += [Path(include_path)] if include_path else []
        self.folders = TaskIndex().build(paths)

    def load(self, task_list): ...
"""
LOADER_STAND_IN = """
def load_yaml(path, *, resolve_func=True, recursive=True): ...
"""
FACTORY_STAND_IN = """
from lm_eval.tasks._yaml_loader import load_yaml


class TaskFactory: ...
"""
MODEL_STAND_IN = """
class LM:
    @classmethod
    def create_from_arg_string(cls, text): ...

    @classmethod
    def create_from_arg_obj(cls, arguments): ...


class CachingLM:
    def __init__(self, lm, cache_db): ...


class TemplateLM(LM): ...
"""
CONFIG_STAND_IN = """
class EvaluatorConfig:
    def process_tasks(self): ...
"""
DISCOVERY = """
        from importlib.metadata import entry_points
        for point in entry_points(group="lm_eval.tasks"):
            paths.append(Path(point.load().__file__).parent)
"""


def python(code, path=None, **environment):
    """Run code in a fresh interpreter; the folder comes before everything that is installed."""
    env = {**os.environ, **environment}
    if path is not None:
        env["PYTHONPATH"] = str(path)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def stand_in(tmp_path):
    """Writes a package that looks like the host, with or without discovery of its own."""

    def write(*, discovery="", manager=None):
        tasks = tmp_path / "lm_eval" / "tasks"
        tasks.mkdir(parents=True)
        (tmp_path / "lm_eval" / "__init__.py").write_text("")
        (tasks / "__init__.py").write_text("")
        (tasks / "manager.py").write_text(manager or STAND_IN.replace("{discovery}", discovery))
        (tasks / "_yaml_loader.py").write_text(LOADER_STAND_IN)
        (tasks / "_factory.py").write_text(FACTORY_STAND_IN)
        (tasks / "_index.py").write_text("")
        for package in ("models", "api", "config"):
            (tmp_path / "lm_eval" / package).mkdir()
            (tmp_path / "lm_eval" / package / "__init__.py").write_text("")
        (tmp_path / "lm_eval" / "api" / "registry.py").write_text(
            "class Models(dict):\n    def register(self, alias, target):\n        self[alias] = target\n"
            "model_registry = Models(hf='host')\n"
        )
        (tmp_path / "lm_eval" / "api" / "model.py").write_text(MODEL_STAND_IN)
        (tmp_path / "lm_eval" / "api" / "instance.py").write_text("class Instance: ...\n")
        (tmp_path / "lm_eval" / "config" / "evaluate_config.py").write_text(CONFIG_STAND_IN)
        return tmp_path

    return write


FOLDERS = "from lm_eval.tasks.manager import TaskManager; print(*TaskManager({}).folders, sep='\\n')"


def test_the_watcher_imports_nothing_until_the_host_is_imported():
    code = "import sys; print(sorted(m for m in sys.modules if m.startswith(('lm_eval', 'chatbench', 'torch'))))"
    assert python(code).stdout == "[]\n"


def test_our_tasks_come_right_behind_the_hosts_own(stand_in):
    folders = python(FOLDERS.format("include_path='/mine'"), stand_in()).stdout.split()
    assert [Path(folder).name for folder in folders] == ["tasks", "chatbench_tasks", "mine"]


def test_a_task_manager_without_the_hosts_defaults_gets_nothing_added(stand_in):
    assert python(FOLDERS.format("include_path='/mine', include_defaults=False"), stand_in()).stdout.split() == [
        "/mine"
    ]


def test_the_watcher_is_off_by_its_variable(stand_in):
    folders = python(FOLDERS.format(""), stand_in(), CHATBENCH_AUTOLOAD="0").stdout.split()
    assert [Path(folder).name for folder in folders] == ["tasks"]


def test_the_watcher_stands_down_when_the_host_discovers_our_tasks_itself(stand_in):
    folders = python(FOLDERS.format(""), stand_in(discovery=DISCOVERY)).stdout.split()
    assert [Path(folder).name for folder in folders] == ["tasks", "chatbench_tasks"]


def test_the_watcher_stands_down_when_our_folder_is_included(stand_in):
    code = "import chatbench_tasks, os; own = os.path.dirname(chatbench_tasks.__file__); " + FOLDERS.format(
        "include_path=own"
    )
    folders = python(code, stand_in()).stdout.split()
    assert [Path(folder).name for folder in folders] == ["tasks", "chatbench_tasks"]


def test_the_model_alias_is_registered_beside_the_hosts_own(stand_in):
    code = (
        "import lm_eval.tasks.manager; from lm_eval.api.registry import model_registry; print(sorted(model_registry))"
    )
    assert python(code, stand_in()).stdout == "['chatbench-demo', 'hf']\n"


def test_a_host_that_is_not_understood_runs_as_if_we_were_not_there(stand_in):
    done = python("import lm_eval.tasks.manager as m; print(m.ready)", stand_in(manager="ready = True\n"))
    assert done.stdout == "True\n"
    assert "could not be added" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_host_that_does_not_import_fails_with_its_own_error(stand_in):
    code = "try:\n    import lm_eval.tasks.manager\nexcept ZeroDivisionError:\n    print('its own')"
    assert python(code, stand_in(manager="1 / 0\n")).stdout == "its own\n"


def test_a_line_that_is_left_behind_by_a_broken_removal_is_harmless(stand_in):
    # -S starts without any .pth file, and so without this package on the path.
    folder = stand_in()
    code = f"import sys; sys.path.insert(0, {str(folder)!r})\n{LINE.read_text()}\n" + FOLDERS.format("")
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False, cwd=folder)
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1


def test_the_pth_file_is_one_line_that_python_runs():
    text = LINE.read_text()
    assert text.startswith("import ")
    assert text.count("\n") == 1


TWICE = f"import sys\nfor _ in range(2):\n    {LINE.read_text()}"


def test_a_line_that_is_run_twice_attaches_once(stand_in):
    watchers = "print(sum(type(each).__name__ == 'ChatbenchWatcher' for each in sys.meta_path))"
    done = python(f"{TWICE}\n{watchers}\n{FOLDERS.format('')}\n{watchers}", stand_in())
    before, *folders, after = done.stdout.split()
    assert (before, after) == ("1", "0")
    assert [Path(folder).name for folder in folders] == ["tasks", "chatbench_tasks"]


def test_what_is_registered_twice_is_wrapped_once(stand_in):
    code = (
        "from lm_eval.tasks import manager, _yaml_loader; from lm_eval.config.evaluate_config import EvaluatorConfig\n"
        "from lm_eval.api.model import LM, CachingLM; from lm_eval_plugin.harness import registration; import sys\n"
        "def wrapped(): return [manager.TaskIndex, manager.TaskManager.__init__, manager.TaskManager.load, manager.TaskFactory,\n"
        "    _yaml_loader.load_yaml, EvaluatorConfig.process_tasks, CachingLM.__init__, sys.excepthook,\n"
        "    LM.create_from_arg_obj.__func__, LM.create_from_arg_string.__func__]\n"
        "before = wrapped(); registration.register(manager); registration.register(manager); print(before == wrapped())"
    )
    assert python(code, stand_in()).stdout == "True\n"
