"""First messages are held against people's pair by pair, as sacrebleu and rouge-score do."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import permutations, product
from statistics import fmean

import pytest
from human_runs import TASK, Pupil, evaluate, logged
from releases import QUESTIONS, conversation, write_release
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu import corpus_bleu, sentence_bleu

from lm_eval_plugin.chatbench_data.release import load_release
from lm_eval_plugin.cli.main import main
from lm_eval_plugin.comparison.first_prompts import compare_first_prompts
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import Message, Role, StopReason, Transcript
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.scoring.kinds import Kind
from lm_eval_plugin.scoring.metrics import QuestionRecord
from lm_eval_plugin.scoring.statistics import mean_estimate

FIRST, SECOND = QUESTIONS[:2]
SAID = {
    FIRST["question_id"]: ["what is 2 times 4", "How do I work out 2 x 4? Please tell me.", "2 x 4"],
    SECOND["question_id"]: ["give me 2 x 5"],
}


def people(folder, said=SAID):
    by_id = {question["question_id"]: question for question in QUESTIONS}
    held = [
        conversation(by_id[each], (("You", text), ("Bot", "Hm."))) for each, texts in said.items() for text in texts
    ]
    return load_release(str(write_release(folder, conversations=held)))


def record(question, *openings):
    """A question of a run, its options in another order than in the release."""
    choices = tuple(question[f"option_{letter}"] for letter in "DCBA")
    asked = Question(f"other-{question['question_id']}", "maths", f" {question['question']}\n", choices)
    transcripts = tuple(
        Transcript("q", "demo", place, 0, (Message(Role.USER, text),), None, StopReason.NO_ANSWER)
        for place, text in enumerate(openings)
    )
    return QuestionRecord(asked, frozenset("C"), transcripts)


def bleu(said, person):
    return sentence_bleu(said, [person], use_effective_order=True).score / 100


def rouge(said, person):
    return RougeScorer(["rouge1"]).score(person, said)["rouge1"].fmeasure


def interval_of(scores):
    estimate = mean_estimate(scores, Kind.SHARE)
    return estimate.low, estimate.high


def test_every_pair_of_a_question_counts_and_then_every_question(tmp_path):
    release = people(tmp_path)
    simulated = {FIRST["question_id"]: ["what is 2 x 4?", "2 times 4 please"], SECOND["question_id"]: ["2 x 5 is what"]}
    found = compare_first_prompts(
        [record(question, *simulated[question["question_id"]]) for question in (FIRST, SECOND)], release
    )
    for name, score in (("bleu", bleu), ("rouge_1", rouge)):
        of_questions = [[score(*pair) for pair in product(simulated[each], SAID[each])] for each in SAID]
        estimate = getattr(found.simulated, name)
        assert estimate.value == pytest.approx(fmean(map(fmean, of_questions)))
        assert (estimate.low, estimate.high) == pytest.approx(interval_of(of_questions))
        among = [score(*pair) for pair in permutations(SAID[FIRST["question_id"]], 2)]
        assert getattr(found.among_people, name).value == pytest.approx(fmean(among))
    assert (found.simulated_messages, found.human_messages) == (3, 4)


def test_the_same_words_are_a_similarity_of_one(tmp_path):
    found = compare_first_prompts([record(SECOND, "give me 2 x 5")], people(tmp_path))
    assert found.simulated.bleu.value == pytest.approx(1)
    assert found.simulated.rouge_1.value == pytest.approx(1)
    assert found.among_people is None


def test_corpus_bleu_takes_all_pairs_of_a_question_together_and_is_not_smoothed(tmp_path):
    said = ["what is 2 times 4 now", "2 x 4"]
    found = compare_first_prompts([record(FIRST, *said)], people(tmp_path))
    pairs = list(product(said, SAID[FIRST["question_id"]]))
    mine, theirs = zip(*pairs, strict=True)
    expected = corpus_bleu(mine, [theirs], smooth_method="none").score / 100
    assert found.simulated.corpus_bleu.value == pytest.approx(expected)
    # Four words that follow each other the same way stand in one pair of these six.
    assert 0 < expected < found.simulated.bleu.value
    nothing = compare_first_prompts([record(SECOND, "2 x 5")], people(tmp_path / "more"))
    assert nothing.simulated.corpus_bleu.value == 0 < nothing.simulated.bleu.value


def test_the_order_of_a_pair_matters_to_bleu_alone(tmp_path):
    found = compare_first_prompts([record(SECOND, "5")], people(tmp_path))
    assert found.simulated.bleu.value == pytest.approx(bleu("5", "give me 2 x 5"))
    assert found.simulated.bleu.value != pytest.approx(bleu("give me 2 x 5", "5"))


def test_questions_without_people_and_silent_users_are_left_out_and_counted(tmp_path):
    silent = replace(record(FIRST, "2 x 4").transcripts[0], messages=(), stop_reason=StopReason.MODEL_ERROR)
    mute = record(FIRST, "2 x 4")
    mute = replace(mute, transcripts=(*mute.transcripts, silent))
    found = compare_first_prompts([mute, record(QUESTIONS[5], "hello")], people(tmp_path))
    assert (found.without_people, found.silent, found.simulated_messages) == (1, 1, 1)
    assert found.simulated.bleu.questions == 1


def test_a_release_about_other_questions_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="its people talked about none of the 1 questions of the run"):
        compare_first_prompts([record(QUESTIONS[5], "hello")], people(tmp_path))


def test_the_command_compares_a_finished_run(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    data = tmp_path / "data"
    people(data)
    run = logged(evaluate(Pupil({"What is": "B"}), data, model="gpt-4o"), tmp_path / "run")
    assert main(["first-prompts", str(run), "--human", str(data), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["runs"].values()
    (samples,) = run.rglob(f"samples_{TASK}_*.jsonl")
    openings = [first_message(json.loads(line)) for line in samples.read_text().splitlines()[:2]]
    pairs = [product([opening], texts) for opening, texts in zip(openings, SAID.values(), strict=True)]
    expected = fmean(fmean(rouge(*pair) for pair in each) for each in pairs)
    assert found["simulated"]["rouge_1"]["value"] == pytest.approx(expected)
    assert (found["simulated"]["rouge_1"]["questions"], found["without_people"]) == (2, 8)
    assert main(["first-prompts", str(run), "--human", str(data)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"{expected:.3f}" in shown
    assert "people" in shown
    assert "8 questions without people and 0 dialogues without a message are left out" in shown


def first_message(sample):
    return json.loads(sample["resps"][-1][0])["messages"][0]["content"]
