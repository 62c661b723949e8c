import json
import subprocess
import sys
from collections import Counter

import pytest

from lm_eval_plugin.chatbench_data.release import AnswerType, load_release
from lm_eval_plugin.cli.main import main as command
from lm_eval_plugin.config.presets import DEMO_SIMULATOR_ADAPTER
from lm_eval_plugin.dialogue.transcript import Role
from lm_eval_plugin.training.demo.people import ANYTHING, DEMO, OF_THE_SIMULATOR, write_release
from lm_eval_plugin.training.demo.people import main as module
from lm_eval_plugin.training.lesson import lesson_of
from lm_eval_plugin.training.output import RESULTS, SETTINGS
from lm_eval_plugin.training.recipe import Recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_release(tmp_path_factory.mktemp("people"), 40)


@pytest.fixture(scope="module")
def release(folder):
    return load_release(str(folder))


def test_everything_that_people_did_can_be_read(release):
    assert len(release.questions) == 48
    assert len(release.conversations) == 40 * 9
    kinds = Counter((said.condition, said.answer_type) for said in release.user_answers)
    assert kinds == {
        ("direct-to-AI", AnswerType.ALONE): 20 * 3,
        ("direct-to-AI", AnswerType.WITH_AI): 20 * 9,
        ("answer-first", AnswerType.ALONE): 20 * 12,
        ("answer-first", AnswerType.WITH_AI): 20 * 9,
    }
    assert release.problems == []


def test_the_answer_of_a_conversation_is_that_of_its_row_among_the_answers(release):
    together = [said for said in release.user_answers if said.answer_type is AnswerType.WITH_AI]
    for talk, said in zip(release.conversations, together, strict=True):
        assert (talk.worker, talk.question_id, talk.selected) == (said.worker, said.question_id, said.selected)
        assert said.correct == (said.selected == release.questions[said.question_id].gold)


def test_some_paste_some_paraphrase_some_ask_for_a_step_and_some_doubt(release):
    first = [(talk.messages[0].content, release.questions[talk.question_id].question) for talk in release.conversations]
    pasted = sum(all(choice in text for choice in question.choices) for text, question in first)
    in_own_words = sum(question.stem not in text for text, question in first)
    later = [
        message.content for talk in release.conversations for message in talk.messages[2:] if message.role is Role.USER
    ]
    assert 0.2 < pasted / len(first) < 0.6
    assert in_own_words > 0.1 * len(first)
    assert any("first step" in text or "how to start" in text for text, _ in first)
    assert any("sure" in text for text in later)


def test_people_are_right_more_often_with_an_assistant_that_knows_than_with_one_that_says_anything(release):
    def share(model):
        right = [
            said.correct
            for said in release.user_answers
            if said.model == model and said.answer_type is AnswerType.WITH_AI
        ]
        return sum(right) / len(right)

    assert share(DEMO) > share(ANYTHING) + 0.2


def test_the_same_seed_writes_the_same_release_and_another_does_not(folder, tmp_path):
    def talks(place):
        return json.loads((place / "full_study" / "conversations.json").read_text())

    assert talks(write_release(tmp_path / "same", 40)) == talks(folder)
    assert talks(write_release(tmp_path / "other", 40, seed=1)) != talks(folder)


def test_the_bundled_simulator_was_trained_on_what_these_people_say_and_halves_the_perplexity(tmp_path):
    settings, results = (json.loads((DEMO_SIMULATOR_ADAPTER / name).read_text()) for name in (SETTINGS, RESULTS))
    recipe = Recipe.model_validate(settings["recipe"])
    release = load_release(str(write_release(tmp_path, OF_THE_SIMULATOR)))
    assert lesson_of(release, recipe).sha256 == settings["data"]["sha256"]
    assert results["after"][-1] < results["before"] / 2


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_command_and_module_write_the_same_people(tmp_path):
    given = ["--people", "4", "--seed", "3"]

    assert command(["make-people", str(tmp_path / "a"), *given]) == 0
    assert module([str(tmp_path / "b"), *given]) == 0

    made = contents(tmp_path / "a")
    assert made == contents(tmp_path / "b")
    assert made == contents(write_release(tmp_path / "c", 4, seed=3))


@pytest.mark.parametrize("run", [lambda given: command(["make-people", *given]), module])
def test_no_people_and_no_folder_are_errors_that_are_explained(run, tmp_path, capsys):
    (tmp_path / "file").write_text("")

    assert run([str(tmp_path / "none"), "--people", "0"]) == 2
    assert run([str(tmp_path / "file"), "--people", "1"]) == 2

    first, second = capsys.readouterr().err.splitlines()
    assert first == "chatbench: --people is 0; it must be 1 or more"
    assert str(tmp_path / "file") in second
    assert not (tmp_path / "none").exists()


def test_module_of_the_demo_goes_on_working(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "lm_eval_plugin.demo.people", str(tmp_path / "a"), "--people", "1"], check=False
    )

    assert done.returncode == 0
    assert load_release(str(tmp_path / "a")).problems == []
