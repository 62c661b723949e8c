"""Making this package's tasks part of the host as soon as the host is imported.

At every start Python runs the one line of `autoload.pth`, which the distribution installs as `chatbench_lm_eval.pth`. It
imports nothing: it puts a finder in front of the import system that waits for one module, the host's task manager, and
then asks `host_spec` for it. `CHATBENCH_AUTOLOAD=0` switches that off.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

from lm_eval_plugin.border.terminal import logger_of

if TYPE_CHECKING:
    from importlib.abc import Loader

logger = logger_of(__name__)


def host_spec(name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
    """Find the host's task manager as Python would, to be followed by `registration` once it is loaded.

    Args:
        name: The module's full name.
        path: Where its package lies.
        target: The module to be reloaded, if any.
    """
    specs = (finder.find_spec(name, path, target) for finder in sys.meta_path if hasattr(finder, "find_spec"))
    spec = next((spec for spec in specs if spec is not None), None)
    if spec is not None and spec.loader is not None and os.environ.get("CHATBENCH_AUTOLOAD") != "0":
        _register_after_loading(spec.loader)
    return spec


def _register_after_loading(loader: Loader) -> None:
    load = loader.exec_module

    def load_and_register(module: ModuleType) -> None:
        load(module)
        try:
            from lm_eval_plugin.harness import registration

            registration.register(module)
        # A host that this package does not understand must run as if the package were not there.
        except Exception as error:  # noqa: BLE001  # whatever it is
            logger.warning(
                'The chatbench tasks could not be added (%s: %s); add --include_path "$(chatbench path tasks)" instead.',
                type(error).__name__,
                error,
            )

    vars(loader)["exec_module"] = load_and_register
