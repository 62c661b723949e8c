"""`chatbench guide`: the pages of documentation, in the terminal."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lm_eval_plugin.config.strict import nearest
from lm_eval_plugin.errors import ConfigError

GUIDE = Path(__file__).parents[1] / "guide"
"""The pages: one for each question that a user has, which is its title."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("topic", nargs="?", metavar="TOPIC", help="the page; without one, the list of pages")


def run(chosen: argparse.Namespace) -> int:
    """Print a page, or the list of pages with the question that each answers.

    Raises:
        ConfigError: There is no such page.
    """
    pages = {page.stem: page for page in sorted(GUIDE.glob("*.md"))}
    if chosen.topic is None:
        _print_topics(pages)
        return 0
    if chosen.topic not in pages:
        raise ConfigError(f"the guide has no page {chosen.topic!r}{nearest(chosen.topic, pages)}")
    _print_page(pages[chosen.topic].read_text(encoding="utf-8"))
    return 0


def _print_topics(pages: dict[str, Path]) -> None:
    width = max(map(len, pages))
    for topic, page in pages.items():
        with page.open(encoding="utf-8") as lines:
            print(f"{topic:<{width}}  {next(lines).removeprefix('# ').rstrip()}")


def _print_page(text: str) -> None:
    """Lay a page out for a terminal; for a pipe or a file, print it as it is written."""
    if not sys.stdout.isatty():
        print(text, end="")
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(text))
