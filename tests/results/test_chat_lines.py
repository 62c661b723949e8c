"""Chat JSON lines end with a reply, as trainers demand, and lose nothing of what the user said then."""

from __future__ import annotations

import json
from dataclasses import replace

from sample_runs import Writer
from test_export import PLAIN, RECORDS, RUNS

from lm_eval_plugin.cli.main import main
from lm_eval_plugin.results.chat_lines import chat_lines, write_chat_lines
from lm_eval_plugin.results.runs import TaskRun


def test_a_line_is_a_chat_from_the_system_message_to_the_last_reply():
    run = replace(RUNS[0], tasks={"u": TaskRun(RECORDS[1:], {"system_instruction": "Be kind."})})
    (line,) = chat_lines(run)
    assert [message["role"] for message in line["messages"]] == ["system", "user", "assistant"]
    assert line["messages"][0]["content"] == "Be kind."
    assert line["metadata"]["closing"] == "Answer: C"
    assert (line["metadata"]["answer"], line["metadata"]["gold"], line["metadata"]["right"]) == ("C", "B", "false")
    assert "acc_static" not in line["metadata"]
    assert all(isinstance(value, str) for value in line["metadata"].values())


def test_a_dialogue_without_a_reply_has_no_line():
    assert len(list(chat_lines(RUNS[0]))) == 3
    silent = replace(PLAIN, messages=PLAIN.messages[:1])
    run = replace(RUNS[0], tasks={"u": TaskRun((replace(RECORDS[1], transcripts=(silent,)),), {})})
    assert list(chat_lines(run)) == []


def test_the_file_is_whole_json_lines_whatever_was_said(tmp_path):
    out = tmp_path / "chats.jsonl"
    assert write_chat_lines(RUNS, out) == 7
    lines = out.read_bytes().decode().split("\n")
    assert lines[-1] == ""
    assert {line["messages"][-1]["role"] for line in map(json.loads, lines[:-1])} == {"assistant"}
    assert not list(tmp_path.glob("*.part"))


def test_the_command_writes_them_and_refuses_what_does_not_fit(tmp_path, capsys):
    Writer(tmp_path, texts=["A sentence."]).run("m", {"t": 3})
    run, out = str(tmp_path / "m"), tmp_path / "chats.jsonl"
    assert main(["export", run, "--format", "openai", "-o", str(out)]) == 0
    assert len(out.read_text().splitlines()) == 3
    for arguments, said in (
        (["--format", "openai", "-o", str(tmp_path / "x.parquet")], "does not end with .jsonl"),
        ([], "give -o FILE to write to, --push-to-hub REPO, or both"),
        (["-o", str(out), "--public"], "belong to --push-to-hub"),
        (["--push-to-hub", "a/b", "--format", "inspect"], "pushes the table"),
    ):
        assert main(["export", run, *arguments]) == 2
        assert said in capsys.readouterr().err
