"""Folders of runs with one thing wrong in each, and what every command that reads runs makes of them.

python tests/damage.py --folders 2000      a run by hand; the suite takes fewer
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample_runs import Writer

from lm_eval_plugin.cli.main import main

ODD = [
    *(None, True, False, 0, -1, 10**30, 1.5, "", "1", "B", "\ud83d", [], ["A"], {}, {"a": 1}, [[]], [None]),
    *(float("nan"), float("inf"), float("-inf")),
]
DEEP = "[" * 100_000
LONG_NUMBER = "9" * 5_000


def places(value, path=()):
    """Every place in nested JSON, as the keys that lead there; of a list its first entries."""
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, entry in entries:
        yield from places(entry, (*path, key))


def replaced(value, path, by):
    """The value with another at a place."""
    if not path:
        return by
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(copy[path[0]], path[1:], by)
    return copy


def removed(value, path):
    """The value without a place."""
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) > 1:
        copy[path[0]] = removed(copy[path[0]], path[1:])
    else:
        del copy[path[0]]
    return copy


def in_transcript(sample, dice):
    """A sample with something wrong inside a transcript, which is JSON in JSON."""
    transcript = json.loads(sample["resps"][-1][0])
    path = dice.choice([path for path in places(transcript) if path])
    changed = replaced(transcript, path, dice.choice(ODD)) if dice.random() < 0.7 else removed(transcript, path)
    return replaced(sample, ("resps", len(sample["resps"]) - 1, 0), json.dumps(changed))


def damaged_line(line, dice):
    """A line of a samples file with one thing wrong."""
    sample = json.loads(line)
    path = dice.choice([path for path in places(sample) if path])
    kind = dice.randrange(7)
    if kind == 0:
        return line[: dice.randrange(len(line))]
    if kind == 1:
        return json.dumps(replaced(sample, path, "DEEP")).replace('"DEEP"', DEEP)
    if kind == 2:
        return json.dumps(replaced(sample, path, "LONG")).replace('"LONG"', LONG_NUMBER)
    if kind == 3:
        return json.dumps(removed(sample, path))
    if kind in (4, 5):
        return json.dumps(in_transcript(sample, dice))
    return json.dumps(replaced(sample, path, dice.choice(ODD)))


def damage(folder, dice):
    """Damage one thing in a folder of runs."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    file = dice.choice(files)
    kind = dice.randrange(10)
    if kind == 0:
        file.unlink()
        dice.choice([lambda: os.mkfifo(file), file.mkdir, lambda: file.symlink_to("/nowhere"), lambda: None])()
    elif kind == 1:
        content = bytearray(file.read_bytes())
        content[dice.randrange(len(content))] = dice.randrange(256)
        file.write_bytes(content)
    elif kind == 2:
        file.write_bytes(dice.choice([b"", b"\xff\xfe\x00", b"{}", b"[]", b"null", DEEP.encode(), b"\n\n"]))
    elif file.suffix == ".json":
        results = json.loads(file.read_text())
        path = dice.choice([path for path in places(results) if path])
        changed = removed(results, path) if dice.random() < 0.3 else replaced(results, path, dice.choice(ODD))
        file.write_text(json.dumps(changed))
    else:
        lines = file.read_text().splitlines()
        number = dice.randrange(len(lines))
        lines[number] = damaged_line(lines[number], dice)
        file.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogatepass")


def runs(folder):
    """Two sound runs of two tasks."""
    writer = Writer(folder)
    for model in ("one", "two"):
        writer.run(model, {"chatbench_mmlu_virology": 4, "chatbench_mmlu_moral_scenarios": 3})


def commands(folder, out):
    """Every command that reads runs."""
    one, two = str(folder / "one"), str(folder / "two")
    yield ["report", one, two, "-o", str(out / "page.html")]
    yield ["leaderboard", one, two]
    yield ["export", one, two, "-o", str(out / "rows.jsonl")]
    yield ["score", one, "--baseline", two]
    yield ["gate", "--candidate", one, "--baseline", two]


def tried(folder, out):
    """The commands that end in anything but an exit status and a sentence."""
    for command in commands(folder, out):
        said = StringIO()
        try:
            with redirect_stdout(StringIO()), redirect_stderr(said):
                status = main(command)
        except SystemExit as ended:
            status = ended.code
        except BaseException as error:  # noqa: BLE001  # whatever it is, nobody should see it
            yield command[0], f"{type(error).__name__}: {str(error)[:200]}"
            continue
        if status not in (0, 1, 2, 3):
            yield command[0], f"exit status {status}"
        if status and not said.getvalue() and command[0] != "gate":
            yield command[0], f"exit status {status} without a word"


def check_many(folders, *, derandomize):
    """Damage so many folders as hypothesis draws it, and have every command read each.

    Raises:
        AssertionError: A command ended in anything but a status and a sentence; the damage is the simplest that was found.
    """
    with tempfile.TemporaryDirectory() as work:
        sound, broken, out = Path(work, "sound"), Path(work, "broken"), Path(work, "out")
        out.mkdir()
        runs(sound)

        def check(dice):
            shutil.copytree(sound, broken)
            try:
                damage(broken, dice)
                assert list(tried(broken, out)) == []
            finally:
                shutil.rmtree(broken)

        checked = settings(
            max_examples=folders,
            deadline=None,
            derandomize=derandomize,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        checked(given(st.randoms(use_true_random=False))(check))()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folders", type=int, default=2000)
    chosen = parser.parse_args()
    check_many(chosen.folders, derandomize=False)
    print(f"{chosen.folders} damaged folders ended in a status and a sentence")
