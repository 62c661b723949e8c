"""Tokenizers that are not as most are: they work, or one error says what is missing."""

from __future__ import annotations

import pytest
import tiny_models
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, ByT5Tokenizer, LlamaConfig, PreTrainedTokenizerFast, StopStringCriteria

from lm_eval_plugin.errors import ModelError
from lm_eval_plugin.harness.letter_until import LETTER_GENERATION, letter_until
from lm_eval_plugin.models.generation import Prompted
from lm_eval_plugin.models.generation.backend import HostGeneration
from lm_eval_plugin.models.generation.local.generator import LocalGeneration, settings_of_batches
from lm_eval_plugin.models.generation.local.kept_keys import KeptKeys
from lm_eval_plugin.models.generation.stop_strings import NO_TOKEN, StopStringsInText, stop_string_criterion
from lm_eval_plugin.models.lm_model import HostModel
from lm_eval_plugin.runner.simulation import simulate_many

GREEDY = {"until": ["w7", "ж"], "max_gen_toks": 12, "do_sample": False, "temperature": 0.0}
QUESTION = {"question": "What is 7 x 8?", "choices": ["54", "56", "58", "63"]}


def whole_words():
    words = Tokenizer(
        models.WordLevel({w: i for i, w in enumerate(["<unk>", "<s>", "</s>", *map("w{}".format, range(60))])})
    )
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def no_latin_letters():
    letters = [chr(code) for code in range(ord("а"), ord("я") + 1)]
    signs = Tokenizer(
        models.BPE({w: i for i, w in enumerate(["<unk>", "<s>", "</s>", *letters])}, [], unk_token="<unk>")
    )
    return PreTrainedTokenizerFast(tokenizer_object=signs, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def loaded(folder, words, *, vocabulary=None, **settings):
    """A tiny Llama with a tokenizer."""
    ends = {"bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id}
    config = LlamaConfig(
        vocab_size=vocabulary or len(words),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        **{**ends, **settings},
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    tiny_models.spread_weights(model, 0.3)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=4)


def generated(generation, texts, settings):
    return [reply.text for reply in generation.generate([Prompted(text, 0) for text in texts], settings)]


def answered(lm):
    return [t.stop_reason.value for t in simulate_many([QUESTION] * 2, lm, "scripted", progress=False, max_turns=2)]


@pytest.mark.parametrize("make", [whole_words, no_latin_letters])
def test_stop_strings_that_transformers_cannot_prepare_end_a_text_all_the_same(tmp_path, make):
    lm = loaded(tmp_path, make())
    with pytest.raises(ValueError, match="substring not found"):
        StopStringCriteria(lm.tokenizer, ["w7"])
    texts = ["w1 w2 w3", "абв", "w5 w9", "где"]
    free = generated(HostGeneration(lm), texts, {**GREEDY, "until": []})
    stop = next(text[len(text) // 2 :][:2].strip() for text in free if text)
    settings = {**GREEDY, "until": [stop]}
    said = generated(LocalGeneration(lm, "the model", KeptKeys(0)), texts, settings)
    assert said == [text.split(stop)[0] for text in free]
    assert any(len(short) < len(long) for short, long in zip(said, free, strict=True))


def test_texts_that_are_read_for_stop_strings_are_read_from_their_start_alone():
    words = whole_words()
    criterion = stop_string_criterion(words, ("w7", "</s>"))
    assert isinstance(criterion, StopStringsInText)
    seven, eight = words.convert_tokens_to_ids(["w7", "w8"])
    rows = [[NO_TOKEN, seven, eight], [NO_TOKEN, NO_TOKEN, eight], [NO_TOKEN, eight, words.eos_token_id]]
    assert criterion(torch.tensor(rows), None).tolist() == [True, False, True]


def test_a_tokenizer_without_an_end_token_is_one_error_that_says_so(tmp_path):
    bpe = tiny_models.tokenizer().backend_tokenizer
    lm = loaded(tmp_path, PreTrainedTokenizerFast(tokenizer_object=bpe, pad_token="<s>", bos_token="<s>"))
    with pytest.raises(ModelError, match=r"the model under test.*has no end token.*tokenizer_config.json"):
        answered(lm)


def test_a_tokenizer_without_a_beginning_works(tmp_path):
    bpe = tiny_models.tokenizer(add_bos=False).backend_tokenizer
    lm = loaded(tmp_path, PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="</s>"))
    assert lm.tokenizer.bos_token is None
    assert len(answered(lm)) == 2


def test_a_slow_tokenizer_works(tmp_path):
    lm = loaded(tmp_path, ByT5Tokenizer(), bos_token_id=None, eos_token_id=1, pad_token_id=0)
    assert not lm.tokenizer.is_fast
    assert len(answered(lm)) == 2


def test_a_token_for_paddings_beyond_the_embeddings_is_never_shown_to_the_model(tmp_path):
    words = tiny_models.tokenizer()
    known = len(words)
    words.add_special_tokens({"pad_token": "[PAD]"})
    lm = loaded(tmp_path, words, vocabulary=known)
    texts = ["what is", "the answer is right", "x"]
    settings = {**GREEDY, "until": ["a"]}
    alone = [generated(LocalGeneration(lm, "the model", KeptKeys(0)), [text], settings)[0] for text in texts]
    assert generated(LocalGeneration(lm, "the model", KeptKeys(2**20)), texts, settings) == alone


class TestStopStringsOfACheckpoint:
    @pytest.fixture
    def lm(self, llama):
        lm = HFLM(pretrained=str(llama), device="cpu", dtype="float32", batch_size=4)
        self.free = generated(LocalGeneration(lm, "the model", KeptKeys(0)), ["what is"], {**GREEDY, "until": []})[0]
        self.stop = self.free[len(self.free) // 2 :][:2]
        lm.model.generation_config.stop_strings = [self.stop]
        return lm

    @pytest.mark.parametrize("kind", [HostGeneration, lambda lm: LocalGeneration(lm, "the model", KeptKeys(0))])
    def test_they_end_a_text_and_stay_set(self, lm, kind):
        assert generated(kind(lm), ["what is"], {**GREEDY, "until": []}) == [self.free.split(self.stop)[0]]
        assert lm.model.generation_config.stop_strings == [self.stop]

    def test_they_leave_rows_apart(self, lm):
        assert settings_of_batches(lm) == []
        assert HostModel(lm, name="the model", temperature=0.7, max_tokens=8).seeded

    def test_a_dialogue_and_a_letter_are_had(self, lm):
        request = Instance("letter_until", doc={}, arguments=("What is 7 x 8?", dict(LETTER_GENERATION)), idx=0)
        assert len(letter_until(lm, [request])) == 1
        assert len(answered(lm)) == 2

    def test_a_single_string_is_one_too(self, lm):
        lm.model.generation_config.stop_strings = self.stop
        assert generated(HostGeneration(lm), ["what is"], GREEDY) == [self.free.split(self.stop)[0]]
