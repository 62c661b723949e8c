"""Perplexity is what transformers gives by hand on the same strings, on any shape, in any batch, and nothing is cut."""

from __future__ import annotations

import json
import math
from pathlib import Path

import lm_eval
import pytest
import tiny_models
import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.models.dummy import DummyLM
from lm_eval.models.huggingface import HFLM
from lm_eval.models.openai_completions import LocalChatCompletion
from lm_eval.tasks import TaskManager
from peft import PeftModel
from releases import CHAT, QUESTIONS, conversation, write_release
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer

from lm_eval_plugin.chatbench_data.release import load_release
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.harness.tasks_folder import tasks_folder
from lm_eval_plugin.simulators.chatbench import Reading
from lm_eval_plugin.training.examples import examples
from lm_eval_plugin.training.perplexity import ReplyScore, score_arguments, score_reply
from lm_eval_plugin.training.rows import make_rows

TASK = "chatbench_simulator_ppl"
# Questions 40 % of which are held out, each with a conversation of two turns and one of one turn: 4 x (3 + 2) examples.
HELD_OUT_EXAMPLES, HELD_OUT_ANSWERS = 20, 8


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A release of ten questions."""
    held = [
        each
        for question in QUESTIONS
        for each in (conversation(question), conversation(question, CHAT[2:], selectedAnswer="D", model="llama-3.1-8b"))
    ]
    return write_release(tmp_path_factory.mktemp("release"), conversations=held)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory) -> dict[str, Path]:
    """Tiny models by shape; a Llama puts a BOS token in front of a text, a GPT-2 does not."""
    return {
        kind: tiny_models.save_model(tmp_path_factory.mktemp(kind), kind, spread=0.05, add_bos=kind == "llama")
        for kind in ("llama", "gpt2")
    }


def evaluate(model, data, *, where=TASK, **settings):
    manager = TaskManager(
        include_path=str(tasks_folder()),
        include_defaults=False,
        metadata={"examples": {"dataset": str(data), **settings}},
    )
    return lm_eval.simple_evaluate(model, tasks=[where], task_manager=manager, bootstrap_iters=0)


def backend(folder, **options):
    return HFLM(pretrained=str(folder), **{"device": "cpu", "dtype": "float32", "batch_size": 4, **options})


def figures(results):
    row = results["results"][TASK]
    return {key.removesuffix(",none"): value for key, value in row.items() if key.endswith(",none")}


def docs(results):
    return [sample["doc"] for sample in results["samples"][TASK]]


def by_hand(folder, rows, adapter=None):
    """Perplexity over replies and over strings."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    model = model if adapter is None else PeftModel.from_pretrained(model, adapter)
    replies, strings = [], []
    for row in rows:
        prompt = tokenizer(row["prompt"]).input_ids
        tokens = torch.tensor(prompt + tokenizer(row["reply"], add_special_tokens=False).input_ids)
        with torch.no_grad():
            losses = cross_entropy(model(tokens[None]).logits[0, :-1], tokens[1:], reduction="none")
        strings.append(losses)
        replies.append(losses[len(prompt) - 1 :])
    return [torch.cat(side).double().mean().exp().item() for side in (replies, strings)]


# The figure


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("reading", ["A", "B"])
def test_perplexity_equals_a_computation_by_hand_in_any_batch(shapes, data, kind, reading):
    expected = None
    for batch in (1, 3, 16):
        results = evaluate(backend(shapes[kind], batch_size=batch), data, reading=reading)
        expected = expected or by_hand(shapes[kind], docs(results))
        found = figures(results)
        assert [found["reply_perplexity"], found["string_perplexity"]] == pytest.approx(expected, rel=1e-6)
        assert found["too_long"] == 0
    assert len(docs(results)) == HELD_OUT_EXAMPLES


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_string_has_the_loss_that_transformers_gives_with_its_tokens_as_labels(shapes, kind):
    lm = backend(shapes[kind])
    (score,) = score_reply(lm, [request("What is 2 x 4? [USER] ", "I think 8 [END]")])
    tokens = torch.tensor([lm.tok_encode("What is 2 x 4? [USER] ") + lm.tok_encode("I think 8 [END]", False)])
    with torch.no_grad():
        loss = lm.model(tokens, labels=tokens).loss.item()
    assert score["tokens"] == tokens.shape[1] - 1
    assert -score["string"] / score["tokens"] == pytest.approx(loss, rel=1e-5)


