import json
import logging

import pytest
from releases import CHAT, QUESTIONS, answer, conversation, product, write_csv, write_release

from lm_eval_plugin.chatbench_data.release import AnswerType, load_release
from lm_eval_plugin.dialogue.transcript import Message, Role
from lm_eval_plugin.errors import ConfigError

SAID = tuple(Message(role, content) for role, (_, content) in zip((Role.USER, Role.ASSISTANT) * 2, CHAT, strict=True))


def test_a_release_is_read_into_questions_conversations_and_answers(tmp_path):
    release = load_release(str(write_release(tmp_path)))
    question = release.questions["arithmetic-redux-24"]
    assert (question.question.subject, question.question.stem, question.gold) == ("arithmetic", "What is 2 x 4?", "B")
    assert question.question.choices == ("106", "8", "208", "none")
    talk = release.conversations[0]
    assert (talk.row, talk.worker, talk.question_id, talk.selected) == (0, "w0", "arithmetic-redux-24", "B")
    assert (talk.model, talk.condition, talk.messages) == ("gpt-4o", "answer-first", SAID)
    said = release.user_answers[0]
    assert (said.answer_type, said.selected, said.correct, said.confidence) == (AnswerType.WITH_AI, "B", True, None)
    assert release.problems == []


@pytest.mark.parametrize(
    "changes",
    [
        {"chatHistory": ..., "conversation": [{"role": "User", "content": text} for _, text in CHAT[:1]]},
        {"chatHistory": [{"role": "user", "content": CHAT[0][1]}, {"role": "assistant", "content": "It is 56."}]},
        {"questionID": ..., "question_id": "arithmetic-redux-24"},
        {"selectedAnswer": ..., "selected_answer": "B"},
        {"selectedAnswer": "8"},
    ],
)
def test_the_names_of_keys_and_roles_that_are_known_mean_the_same(tmp_path, changes):
    talk = load_release(str(write_release(tmp_path, conversations=[conversation(**changes)]))).conversations[0]
    assert (talk.question_id, talk.selected, talk.messages[0]) == ("arithmetic-redux-24", "B", SAID[0])


@pytest.mark.parametrize(
    ("given", "gold"),
    [("B", "B"), ("1", "B"), ("208", "C")],
    ids=["a letter", "a place, as in cais/mmlu", "the text of an option"],
)
def test_the_right_answer_is_a_letter_a_place_or_a_text(tmp_path, given, gold):
    folder = write_release(tmp_path, questions=[{**QUESTIONS[0], "answer": given}])
    assert load_release(str(folder)).questions["arithmetic-redux-24"].gold == gold


@pytest.mark.parametrize("listed", ['["8", "9", "7", "6"]', "['8', '9', '7', '6']"], ids=["JSON", "Python"])
def test_options_may_stand_in_one_column_as_a_list(tmp_path, listed):
    row = {"id": "physics-redux-3", "question": "What?", "choices": listed, "answer": "A"}
    question = load_release(str(write_release(tmp_path, questions=[row], conversations=[{}], answers=[{"a": 1}])))
    assert question.questions["physics-redux-3"].question.choices == ("8", "9", "7", "6")
    assert question.questions["physics-redux-3"].question.subject == "physics"


def test_questions_that_no_file_holds_are_taken_from_the_conversations(tmp_path):
    folder = write_release(tmp_path)
    (folder / "questions.csv").unlink()
    release = load_release(str(folder))
    assert release.questions["arithmetic-redux-24"].gold == "B"
    assert len(release.conversations) == len(QUESTIONS)


def test_a_file_is_read_when_it_is_needed_and_only_then(tmp_path):
    folder = write_release(tmp_path)
    (folder / "full_study" / "user_answers.csv").write_text("")
    release = load_release(str(folder))
    assert len(release.conversations) == len(QUESTIONS)
    with pytest.raises(ConfigError, match=r"user_answers.csv holds no rows"):
        _ = release.user_answers


def test_answers_are_right_by_their_column_or_by_their_letter(tmp_path):
    rows = [answer(correct="", selected_answer="A"), answer(correct="0"), answer(selected_answer="")]
    answers = load_release(str(write_release(tmp_path, answers=rows))).user_answers
    assert [row.correct for row in answers] == [False, False, True]
    assert answers[2].selected is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [("user-alone", AnswerType.ALONE), ("userAnswer", AnswerType.ALONE), ("userAIAnswer", AnswerType.WITH_AI)],
)
def test_answers_with_and_without_a_chatbot_are_told_apart(tmp_path, name, kind):
    assert (
        load_release(str(write_release(tmp_path, answers=[answer(answer_type=name)]))).user_answers[0].answer_type
        is kind
    )


