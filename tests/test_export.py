"""An export holds the whole run: what is read back gives the same metrics, through `datasets` as well."""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import load_dataset
from doubles import PRODUCT

from lm_eval_plugin.cli import export as command
from lm_eval_plugin.cli.guide import GUIDE
from lm_eval_plugin.dialogue.transcript import Event, Message, Read, Role, StopReason, Transcript, Verdict
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.results.export import COLUMNS, columns_table, features, read_export, read_rows
from lm_eval_plugin.results.export_writer import export_runs
from lm_eval_plugin.results.runs import Run, TaskRun, load_run
from lm_eval_plugin.scoring.metrics import QuestionRecord, question_metrics

FORMATS = ("parquet", "jsonl")
HOSTILE = "</script>\x00\u202e {{ x }}\r\n\u2028 \U0001f600 2020-01-01"


def held(repeat, answer, **fields):
    said = (
        Message(Role.USER, HOSTILE, 8, 0.1, "", 1.143),
        Message(Role.ASSISTANT, "It is 56, so B.", None, None, "56 is B"),
        Message(Role.USER, f"Answer: {answer}"),
    )
    return replace(Transcript(PRODUCT.id, "demo", repeat, 2**32 - 1, said, answer, StopReason.ANSWERED), **fields)


READS = (Read(1, "B", "likelihood", 0.875), Read(3, None, "judge"))
FULL = held(
    0, "B", events={Event.REPEAT: 2}, persona="child", verdicts={"coherence": Verdict(4, "ok"), "x": None}, reads=READS
)
PLAIN = held(1, "C", events={}, verdicts={})
BROKEN = held(2, None, stop_reason=StopReason.MODEL_ERROR, messages=(), context_trimmed=True)
RECORDS = (
    QuestionRecord(PRODUCT, frozenset("BC"), (FULL, PLAIN, BROKEN), 1 / 3),
    QuestionRecord(PRODUCT, frozenset("B"), (PLAIN,)),
)
RUNS = [
    Run(Path("one"), "a", "2026", {"u": TaskRun(RECORDS, {"simulator": "demo", "limit": None})}),
    Run(Path("two"), "a", "2026", {"u": TaskRun(RECORDS[1:], {"simulator": "demo"}), "t": TaskRun(RECORDS, {})}),
]


@pytest.fixture(params=FORMATS)
def out(request, tmp_path):
    return tmp_path / f"runs.{request.param}"


def loaded(path, cache):
    """The rows as `datasets` reads them, without and with the types of JSON lines."""
    if path.suffix == ".parquet":
        return load_dataset("parquet", data_files=str(path), cache_dir=str(cache))["train"]
    return load_dataset("json", data_files=str(path), features=features(), cache_dir=str(cache))["train"]


def contents(runs):
    return [(run.model, run.date, run.tasks) for run in runs]


def test_what_is_read_back_is_what_was_written(out):
    assert export_runs(RUNS, out) == 9
    assert contents(read_export(out)) == contents(RUNS)
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_datasets_reads_it_offline_and_the_metrics_are_equal(out, tmp_path):
    export_runs(RUNS, out)
    rows = loaded(out, tmp_path / "cache")
    assert rows.column_names == [column.name for column in COLUMNS]
    again = read_rows(rows, str(out))
    assert contents(again) == contents(RUNS)
    for before, after in zip(RUNS, again, strict=True):
        for task, part in before.tasks.items():
            assert [question_metrics(each) for each in after.tasks[task].records] == [
                question_metrics(each) for each in part.records
            ]


def test_json_lines_load_without_types_too(tmp_path):
    export_runs(RUNS, tmp_path / "runs.jsonl")
    rows = load_dataset("json", data_files=str(tmp_path / "runs.jsonl"), cache_dir=str(tmp_path / "cache"))["train"]
    assert contents(read_rows(rows, "runs")) == contents(RUNS)


