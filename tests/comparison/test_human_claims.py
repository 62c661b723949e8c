"""What people would reach with the models of runs: whose people count, and when nothing is claimed."""

from __future__ import annotations

import json
from statistics import fmean, stdev

import numpy as np
import pytest
from people_runs import QUESTIONS, write_outcomes, write_study
from scipy import stats

from lm_eval_plugin.chatbench_data.release import load_release
from lm_eval_plugin.cli.main import main
from lm_eval_plugin.comparison.human_claims import Study
from lm_eval_plugin.comparison.human_prediction import claims
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.results.runs import load_run
from lm_eval_plugin.scoring.prediction_powered import powered_estimate
from lm_eval_plugin.scoring.stratified_sample import Answers

SHARES = [(index * 7 % 10) / 10 for index in range(len(QUESTIONS))]
ASKED = dict(enumerate(SHARES[:20]))


def letters(share, repeats=10):
    right = round(share * repeats)
    return "B" * right + "C" * (repeats - right)


def run_of(folder, model="openai/GPT-4o", shares=SHARES, **changes):
    return load_run(write_outcomes(folder / model.replace("/", "_"), model, list(map(letters, shares)), **changes))


def study(folder, reached=None, *, condition=None, named=None, population=False, **changes):
    release = load_release(str(write_study(folder / "people", reached or {"gpt-4o": ASKED}, **changes)))
    return Study(release, condition, named, population)


def test_the_estimate_is_that_of_the_runs_accuracies_and_peoples_answers(tmp_path):
    (claim,) = claims([run_of(tmp_path)], study(tmp_path))
    people = np.arange(200)
    right = np.array([float(person < round(share * 10)) for share in SHARES[:20] for person in range(10)])
    by_hand = powered_estimate(np.array(SHARES), ["maths"] * 48, Answers(people // 10, people, right))
    assert claim.powered.estimate == by_hand.estimate
    assert claim.powered.people_alone == by_hand.people_alone
    assert (claim.powered.questions, claim.powered.answered, claim.powered.answers) == (48, 20, 200)
    assert claim.powered.estimate.value == pytest.approx(fmean(SHARES))
    assert (claim.model, claim.people_model) == ("openai/GPT-4o", "gpt-4o")


def test_other_models_and_other_conditions_people_do_not_count(tmp_path):
    both = {"gpt-4o": ASKED, "llama-3.1-8b": dict.fromkeys(range(48), 0.0)}
    (claim,) = claims([run_of(tmp_path)], study(tmp_path, both))
    assert claim.powered.answers == 200
    assert claim.powered.people_alone.value == pytest.approx(fmean(SHARES[:20]))
    people = Study(load_release(str(tmp_path / "people")), "answer_first")
    with pytest.raises(ConfigError, match="the condition 'answer_first' is nobody's"):
        claims([run_of(tmp_path / "again")], people)


@pytest.mark.parametrize("given", ["direct-to-AI", "direct", "Direct_to_AI"])
def test_a_condition_is_known_in_every_spelling(tmp_path, given):
    (claim,) = claims([run_of(tmp_path)], study(tmp_path, condition=given))
    assert claim.condition == "direct-to-AI"


def test_questions_are_found_by_text_whatever_the_order_of_their_options(tmp_path):
    turned = [
        {**row, "option_A": row["option_D"], "option_D": row["option_A"], "question": f" {row['question']}\n"}
        for row in QUESTIONS
    ]
    (claim,) = claims([run_of(tmp_path, rows=turned)], study(tmp_path))
    assert claim.powered.answered == 20


def test_people_judged_by_another_right_answer_are_left_out_and_counted(tmp_path):
    other = [{**row, "answer": "C"} if place < 3 else row for place, row in enumerate(QUESTIONS)]
    (claim,) = claims([run_of(tmp_path)], study(tmp_path, questions=other))
    assert (claim.other_gold, claim.powered.answered) == (3, 17)


def test_a_question_without_a_dialogue_that_counts_is_left_out_and_counted(tmp_path):
    outcomes = ["-" * 10, "-" * 9 + "B", *map(letters, SHARES[2:])]
    run = load_run(write_outcomes(tmp_path / "run", "gpt-4o", outcomes))
    (claim,) = claims([run], study(tmp_path))
    assert (claim.unscored, claim.powered.questions, claim.powered.answered) == (1, 47, 19)
    assert claim.powered.simulated == pytest.approx(fmean([1.0, *SHARES[2:]]))


def test_a_study_with_conversations_alone_will_do(tmp_path):
    people = study(tmp_path)
    (tmp_path / "people" / "full_study" / "user_answers.csv").unlink()
    (claim,) = claims([run_of(tmp_path)], people)
    assert claim.powered.answers == 200


def test_the_filtered_answers_that_were_asked_for_must_be_there(tmp_path):
    write_study(tmp_path / "people", {"gpt-4o": ASKED})
    with pytest.raises(ConfigError, match=r"user_answers_filtered\.csv"):
        claims([run_of(tmp_path)], Study(load_release(str(tmp_path / "people"), filtered=True)))


def test_a_model_is_named_where_its_name_in_the_data_is_another(tmp_path):
    people = study(tmp_path, named={"my-gpt": "gpt-4o"})
    (claim,) = claims([run_of(tmp_path, "my-gpt")], people)
    assert claim.people_model == "gpt-4o"
    with pytest.raises(ConfigError, match=r"nobody talked with 'gpt-5'"):
        claims([run_of(tmp_path / "b")], Study(people.release, named={None: "gpt-5"}))


def test_a_version_of_a_model_is_not_taken_for_the_model(tmp_path):
    with pytest.raises(ConfigError, match=r"nobody talked with gpt-4o-mini; people talked with gpt-4o\..*--model"):
        claims([run_of(tmp_path, "gpt-4o-mini")], study(tmp_path))


def test_people_on_other_questions_than_the_runs_are_an_error(tmp_path):
    with pytest.raises(ConfigError, match="nobody who talked with gpt-4o answered one of the 28 questions"):
        claims([run_of(tmp_path, rows=QUESTIONS[20:])], study(tmp_path))


def shifted(by):
    """What people reach where they are so much better than simulated users, question by question."""
    return {index: min(1.0, share + by) for index, share in enumerate(SHARES)}


def models(folder, offsets):
    names = [f"model-{place}" for place in range(len(offsets))]
    people = study(folder, {name: shifted(offset) for name, offset in zip(names, offsets, strict=True)})
    return [run_of(folder, name) for name in names], people


def test_a_model_without_people_is_predicted_from_those_that_have_both(tmp_path):
    runs, people = models(tmp_path, (0.0, 0.1))
    *known, new = claims([*runs, run_of(tmp_path, "new", [share / 2 for share in SHARES])], people)
    offsets = [each.powered.estimate.value - each.powered.simulated for each in known]
    assert offsets[0] == pytest.approx(0)
    assert offsets[1] > 0.05
    assert new.value == pytest.approx(new.simulated + fmean(offsets))
    assert new.errors == pytest.approx({"model-0": offsets[1] - offsets[0], "model-1": offsets[0] - offsets[1]})
    assert new.as_it_is == pytest.approx({"model-0": -offsets[0], "model-1": -offsets[1]})
    assert (new.low, new.high) == (None, None)


def test_from_three_models_on_a_prediction_has_an_interval(tmp_path):
    runs, people = models(tmp_path, (0.0, 0.1, 0.05))
    *known, new = claims([*runs, run_of(tmp_path, "new")], people)
    offsets = [each.powered.estimate.value - each.powered.simulated for each in known]
    half = stats.t.ppf(0.975, 2) * stdev(offsets) * (1 + 1 / 3) ** 0.5
    assert (new.low, new.high) == pytest.approx((new.value - half, new.value + half))
    assert new.errors["model-0"] == pytest.approx(fmean(offsets[1:]) - offsets[0])


def test_one_model_predicts_no_other(tmp_path):
    runs, people = models(tmp_path, (0.1,))
    with pytest.raises(ConfigError, match=r"give runs of 2 of these or more .* \(1 given\)"):
        claims([*runs, run_of(tmp_path, "new")], people)


def test_two_runs_of_one_model_are_no_two_models(tmp_path):
    runs, people = models(tmp_path, (0.1,))
    with pytest.raises(ConfigError, match="two runs are of model-0"):
        claims([*runs, run_of(tmp_path / "again", "model-0"), run_of(tmp_path, "new")], people)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"rows": QUESTIONS[:40]}, "of other questions"),
        ({"dialogue": {"max_turns": 3}}, "differ in max_turns: 3 and 10"),
    ],
)
def test_runs_that_differ_predict_nothing(tmp_path, changes, why):
    runs, people = models(tmp_path, (0.0, 0.1))
    with pytest.raises(ConfigError, match=why):
        claims([*runs, run_of(tmp_path, "new", **changes)], people)


