"""What people wrote to the assistants of the ChatBench study, to hold simulated users beside.

Source: the data set microsoft/ChatBench, `conversations.json`; `training.columns` names the keys and roles that are known.
"""

from __future__ import annotations

from pathlib import Path

from lm_eval_plugin.chatbench_data.columns import CONVERSATION, with_known_names
from lm_eval_plugin.chatbench_data.files import good_rows, read_rows
from lm_eval_plugin.chatbench_data.rows import read_turns
from lm_eval_plugin.dialogue.transcript import Role
from lm_eval_plugin.errors import ConfigError


def human_messages(path: Path) -> list[str]:
    """Every message of a person; conversations that cannot be used are left out with a warning.

    Args:
        path: A `conversations.json`, or a folder below which there is one.

    Raises:
        ConfigError: There is none, or it does not hold conversations; the error names the keys that were seen.
    """
    file = path if path.is_file() else next(iter(sorted(path.rglob("conversations.json"))), None)
    if file is None:
        raise ConfigError(f"{path} holds no conversations.json, which is where ChatBench keeps what people wrote")
    rows = with_known_names(read_rows(file), {"turns": CONVERSATION["turns"]}, (), str(file))
    conversations, _ = good_rows(rows, lambda _place, row: read_turns(row["turns"]), file.name, file)
    return [message.content for said in conversations for message in said if message.role is Role.USER]
