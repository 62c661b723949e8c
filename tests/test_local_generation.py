"""Generation in this process: the host's words, whatever the batch, the cache or the memory."""

from __future__ import annotations

import gc
import inspect
import random
from types import SimpleNamespace

import pytest
import tiny_models
import torch
from lm_eval.models.huggingface import HFLM
from transformers import Cache

from lm_eval_plugin.dialogue.engine import Conversation
from lm_eval_plugin.errors import ModelError
from lm_eval_plugin.models.generation import Prompted
from lm_eval_plugin.models.generation.backend import HostGeneration
from lm_eval_plugin.models.generation.local import batch
from lm_eval_plugin.models.generation.local.generator import LocalGeneration, generates_locally, settings_of_batches
from lm_eval_plugin.models.generation.local.kept_keys import KeptKeys
from lm_eval_plugin.models.generation.local.roomy_cache import RoomyCache, roomy_up_to
from lm_eval_plugin.models.generation.local.row_sampling import RowSampler, draws
from lm_eval_plugin.models.lm_model import HostModel

GREEDY = {"until": ["a", "the"], "max_gen_toks": 16, "do_sample": False, "temperature": 0.0}
SAMPLED = {"until": ["\n", "er"], "max_gen_toks": 16, "do_sample": True, "temperature": 0.8, "top_p": 0.9}
WORDS = ["what", "is", "the", "answer", "times", "seven", "User", "Assistant", "maths", "12", "x", "right", "following"]
PLENTY = 2**30


@pytest.fixture(scope="module", params=["llama", "mistral", "gpt2"])
def lm(request, tmp_path_factory):
    folder = tiny_models.save_model(tmp_path_factory.mktemp(request.param), request.param)
    return HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=64)


@pytest.fixture(scope="module")
def roomy(tmp_path_factory):
    """A model without a window that slides."""
    folder = tiny_models.save_model(tmp_path_factory.mktemp("roomy"), "llama")
    return HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=64)


def texts_of(count, seed=1):
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randint(3, 30))) for _ in range(count)]


def talked(generation, gen_kwargs, *, dialogues=9, turns=3):
    """What is said in dialogues that come round in turn, each turn after what was said before."""
    rng = random.Random(2)
    texts, said = texts_of(dialogues), []
    conversations = [Conversation() for _ in texts]
    for turn in range(turns):
        # Not all of them speak in every round.
        speaking = [place for place in range(dialogues) if turn == 0 or (place + turn) % 3]
        replies = generation.generate(
            [Prompted(texts[place], 100 * place + turn, conversations[place]) for place in speaking], gen_kwargs
        )
        for place, reply in zip(speaking, replies, strict=True):
            said.append(reply.text)
            texts[place] += f"{reply.text}\n{' '.join(rng.choices(WORDS, k=5))}"
    return said


def local(lm, budget=PLENTY):
    return LocalGeneration(lm, "the model", KeptKeys(budget))


def in_batches(lm, size, monkeypatch):
    monkeypatch.setattr(lm, "batch_size_per_gpu", size)
    return lm


@pytest.mark.parametrize("budget", [0, PLENTY])
@pytest.mark.parametrize("size", [1, 7, 64])
def test_greedy_text_is_the_hosts_in_any_batch_with_and_without_what_is_kept(lm, size, budget, monkeypatch):
    expected = talked(HostGeneration(lm), GREEDY)
    assert talked(local(in_batches(lm, size, monkeypatch), budget), GREEDY) == expected


def test_sampled_text_depends_on_the_seeds_alone(lm, monkeypatch):
    first = talked(local(lm), SAMPLED)
    torch.manual_seed(1234)
    for size, budget in ((1, 0), (7, PLENTY)):
        assert talked(local(in_batches(lm, size, monkeypatch), budget), SAMPLED) == first
    monkeypatch.undo()
    prompts = [Prompted(text, seed) for seed, text in enumerate(texts_of(4))]
    others = local(lm).generate([*prompts[::-1], Prompted("other", 77)], SAMPLED)
    assert [each.text for each in others[3::-1]] == [each.text for each in local(lm).generate(prompts, SAMPLED)]


