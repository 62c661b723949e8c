"""The code blocks of README and guide, and whether what was printed is what stands there."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lm_eval_plugin.cli.guide import GUIDE

README = Path(__file__).parents[2] / "README.md"
PAGES = (README, *sorted(GUIDE.glob("*.md")))
_BLOCK = re.compile(
    r"^```(?P<language>\w*)\n(?P<code>.*?)^```\n(?:\s*^```\n(?P<printed>.*?)^```$)?", re.DOTALL | re.MULTILINE
)
_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?")
_RELATIVE, _ABSOLUTE = 0.02, 0.011
"""How far a number may be off: another release of a library may move one answer of a hundred."""


@dataclass(frozen=True)
class Block:
    """A block of code.

    Args:
        page: Its page, without the suffix.
        language: As the fence names it.
        code: What stands in it.
        printed: What stands in the block without a language right below it; empty without one.
    """

    page: str
    language: str
    code: str
    printed: str

    @property
    def first(self) -> str:
        """Its first line without a comment, by which it is known."""
        return re.sub(r"\s+#.*", "", self.code.splitlines()[0])


def blocks(*languages: str) -> list[Block]:
    return [block for page in PAGES for block in _blocks(page) if block.language in languages]


def _blocks(page: Path) -> Iterator[Block]:
    for found in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        yield Block(page.stem, found["language"], found["code"], found["printed"] or "")


def first_line_that_differs(documented: str, printed: str) -> str | None:
    """The first documented line that was not printed behind the one before it; None if all were.

    A line of `...` stands for any lines, `...` in a line for any word; numbers may be off a little.
    """
    lines = iter(printed.splitlines())
    for wanted in documented.splitlines():
        if wanted.strip() in {"", "..."}:
            continue
        if not any(same_line(wanted, line) for line in lines):
            return wanted
    return None


def same_line(documented: str, printed: str) -> bool:
    """Whether two lines have the same words in the same order, and numbers that are nearly the same."""
    pattern = re.escape(_squeezed(_NUMBER.sub("\0", documented))).replace("\0", f"({_NUMBER.pattern})")
    found = re.fullmatch(pattern.replace(re.escape("..."), r"\S*?"), _squeezed(printed))
    if found is None:
        return False
    numbers = zip(_NUMBER.findall(_squeezed(documented)), found.groups(), strict=True)
    return all(_near(_value(wanted), _value(there)) for wanted, there in numbers)


def _squeezed(line: str) -> str:
    """The line without what pads its columns."""
    return re.sub(r"-{3,}", "---", re.sub(r" ?\| ?", "|", re.sub(r"\s+", " ", line))).strip()


def _value(number: str) -> float:
    return float(number.replace(",", ""))


def _near(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
