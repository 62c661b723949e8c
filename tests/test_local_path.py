import pytest

from lm_eval_plugin.border.paths import check_local_path, local_or_hub
from lm_eval_plugin.errors import ConfigError


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner" / "name").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("name", ["gpt2", "owner/absent", "a.b/c-d"])
def test_name_of_the_hub_is_left_alone(home, name):
    assert local_or_hub(name) == name
    check_local_path(name, "task t: simulator pretrained")


@pytest.mark.parametrize("name", ["owner/name", "./owner", "owner"])
def test_existing_folder_is_that_folder(home, name):
    assert (home / local_or_hub(name)).is_dir()
    check_local_path(name, "task t: simulator pretrained")


def test_home_sign_means_the_home_folder(home):
    assert local_or_hub("~/owner") == str(home / "owner")
    check_local_path("~/owner", "task t: simulator pretrained")


@pytest.mark.parametrize("name", ["/absent", "./absent", "../absent", "~/absent", "a/b/c", "C:\\models"])
def test_path_that_does_not_exist_is_refused_with_where_and_what(home, name):
    with pytest.raises(ConfigError) as caught:
        check_local_path(name, "task t: simulator peft")
    message = str(caught.value)
    assert message.startswith(f"task t: simulator peft is {name!r}, but nothing is there")
    assert str(home) in message
    assert "owner/name" in message


def test_home_of_a_person_who_does_not_exist_is_refused_too():
    with pytest.raises(ConfigError, match="nothing is there"):
        check_local_path("~nobody-of-this-name/models", "task t: simulator peft")