def test_other_seeds_say_something_else(lm):
    said = [reply.text for reply in local(lm).generate([Prompted("what is", seed) for seed in range(8)], SAMPLED)]
    assert len(set(said)) > 4


def test_what_is_sampled_is_distributed_as_the_model_says():
    """Chi-square of 20,000 draws from a known distribution; the 99.99 % quantile for 3 degrees of freedom is 21.1."""
    chances = torch.tensor([0.5, 0.3, 0.15, 0.05])
    drawn = draws(range(20_000), 1, torch.device("cpu"))
    sampler = RowSampler(drawn, torch.zeros(20_000, dtype=torch.long))
    chosen = sampler(torch.zeros((20_000, 0)), chances.log().expand(20_000, -1)).argmax(dim=-1)
    counts, expected = torch.bincount(chosen, minlength=4), chances * 20_000
    assert float(((counts - expected) ** 2 / expected).sum()) < 21.1


def test_a_token_without_a_chance_is_never_sampled():
    scores = torch.tensor([[-torch.inf, 0.0, -torch.inf, 1.0, -torch.inf]]).expand(2000, -1)
    sampler = RowSampler(draws(range(2000), 1, torch.device("cpu")), torch.zeros(2000, dtype=torch.long))
    chosen = sampler(torch.zeros((2000, 0)), scores).argmax(dim=-1)
    assert set(chosen.tolist()) == {1, 3}


class Watch:
    """Counts what a model computes: how many rows and tokens go through each call."""

    def __init__(self, lm, monkeypatch):
        self.shapes = []
        forward = lm.model.forward

        def counted(*args, **kwargs):
            self.shapes.append(tuple(kwargs["input_ids"].shape))
            return forward(*args, **kwargs)

        counted.__signature__ = inspect.signature(forward)
        monkeypatch.setattr(lm.model, "forward", counted)


def test_earlier_turns_are_not_computed_again(roomy, monkeypatch):
    prompt, conversation = "what is the answer " * 8, Conversation()
    generation, watch = local(roomy), Watch(roomy, monkeypatch)
    (first,) = generation.generate([Prompted(prompt, 0, conversation)], GREEDY)
    longer = f"{prompt}{first.text}\nmaths"
    watch.shapes.clear()
    generation.generate([Prompted(longer, 1, conversation)], GREEDY)
    new = len(generation.encode([longer])[0]) - len(generation.encode([prompt])[0])
    assert watch.shapes[0] == (1, watch.shapes[0][1])
    assert watch.shapes[0][1] <= new + 1


def test_rows_that_have_ended_leave_the_batch(roomy, monkeypatch):
    prompts = [Prompted(text, seed) for seed, text in enumerate(texts_of(24))]
    watch = Watch(roomy, monkeypatch)
    replies = local(roomy).generate(prompts, {**SAMPLED, "max_gen_toks": 48, "until": ["a", "e", "i"]})
    rows = [rows for rows, tokens in watch.shapes]
    assert rows[0] == 24
    assert rows == sorted(rows, reverse=True)
    assert rows[-1] < 12
    companies = [reply.batch for reply in replies]
    assert max(companies) == 24
    assert min(companies) < 12


@pytest.mark.parametrize("size", [1, 5, 24])
def test_texts_bear_all_the_time_in_which_the_model_computes(roomy, monkeypatch, size):
    """A clock that goes on by a second whenever the model is called."""
    watch = Watch(roomy, monkeypatch)
    monkeypatch.setattr(batch, "time", SimpleNamespace(perf_counter=lambda: float(len(watch.shapes))))
    in_batches(roomy, size, monkeypatch)
    prompts = [Prompted(text, seed) for seed, text in enumerate(texts_of(24))]
    replies = local(roomy).generate(prompts, {**SAMPLED, "max_gen_toks": 24, "until": ["a", "e", "i"]})
    assert sum(reply.seconds / reply.batch for reply in replies) == pytest.approx(len(watch.shapes), rel=1e-3)
    assert min(reply.seconds for reply in replies) >= 1