def test_an_adapter_changes_the_perplexity_to_what_it_is_by_hand(shapes, data, tmp_path):
    base = AutoModelForCausalLM.from_pretrained(shapes["llama"])
    adapter = tiny_models.save_adapter(base, tmp_path, targets=["q_proj", "v_proj"])
    plain = figures(evaluate(backend(shapes["llama"]), data))
    results = evaluate(backend(shapes["llama"], peft=str(adapter)), data)
    expected = by_hand(shapes["llama"], docs(results), adapter)
    assert [figures(results)[name] for name in ("reply_perplexity", "string_perplexity")] == pytest.approx(expected)
    assert abs(figures(results)["reply_perplexity"] - plain["reply_perplexity"]) > 0.1


def test_tokens_are_those_that_training_learns(shapes, data):
    release = load_release(str(data))
    made = examples(release.conversations, release.questions, release.questions, Reading.A)
    for folder in shapes.values():
        lm = backend(folder)
        rows = make_rows(made, lm, loss="reply", max_tokens=64).rows
        scores = score_reply(lm, [request(example.prompt, example.completion) for example in made])
        learnt = [sum(label != -100 for label in row["labels"]) for row in rows]
        assert [score["reply_tokens"] for score in scores] == learnt
        assert [score["tokens"] + 1 for score in scores] == [len(row["input_ids"]) for row in rows]


def test_half_precision_does_not_round_the_sums(shapes):
    (score,) = score_reply(
        backend(shapes["llama"], dtype="bfloat16"), [request("What is 2 x 4? " * 20, "It is 8. " * 20)]
    )
    # A bfloat16 holds 8 bits, so a sum that was rounded to it would be one, too.
    assert torch.tensor(score["string"]).bfloat16().item() != pytest.approx(score["string"], rel=1e-6)


# The answer


def test_the_likeliest_letter_is_that_of_the_likeliest_answer_by_hand(shapes, data):
    results = evaluate(backend(shapes["gpt2"]), data)
    answers = [sample for sample in results["samples"][TASK] if sample["doc"]["letter"]]
    assert len(answers) == HELD_OUT_ANSWERS
    for sample in answers:
        prompt = sample["doc"]["prompt"]
        told = {
            letter: by_hand(shapes["gpt2"], [{"prompt": prompt, "reply": f"Answer: {letter}"}])[0] for letter in "ABCD"
        }
        assert sample["answer_named"] == float(min(told, key=told.get) == sample["doc"]["letter"])
    named = [sample["answer_named"] for sample in answers]
    assert figures(results)["answer_named"] == pytest.approx(sum(named) / len(named))


def test_messages_name_no_answer(shapes, data):
    results = evaluate(backend(shapes["gpt2"]), data)
    unnamed = [sample["answer_named"] for sample in results["samples"][TASK] if not sample["doc"]["letter"]]
    assert unnamed == [None] * (HELD_OUT_EXAMPLES - HELD_OUT_ANSWERS)


# What it costs


def test_each_string_takes_one_forward_pass_its_answer_and_both_sums_included(shapes, data, monkeypatch):
    lm = backend(shapes["gpt2"], batch_size=1)
    passes = []
    call = lm._model_call
    monkeypatch.setattr(lm, "_model_call", lambda tokens: (passes.append(tokens.shape[1]), call(tokens))[1])
    results = evaluate(lm, data)
    assert sorted(passes) == sorted(sample["resps"][0][0]["tokens"] for sample in results["samples"][TASK])


def test_a_backend_that_is_asked_request_by_request_gives_the_same(shapes):
    asked = [
        request("What is 2 x 4? [USER] ", "Answer: B [END]", "ABCD"),
        request("What is 2 x 4? [USER] ", "is it 8? [END]"),
        request("What is 2 x 4? [USER] ", "is it 8? [END]"),
        request("[USER] ", "Answer: D [END]", "ABCD"),
    ]
    for folder in shapes.values():
        lm = backend(folder)
        for ours, theirs in zip(score_reply(lm, asked), score_reply(NoForwardPass(lm), asked), strict=True):
            assert flat(ours) == pytest.approx(flat(theirs), rel=1e-5)


def flat(score):
    return [*(value for key, value in score.items() if key != "letters"), *score["letters"].values()]


class NoForwardPass(TemplateLM):
    """A backend of which only the host's own interface is known."""

    eot_token_id = 1
    generate_until = loglikelihood_rolling = None

    def __init__(self, lm):
        super().__init__()
        self.inner, self.max_length = lm, lm.max_length

    def tok_encode(self, string, add_special_tokens=None, **kwargs):
        return self.inner.tok_encode(string, add_special_tokens=add_special_tokens)

    def _loglikelihood_tokens(self, requests, **kwargs):
        return self.inner._loglikelihood_tokens(requests, disable_tqdm=True)


# What cannot be scored


