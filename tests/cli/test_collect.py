"""A small study of one's own: what a person at the terminal leaves, and that every reader of people's data takes it."""

from __future__ import annotations

import io
import json

import pytest
from people_runs import QUESTIONS, asked, write_outcomes

from lm_eval_plugin.chatbench_data.collected import RECORD, Collected, Given, Session, StudyFolder
from lm_eval_plugin.chatbench_data.human_dialogues import human_messages
from lm_eval_plugin.chatbench_data.records import AnswerType, ReleaseQuestion
from lm_eval_plugin.chatbench_data.release import load_release
from lm_eval_plugin.cli.collect_session import new_session
from lm_eval_plugin.cli.main import main
from lm_eval_plugin.comparison.first_prompts import compare_first_prompts
from lm_eval_plugin.comparison.human_claims import Study
from lm_eval_plugin.comparison.human_prediction import claims
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.results.runs import load_run
from lm_eval_plugin.training.examples import examples

ASKED = [
    {
        "id": row["question_id"],
        "question": row["question"],
        "choices": [row[f"option_{each}"] for each in "ABCD"],
        "answer": "B",
    }
    for row in QUESTIONS
]
DIRECT = ["what is it?", "sure?", "Answer: B", "5"]
"""What a person types about a question: two messages, the answer and how sure it is."""


@pytest.fixture
def collect(tmp_path, monkeypatch, capsys):
    """Runs the command with what a person types; gives its exit code and the number of the person."""
    (tmp_path / "questions.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in ASKED[:4]))

    def run(typed, *options, questions="questions.jsonl"):
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in typed)))
        paths = [str(tmp_path / questions), "-o", str(tmp_path / "study")]
        code = main(["collect", *paths, "--model", "chatbench-demo", *options])
        return code, capsys.readouterr()

    return run


def workers(folder):
    return list(dict.fromkeys(each.worker for each in load_release(str(folder)).conversations))


def test_a_session_is_written_in_the_layout_of_the_released_data(collect, tmp_path):
    code, _ = collect(["c", "1", *DIRECT * 2], "--together", "2", "--alone", "1", "--condition", "direct")
    assert code == 0
    release = load_release(str(tmp_path / "study"))
    assert [each.worker for each in release.conversations] == workers(tmp_path / "study") * 2
    for each in release.conversations:
        assert (each.model, each.condition, each.selected) == ("chatbench-demo", "direct-to-AI", "B")
        assert [message.content for message in each.messages[::2]] == ["what is it?", "sure?"]
        assert len(each.messages) == 4
    alone, *together = release.user_answers
    assert (alone.answer_type, alone.selected, alone.correct, alone.confidence) == (AnswerType.ALONE, "C", False, "1")
    assert [(each.answer_type, each.correct, each.confidence) for each in together] == [
        (AnswerType.WITH_AI, True, "5")
    ] * 2
    assert {each.id: each.gold for each in release.questions.values()} == {each["id"]: "B" for each in ASKED[:4]}
    assert release.problems == []


def test_who_answers_first_answers_each_question_twice(collect, tmp_path):
    code, shown = collect(["A", "2", *DIRECT], "--together", "1", "--alone", "0", "--condition", "answer-first")
    assert code == 0
    alone, together = load_release(str(tmp_path / "study")).user_answers
    assert (alone.answer_type, alone.selected, alone.question_id) == (AnswerType.ALONE, "A", together.question_id)
    assert (together.answer_type, together.selected) == (AnswerType.WITH_AI, "B")
    assert shown.out.index("Your answer, without the AI") < shown.out.index("user>")


def test_a_session_goes_on_where_it_was_left(collect, tmp_path):
    options = ("--together", "3", "--alone", "0", "--condition", "direct")
    code, shown = collect([*DIRECT, "hello"], *options)
    assert code == 130
    (worker,) = workers(tmp_path / "study")
    assert f"2 questions are left; go on with --participant {worker}" in shown.err
    code, shown = collect(DIRECT * 2, "--participant", worker)
    assert code == 0
    assert "Question 2 of 3" in shown.out
    held = load_release(str(tmp_path / "study")).conversations
    assert len({each.question_id for each in held}) == len(held) == 3
    assert workers(tmp_path / "study") == [worker]
    assert collect([], "--participant", worker)[0] == 0


def test_a_question_without_a_message_is_asked_again_and_not_kept(collect, tmp_path):
    code, shown = collect(["", *DIRECT], "--together", "2", "--alone", "0", "--condition", "direct")
    assert code == 130
    assert "You wrote no message" in shown.out
    assert len(load_release(str(tmp_path / "study")).conversations) == 1


def test_an_empty_line_ends_the_talk_and_the_answer_is_asked_for(collect, tmp_path):
    code, _ = collect(["hello", "", "E", "d", "3"], "--together", "1", "--alone", "0", "--condition", "direct")
    assert code == 0
    (held,) = load_release(str(tmp_path / "study")).conversations
    assert held.selected == "D"
    assert len(held.messages) == 2


