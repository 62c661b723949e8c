"""Ctrl-C and SIGTERM: what is said, with which status a process ends, and what is left as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lm_eval_plugin.runner.interruption import interruptible

KEPT = Path("cache/run_rank0.db")
KEPT_SAID = f"interrupted: 12 of 200 dialogues are finished and kept in {KEPT}; the same command goes on from there"

WAITING = """
import sys, time
from pathlib import Path
from lm_eval_plugin.runner.interruption import interruptible
try:
    with interruptible(200, lambda: 12, Path({kept!r}) if {kept!r} else None):
        print("ready", flush=True)
        time.sleep(60)
finally:
    print("closed", flush=True)
"""


def interrupted(by, kept=str(KEPT)):
    """A process that held dialogues when a signal came: its status, what it said, and whether it closed what was open."""
    command = [sys.executable, "-c", WAITING.format(kept=kept)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(by)
        out, err = process.communicate(timeout=30)
    return process.returncode, err.strip().splitlines()[-1], out == "closed\n"


def test_sigterm_says_how_to_go_on_and_ends_with_its_status():
    assert interrupted(signal.SIGTERM) == (143, KEPT_SAID, True)


def test_ctrl_c_says_how_to_go_on_last_and_ends_as_python_does():
    assert interrupted(signal.SIGINT) == (-signal.SIGINT, f"KeyboardInterrupt: {KEPT_SAID}", True)


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_without_a_cache_the_loss_is_said_and_how_to_avoid_it(by):
    _, said, _ = interrupted(by, kept="")
    assert "12 of 200 dialogues were finished and are lost; with --use_cache FOLDER/NAME each is kept" in said


def test_sigterm_is_what_it_was_afterwards():
    with interruptible(1, lambda: 0, None):
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_other_errors_pass_as_they_are():
    with pytest.raises(ValueError, match=r"^own$"), interruptible(1, lambda: 0, None):
        raise ValueError("own")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_program_that_has_plans_for_sigterm_keeps_them():
    came = []
    before = signal.signal(signal.SIGTERM, lambda *_: came.append(True))
    try:
        with interruptible(1, lambda: 0, None):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert came == [True]


def test_outside_the_main_thread_signals_are_left_alone():
    seen = []

    def hold():
        with interruptible(1, lambda: 0, None):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=hold)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]
