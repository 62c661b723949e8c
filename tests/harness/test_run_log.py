"""A run with `--use_cache` notes itself while it goes on, and can be read as a finished one is."""

from __future__ import annotations

import pytest
from test_report import Elements, unpacked
from test_resume import TASK, Counted

from lm_eval_plugin.cli.main import main
from lm_eval_plugin.cli.shared import readable_runs
from lm_eval_plugin.results.cached_runs import is_cache, load_cached_run
from lm_eval_plugin.results.noted_runs import Follower, cache_files, chosen_run
from lm_eval_plugin.results.samples import read_records


@pytest.fixture(scope="module")
def held(llama, arithmetic_folder, tmp_path_factory):
    """Two runs of one cache, the second with one dialogue more about each question."""
    model = Counted(llama, arithmetic_folder, tmp_path_factory.mktemp("cache") / "run")
    model.hold(static=["loglikelihood", "free_text"])
    results = model.evaluated(static=["loglikelihood", "free_text"], repeats=2)
    return model, results


def test_the_cache_has_the_records_that_the_results_have(held):
    model, results = held
    run = load_cached_run(model.use_cache)
    expected = read_records(results["samples"][TASK], "memory")
    assert list(run.tasks[TASK].records) == expected
    assert all(record.acc_static is not None for record in expected)
    assert run.progress.dialogues == run.progress.of == 2 * len(expected)
    assert run.progress.state == "finished"
    assert run.tasks[TASK].settings["simulator"] == expected[0].transcripts[0].simulator


def test_a_static_reply_in_free_text_is_no_dialogue_of_the_run(held):
    model, _ = held
    files = cache_files(model.use_cache)
    follower = Follower(files, chosen_run(files, None).run)
    assert len(follower.new()) == 2 * len(follower.questions())


def test_the_report_of_a_cache_shows_its_latest_run(held, tmp_path, capsys):
    model, results = held
    out = tmp_path / "report.html"
    (file,) = cache_files(model.use_cache)
    assert main(["report", str(file), "-o", str(out)]) == 0
    page = out.read_text()
    assert len(unpacked(Elements(page).inside["index"])["columns"]["turns"]) == 2 * len(results["samples"][TASK])
    assert "finished" in page
    assert main(["report", str(tmp_path / "none_rank0.db"), "-o", str(out)]) == 2
    assert "add --use_cache FOLDER/NAME" in capsys.readouterr().err


def test_files_of_several_processes_are_shown_once(held, tmp_path):
    model, _ = held
    (file,) = cache_files(model.use_cache)
    runs = list(readable_runs([file, model.use_cache, file.with_name("run_rank1.db")], []))
    assert len(runs) == 1


def test_a_run_that_breaks_off_says_so_and_what_it_had_is_there(llama, arithmetic_folder, tmp_path):
    model = Counted(llama, arithmetic_folder, tmp_path / "run")
    model.fail_after = 3
    with pytest.raises(KeyboardInterrupt):
        model.hold(static="none", repeats=3)
    files = cache_files(model.use_cache)
    run = chosen_run(files, None)
    assert run.outcome == "interrupted"
    assert run.ended is not None
    follower = Follower(files, run.run)
    assert follower.questions()
    assert all(question.acc_static is None for question in follower.questions())


def test_without_a_cache_nothing_is_noted_and_a_cache_is_told_from_a_folder(tmp_path):
    assert is_cache(tmp_path / "x_rank0.db")
    (tmp_path / "y_rank0.db").touch()
    assert is_cache(tmp_path / "y")
    assert not is_cache(tmp_path)
    assert not is_cache(tmp_path / "results_2026.json")
