from types import SimpleNamespace

from doubles import hold, saying

from lm_eval_plugin.harness.unfinished import write_unfinished


def test_what_cannot_be_written_is_said_and_does_not_hide_why_the_run_ended(tmp_path, caplog):
    dialogue = SimpleNamespace(doc_id=0, idx=0, repeats=1, doc={}, resps=[], args=("q", {}))
    task = SimpleNamespace(
        instances=[dialogue],
        config=SimpleNamespace(metadata=None, num_fewshot=0),
        gold_letters=lambda doc: frozenset("B"),
        static_metrics=lambda doc, said: {},
    )
    transcript = hold(saying("Help?", "Answer: B"), saying("It is B.")).to_json()
    finished, model = {(id(dialogue), 0): transcript}, {"model_source": "hf", "model_args": {"pretrained": "m"}}
    (tmp_path / "file").touch()
    assert write_unfinished(tmp_path / "file" / "below", {"t": task}, finished, model) == []
    assert "What is finished cannot be written" in caplog.text
    (written,) = write_unfinished(tmp_path / "folder", {"t": task}, finished, model)
    assert written.is_file()
