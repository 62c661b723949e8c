"""Task files as they stand in folders: YAML with `include:`, `!function` and a `dialogue:` block, merged key by key."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from lm_eval_plugin.config.dialogue import put_over
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.lm_eval_access.texts import fill_template

Keys: TypeAlias = dict[str, Any]

BLOCK = "dialogue"


def lm_eval_tasks() -> Path:
    """The folder of lm_eval's own tasks; it may be asked for while lm_eval is being imported."""
    spec = importlib.util.find_spec("lm_eval.tasks")
    if spec is None or spec.origin is None:
        raise ConfigError("lm_eval has no module lm_eval.tasks; install lm_eval again")
    return Path(spec.origin).parent


def file_of_lm_eval(template: str, keys: Mapping[str, object]) -> Path:
    """A task file of lm_eval, named by a template that a task's own keys fill."""
    return lm_eval_tasks() / fill_template(template, keys)


def read_task_file(path: Path, *, with_functions: bool = False) -> Keys:
    """The keys of a task file and of what it includes, its own over theirs; `dialogue:` blocks are merged key by key.

    Args:
        path: The file.
        with_functions: Whether a `!function` becomes the function; else it stays its name.

    Raises:
        ConfigError: A file is no mapping, or includes itself.
    """
    keys = _with_includes(path.expanduser().resolve(), _resolved if with_functions else _named, ())
    block = dialogue_block(path)
    return keys if block is None else {**keys, BLOCK: block}


def dialogue_block(path: Path) -> object:
    """The `dialogue:` block of a task file, put over those of the files that it includes; None for none."""
    path = path.expanduser().resolve()
    own = _read(path, _named)
    block: object = None
    for file in _included(own, path):
        inherited = _moved(dialogue_block(file), file, path)
        block = block if inherited is None else _over(block, inherited)
    return _over(block, own[BLOCK]) if BLOCK in own else block


def _with_includes(path: Path, function: Callable[[str, Path], object], way: tuple[Path, ...]) -> Keys:
    if path in way:
        raise ConfigError(f"{path} includes itself, by way of {way[-1]}; take one of the two `include:` out")
    own = _read(path, function)
    keys: Keys = {}
    for file in _included(own, path):
        below = _with_includes(file.expanduser().resolve(), function, (*way, path))
        # Like lm_eval: a list of tasks is that of the file that has it.
        keys.update({key: entry for key, entry in below.items() if key != "task_list"})
    return {**keys, **{key: entry for key, entry in own.items() if key != "include"}}


def _included(keys: Keys, path: Path) -> list[Path]:
    names = keys.get("include", [])
    return [path.parent / str(name) for name in (names if isinstance(names, list) else [names])]


def _read(path: Path, function: Callable[[str, Path], object]) -> Keys:
    class Loader(yaml.SafeLoader):
        """A safe loader that knows the tag of lm_eval's task files."""

    Loader.add_constructor("!function", lambda _, node: function(str(node.value), path.parent))
    with path.open("rb") as file:
        keys = yaml.load(file, Loader)  # noqa: S506  # a SafeLoader with one more tag
    if not isinstance(keys, dict):
        raise ConfigError(f"{path} is no task file: its YAML is no mapping")
    return keys


def _named(name: str, folder: Path) -> object:
    return str(folder / name)


def _resolved(name: str, folder: Path) -> object:
    """A function of a file that lies beside the task file, or of a module that can be imported."""
    module, _, function = name.rpartition(".")
    file = (folder / f"{module.replace('.', '/')}.py").resolve()
    return getattr(_module(file) if file.is_file() else importlib.import_module(module), function)


def _module(file: Path) -> object:
    """A Python file as a module, under the name by which lm_eval imports it."""
    folder = lm_eval_tasks().resolve()
    inside = file.is_relative_to(folder)
    name = str(file.with_suffix(""))
    if inside:
        name = ".".join(("lm_eval", "tasks", *file.relative_to(folder).with_suffix("").parts))
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{file} cannot be imported; it must be a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[name] = module
    return module


def _moved(block: object, source: Path, target: Path) -> object:
    """A block of one file as another file may hold it: a data set that lies beside the first is named by its whole path."""
    folder = source.resolve().parent
    dataset = block.get("dataset") if isinstance(block, Mapping) else None
    if folder == target.parent or not isinstance(block, Mapping) or not isinstance(dataset, str):
        return block
    return {**block, "dataset": str(folder / dataset)} if (folder / dataset).is_dir() else block


def _over(block: object, override: object) -> object:
    return override if block is None else put_over(block, override)
