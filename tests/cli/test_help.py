"""The help of every command, one style of options, a start that does not wait, and completion."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lm_eval_plugin.cli.examples import EPILOGS
from lm_eval_plugin.cli.main import COMMANDS, hyphenated, main, make_parser
from lm_eval_plugin.config.strict import nearest
from lm_eval_plugin.scoring.metrics import METRICS

CHATBENCH = Path(sys.executable).parent / "chatbench"
SLOWEST_HELP_S = 0.3
PROGRAM = """
import sys
from lm_eval_plugin.cli.main import main
try:
    main(["--help"])
except SystemExit:
    pass
print(sorted({"torch", "lm_eval", "pydantic", "rich"} & sys.modules.keys()))
"""


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_two_examples_that_the_command_takes_and_its_exit_codes(command, capsys):
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert len(EPILOGS[command].examples) >= 2
    for example in EPILOGS[command].examples:
        assert f"  {example}\n" in shown
        given = shlex.split(example.partition(" > ")[0].replace('eval "$(', "").replace(')"', ""))
        assert given[:2] == ["chatbench", command]
        assert make_parser(command).parse_args(given[1:]).command == command
    codes = shown.partition("exit codes:\n")[2].splitlines()
    assert [line for line in codes if re.match(r"  (\d+|what --cannot-tell says) ", line) is None] == []
    assert {line.split()[0] for line in codes} >= {"0", "2", "130"}


@pytest.mark.parametrize("command", COMMANDS)
def test_options_have_hyphens(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    shown = capsys.readouterr().out.partition("examples:")[0]
    usage = shown.partition("\n\n")[0]
    assert re.findall(r"--\w+_[\w-]+", usage) == []


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        (["--model_args", "pretrained=a_b"], ["--model-args", "pretrained=a_b"]),
        (["--max_turns=3", "a_b"], ["--max-turns=3", "a_b"]),
        (['--dialogue={"max_turns": 3}'], ['--dialogue={"max_turns": 3}']),
        (["--", "--what_is this"], ["--", "--what_is this"]),
        (["-o", "my_file"], ["-o", "my_file"]),
    ],
)
def test_options_may_be_typed_with_underscores_and_nothing_else_changes(typed, read):
    assert hyphenated(typed) == read


def test_help_is_there_at_once():
    """The least of five, since other work on the machine takes its time, too."""
    assert min(_seconds(CHATBENCH, "--help") for _ in range(5)) < SLOWEST_HELP_S


def test_help_loads_no_library_of_models():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]"


def test_version_is_told(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (("s",), {"simulate", "score"}),
        (("simulate", "--max"), {"--max-turns"}),
        (("completion", ""), {"bash", "zsh", "fish"}),
        (("gate", "--ba"), {"--baseline"}),
    ],
)
def test_bash_completes_commands_options_and_values(typed, offered, capsys):
    if shutil.which("bash") is None:
        pytest.skip("needs bash")
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    words = " ".join(shlex.quote(word) for word in ("chatbench", *typed))
    asks = f'COMP_WORDS=({words}); COMP_CWORD={len(typed)}; _chatbench; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", f"{script}\n{asks}"], capture_output=True, text=True, check=True)
    assert offered <= set(done.stdout.split())
    assert all(word.startswith(typed[-1]) for word in done.stdout.split())


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_know_every_command_and_option(shell, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(command in script for command in COMMANDS)
    assert "max-turns" in script


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("accuracy", "acc"),
        ("acc_gab", "acc_gap"),
        ("static_acc", "acc_static"),
        ("answer", "answered"),
        ("Misled", "misled"),
    ],
)
def test_the_metric_that_was_meant_is_suggested(typed, meant):
    assert nearest(typed, METRICS).startswith(f"; did you mean {meant!r}?")


def test_nothing_is_suggested_that_is_not_near():
    assert nearest("xyzzy", METRICS).startswith("; Known: acc, ")


def test_a_question_of_ones_own_is_brought_by_who_knows_it_and_told_to_programs(capsys):
    assert (
        main(
            [
                "simulate",
                "Capital of Australia?",
                "--choice",
                "Sydney",
                "--choice",
                "Canberra",
                "--max-turns",
                "1",
                "--json",
            ]
        )
        == 0
    )
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert told["simulator"] == "scripted"
    assert "chatbench-distilgpt2 is not in the local cache; --user chatbench-distilgpt2 downloads" in " ".join(
        err.split()
    )
    assert told["question"] == {"stem": "Capital of Australia?", "choices": ["Sydney", "Canberra"], "right": None}


def test_the_right_letter_of_a_file_is_told_to_programs(tmp_path, capsys):
    file = tmp_path / "q.json"
    file.write_text(json.dumps({"question": "2 plus 2?", "choices": ["4", "5"], "answer": "4"}))
    assert main(["simulate", "--file", str(file), "--user", "scripted", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["question"]["right"] == "A"


@pytest.mark.parametrize("turns", ["0", "-1", "many"])
def test_max_turns_is_a_number_from_one_on(turns, capsys):
    with pytest.raises(SystemExit) as left:
        main(["simulate", "--task", "chatbench_demo", "--max-turns", turns])
    assert left.value.code == 2
    assert "is no whole number from 1 on" in capsys.readouterr().err


def _seconds(*command):
    start = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - start
