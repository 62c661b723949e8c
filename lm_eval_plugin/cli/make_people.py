"""`chatbench make-people`: conversations of made-up people about the demo's questions, in the layout of microsoft/ChatBench."""

from __future__ import annotations

import argparse

from lm_eval_plugin.training.demo import people


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    people.add_arguments(parser)


def run(chosen: argparse.Namespace) -> int:
    """Write the people."""
    people.make_people(chosen)
    return 0
