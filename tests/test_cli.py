"""The `chatbench` command, in this process; what needs the real one is in test_command_line."""

from __future__ import annotations

import io
import json

import pytest

from lm_eval_plugin.cli import COMMANDS, main
from lm_eval_plugin.transcript import Transcript

CAPITAL = ("simulate", "Capital of Australia?", "--choice", "Sydney", "--choice", "Canberra")


@pytest.fixture
def typing(monkeypatch):
    def typed(*lines):
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))

    return typed


def lines(text):
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def test_without_a_command_the_help_names_them_all(capsys):
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in COMMANDS)


def test_a_person_plays_the_user(typing, capsys):
    typing("which is it?", "Answer: B")
    assert main([*CAPITAL, "--user", "human"]) == 0
    shown = lines(capsys.readouterr().out)
    assert shown[:4] == ["Your question:", "Capital of Australia?", "A. Sydney", "B. Canberra"]
    assert shown[-1] == "answer: B · stop_reason: answered"


def test_a_person_plays_the_assistant_and_sees_every_message_of_the_user(typing, capsys):
    typing("No idea.", "Canberra, so B.")
    assert main([*CAPITAL, "--user", "scripted", "--assistant", "human"]) == 0
    shown = capsys.readouterr().out
    assert "user  Which option is right: A or B? Please name one letter." in shown
    assert "user  Answer: B" in shown
    assert shown.count("Answer: B") == 1


def test_a_person_who_closes_the_input_leaves_without_an_answer(typing, capsys):
    typing("which is it?")
    assert main([*CAPITAL, "--user", "human"]) == 0
    assert "answer: none · stop_reason: no_answer" in capsys.readouterr().out


def test_people_on_both_sides_talk_to_each_other(typing, capsys):
    typing("which is it?", "the second", "Answer: B")
    assert main([*CAPITAL, "--user", "human", "--assistant", "human"]) == 0
    assert "answer: B" in capsys.readouterr().out


def test_a_conversation_shows_who_speaks_and_how_it_ended(capsys):
    assert main([*CAPITAL, "--user", "scripted"]) == 0
    shown = lines(capsys.readouterr().out)
    assert shown[1:4] == ["Capital of Australia?", "A. Sydney", "B. Canberra"]
    assert shown[4] == "     user  Capital of Australia?"
    assert any(line.startswith("assistant  ") for line in shown)
    assert shown[-1].startswith("answer: ")


def test_json_is_one_transcript_a_line_and_nothing_else(tmp_path, capsys):
    rows = [{"question": f"{a} + 1?", "choices": [str(a), str(a + 1)], "id": f"q{a}"} for a in (1, 2)]
    file = tmp_path / "questions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["simulate", "--file", str(file), "--user", "scripted", "--json"]) == 0
    transcripts = [Transcript.from_json(line) for line in capsys.readouterr().out.splitlines()]
    assert [transcript.question_id for transcript in transcripts] == ["q1", "q2"]


@pytest.mark.parametrize("form", [lambda row: row, lambda row: [row, row]])
def test_a_file_holds_one_question_or_a_list(tmp_path, capsys, form):
    file = tmp_path / "q.json"
    file.write_text(json.dumps(form({"question": "1 + 1?", "choices": ["1", "2"], "answer": 1}), indent=1))
    assert main(["simulate", "--file", str(file), "--user", "scripted"]) == 0
    assert "right: B" in capsys.readouterr().out


def test_a_question_of_a_task_is_drawn_by_the_seed_or_named(capsys):
    def asked(*options):
        assert main(["simulate", "--task", "chatbench_demo", "--user", "scripted", "--json", *options]) == 0
        return json.loads(capsys.readouterr().out)["question_id"]

    assert asked("--seed", "1") == asked("--seed", "1")
    assert len({asked("--seed", str(seed)) for seed in range(4)}) > 1
    assert asked("--doc", "0") != asked("--doc", "1")


def test_the_right_answer_of_a_task_is_shown_to_people_alone(capsys):
    main(["simulate", "--task", "chatbench_demo", "--user", "scripted", "--doc", "0"])
    assert "right: " in capsys.readouterr().out
    main(["simulate", "--task", "chatbench_demo", "--user", "scripted", "--doc", "0", "--json"])
    assert "right" not in json.loads(capsys.readouterr().out)


def test_control_characters_of_a_question_do_not_reach_the_terminal(capsys):
    main(
        ["simulate", "red \x1b[31m \x07 [bold]x[/bold]", "--choice", "a\u202eb", "--choice", "c", "--user", "scripted"]
    )
    shown = capsys.readouterr().out
    assert not set(shown) & {"\x1b", "\x07", "\u202e"}
    assert "[bold]x[/bold]" in shown


class Interrupted(io.StringIO):
    def readline(self, *size):
        raise KeyboardInterrupt


def test_ctrl_c_leaves_what_was_said(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", Interrupted())
    assert main([*CAPITAL, "--user", "scripted", "--assistant", "human", "--json"]) == 130
    out, err = capsys.readouterr()
    left = json.loads(out.splitlines()[-1])
    assert left["interrupted"] is True
    assert [message["role"] for message in left["messages"]] == ["user"]
    assert "interrupted after 1 messages" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["simulate"], "name one question"),
        ([*CAPITAL, "--task", "chatbench_demo"], "name one question"),
        (["simulate", "--task", "chatbench_demo", "--choice", "a"], "--choice belongs to"),
        (["simulate", "--task", "chatbench_dmo"], "did you mean 'chatbench_demo'"),
        (["simulate", "--task", "chatbench_demo", "--doc", "48"], "has questions 0 to 47"),
        (["simulate", "a?", "--choice", "b"], "it needs 2 to 26"),
        ([*CAPITAL, "--user", "nobody"], "preset 'nobody' is not known"),
        ([*CAPITAL, "--user", '{"preset": '], "is no JSON"),
        ([*CAPITAL, "--dialogue", "[]"], "is no mapping"),
        ([*CAPITAL, "--dialogue", '{"static": "letter"}'], "no setting static"),
        ([*CAPITAL, "--assistant", "nope"], "the assistant 'nope'"),
        ([*CAPITAL, "--assistant", "hf", "--assistant_args", "pretrained=/nowhere"], "cannot be loaded"),
        (["simulate", "--file", "/nowhere.json"], "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_on_the_standard_error_with_exit_code_2(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1: no JSON"),
        ("[1]", "entry 0"),
        ('{"question": "a?", "choices": ["b", "c"]}\n7', "line 2"),
        ('{"question": "a?"}', "no choices"),
    ],
)
def test_a_bad_file_is_named_with_its_place(tmp_path, capsys, text, message):
    file = tmp_path / "bad.json"
    file.write_text(text)
    assert main(["simulate", "--file", str(file)]) == 2
    error = capsys.readouterr().err
    assert str(file) in error
    assert message in error
