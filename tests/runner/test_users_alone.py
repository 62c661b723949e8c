"""Asking the simulated user apart from its dialogues: by likelihood, by a letter, once a question, and in a whole run."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import lm_eval
import pytest
from doubles import PRODUCT, ScriptedModel
from lm_eval.tasks import TaskManager
from users import configured

from lm_eval_plugin.cli.main import main
from lm_eval_plugin.config.request import DialogueRequest
from lm_eval_plugin.dialogue.engine import Failure
from lm_eval_plugin.dialogue.transcript import AloneAnswer, StopReason
from lm_eval_plugin.harness.tasks_folder import tasks_folder
from lm_eval_plugin.results.runs import load_run
from lm_eval_plugin.runner.participants import user_model
from lm_eval_plugin.runner.simulation import simulate, simulate_many
from lm_eval_plugin.runner.users_alone import greedy, with_answers_alone

OTHER = replace(PRODUCT, id="other", stem="What is 6 x 9?")
SAYS_B = "It is 56, so the answer is B."


def asked(*questions, **block):
    config = configured("demo", user_alone=True, **block)
    return [DialogueRequest(question, config) for question in questions]


def transcripts_of(requests):
    held = simulate_many([request.question for request in requests], lambda _: SAYS_B, "demo", progress=False)
    return [replace(each, question_id=request.question.id) for each, request in zip(held, requests, strict=True)]


def test_likeliest_letter_is_the_one_that_lm_eval_finds_likeliest():
    requests = asked(PRODUCT, OTHER)
    found = with_answers_alone(transcripts_of(requests), requests)
    model = user_model(requests[0].dialogue.simulator)
    for transcript, request in zip(found, requests, strict=True):
        prompt = (
            "[SYSTEM] You are a person who answers the question below by yourself, without any help.\n\n"
            f'{request.question.text}\n\nWrite only "Answer: A, B, C or D".\n\n[USER] Answer:'
        )
        told = [model.lm.loglikelihood([_instance(prompt, f" {letter}")])[0][0] for letter in "ABCD"]
        assert transcript.alone.letter == "ABCD"[told.index(max(told))]
        assert transcript.alone.by == "likelihood"
        assert transcript.alone.confidence == pytest.approx(1 / sum(math.exp(each - max(told)) for each in told), 1e-4)


def _instance(*arguments):
    return lm_eval.api.instance.Instance(request_type="loglikelihood", doc={}, arguments=arguments, idx=0)


def test_question_is_asked_about_once_whatever_its_repeats_and_what_was_said_stays():
    (request,) = asked(PRODUCT)
    model = ScriptedModel(lambda ask: "Answer: D")
    given = [*transcripts_of([request]), replace(transcripts_of([request])[0], repeat=1)]
    found = with_answers_alone(given, [request, request], model)
    assert model.batches == [1]
    assert [each.alone for each in found] == [AloneAnswer("D", "generated", "Answer: D")] * 2
    assert [replace(each, alone=None) for each in found] == given


def test_user_is_not_asked_where_that_is_not_switched_on():
    (request,) = asked(PRODUCT)
    plain = replace(request, dialogue=configured("demo"))
    given = transcripts_of([plain])
    assert with_answers_alone(given, [plain]) is given


def test_model_that_gives_no_answer_is_told_and_ends_nothing_else(caplog):
    requests = asked(PRODUCT, OTHER)
    model = ScriptedModel(
        lambda ask: Failure(StopReason.MODEL_ERROR) if "6 x 9" in str(ask.prompt(ask.history)) else "Answer: A"
    )
    found = with_answers_alone(transcripts_of(requests), requests, model)
    assert [each.alone.letter for each in found] == ["A", None]
    assert "Of 1 of 2 questions the simulated user named no letter alone" in caplog.text


def test_letter_is_written_greedily_without_what_only_sampling_takes():
    config = configured({"preset": "demo", "gen_kwargs": {"top_p": 0.5, "repetition_penalty": 1.1}}, user_alone=True)
    assert greedy(config).simulator.temperature == 0
    assert greedy(config).simulator.gen_kwargs == {"repetition_penalty": 1.1}


def test_dialogue_from_python_has_both_kinds_of_answer():
    held = simulate(PRODUCT, lambda _: SAYS_B, "demo", condition="answer-first", user_alone=True)
    assert held.belief.by == "generated"
    assert held.alone.by == "likelihood"
    assert held.simulator == "demo+answer_first"


def run(folder, **block):
    manager = TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata={"dialogue": block})
    return lm_eval.simple_evaluate(
        "chatbench-demo",
        tasks=["chatbench_demo"],
        task_manager=manager,
        limit=12,
        bootstrap_iters=0,
        batch_size=16,
        metadata={"dialogue": block},
    )


@pytest.fixture(scope="module")
def runs():
    return {name: run(None, **block) for name, block in BLOCKS.items()}


BLOCKS = {"plain": {}, "apart": {"user_alone": True}, "first": {"condition": "answer_first", "repeats": 2}}


def values(results):
    return {key.partition(",")[0]: value for key, value in results["results"]["chatbench_demo"].items()}


def test_what_the_user_answers_apart_changes_nothing_of_the_dialogues(runs):
    plain, apart = values(runs["plain"]), values(runs["apart"])
    assert {key: apart[key] for key in plain} == plain
    assert apart.keys() - plain.keys() >= {"acc_user_alone", "uplift"}
    assert apart["uplift"] == pytest.approx(apart["acc"] - apart["acc_user_alone"])
    assert not any("alone" in key or key == "uplift" for key in plain)
    assert "against_user_alone" not in runs["plain"]["chatbench"]["tasks"]["chatbench_demo"]


def test_user_that_answers_first_is_another_user(runs):
    sample = runs["first"]["samples"]["chatbench_demo"][0]
    held = [json.loads(text) for text in sample["resps"][-1]]
    assert [each["simulator"] for each in held] == ["demo+answer_first"] * 2
    assert all(each["belief"]["by"] == "generated" and "alone" not in each for each in held)


@pytest.mark.parametrize("name", ["apart", "first"])
def test_score_repeats_the_numbers_without_a_model_and_table_page_and_export_have_them(name, runs, tmp_path, capsys):
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.utils import make_table

    results = dict(runs[name])
    assert {"acc_user_alone", "uplift"} <= {
        line.split("|")[5].strip() for line in make_table(results).splitlines() if "|" in line
    }
    tracker = EvaluationTracker(output_path=str(tmp_path))
    samples = results.pop("samples")
    tracker.general_config_tracker.model_name = "m"
    tracker.general_config_tracker.model_name_sanitized = "m"
    tracker.save_results_aggregated(results=results, samples=samples)
    tracker.save_results_samples(task_name="chatbench_demo", samples=samples["chatbench_demo"])
    assert main(["score", str(tmp_path), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)["tasks"]["chatbench_demo"]
    told = json.loads(json.dumps(results["chatbench"]["tasks"]["chatbench_demo"]))
    assert again["metrics"] == told["metrics"]
    assert again["against_user_alone"] == told["against_user_alone"]
    assert main(["score", str(tmp_path)]) == 0
    assert "54% of those wrong alone" in " ".join(capsys.readouterr().out.split())
    page = tmp_path / "page.html"
    assert main(["report", str(tmp_path / "m"), "-o", str(page)]) == 0
    shown = page.read_text(encoding="utf-8")
    assert "The user alone and with the model" in shown
    assert "User alone" in shown
    out = tmp_path / "runs.parquet"
    assert main(["export", str(tmp_path / "m"), "-o", str(out)]) == 0
    from lm_eval_plugin.results.export import read_export

    run_of = load_run(tmp_path / "m").tasks["chatbench_demo"].records
    assert read_export(out)[0].tasks["chatbench_demo"].records == run_of