def test_rows_that_wait_take_the_places_of_those_that_have_ended(roomy, monkeypatch):
    settings = {**SAMPLED, "max_gen_toks": 48, "until": ["a", "e", "i"]}
    prompts = [Prompted(text, seed) for seed, text in enumerate(texts_of(24))]
    prompts.sort(key=lambda prompt: len(roomy.tok_encode(prompt.text)), reverse=True)
    expected = [reply.text for reply in local(roomy).generate(prompts, settings)]
    watch = Watch(roomy, monkeypatch)
    for start in (0, 8, 16):
        local(roomy).generate(prompts[start : start + 8], settings)
    apart, watch.shapes = len(watch.shapes), []
    in_batches(roomy, 8, monkeypatch)
    assert [reply.text for reply in local(roomy).generate(prompts, settings)] == expected
    assert len(watch.shapes) < 0.8 * apart
    assert max(rows for rows, _ in watch.shapes) == 8
    # Each prompt goes through the model once, among others that have waited.
    assert sum(rows for rows, tokens in watch.shapes if tokens > 1) == 24


def test_a_window_that_slides_is_not_outgrown_by_rows_that_come_together(tmp_path, monkeypatch):
    """Rows within the window, some of which would reach beyond it beside the longest."""
    mistral = HFLM(
        pretrained=str(tiny_models.save_model(tmp_path, "mistral")), device="cpu", dtype="float32", batch_size=4
    )
    window, rng = mistral.model.config.sliding_window, random.Random(3)
    settings = {**SAMPLED, "until": ["e"], "max_gen_toks": 24}
    prompts = []
    for place in range(16):
        ids = mistral.tok_encode(" ".join(rng.choices(WORDS, k=400)))[: window - rng.randint(0, 60)]
        prompts.append(Prompted(mistral.tokenizer.decode(ids), place, Conversation()))
    alone = [local(mistral).generate([prompt], settings)[0].text for prompt in prompts]
    assert [reply.text for reply in local(mistral).generate(prompts, settings)] == alone


def test_what_is_kept_stays_within_its_budget_and_ends_with_its_dialogue(roomy):
    kept = KeptKeys(60_000)
    conversations = [Conversation() for _ in range(12)]
    prompts = [Prompted(text, 0, each) for text, each in zip(texts_of(12), conversations, strict=True)]
    LocalGeneration(roomy, "the model", kept).generate(prompts, GREEDY)
    assert 0 < kept.size <= 60_000
    del prompts
    conversations.clear()
    gc.collect()
    assert kept.size == 0


def test_what_rows_that_wait_have_kept_counts_until_they_begin(roomy, monkeypatch):
    kept, sizes = KeptKeys(PLENTY), []
    generation = LocalGeneration(in_batches(roomy, 4, monkeypatch), "the model", kept)
    prompts = [Prompted(text, 0, Conversation()) for text in texts_of(12)]
    generation.generate(prompts, GREEDY)
    before = kept.size
    forward = roomy.model.forward

    def watched(*args, **kwargs):
        sizes.append(kept.size)
        return forward(*args, **kwargs)

    watched.__signature__ = inspect.signature(forward)
    monkeypatch.setattr(roomy.model, "forward", watched)
    generation.generate(prompts, GREEDY)
    assert 0.5 * before < sizes[0] < before


def test_a_batch_that_does_not_fit_into_memory_is_halved(lm, monkeypatch, caplog):
    expected = talked(local(lm), GREEDY)
    generate, caches = lm.model.generate, []

    def cramped(*args, **kwargs):
        if kwargs["input_ids"].shape[0] > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        caches.append(sum(type(each) is RoomyCache for each in gc.get_objects()))
        return generate(*args, **kwargs)

    monkeypatch.setattr(lm.model, "generate", cramped)
    monkeypatch.setattr(lm, "batch_size_per_gpu", 8)
    assert talked(local(lm), GREEDY) == expected
    assert caches[0] <= 1, "what did not fit is still held"
    assert "going on with batches of 4" in caplog.text
    assert "going on with batches of 2" in caplog.text
    assert lm.batch_size == 2