# Bad rows are named, counted and left out


def turns(*roles_and_texts):
    return {"chatHistory": [{"role": role, "content": text} for role, text in roles_and_texts]}


BAD_CONVERSATIONS = {
    "the conversation begins with the assistant": turns(("Bot", "Hello!"), ("You", "hi")),
    "turns 1 and 2 are both of the assistant": turns(("You", "hi"), ("Bot", "a"), ("Bot", "b")),
    "turns 0 and 1 are both of the user": turns(("You", "hi"), ("You", "hello?")),
    "turn 1 is empty": turns(("You", "hi"), ("Bot", " \n")),
    "turn 1 is of 'System'": turns(("You", "hi"), ("System", "x")),
    "its turns are []": {"chatHistory": []},
    "turn 0 is {'content': 'hi'}": {"chatHistory": [{"content": "hi"}]},
    "there is no question with the id 'nowhere-redux-1'": {"questionID": "nowhere-redux-1"},
    "the selected answer is 'E'; it must be A, B, C or D": {"selectedAnswer": "E"},
    "the selected answer is 'None'": {"selectedAnswer": None},
    "its worker is missing": {"worker_id": ""},
}


@pytest.mark.parametrize(("what", "changes"), BAD_CONVERSATIONS.items())
def test_a_bad_conversation_is_named_with_file_and_row_and_the_others_are_kept(tmp_path, caplog, what, changes):
    held = [conversation(), conversation(**changes), conversation(QUESTIONS[1])]
    release = load_release(str(write_release(tmp_path, conversations=held)))
    with caplog.at_level(logging.WARNING):
        assert [talk.row for talk in release.conversations] == [0, 2]
    (problem,) = release.problems
    assert (problem.file, problem.row) == ("full_study/conversations.json", 1)
    assert what in problem.what
    assert "1 of 3 rows of" in caplog.text
    assert f"conversations.json, row 1: {what}" in caplog.text


def test_many_bad_rows_are_all_kept_as_problems_and_counted_in_the_warning(tmp_path, caplog):
    held = [conversation(), *[conversation(selectedAnswer="E")] * 9]
    release = load_release(str(write_release(tmp_path, conversations=held)))
    assert len(release.conversations) == 1
    assert [problem.row for problem in release.problems] == list(range(1, 10))
    assert "9 of 10 rows of" in caplog.text
    assert "and 4 more" in caplog.text


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"selected_answer": "E"}, "the selected answer is 'E'"),
        ({"correct": "perhaps"}, "correct is 'perhaps'"),
        ({"answer_type": "guess"}, "the answer type is 'guess'"),
        ({"question_id": "x"}, "no question with the id 'x'"),
        ({"selected_answer": "", "correct": ""}, "neither what was selected nor whether that is right"),
    ],
)
def test_a_bad_answer_is_named(tmp_path, row, what):
    release = load_release(str(write_release(tmp_path, answers=[answer(), answer(**row)])))
    assert [said.row for said in release.user_answers] == [0]
    assert what in str(release.problems[0])
    assert str(release.problems[0]).startswith("full_study/user_answers.csv, row 1: ")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"answer": "E"}, "the right answer is 'E'"),
        ({"question": ""}, "the question is None"),
        ({"option_B": "", "option_C": "", "option_D": ""}, "the question has 1 options"),
        ({"question_id": ""}, "its question id is missing"),
    ],
)
def test_a_bad_question_is_named(tmp_path, change, what):
    release = load_release(str(write_release(tmp_path, questions=[QUESTIONS[1], {**QUESTIONS[0], **change}])))
    assert list(release.questions) == [QUESTIONS[1]["question_id"]]
    assert what in str(release.problems[0])


# What cannot be read at all is an error


@pytest.mark.parametrize(
    ("file", "column", "seen"),
    [
        ("questions.csv", "answer or correct_answer or gold", "question_id, dataset, question, option_A"),
        ("full_study/user_answers.csv", "model", "worker_id, condition"),
    ],
)
def test_a_column_that_is_missing_is_an_error_that_names_those_that_were_seen(tmp_path, file, column, seen):
    folder = write_release(tmp_path)
    wanted = column.split(" or ")[0]
    rows = {"questions.csv": product(2, 4), "full_study/user_answers.csv": answer()}[file]
    write_csv(folder / file, [{key: entry for key, entry in rows.items() if key != wanted}])
    release = load_release(str(folder))
    attribute = {"questions.csv": "questions", "full_study/user_answers.csv": "user_answers"}[file]
    with pytest.raises(ConfigError, match=rf"{file} has no column {column}; it has {seen}"):
        getattr(release, attribute)


