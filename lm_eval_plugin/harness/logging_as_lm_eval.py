"""What this package logs is shown as what lm_eval logs, where lm_eval shows anything."""

from __future__ import annotations

import logging

PACKAGES = ("lm_eval_plugin", "chatbench_tasks")


def log_as_lm_eval() -> None:
    """Give our loggers the handler and the level of lm_eval's, which its command has set up; doing it twice does nothing.

    As a library lm_eval sets up nothing, and then nothing changes here.
    """
    theirs = logging.getLogger("lm_eval")
    for package in PACKAGES:
        ours = logging.getLogger(package)
        for handler in theirs.handlers:
            if handler not in ours.handlers:
                ours.addHandler(handler)
        if theirs.handlers:
            ours.setLevel(theirs.level)
