"""`chatbench_human` holds a run's accuracies against those of people, question by question."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import pytest
from human_runs import TASK, Pupil, evaluate, logged
from releases import QUESTIONS, answer, conversation, write_release
from scipy import stats

from lm_eval_plugin.chatbench_data.splits import split_questions
from lm_eval_plugin.cli.main import main
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.scoring.agreement import agreement

STEMS = [question["question"] for question in QUESTIONS]
# Of the ten questions people with gpt-4o answered eight, five times each; this many of their answers are right.
RIGHT = (5, 0, 4, 1, 5, 3, 2, 4)
PEOPLE = [right / 5 for right in RIGHT]
# The option of each question that is right is B.
SAYS = "BABABBABCB"
STATIC = "ABBBBAABBB"


def letters(each):
    return dict(zip(STEMS, each, strict=True))


def accuracies(each):
    return [float(letter == "B") for letter in each[: len(PEOPLE)]]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    answers = [
        answer(question, correct=str(int(place < right)), selected_answer="B" if place < right else "C")
        for question, right in zip(QUESTIONS, RIGHT, strict=False)
        for place in range(5)
    ]
    answers += [answer(question, model="llama-3.1-8b") for question in QUESTIONS]
    return write_release(tmp_path_factory.mktemp("release"), answers=answers)


@pytest.fixture(scope="module")
def results(data):
    return evaluate(Pupil(letters(SAYS), letters(STATIC)), data, model="gpt-4o")


def row(results):
    return {key.removesuffix(",none"): value for key, value in results["results"][TASK].items()}


# The figures in the host's table


def test_figures_are_those_of_scipy_over_the_questions_that_people_answered(results):
    found = row(results)
    for side, said in (("", accuracies(SAYS)), ("_static", accuracies(STATIC))):
        assert found[f"human_pearson{side}"] == pytest.approx(stats.pearsonr(said, PEOPLE).statistic)
        error = sum(abs(one - other) for one, other in zip(said, PEOPLE, strict=True)) / len(PEOPLE)
        assert found[f"human_mae{side}"] == pytest.approx(error)
    assert found["acc_human"] == pytest.approx(sum(PEOPLE) / len(PEOPLE))


def test_questions_without_people_are_asked_and_counted_among_acc_alone(results):
    samples = results["samples"][TASK]
    assert len(samples) == len(QUESTIONS)
    assert row(results)["acc"] == pytest.approx(SAYS.count("B") / len(QUESTIONS))
    assert [sample["doc"]["people"]["answers"] for sample in samples] == [5] * 8 + [0] * 2
    assert [("acc_human" in sample) for sample in samples] == [True] * 8 + [False] * 2


def test_who_the_model_stands_for_is_said(data, caplog):
    evaluate(Pupil(letters(SAYS)), data, model="gpt-4o", condition="answer-first")
    said = "stands for gpt-4o, with which people (condition answer-first) answered 8 of 10 questions"
    assert said in caplog.text


def test_a_split_leaves_its_held_out_questions_alone(data):
    found = evaluate(Pupil(letters(SAYS)), data, model="gpt-4o", split=2)
    asked = {sample["doc"]["question_id"] for sample in found["samples"][TASK]}
    assert asked == split_questions((question["question_id"] for question in QUESTIONS), 2).held_out


def test_a_constant_side_has_no_correlation_and_that_is_said(data, caplog):
    found = row(evaluate(Pupil(letters("B" * 10), letters(STATIC)), data, model="gpt-4o"))
    assert math.isnan(found["human_pearson"])
    assert not math.isnan(found["human_pearson_static"])
    assert "one side has a single value" in caplog.text


def test_without_a_static_score_its_figures_are_left_out(data):
    found = row(evaluate(Pupil(letters(SAYS)), data, model="gpt-4o", dialogue={"static": "none"}))
    assert "human_pearson" in found
    assert not [name for name in found if "human" in name and "static" in name]


def test_repeats_are_averaged_before_they_are_held_against_people(data):
    found = evaluate(Pupil(letters(SAYS)), data, model="gpt-4o", dialogue={"repeats": 3})
    assert row(found)["human_mae"] == pytest.approx(agreement(accuracies(SAYS), PEOPLE).error.value)


@pytest.mark.parametrize(
    ("people", "message"),
    [
        ({}, "task chatbench_human: human.model is not set; name whom people talked with, one of gpt-4o, llama-3.1-8b"),
        ({"model": "gpt-5"}, "human.model is 'gpt-5', which nobody has in the data"),
        ({"model": "gpt-4o", "condition": "direct-to-AI"}, "human.condition is 'direct-to-AI'"),
        ({"modle": "gpt-4o"}, "human has no key 'modle'; did you mean 'model'"),
        ({"model": "gpt-4o", "split": -1}, "human.split is -1"),
    ],
)
def test_people_that_are_not_there_are_refused(data, people, message):
    with pytest.raises(ConfigError, match=message):
        evaluate(Pupil(letters(SAYS)), data, **people)


def test_a_question_with_three_options_is_refused(tmp_path):
    short = [{key: value for key, value in each.items() if key != "option_D"} for each in QUESTIONS]
    write_release(tmp_path, questions=short, conversations=[conversation()])
    with pytest.raises(ConfigError, match=r"row 0: choices is .* it must be a list of 4 texts"):
        evaluate(Pupil({}), tmp_path, model="gpt-4o")


def test_the_summary_of_the_run_has_the_figures_with_their_intervals(results):
    found = results["chatbench"]["tasks"][TASK]["against_human"]
    assert found["simulated"] == asdict(agreement(accuracies(SAYS), PEOPLE))
    assert found["static"] == asdict(agreement(accuracies(STATIC), PEOPLE))


# The table of `chatbench human`


def test_the_command_prints_one_table_and_the_same_as_json(results, data, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    better = evaluate(Pupil(letters("BABABBABAA"), letters(STATIC)), data, model="gpt-4o")
    folders = [logged(results, tmp_path / "one"), logged(better, tmp_path / "two", "better")]
    assert main(["human", *map(str, folders), "--json"]) == 0
    one, two = json.loads(capsys.readouterr().out)["runs"]
    expected = agreement(accuracies(SAYS), PEOPLE)
    assert one["foretold_by"]["simulated"]["pearson"]["value"] == pytest.approx(expected.pearson.value)
    assert one["foretold_by"]["simulated"]["error"]["low"] == pytest.approx(expected.error.low)
    assert (one["questions"], one["without_people"], one["model"], two["model"]) == (10, 2, "pupil", "better")
    assert main(["human", *map(str, folders)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "people with gpt-4o, all conditions; 2 more without people" in shown
    assert (
        f"{expected.pearson.value:.3f} {expected.error.value:.3f} ({expected.error.low:.3f} to {expected.error.high:.3f})"
        in shown
    )


def test_the_command_names_what_is_missing_in_a_run_of_another_task(results, tmp_path, capsys):
    other = json.loads(json.dumps(results, default=str))
    for sample in other["samples"][TASK]:
        del sample["doc"]["people"]
    assert main(["human", str(logged(other, tmp_path))]) == 2
    assert "holds no task with the accuracy of people" in capsys.readouterr().err


def test_filtered_people_are_those_of_the_filtered_file(tmp_path):
    answers = [answer(question, correct="1") for question in QUESTIONS]
    data = write_release(tmp_path, answers=answers)
    (data / "full_study" / "user_answers_filtered.csv").write_text(
        (data / "full_study" / "user_answers.csv").read_text().replace(",B,1,", ",C,0,")
    )
    pupil = Pupil(letters(SAYS))
    assert row(evaluate(pupil, data, model="gpt-4o"))["acc_human"] == 1
    assert row(evaluate(pupil, data, model="gpt-4o", filtered=True))["acc_human"] == 0