def test_conversations_without_turns_are_an_error_that_names_the_keys_that_were_seen(tmp_path):
    folder = write_release(tmp_path, conversations=[conversation(chatHistory=...)])
    with pytest.raises(ConfigError, match="no column chat_history or conversation or messages; it has worker_id"):
        _ = load_release(str(folder)).conversations


def test_a_json_file_that_is_cut_off_is_an_error_that_names_file_and_position(tmp_path):
    folder = write_release(tmp_path)
    file = folder / "full_study" / "conversations.json"
    text = file.read_text()
    file.write_text(text[:500])
    with pytest.raises(
        ConfigError, match=r"conversations.json is no JSON: .* line 1 column \d+ \(char \d+\), of 500 characters"
    ):
        _ = load_release(str(folder)).conversations


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "holds a dict; it must be a list"),
        ("[1]", "row 0: '1' is no JSON object"),
        ("[]", "holds no rows"),
        ("version https://git-lfs", r"is no JSON: Expecting value: line 1 column 1 \(char 0\)"),
    ],
)
def test_what_is_no_list_of_conversations_is_an_error(tmp_path, text, message):
    folder = write_release(tmp_path)
    (folder / "full_study" / "conversations.json").write_text(text)
    with pytest.raises(ConfigError, match=message):
        _ = load_release(str(folder)).conversations


@pytest.mark.parametrize(
    ("text", "message"),
    [('question_id,question\nx,"cut off', "is no CSV"), ("question_id,question\nx,a,b,c\n", "row 0 has more fields")],
)
def test_a_broken_csv_file_is_an_error(tmp_path, text, message):
    folder = write_release(tmp_path)
    (folder / "questions.csv").write_text(text)
    with pytest.raises(ConfigError, match=message):
        _ = load_release(str(folder)).questions


def test_a_release_of_bad_rows_alone_is_an_error_with_the_first_of_them(tmp_path):
    folder = write_release(tmp_path, conversations=[conversation(selectedAnswer="E")])
    with pytest.raises(ConfigError, match=r"no row that can be used; the first: .* row 0: the selected answer is 'E'"):
        _ = load_release(str(folder)).conversations


def test_one_id_with_two_texts_is_an_error(tmp_path):
    folder = write_release(tmp_path, questions=[QUESTIONS[0], {**QUESTIONS[0], "question": "Another?"}])
    with pytest.raises(ConfigError, match="'arithmetic-redux-24' stands there twice"):
        _ = load_release(str(folder)).questions


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("/nowhere/at/all", "nothing is there"),
        ("microsoft/ChatBench", r"cannot be had: .*HF_HUB_OFFLINE.*--repo-type dataset"),
    ],
)
def test_data_that_cannot_be_had_is_an_error_that_says_how_to_get_it(source, message, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=message):
        load_release(source)


def test_a_file_is_no_release(tmp_path):
    folder = write_release(tmp_path)
    with pytest.raises(ConfigError, match="is a file; give the folder"):
        load_release(str(folder / "questions.csv"))


def test_the_filtered_answers_and_a_pilots_folder_can_be_chosen(tmp_path):
    folder = write_release(tmp_path)
    pilot = folder / "pilot_1"
    pilot.mkdir()
    write_csv(pilot / "user_answers_filtered.csv", [answer(worker_id="pilot")])
    release = load_release(str(folder), study="pilot_1", filtered=True)
    assert [said.worker for said in release.user_answers] == ["pilot"]


def test_unicode_and_line_ends_in_texts_survive(tmp_path):
    text = 'π ≈ 3.14\u2028or\nso, "quoted"\r\nµ'
    questions = [{**QUESTIONS[0], "question": text}]
    chat = [("You", text), ("Bot", "\U0001f642")]
    release = load_release(str(write_release(tmp_path, questions=questions, conversations=[conversation(chat=chat)])))
    assert release.questions["arithmetic-redux-24"].question.stem == text
    assert [message.content for message in release.conversations[0].messages] == [text, "\U0001f642"]
    assert (
        json.loads((tmp_path / "full_study" / "conversations.json").read_text())[0]["chatHistory"][0]["content"] == text
    )
