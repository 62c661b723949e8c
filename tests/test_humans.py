import json

import pytest

from lm_eval_plugin.chatbench_data.human_dialogues import human_messages
from lm_eval_plugin.errors import ConfigError

CHAT = [{"role": "You", "content": "what is 7 x 8"}, {"role": "Bot", "content": "56"}]


def write(folder, *entries):
    (folder / "full_study").mkdir()
    (folder / "full_study" / "conversations.json").write_text(json.dumps(entries))
    return folder


def test_every_message_of_a_person_is_found_in_a_file_or_below_a_folder(tmp_path):
    folder = write(tmp_path, {"chatHistory": CHAT}, {"conversation": [{"role": "user", "content": "hi"}]})
    assert human_messages(folder) == ["what is 7 x 8", "hi"]
    assert human_messages(folder / "full_study" / "conversations.json") == ["what is 7 x 8", "hi"]


def test_a_conversation_that_cannot_be_used_is_left_out_and_named(tmp_path, caplog):
    assert human_messages(write(tmp_path, {"chatHistory": CHAT}, {"chatHistory": CHAT[1:]})) == ["what is 7 x 8"]
    assert "1 of 2 rows" in caplog.text
    assert "row 1: the conversation begins with the assistant" in caplog.text


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"worker_id": 1}, "no column chat_history or conversation or messages; it has worker_id"),
        ({"chatHistory": ["hi"]}, "no row that can be used; .* turn 0 is hi"),
    ],
)
def test_conversations_without_turns_are_an_error(tmp_path, entry, message):
    with pytest.raises(ConfigError, match=message):
        human_messages(write(tmp_path, entry))


def test_a_folder_without_conversations_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match=r"holds no conversations\.json"):
        human_messages(tmp_path)
