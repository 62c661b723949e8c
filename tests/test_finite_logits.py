"""Logits that are no numbers become an error, never a text and never a score."""

from __future__ import annotations

import pytest
import tiny_models
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from chatbench_tasks.finite_scores import check_finite
from lm_eval_plugin.errors import ModelError
from lm_eval_plugin.harness.letter_until import LETTER_GENERATION, letter_until
from lm_eval_plugin.models.generation import Prompted
from lm_eval_plugin.models.generation.backend import HostGeneration
from lm_eval_plugin.models.generation.finite_logits import FiniteLogits
from lm_eval_plugin.models.generation.local.generator import LocalGeneration
from lm_eval_plugin.models.generation.local.kept_keys import KeptKeys
from lm_eval_plugin.runner.simulation import simulate_many
from lm_eval_plugin.training.perplexity import score_arguments, score_reply

GREEDY = {"until": ["\n"], "max_gen_toks": 8, "do_sample": False, "temperature": 0.0}
SAMPLED = {"until": ["\n"], "max_gen_toks": 8, "do_sample": True, "temperature": 0.7, "top_p": 0.9}
QUESTION = {"question": "What is 7 x 8?", "choices": ["54", "56", "58", "63"]}


@pytest.fixture(scope="module")
def overflowing(tmp_path_factory):
    """A model whose numbers are beyond float16."""
    folder = tiny_models.save_model(tmp_path_factory.mktemp("overflowing"), "llama", spread=60.0)
    return HFLM(pretrained=str(folder), device="cpu", dtype="float16", batch_size=4)


@pytest.fixture
def whole(llama):
    return HFLM(pretrained=str(llama), device="cpu", dtype="float32", batch_size=4)


def broken_head(lm, number, rows=slice(None)):
    """A hook under which the model's head gives one number in place of all, or of some."""

    def spoil(_module, _inputs, output):
        output.logits[rows] = number
        return output

    return lm.model.register_forward_hook(spoil)


@pytest.mark.parametrize("settings", [GREEDY, SAMPLED])
@pytest.mark.parametrize("prompts", [1, 6])
def test_half_precision_that_overflows_is_an_error_that_says_what_to_do(overflowing, settings, prompts):
    generation = LocalGeneration(overflowing, "the model under test", KeptKeys(0))
    asked = [Prompted("what is the answer" + " x" * place, place) for place in range(prompts)]
    with pytest.raises(ModelError, match=r"the model under test \(.*overflowing.*, float16\).*bfloat16 or float32"):
        generation.generate(asked, settings)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("settings", [GREEDY, SAMPLED])
@pytest.mark.parametrize("kind", ["local", "host"])
def test_a_broken_head_is_an_error(whole, number, settings, kind):
    generation = (
        HostGeneration(whole, "the judge") if kind == "host" else LocalGeneration(whole, "the judge", KeptKeys(2**20))
    )
    hook = broken_head(whole, number)
    try:
        with pytest.raises(ModelError, match=r"the judge \(.*float32\).*without quantization"):
            generation.generate([Prompted("what is", 1), Prompted("the answer is", 2)], settings)
    finally:
        hook.remove()
    assert all(reply.text is not None for reply in generation.generate([Prompted("what is", 1)], settings))


def test_one_row_of_many_that_breaks_is_an_error(whole):
    generation = LocalGeneration(whole, "the model", KeptKeys(0))
    prompts = [Prompted("what is the answer" + " x" * place, place) for place in range(4)]
    hook = broken_head(whole, float("nan"), rows=slice(2, 3))
    try:
        with pytest.raises(ModelError, match="no numbers"):
            generation.generate(prompts, GREEDY)
    finally:
        hook.remove()


def test_tokens_without_a_chance_are_numbers():
    scores = torch.full((2, 5), -torch.inf)
    scores[0, 3] = 1.0
    finite = FiniteLogits(2, torch.device("cpu"))
    assert finite(torch.zeros((2, 7)), scores) is scores
    finite(torch.zeros((2, 9)), scores)
    assert finite.widths.tolist() == [torch.iinfo(torch.long).max, 7]


@pytest.mark.parametrize("side", ["assistant", "user"])
def test_both_sides_of_a_dialogue_are_watched(llama, overflowing, whole, side):
    sides = {
        "assistant": (overflowing, "scripted"),
        "user": (
            lambda messages: "It is 56.",
            {"policy": "chatbench", "base": overflowing.model.name_or_path, "model_args": {"dtype": "float16"}}
            | {"quantization": "none", "max_tokens": 8},
        ),
    }
    with pytest.raises(ModelError, match=r"float16\): its logits are no numbers"):
        simulate_many([QUESTION], *sides[side], progress=False, max_turns=2)


def test_a_letter_is_not_read_from_them(overflowing):
    request = Instance("letter_until", doc={}, arguments=("What is 7 x 8?", dict(LETTER_GENERATION)), idx=0)
    with pytest.raises(ModelError, match="no numbers"):
        letter_until(overflowing, [request])


def test_likelihoods_of_replies_are_not_made_of_them(overflowing):
    request = Instance("score_reply", doc={}, arguments=score_arguments("What is", "Answer: A", ""), idx=0)
    with pytest.raises(ModelError, match="no numbers"):
        score_reply(overflowing, [request])


@pytest.mark.parametrize("told", [[-1.0, float("nan")], [float("-inf"), float("-inf")]])
def test_the_static_score_is_not_made_of_them(told):
    with pytest.raises(ModelError, match=r"task t, question q: .* no numbers.*dtype"):
        check_finite([(each, False) for each in told], "task t, question q")


@pytest.mark.parametrize("results", [[(-1.0, False), (float("-inf"), False)], ["A text"], []])
def test_an_option_that_cannot_be_and_texts_are_no_errors(results):
    check_finite(results, "task t")
