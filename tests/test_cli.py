"""The `chatbench` command, in this process; what needs the real one is in test_command_line."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sample_runs import Writer

from lm_eval_plugin.cli.main import COMMANDS, main
from lm_eval_plugin.dialogue.transcript import Transcript

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


def test_a_person_who_plays_the_assistant_learns_of_the_question_from_the_user_alone(typing, capsys):
    typing("No idea.", "Canberra, so B.")
    given = json.dumps({"policy": "scripted", "habits": ["pastes_stem"]})
    assert main([*CAPITAL, "--user", given, "--assistant", "human"]) == 0
    shown = capsys.readouterr().out
    assert "question " not in shown
    assert "A. Sydney" not in shown
    assert shown.count("Capital of Australia?") == 1


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
        ([*CAPITAL, "--doc", "1"], "--doc mean something with --task alone"),
        ([*CAPITAL, "--include_path", "."], "--include-path mean something with --task alone"),
        ([*CAPITAL, "--dialogue", '{"repeats": 5}'], "each question is talked about once here"),
        ([*CAPITAL, "--assistant", "human", "--assistant_args", "a=b"], "the assistant is human"),
        ([*CAPITAL, "--assistant", "openai-chat-completions"], "OPENAI_API_KEY"),
        ([*CAPITAL, "--assistant", "hf", "--assistant_args", "pretrained=own/uncached"], "hf download own/uncached"),
        (["simulate", "caf\udce9?", "--choice", "a", "--choice", "b"], "bytes that are no UTF-8"),
    ],
)
def test_what_is_wrong_is_said_on_the_standard_error_with_exit_code_2(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_a_simulator_that_cannot_be_had_is_said_before_the_assistant_is_loaded(capsys):
    given = json.dumps({"policy": "chatbench", "model_args": {"pretrained": "own/uncached"}})
    assert main([*CAPITAL, "--user", given, "--assistant", "nope"]) == 2
    assert "own/uncached" in capsys.readouterr().err


def test_a_simulator_given_as_json_may_begin_with_spaces(capsys):
    assert main([*CAPITAL, "--user", ' {"policy": "scripted"}', "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["simulator"] == "scripted"


@pytest.mark.parametrize("seed", ["-1", "4294967296", "x", "1.5"])
def test_a_seed_that_is_none_is_refused(seed, capsys):
    with pytest.raises(SystemExit) as left:
        main([*CAPITAL, "--seed", seed])
    assert left.value.code == 2
    assert "from 0 to 4294967295" in capsys.readouterr().err


def asked_in(tmp_path, **fields):
    file = tmp_path / "q.json"
    file.write_text(json.dumps({"question": "7 x 8?", "choices": ["54", "56", "56", "63"], **fields}))
    return ["simulate", "--file", str(file), "--user", "scripted"]


@pytest.mark.parametrize(
    ("answer", "right"), [("D", "D"), (0, "A"), ("54", "A"), ("63", "D"), ("56", "B or C"), (None, None)]
)
def test_an_answer_in_a_file_is_a_letter_a_place_or_the_text_of_an_option(tmp_path, capsys, answer, right):
    assert main(asked_in(tmp_path, answer=answer)) == 0
    shown = capsys.readouterr().out
    assert (f"right: {right}" in shown) if right else ("right: " not in shown)


@pytest.mark.parametrize("answer", [True, "AB", "E", "a", "", 4, -1, 1.0, ["A"]])
def test_an_answer_in_a_file_that_is_none_is_refused_with_what_is_allowed(tmp_path, capsys, answer):
    assert main(asked_in(tmp_path, answer=answer)) == 2
    error = capsys.readouterr().err
    assert f"is {answer!r}; give a letter from A to D, a place from 0 to 3, or the text of an option" in error


@pytest.mark.parametrize("text", ["[]", "", "\n"])
def test_a_file_without_a_question_is_refused(tmp_path, capsys, text):
    file = tmp_path / "q.json"
    file.write_text(text)
    assert main(["simulate", "--file", str(file), "--user", "scripted"]) == 2
    assert "holds no question" in capsys.readouterr().err


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path, capsys):
    file = tmp_path / "q.json"
    file.write_text(json.dumps({"question": "1 + 1?", "choices": ["1", "2"]}), encoding="utf-8-sig")
    assert main(["simulate", "--file", str(file), "--user", "scripted"]) == 0


NOWHERE = "http://127.0.0.1:9/v1/chat/completions"


@pytest.mark.parametrize(
    "address", [f"{NOWHERE},num_concurrent=2", NOWHERE.replace("//", "//me:hunter2@")], ids=["aiohttp", "requests"]
)
def test_an_api_that_does_not_answer_is_an_error_that_names_it_and_leaves_what_was_said(capsys, address):
    arguments = f"model=m,max_retries=1,base_url={address}"
    api = ("--assistant", "local-chat-completions", "--assistant_args", arguments)
    assert main([*CAPITAL, "--user", "scripted", *api, "--json"]) == 2
    out, err = capsys.readouterr()
    assert "the model under test at http://127.0.0.1:9/v1/chat/completions failed" in err
    assert "base_url ends as the backend needs it" in err
    left = json.loads(out)
    assert "the model under test at http://127.0.0.1:9" in left["error"]
    assert [message["role"] for message in left["messages"]] == ["user"]
    assert "hunter2" not in out + err.rpartition("chatbench: ")[2]


def test_a_simulators_api_that_does_not_answer_is_named_as_the_simulators(capsys):
    model_args = {"model": "m", "base_url": NOWHERE, "max_retries": 1}
    given = json.dumps({"policy": "two_step", "backend": "local-chat-completions", "model_args": model_args})
    assert main([*CAPITAL, "--user", given]) == 2
    assert "chatbench: simulator two_step[" in capsys.readouterr().err


def test_ctrl_c_anywhere_is_said_in_one_line(capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("lm_eval.models.huggingface.HFLM.__init__", interrupt)
    assert main([*CAPITAL, "--user", "scripted", "--assistant", "hf", "--assistant_args", "pretrained=x"]) == 130
    assert capsys.readouterr().err.endswith("chatbench: interrupted\n")


CHATBENCH = Path(sys.executable).parent / "chatbench"


def started(*arguments, **options):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", **options.pop("environment", {})}
    return subprocess.Popen(
        [sys.executable, *options.pop("python", ()), CHATBENCH, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )


@pytest.mark.parametrize("module", ["torch", "bitsandbytes"])
def test_ctrl_c_during_an_import_or_while_a_model_loads_leaves_no_traceback(module):
    # Python tells of each import when it is done, which says how far the command has come.
    with started("simulate", "a?", "--choice", "b", "--choice", "c", python=("-X", "importtime")) as process:
        first = next(line for line in process.stderr if line.split(b"|")[-1].strip().startswith(module.encode()))
        process.send_signal(signal.SIGINT)
        rest = [line for line in process.stderr if not line.startswith(b"import time:")]
    assert first
    assert process.returncode == 130
    assert rest[-1] == b"chatbench: interrupted\n"
    assert b"Traceback" not in b"".join(rest)


def test_a_reader_that_leaves_ends_the_command_quietly(tmp_path):
    file = tmp_path / "q.json"
    file.write_text(json.dumps([{"question": f"{a} + 1?", "choices": [str(a), str(a + 1)]} for a in range(50)]))
    with started("simulate", "--file", str(file), "--user", "scripted", "--json") as process:
        assert Transcript.from_json(process.stdout.readline().decode())
        process.stdout.close()
        left = process.stderr.read()
    assert process.returncode == 141
    assert b"Error" not in left


def test_what_the_terminal_cannot_show_is_escaped_and_json_stays_json():
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    question = ("simulate", "7 × 8 € 😀?", "--choice", "é", "--choice", "ü", "--user", "scripted", "--json")
    with started(*question, environment=ascii_only) as process:
        out = process.stdout.read().decode("ascii")
        errors = process.stderr.read()
    assert process.returncode == 0, errors
    assert "7 × 8 € 😀?" in Transcript.from_json(out).messages[0].content


def test_what_an_encoding_lacks_is_shown_as_an_escape(monkeypatch):
    shown = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr("sys.stdout", shown)
    assert main(["simulate", "7 € 😀?", "--choice", "é", "--choice", "ü", "--user", "scripted"]) == 0
    assert b"7 \\u20ac \\U0001f600?" in shown.buffer.getvalue()


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


def test_score_says_where_the_metrics_of_what_was_supported_rest_on_a_minority(tmp_path, capsys):
    writer = Writer(tmp_path)
    # Options that are all alike can be read in no reply.
    writer.texts = ["some words that speak of nothing"]
    assert main(["score", str(writer.run("m", {"t": 8}))]) == 0
    shown = capsys.readouterr().out
    assert "replies_read" in shown
    assert "warning: replies_read is 0.00" in shown


def test_score_reads_a_run_again_by_the_rules(tmp_path, capsys):
    writer = Writer(tmp_path)
    writer.texts = ["The answer is B."]
    run = writer.run("m", {"t": 8})
    (file,) = run.glob("samples_*")
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    for sample in lines:
        sample["resps"][-1] = [_without_reads(text) for text in sample["resps"][-1]]
    file.write_text("".join(f"{json.dumps(sample)}\n" for sample in lines), encoding="utf-8")
    shares = {}
    for options in ((), ("--reader", "rules")):
        assert main(["score", str(run), "--json", *options]) == 0
        shares[options] = json.loads(capsys.readouterr().out)["tasks"]["t"]["metrics"]["replies_read"]["value"]
    assert shares[()] == 0 < shares["--reader", "rules"]


def _without_reads(text):
    """A transcript of which a model could read nothing."""
    held = json.loads(text)
    reads = [
        {"message": index, "letters": None, "by": "judge", "confidence": None}
        for index, message in enumerate(held["messages"])
        if message["role"] == "assistant"
    ]
    return json.dumps({**held, "reads": reads})
