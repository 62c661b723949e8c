"""The wheel: what is in it, and that what the README shows runs where it alone is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from documented import blocks, first_line_that_differs

ROOT = Path(__file__).parents[2]

TWO_COMMANDS = "pip install . && lm_eval --tasks chatbench_demo --model chatbench-demo"
SIMULATE = "chatbench simulate --task chatbench_demo --seed 4"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    pytest.importorskip("hatchling", reason="it builds the wheel; the extra `test` brings it")
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def binaries(wheel, tmp_path_factory) -> Path:
    """The commands of an environment that has the wheel, and beside it what the wheel depends on."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, str(wheel)], check=True)
    # An editable installation of this package there is not followed: its own .pth lies in no folder of this environment.
    others = [path for path in sys.path if path.endswith("site-packages")]
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text("\n".join(others), encoding="utf-8")
    return python.parent


def run(code: str, binaries: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run commands in a folder; `lm_eval` is that of the environment's Python, which starts with the wheel's own line."""
    path = f"{binaries}{os.pathsep}{os.environ['PATH']}"
    own = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        ["bash", "-e", "-c", code.replace("pip install . && lm_eval", "python -m lm_eval")],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**own, "PATH": path, "HF_HUB_OFFLINE": "1", "COLUMNS": "200"},
        check=False,
        timeout=600,
    )


def test_wheel_has_what_runs_and_nothing_that_only_made_it(wheel):
    names = zipfile.ZipFile(wheel).namelist()

    assert "chatbench_lm_eval.pth" in names
    assert {"lm_eval_plugin/training/demo/people.py", "lm_eval_plugin/guide/numbers.md"} <= set(names)
    assert not {"lm_eval_plugin/training/demo/build.py", "lm_eval_plugin/training/demo/user.py"} & set(names)
    assert {name.partition("/")[0] for name in names if "dist-info" not in name} == {
        "chatbench_lm_eval.pth",
        "chatbench_tasks",
        "lm_eval_plugin",
    }


def test_every_module_of_the_wheel_can_be_imported(binaries, tmp_path):
    code = (
        "import importlib, pkgutil, lm_eval_plugin, chatbench_tasks\n"
        "for package in (lm_eval_plugin, chatbench_tasks):\n"
        "    for module in pkgutil.walk_packages(package.__path__, f'{package.__name__}.'):\n"
        "        importlib.import_module(module.name)\n"
        "print(lm_eval_plugin.__file__)\n"
    )
    done = subprocess.run(
        [str(binaries / "python"), "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(binaries.parent)


@pytest.mark.parametrize("first", [TWO_COMMANDS, SIMULATE])
def test_command_of_the_readme_prints_what_stands_there(first, binaries, tmp_path):
    (block,) = [block for block in blocks("bash") if block.first == first and block.page == "README"]

    done = run(block.code, binaries, tmp_path)

    assert done.returncode == 0, done.stderr
    assert first_line_that_differs(block.printed, done.stdout + done.stderr) is None, done.stdout + done.stderr


def test_people_are_made_without_the_repository(binaries, tmp_path):
    done = run(
        "chatbench make-people a --people 2 && python -m lm_eval_plugin.demo.people b --people 2", binaries, tmp_path
    )

    assert done.returncode == 0, done.stderr
    assert (
        {path.name for path in (tmp_path / "a").rglob("*.*")}
        == {path.name for path in (tmp_path / "b").rglob("*.*")}
        != set()
    )