def test_a_single_prompt_that_does_not_fit_is_an_error_that_says_what_to_do(lm, monkeypatch):
    def full(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(lm.model, "generate", full)
    monkeypatch.setattr(lm, "batch_size_per_gpu", 4)
    with pytest.raises(ModelError, match=r"not even one prompt.*lower max_tokens"):
        local(lm).generate([Prompted("hi", 0), Prompted("you", 1)], GREEDY)


def test_other_errors_are_not_taken_for_a_lack_of_memory(lm, monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("index out of range")

    monkeypatch.setattr(lm.model, "generate", broken)
    with pytest.raises(RuntimeError, match="index out of range"):
        local(lm).generate([Prompted("hi", 0)], GREEDY)


def test_thoughts_that_the_backend_was_told_how_to_find_are_left_out_as_the_host_does(lm, monkeypatch):
    settings, prompt = {**GREEDY, "until": []}, Prompted("what is the answer", 3)
    generate, made = lm.model.generate, []

    def kept(*args, **kwargs):
        made.append(generate(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(lm.model, "generate", kept)
    (whole,) = local(lm).generate([prompt], settings)
    monkeypatch.setattr(lm, "think_end_token", made[0][0, -6].item())
    (said,) = local(lm).generate([prompt], settings)
    assert said.text == HostGeneration(lm).generate([prompt], settings)[0].text
    assert len(said.text) < len(whole.text)


def test_a_stop_string_that_begins_in_the_prompt_is_none(roomy):
    prompts = [Prompted(text, 0, Conversation()) for text in texts_of(12)]
    free = {**GREEDY, "until": []}
    for prompt in prompts:
        first = HostGeneration(roomy).generate([prompt], free)[0].text[:1]
        settings = {**GREEDY, "until": [prompt.text[-1] + first]}
        expected = HostGeneration(roomy).generate([prompt], settings)[0].text
        assert local(roomy).generate([prompt], settings)[0].text == expected
        assert local(roomy).generate(prompts, settings)[prompts.index(prompt)].text == expected


def test_a_penalty_of_repetition_that_a_checkpoint_sets_sees_no_paddings(roomy, monkeypatch):
    monkeypatch.setattr(roomy.model.generation_config, "repetition_penalty", 1.3)
    alone = talked(local(in_batches(roomy, 1, monkeypatch), 0), GREEDY)
    for size, budget in ((4, 0), (4, PLENTY), (64, PLENTY)):
        assert talked(local(in_batches(roomy, size, monkeypatch), budget), GREEDY) == alone


def test_two_prompts_of_one_dialogue_in_one_call_each_get_their_own_text(roomy, monkeypatch):
    texts, settings = ["what is the answer", "maths", "what is the answer right"], {**GREEDY, "until": []}
    alone = [local(roomy).generate([Prompted(text, 0)], settings)[0].text for text in texts]
    generation, conversation = local(in_batches(roomy, 1, monkeypatch)), Conversation()
    first, *others = (Prompted(text, 0, conversation) for text in texts)
    said = [*generation.generate([first], settings), *generation.generate(others, settings)]
    assert [reply.text for reply in said] == alone


def test_what_is_kept_is_let_go_of_before_batches_are_made_smaller(roomy, monkeypatch, caplog):
    kept = KeptKeys(PLENTY)
    generation = LocalGeneration(in_batches(roomy, 4, monkeypatch), "the model", kept)
    prompts = [Prompted(text, 0, Conversation()) for text in texts_of(8)]
    expected = [reply.text for reply in generation.generate(prompts, GREEDY)]
    held, generate = kept.size, roomy.model.generate

    def cramped(*args, **kwargs):
        if kept.size > held // 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return generate(*args, **kwargs)

    monkeypatch.setattr(kept, "budget", held)
    monkeypatch.setattr(roomy.model, "generate", cramped)
    generation.generate([Prompted("hi", 0, Conversation())], GREEDY)
    assert kept.budget == held // 2
    assert [reply.text for reply in generation.generate(prompts, GREEDY)] == expected
    assert "keeping at most" in caplog.text
    assert roomy.batch_size == 4


# Which models


@pytest.mark.parametrize(
    ("name", "setting"), [("max_new_tokens", 10), ("min_new_tokens", 5), ("no_repeat_ngram_size", 2), ("num_beams", 3)]
)
def test_a_checkpoint_whose_settings_depend_on_the_batch_is_left_to_the_host(roomy, name, setting, monkeypatch, caplog):
    monkeypatch.setattr(roomy.model.generation_config, name, setting)
    assert settings_of_batches(roomy) == [name]
    model = HostModel(roomy, name="the model", temperature=0.5, max_tokens=8)
    assert not model.seeded
    assert f"sets {name}" in caplog.text


def test_usual_settings_of_checkpoints_keep_rows_apart(lm, monkeypatch):
    usual = {"temperature": 0.6, "top_p": 0.9, "repetition_penalty": 1.05, "max_length": 4096, "num_beams": 1}
    for name, setting in usual.items():
        monkeypatch.setattr(lm.model.generation_config, name, setting)
    assert settings_of_batches(lm) == []


def test_a_backend_that_generates_in_its_own_way_is_left_to_it(lm):
    class Own(HFLM):
        def generate_until(self, requests, disable_tqdm=False):
            return ["own" for _ in requests]

    own = object.__new__(Own)
    assert generates_locally(lm, GREEDY)
    assert not generates_locally(own, GREEDY)
    assert not generates_locally(lm, {**GREEDY, "num_beams": 4})
    assert not generates_locally(lm, {**GREEDY, "repetition_penalty": 1.2})


def test_a_window_that_slides_within_a_row_has_no_roomy_cache(tmp_path):
    mistral = HFLM(
        pretrained=str(tiny_models.save_model(tmp_path, "mistral")), device="cpu", dtype="float32", batch_size=8
    )
    window = mistral.model.config.sliding_window
    assert roomy_up_to(mistral.model) == window
    long = [Prompted("what is the answer " * 300, 0, Conversation()), Prompted("hi", 1, Conversation())]
    settings = {**GREEDY, "until": [], "max_gen_toks": 8}
    assert len(mistral.tok_encode(long[0].text)) + 8 > window
    said = [reply.text for reply in local(mistral).generate(long, settings)]
    assert said == [reply.text for reply in HostGeneration(mistral).generate(long, settings)]


def test_a_model_that_is_not_told_positions_has_no_roomy_cache(lm, monkeypatch):
    model = lm.model
    monkeypatch.setattr(type(model), "forward", lambda self, input_ids, attention_mask: None)
    assert roomy_up_to(model) == 0


def test_rows_of_a_cache_are_put_together_and_taken_out_as_they_were():
    torch.manual_seed(0)
    rows = [[(torch.rand(2, tokens, 4), torch.rand(2, tokens, 4)) for _ in range(3)] for tokens in (5, 2)]
    cache = RoomyCache([rows[0], None, rows[1]], new=20)
    assert isinstance(cache, Cache)
    assert cache.get_seq_length() == 5
    for layer in range(3):
        keys, _ = cache.update(torch.ones(3, 2, 100, 4), torch.ones(3, 2, 100, 4), layer)
        assert keys.shape == (3, 2, 105, 4)
    taken = cache.row(2, torch.arange(3, 5))
    for pair, again in zip(rows[1], taken, strict=True):
        assert torch.equal(torch.stack(pair), torch.stack(again))
    assert cache.row_bytes(10) == 3 * 2 * 2 * 10 * 4 * 4
    cache.select(torch.tensor([0]), torch.arange(5))
    assert torch.equal(cache.layers[0].keys[0], rows[0][0][0])


@pytest.mark.parametrize("add_bos", [None, True, False])
def test_prompts_become_the_tokens_that_the_host_makes_of_each(lm, add_bos, monkeypatch):
    monkeypatch.setattr(lm, "add_bos_token", add_bos)
    texts = ["what is", "<s>what is", "", "what is", "<s>", "7 x 8?"]
    assert local(lm).encode(texts) == [tuple(lm.tok_batch_encode([text])[0][0].long().tolist()) for text in texts]