def test_a_run_with_another_simulated_user_serves_no_prediction(tmp_path):
    runs, people = models(tmp_path, (0.0, 0.1))
    other = {"simulator": "demo"}
    with pytest.raises(ConfigError, match=r"\(0 given\)"):
        claims([*runs, run_of(tmp_path, "new", dialogue=other)], people)


def test_the_command_prints_estimate_interval_people_alone_and_their_worth(tmp_path, capsys):
    run_of(tmp_path)
    study(tmp_path)
    command = ["human", str(tmp_path / "openai_GPT-4o"), "--human", str(tmp_path / "people")]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "openai/GPT-4o with scripted: what people would reach on these questions" in shown
    for part in ("estimate", "people alone", "simulated users", "further people beside the 200 (ratio of variances"):
        assert part in shown
    assert main([*command, "--json", "--population"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["claims"]
    assert (told["kind"], told["population"]) == ("estimate", True)
    low, high = told["powered"]["estimate"]["low"], told["powered"]["estimate"]["high"]
    assert low < fmean(SHARES) < high


def test_the_command_says_that_a_prediction_extrapolates(tmp_path, capsys):
    models(tmp_path, (0.0, 0.1))
    run_of(tmp_path, "new")
    runs = [str(tmp_path / name) for name in ("model-0", "model-1", "new")]
    assert main(["human", *runs, "--human", str(tmp_path / "people")]) == 0
    shown = capsys.readouterr().out
    assert "new with scripted: nobody has talked with it" in shown
    assert "This extrapolates" in shown
    assert "From two models there is no interval" in shown


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--population"], "--population mean something with --human alone"),
        (["--human", "X", "--model", "a", "--model", "b"], "two names for all runs"),
    ],
)
def test_options_that_would_be_ignored_are_errors(tmp_path, capsys, options, why):
    write_study(tmp_path / "X", {"gpt-4o": ASKED})
    given = [str(tmp_path / "X") if each == "X" else each for each in options]
    assert main(["human", str(tmp_path), *given]) == 2
    assert why in capsys.readouterr().err
