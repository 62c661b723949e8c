"""A tokenizer that would have to be downloaded is not looked at."""

from __future__ import annotations

from functools import cached_property

import pytest
from lm_eval.models.dummy import DummyLM
from lm_eval.models.huggingface import HFLM

from lm_eval_plugin.models.lm_tokenizer import tokenizer_of
from lm_eval_plugin.runner.simulation import simulate

QUESTION = {"question": "What is 7 x 8?", "choices": ["54", "56"]}


class Untouched(DummyLM):
    """lm_eval's dummy, whose tokenizer must not be made."""

    @cached_property
    def tokenizer(self):
        pytest.fail("its tokenizer was looked at")


def test_the_dummy_talks_without_a_tokenizer():
    transcript = simulate(QUESTION, Untouched(), "scripted", max_turns=2)
    assert transcript.messages[1].content == "lol"


def test_a_tokenizer_that_is_there_is_seen(llama):
    lm = HFLM(pretrained=str(llama), device="cpu")
    assert tokenizer_of(lm) is lm.tokenizer
    made = DummyLM()
    made.__dict__["tokenizer"] = "made"
    assert tokenizer_of(made) == "made"