def test_missing_is_null_and_nothing_is_an_empty_list(out, tmp_path):
    export_runs(RUNS[:1], out)
    full, plain, broken, other = loaded(out, tmp_path / "cache")
    assert (plain["persona"], plain["events"], plain["verdicts"]) == (None, [], [])
    assert (broken["right"], broken["answer"], broken["events"], broken["messages"]) == (None, None, None, [])
    assert (full["right"], plain["right"], other["right"], other["acc_static"]) == (True, True, False, None)
    assert full["verdicts"][1] == {"about": "x", "score": None, "reason": None}
    assert full["messages"][1]["tokens"] is None
    assert full["messages"][1]["seconds"] is None


def test_order_of_rows_is_irrelevant_to_the_metrics():
    rows = [json.loads(line) for line in _lines(RUNS)]
    random.Random(1).shuffle(rows)
    by_model = {len(run.tasks): run for run in read_rows(rows, "runs")}
    assert [by_model[1].tasks, by_model[2].tasks] == [run.tasks for run in RUNS]


def _lines(runs):
    import tempfile

    with tempfile.TemporaryDirectory() as made:
        export_runs(runs, Path(made) / "runs.jsonl")
        return (Path(made) / "runs.jsonl").read_text(encoding="utf-8").rstrip("\n").split("\n")


def test_half_of_a_surrogate_pair_is_replaced(out):
    odd = replace(PLAIN, messages=(Message(Role.USER, "a\ud800b"),))
    export_runs([replace(RUNS[0], tasks={"t": TaskRun((replace(RECORDS[1], transcripts=(odd,)),), {})})], out)
    (record,) = read_export(out)[0].tasks["t"].records
    assert record.transcripts[0].messages[0].content == "a�b"


def test_a_value_that_fits_no_column_is_named_and_no_file_is_left(out):
    odd = replace(PLAIN, seed="none")
    with pytest.raises(ConfigError, match=r"one: a value of questions .* of t fits no column"):
        export_runs([replace(RUNS[0], tasks={"t": TaskRun((replace(RECORDS[1], transcripts=(odd,)),), {})})], out)
    assert list(out.parent.iterdir()) == []


def test_another_end_of_the_name_is_no_format(tmp_path):
    with pytest.raises(ConfigError, match=r"runs\.csv ends with '\.csv'"):
        export_runs(RUNS, tmp_path / "runs.csv")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "row 0: version 2 of the columns and not 1"),
        ({"stop_reason": "bored"}, "row 0: not a row of an export .*bored"),
        ({"choices": None}, "row 0: not a row of an export"),
        ({"settings": "{"}, "row 0: not a row of an export"),
    ],
)
def test_what_is_no_export_is_said_with_its_row(tmp_path, change, message):
    row = json.loads(_lines(RUNS)[0])
    (tmp_path / "runs.jsonl").write_text(json.dumps({**row, **change}))
    with pytest.raises(ConfigError, match=message):
        read_export(tmp_path / "runs.jsonl")


def test_a_file_that_was_cut_off_is_said(out):
    export_runs(RUNS, out)
    out.write_bytes(out.read_bytes()[:-20])
    with pytest.raises(ConfigError, match=r"line 9: no JSON|cannot be read"):
        read_export(out)


def test_every_column_is_documented_in_one_line():
    lines = columns_table().splitlines()
    assert len(lines) == len(COLUMNS) + 2
    assert all(line.count("|") == 4 for line in lines)


def test_a_real_run_survives_and_a_broken_one_is_left_out(out, tmp_path, capsys):
    from test_judge import evaluate
    from test_summary import as_logged

    run = evaluate({"simulator": "scripted", "static": ["letter"], "repeats": 2})
    folder = as_logged(json.loads(json.dumps(run, default=str)), tmp_path / "run")
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    assert command.run(parser.parse_args([str(folder), str(tmp_path / "none"), "-o", str(out)])) == 1
    assert "none does not exist" in capsys.readouterr().err
    assert contents(read_export(out)) == contents([load_run(folder)])


def test_documented_columns_are_those_of_the_code():
    assert columns_table() in (GUIDE / "comparing-runs.md").read_text(encoding="utf-8")