def test_strings_beyond_the_window_are_left_out_counted_and_said(shapes, data, caplog):
    whole = evaluate(backend(shapes["gpt2"]), data)
    lengths = [sample["resps"][0][0]["tokens"] + 1 for sample in whole["samples"][TASK]]
    window = sorted(lengths)[len(lengths) // 2]
    fitting = [doc for doc, length in zip(docs(whole), lengths, strict=True) if length <= window]
    assert 0 < len(fitting) < len(lengths)
    found = figures(evaluate(backend(shapes["gpt2"], max_length=window), data))
    assert found["too_long"] == pytest.approx(1 - len(fitting) / len(lengths))
    assert [found["reply_perplexity"], found["string_perplexity"]] == pytest.approx(by_hand(shapes["gpt2"], fitting))
    assert f"{len(lengths) - len(fitting)} of {len(lengths)} strings are longer than the model's window" in caplog.text


def test_nothing_fits_is_not_a_perplexity_of_zero(shapes, data):
    found = figures(evaluate(backend(shapes["gpt2"], max_length=8), data))
    assert math.isnan(found["reply_perplexity"])
    assert math.isnan(found["answer_named"])
    assert found["too_long"] == 1


def test_backends_without_likelihoods_are_refused_with_those_that_have_them():
    chat = LocalChatCompletion(model="m", base_url="http://localhost:1/v1/chat/completions")
    for lm in (DummyLM(), chat):
        with pytest.raises(ConfigError, match=r"does not tell tokens and their likelihoods.*use hf, vllm"):
            score_reply(lm, [request("a", "b")])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"splitt": 1}, "examples has no key 'splitt'; did you mean 'split'"),
        ({"split": -1}, "examples.split is -1"),
        ({"side": "test"}, "examples.side is 'test'"),
        ({"reading": "C"}, "examples.reading is 'C'"),
        ({"dataset": "./nowhere"}, "'./nowhere', but nothing is there"),
        ({"study": "pilot"}, "has no pilot/conversations.json"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(data, settings, message):
    with pytest.raises(ConfigError, match=message):
        evaluate(DummyLM(), data, **settings)


def test_an_override_that_is_no_mapping_is_refused():
    manager = TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata={"examples": "held_out"})
    with pytest.raises(ConfigError, match="--metadata: examples is 'held_out'; it must be a mapping of dataset"):
        manager.load([TASK])


def test_both_sides_of_a_split_are_all_of_it(shapes, data):
    lm = backend(shapes["gpt2"], batch_size=16)
    parts = [docs(evaluate(lm, data, split=3, side=side)) for side in ("held_out", "train")]
    everything = docs(evaluate(lm, data, split=None))
    ids = [{doc["question_id"] for doc in part} for part in parts]
    assert not ids[0] & ids[1]
    assert sorted(map(str, parts[0] + parts[1])) == sorted(map(str, everything))


def test_prompting_of_the_host_has_no_effect_and_that_is_said(data, caplog):
    manager = TaskManager(
        include_path=str(tasks_folder()), include_defaults=False, metadata={"examples": {"dataset": str(data)}}
    )
    task = manager.load([TASK])["tasks"][TASK]
    task.build_all_requests(limit=1, rank=0, world_size=1, system_instruction="Be brief.")
    assert "--system_instruction has no effect" in caplog.text
    assert "Be brief." not in task.instances[0].args[0]


def test_where_letters_are_no_single_tokens_perplexity_is_reported_without_the_answer_named(
    shapes, monkeypatch, caplog
):
    lm = backend(shapes["gpt2"])
    asked = [request("a [USER] ", "Answer: A [END]", "ABCD")]
    (whole,) = score_reply(lm, asked)
    encode = lm.tok_encode
    monkeypatch.setattr(lm, "tok_encode", lambda text, *a, **k: encode(text.replace(" B", " 7 B"), *a, **k))
    (score,) = score_reply(lm, asked * 2)[:1]
    assert score["reply"] == pytest.approx(whole["reply"])
    assert ReplyScore(**score).likeliest is None
    assert ReplyScore(**whole).likeliest is not None
    assert caplog.text.count("reported without answer_named") == 1


def test_a_score_survives_json(shapes):
    (score,) = score_reply(backend(shapes["gpt2"]), [request("a [USER] ", "Answer: B [END]", "ABCD")])
    assert ReplyScore(**json.loads(json.dumps(score))) == ReplyScore(**score)
    assert ReplyScore(**score).likeliest in set("ABCD")


def request(prompt, reply, letters=""):
    return Instance("score_reply", {}, score_arguments(prompt, reply, letters), 0, (TASK, 0, 1))
