"""The tables of the guide that are made from the code; `python tests/guide/tables.py` writes them into its pages.

A page holds one between `<!-- table: NAME -->` and `<!-- end of table -->`.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from pydantic_core import PydanticUndefined

from lm_eval_plugin.cli.guide import GUIDE
from lm_eval_plugin.cli.list import LISTS
from lm_eval_plugin.config.dialogue import DEFAULT_SIMULATOR, AssistantConfig, DialogueConfig
from lm_eval_plugin.config.judge import JudgeConfig
from lm_eval_plugin.config.simulator import SimulatorConfig
from lm_eval_plugin.config.strict import Strict
from lm_eval_plugin.scoring.meanings import MEANINGS
from lm_eval_plugin.scoring.metrics import METRICS, NEUTRAL

PLACE = re.compile(
    r"(?P<start><!-- table: (?P<name>[\w ]+) -->\n)(?P<table>.*?)(?P<end><!-- end of table -->)", re.DOTALL
)
NOT_OF_SIMULATORS = ("label",)
OF_SIMULATORS = {
    "preset": ("", "a name of `chatbench list presets`; a name by itself stands for the mapping, too"),
    "base": ("the preset's", "a model's name or folder in place of the preset's"),
    "adapter": ("the preset's", "an adapter's name or folder in place of the preset's"),
}


def keys_of(kind: type[Strict], others: Mapping[str, tuple[str, str]] | None = None) -> str:
    """The keys of a record, with their defaults and what its docstring says of them."""
    told = arguments(kind)
    rows = [(f"`{key}`", *entry) for key, entry in (others or {}).items()]
    rows += [(f"`{key}`", _default(kind, key), told[key]) for key in kind.model_fields if key not in NOT_OF_SIMULATORS]
    return table(("key", "default", "meaning"), rows)


def arguments(kind: type) -> dict[str, str]:
    """What a docstring says under `Args:`, by name."""
    section = inspect.cleandoc(kind.__doc__).partition("Args:\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^(\w+): (.*?)(?=^\w+: |\Z)", textwrap.dedent(section), re.DOTALL | re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def _default(kind: type[Strict], key: str) -> str:
    if (kind, key) == (DialogueConfig, "simulator"):
        return f"`{DEFAULT_SIMULATOR}`"
    value = kind.model_fields[key].get_default(call_default_factory=True)
    if value is PydanticUndefined or value is None or value in ([], {}) or isinstance(value, Strict):
        return ""
    return (
        f"`{', '.join(value)}`"
        if isinstance(value, list)
        else f"`{str(value).lower() if isinstance(value, bool) else value}`"
    )


def metrics() -> str:
    rows = [(f"`{name}`", metric.kind.value, _arrow(name), MEANINGS[name]) for name, metric in METRICS.items()]
    return table(("metric", "kind", "better", "meaning"), rows)


def _arrow(name: str) -> str:
    return "" if name in NEUTRAL else "higher" if METRICS[name].higher_is_better else "lower"


def listed(what: str) -> Callable[[], str]:
    return lambda: table((what, "what it is"), [(f"`{name}`", told) for name, told in LISTS[what]().items()])


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines).replace("|  |", "| |") + "\n"


TABLES: Mapping[str, Callable[[], str]] = {
    "keys of dialogue": lambda: keys_of(DialogueConfig),
    "keys of simulator": lambda: keys_of(SimulatorConfig, OF_SIMULATORS),
    "keys of assistant": lambda: keys_of(AssistantConfig),
    "keys of judge": lambda: keys_of(JudgeConfig),
    "metrics": metrics,
    **{what: listed(what) for what in ("policies", "personas", "habits")},
}


def filled(text: str) -> str:
    """A page with its tables as the code makes them."""
    return PLACE.sub(lambda place: f"{place['start']}\n{TABLES[place['name']]()}\n{place['end']}", text)


def main() -> None:
    for page in sorted(GUIDE.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        if (new := filled(text)) != text:
            Path(page).write_text(new, encoding="utf-8")
            print(page)


if __name__ == "__main__":
    main()