def test_nothing_of_a_person_is_kept_but_what_it_typed(collect, tmp_path, monkeypatch):
    monkeypatch.setenv("USER", "gerda-exemplar")
    collect(DIRECT, "--together", "1", "--alone", "0", "--condition", "direct")
    for line in map(json.loads, (tmp_path / "study" / RECORD).read_text().splitlines()):
        known = {"session": {"worker", "model", "condition", "alone", "together"}}
        known["question"] = {"worker", "question_id", "alone", "together", "messages"}
        assert all(set(fields) == known[kind] for kind, fields in line.items())
    assert all(b"gerda" not in file.read_bytes() for file in (tmp_path / "study").rglob("*") if file.is_file())


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--participant", "nobody"], "has no participant 'nobody'"),
        (["--condition", "first"], "--condition is 'first'"),
        (["--alone", "0", "--together", "0"], "nothing would be asked"),
    ],
)
def test_what_cannot_be_asked_is_said(collect, options, why):
    code, shown = collect([], *options)
    assert code == 2
    assert why in shown.err


def test_questions_without_their_right_answer_are_refused(collect, tmp_path):
    (tmp_path / "bare.jsonl").write_text(json.dumps({"id": "q1", "question": "2+2?", "choices": ["3", "4"]}))
    code, shown = collect([], questions="bare.jsonl")
    assert code == 2
    assert "the answer of question 'q1' is missing" in shown.err


def test_a_folder_takes_one_set_of_questions(collect, tmp_path):
    collect(DIRECT, "--together", "1", "--alone", "0", "--condition", "direct")
    (tmp_path / "others.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in ASKED[4:8]))
    code, shown = collect([], questions="others.jsonl")
    assert code == 2
    assert "a study of other questions" in shown.err


STUDIED = [ReleaseQuestion(asked(row), "B") for row in QUESTIONS]


def study_of(folder, people=24, each=4):
    """A study of made-up people through the folder's own writing, without a model."""
    study = StudyFolder(folder, STUDIED)
    for number in range(people):
        session = new_session(study, STUDIED, "gpt-4o", None, alone=1, together=each)
        study.begin(session)
        for index, question_id in enumerate(session.together):
            letter = "BC"[(number + index) % 3 == 0]
            talk = (("user", f"what is it, {number}?"), ("assistant", "It is B."))
            study.add(Collected(session.worker, question_id, None, Given(letter, 3), talk))
    return study


def test_people_get_both_conditions_in_turn_and_questions_in_random_order(tmp_path):
    sessions = list(study_of(tmp_path).sessions.values())
    conditions = [each.condition for each in sessions]
    assert conditions.count("answer-first") == conditions.count("direct-to-AI") == 12
    assert len({each.together for each in sessions}) == len(sessions)
    assert all(not set(each.alone) & set(each.together) for each in sessions)


def test_what_is_collected_is_read_by_human_first_prompts_and_train(tmp_path):
    study_of(tmp_path / "study")
    run = load_run(write_outcomes(tmp_path / "run", "gpt-4o", ["B" * 5] * 48))
    release = load_release(str(tmp_path / "study"))
    (claim,) = claims([run], Study(release))
    assert (claim.powered.answers, claim.powered.people) == (96, 24)
    # Two answers in three are right; how many of them a question gets is drawn, and each question counts alike.
    assert claim.powered.people_alone.value == pytest.approx(2 / 3, abs=0.15)
    records = [record for task in run.tasks.values() for record in task.records]
    assert compare_first_prompts(records, release).human_messages == 96
    assert len(human_messages(tmp_path / "study")) == 96
    taught = examples(release.conversations, release.questions, release.questions)
    assert len(taught) == 96 * 2
    assert taught[0].prompt_with(()) != taught[1].prompt_with(taught[1].history)
    assert {each.letter for each in taught} == {None, "B", "C"}


def test_two_people_at_a_time_lose_nothing_of_each_other(tmp_path):
    first = study_of(tmp_path / "study", people=2)
    second = StudyFolder(tmp_path / "study", STUDIED)
    for number, study in enumerate((first, second)):
        session = Session(f"p{number}", "gpt-4o", "direct-to-AI", (), (STUDIED[0].id,))
        study.begin(session)
    for number, study in enumerate((first, second)):
        study.add(Collected(f"p{number}", STUDIED[0].id, None, Given("B", 1), (("user", "hi"), ("assistant", "Hm."))))
    assert {"p0", "p1"} <= set(workers(tmp_path / "study"))


def test_a_line_that_was_cut_off_is_left_out_and_said(tmp_path, caplog):
    study = study_of(tmp_path / "study", people=2)
    record = tmp_path / "study" / RECORD
    record.write_bytes(record.read_bytes()[:-20])
    again = StudyFolder(tmp_path / "study", STUDIED)
    assert len(again.collected) == 7
    assert "it may have been cut off" in caplog.text
    lost = next(key for key in study.collected if key not in again.collected)
    again.add(study.collected[lost])
    assert StudyFolder(tmp_path / "study", STUDIED).collected == again.collected
    assert len(again.collected) == 8


def test_a_line_of_something_else_is_refused(tmp_path):
    study_of(tmp_path / "study", people=1)
    with (tmp_path / "study" / RECORD).open("a") as file:
        file.write('{"question": {"worker": "x", "question_id": "gone"}}\n')
    with pytest.raises(ConfigError, match=r"line 6: .*no question 'gone'"):
        StudyFolder(tmp_path / "study", STUDIED)
