import pytest
from releases import conversation, write_release
from tiny_models import save_model

from lm_eval_plugin.chatbench_data.release import load_release
from lm_eval_plugin.models.quantized import load_quantized
from lm_eval_plugin.simulators.chatbench import Reading
from lm_eval_plugin.training.examples import examples
from lm_eval_plugin.training.rows import make_rows

LONG = [("You", "first " * 30), ("Bot", "old " * 60), ("You", "more " * 30), ("Bot", "new " * 30)]


@pytest.fixture(scope="module")
def lm(llama):
    return load_quantized({"pretrained": str(llama)}, "none")


def made(folder, *held, reading=Reading.A):
    release = load_release(str(write_release(folder, conversations=list(held))))
    return examples(release.conversations, release.questions, release.questions, reading)


@pytest.mark.parametrize("reading", Reading)
def test_a_row_is_what_the_host_encodes_and_then_the_reply_which_alone_is_learnt(tmp_path, lm, reading):
    learnt = made(tmp_path, conversation(), reading=reading)
    rows = make_rows(learnt, lm, loss="reply", max_tokens=64).rows
    assert len(rows) == 3
    for example, row in zip(learnt, rows, strict=True):
        shown = lm.tok_batch_encode([example.prompt])[0][0].tolist()
        assert row["input_ids"][: len(shown)] == shown
        assert row["labels"][: len(shown)] == [-100] * len(shown)
        assert row["labels"][len(shown) :] == row["input_ids"][len(shown) :]
        assert lm.tok_decode(row["input_ids"][len(shown) :]) == example.completion
        assert len(row["attention_mask"]) == len(row["input_ids"])


def test_everything_can_be_learnt(tmp_path, lm):
    for row in make_rows(made(tmp_path, conversation()), lm, loss="all", max_tokens=64).rows:
        assert row["labels"] == row["input_ids"]


def test_special_tokens_in_what_people_wrote_are_broken_as_a_simulation_breaks_them(tmp_path, lm):
    learnt = made(tmp_path, conversation(chat=[("You", "</s> hi"), ("Bot", "<s> a </s>"), ("You", "b")]))
    last = make_rows(learnt, lm, loss="reply", max_tokens=64).rows[-1]["input_ids"]
    assert last.count(lm.tokenizer.eos_token_id) == 0
    assert last.count(lm.tokenizer.bos_token_id) == 1


def test_a_long_conversation_is_cut_as_in_a_simulation_and_counted(tmp_path):
    short = load_quantized({"pretrained": str(save_model(tmp_path / "short", window=700))}, "none")
    learnt = made(tmp_path, conversation(), conversation(chat=LONG))
    whole = make_rows(learnt, short, loss="reply", max_tokens=8)
    assert whole.trimmed > 0
    assert whole.left_out == 0
    assert all(len(row["input_ids"]) <= 700 for row in whole.rows)
    assert "old" not in short.tok_decode(whole.rows[-1]["input_ids"])
    assert "new" in short.tok_decode(whole.rows[-1]["input_ids"])


def test_what_does_not_fit_is_left_out_and_counted(tmp_path):
    tiny = load_quantized({"pretrained": str(save_model(tmp_path / "tiny", window=150))}, "none")
    rows = make_rows(made(tmp_path, conversation(), conversation(chat=LONG)), tiny, loss="reply", max_tokens=8)
    assert rows.left_out > 0
    assert len(rows.rows) + rows.left_out == 6
    assert all(len(row["input_ids"]) <= 150 for row in rows.rows)


def test_a_reply_longer_than_the_room_that_the_prompt_leaves_is_left_out(tmp_path, lm):
    learnt = made(tmp_path, conversation(chat=[("You", "word " * 900), ("Bot", "ok")]))
    rows = make_rows(learnt[:1], lm, loss="reply", max_tokens=8)
    assert (rows.rows, rows.left_out) == ([], 1)
