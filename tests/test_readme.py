"""The README names what there is, and its Python runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lm_eval_plugin.cli.main import COMMANDS
from lm_eval_plugin.config.dialogue import DialogueConfig
from lm_eval_plugin.config.presets import POLICIES, PRESETS
from lm_eval_plugin.config.simulator import SimulatorConfig
from lm_eval_plugin.dialogue.transcript import StopReason
from lm_eval_plugin.scoring.metrics import HIGHER_IS_BETTER
from lm_eval_plugin.simulators.personas import ANY, PERSONAS
from lm_eval_plugin.simulators.scripted import HABITS

README = (Path(__file__).parents[1] / "README.md").read_text()


@pytest.mark.parametrize(
    "names",
    [
        PRESETS,
        [policy for policy in POLICIES if not policy.startswith("two_step_")],
        [*PERSONAS, ANY],
        HABITS,
        DialogueConfig.model_fields,
        SimulatorConfig.known_keys(),
        [reason.value for reason in StopReason],
        [metric for metric in HIGHER_IS_BETTER if not metric.startswith("event_")],
    ],
    ids=["presets", "policies", "personas", "habits", "keys", "simulator keys", "stop reasons", "metrics"],
)
def test_every_name_stands_in_the_readme(names):
    assert [name for name in names if f"`{name}`" not in README and f'`"{name}"' not in README] == []


def test_every_command_stands_in_the_readme():
    assert [name for name in COMMANDS if f"chatbench {name}" not in README] == []


def test_its_simulation_in_python_prints_what_it_says(capsys):
    (snippet,) = re.findall(r"```python\n(from lm_eval_plugin\.demo.*?)```", README, re.DOTALL)
    exec(compile(snippet, "README.md", "exec"), {})
    said = re.findall(r"^print.*# (.*)$", snippet, re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == said
