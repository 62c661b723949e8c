"""`chatbench simulate`: a conversation about a question, shown turn by turn.

Without any argument but the question it runs offline, between the demo's two models.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lm_eval_plugin.border.terminal import printable, say
from lm_eval_plugin.cli.question_source import Asked, asked_questions
from lm_eval_plugin.cli.shared import INTERRUPTED, mapping_of
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import Message, Role, Transcript
from lm_eval_plugin.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from lm_eval_plugin.config.dialogue import DialogueConfig

_STYLES = {"user": "bold cyan", "assistant": "bold green"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    source = parser.add_argument_group("the question, from one of")
    source.add_argument("question", nargs="?", help="the question itself, with --choice for each of its options")
    source.add_argument("--choice", action="append", default=[], help="an option; give it two times or more")
    source.add_argument(
        "--file", type=Path, help="JSON or JSON lines: objects with question, choices and maybe answer, id, subject"
    )
    source.add_argument(
        "--task", help="a task of this package or one of your own; one of its questions is drawn by the seed"
    )
    source.add_argument(
        "--doc", type=int, help="with --task: the place of its question, from 0, instead of a drawn one"
    )
    source.add_argument("--include-path", help="with --task: a folder of task files of your own")
    sides = parser.add_argument_group("who talks")
    sides.add_argument(
        "--user",
        help="a simulator: a preset, a policy, a mapping as JSON, or human (default: the task's own; for a question of your "
        "own the released simulator if it is in the local cache, else scripted)",
    )
    sides.add_argument("--assistant", default="chatbench-demo", help="a model type of the host such as hf, or human")
    sides.add_argument("--assistant-args", default="", help="its arguments, as in --model_args of lm_eval")
    sides.add_argument(
        "--device", help="where the assistant's model goes: cpu, cuda:1, ... (default: a GPU, or the CPU)"
    )
    sides.add_argument("--system-instruction", help="the assistant's system message")
    sides.add_argument(
        "--chat-template",
        action=argparse.BooleanOptionalAction,
        help="talk through the assistant's chat template or not",
    )
    how = parser.add_argument_group("how")
    how.add_argument("--max-turns", type=_turns, metavar="N", help="messages of the user before the answer is forced")
    how.add_argument("--dialogue", default="{}", help="further keys of a dialogue block, as JSON")
    how.add_argument("--seed", type=_seed, default=0, help="from 0 to 4294967295 (default: 0)")
    how.add_argument("--json", action="store_true", help="print each transcript as one line of JSON, for programs")


def _turns(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to {2**32 - 1}")
    return int(text)


def run(chosen: argparse.Namespace) -> int:
    """Hold the conversations, one after the other; 130 if they were interrupted.

    Raises:
        ChatbenchError: The question, a side or a setting is wrong, or an API does not answer.
    """
    _check_options(chosen)
    _check_texts(chosen)
    asked, config = asked_questions(chosen, _settings(chosen))
    stage = _Stage(chosen, config, [each.question for each in asked])
    return 0 if all(stage.play(each) for each in asked) else INTERRUPTED


class _Stage:
    """The two sides, made once, and the screen that shows them."""

    def __init__(self, chosen: argparse.Namespace, config: DialogueConfig, questions: Sequence[Question]) -> None:
        from rich.console import Console

        from lm_eval_plugin.harness.for_commands import load_assistant
        from lm_eval_plugin.models.person import Person
        from lm_eval_plugin.runner.participants import user_model
        from lm_eval_plugin.runner.runner import check_simulator

        # What a program reads is on the standard output alone; a person still sees what to reply to.
        self._console = Console(highlight=False, stderr=chosen.json)
        self._json = chosen.json
        self._config = config
        self._people = [
            role
            for role, human in (
                ("user", config.simulator.policy == "human"),
                ("assistant", chosen.assistant == "human"),
            )
            if human
        ]
        person = Person(self._read, self._show)
        # Before the assistant, which may take minutes to load.
        check_simulator(config, questions)
        self._user = (
            person
            if "user" in self._people
            else user_model(config.simulator, parts_reasoning=config.protocol == "default")
        )
        self._assistant = (
            person
            if "assistant" in self._people
            else load_assistant(chosen.assistant, chosen.assistant_args, device=chosen.device)
        )
        system = {} if chosen.system_instruction is None else {"system": chosen.system_instruction}
        self._options: dict[str, Any] = {**system, "chat_template": chosen.chat_template, "seed": chosen.seed}

    def play(self, asked: Asked) -> bool:
        """Hold one conversation; False if it was interrupted, with what was said left on the screen.

        Raises:
            ModelError: An API does not answer.
        """
        from lm_eval_plugin.runner.simulation import converse_about

        said: list[Message] = []
        # A person who plays the user is shown it when asked; one who plays the assistant is told it by the user.
        if not self._json and not self._people:
            self._print_question(asked.question)
        try:
            (transcript,) = converse_about(
                [asked.question],
                self._assistant,
                self._config,
                user=self._user,
                on_message=lambda _, message: self._hear(said, message),
                progress=False,
                **self._options,
            )
        except KeyboardInterrupt:
            self._print_left(asked.question, said, {"interrupted": True})
            say(f"\nchatbench: interrupted after {len(said)} messages", file=sys.stderr)
            return False
        except ModelError as error:
            self._print_left(asked.question, said, {"error": str(error)})
            raise
        if self._json:
            print(_encodable(_with_question(transcript, asked)), flush=True)
        else:
            self._print_end(transcript, asked)
        return True

    def _hear(self, said: list[Message], message: Message) -> None:
        said.append(message)
        # A person sees what the other side says when it is asked to reply, and knows what it typed itself.
        if not self._json and not self._people:
            self._say(message.role.value, message.content)

    def _show(self, text: str, speaker: Role | None) -> None:
        if speaker is None:
            self._print((f"{text}\n", ""))
        else:
            self._say(speaker.value, text)

    def _read(self, prompt: str) -> str:
        self._console.print(prompt, end="", style="bold")
        return input()

    def _say(self, role: str, content: str) -> None:
        shown = printable(content) or "(nothing)"
        self._print((f"{role:>9}  ", _STYLES[role]), (shown.replace("\n", f"\n{' ' * 11}"), ""))

    def _print_question(self, question: Question) -> None:
        self._print((printable(f"question {question.id}\n"), "dim"), (f"{printable(question.text)}\n", ""))

    def _print_end(self, transcript: Transcript, asked: Asked) -> None:
        if self._people == ["assistant"] and len(transcript.messages) % 2:
            # The user's last message, to which the person was not asked to reply.
            self._say("user", transcript.messages[-1].content)
        ended = [f"answer: {transcript.answer or 'none'}", f"stop_reason: {transcript.stop_reason.value}"]
        ended += [f"right: {asked.right}"] * bool(asked.right) + [f"persona: {transcript.persona}"] * bool(
            transcript.persona
        )
        ended += ["context_trimmed"] * transcript.context_trimmed
        ended += [f"{event.value}: {count}" for event, count in (transcript.events or {}).items()]
        self._print((f"\n{' · '.join(map(printable, ended))}", "bold"))

    def _print_left(self, question: Question, said: Sequence[Message], why: Mapping[str, Any]) -> None:
        """What there is of a conversation that ended before its time, for programs; people have it on the screen."""
        if self._json:
            messages = [{"role": message.role.value, "content": message.content} for message in said]
            print(json.dumps({**why, "question_id": question.id, "messages": messages}), flush=True)

    def _print(self, *parts: tuple[str, str]) -> None:
        from rich.text import Text

        self._console.print(Text.assemble(*parts), soft_wrap=True)


def _with_question(transcript: Transcript, asked: Asked) -> str:
    """The transcript with what it is about: the question, and its right letters, null where nobody said."""
    about = {"stem": asked.question.stem, "choices": list(asked.question.choices), "right": asked.right or None}
    return json.dumps({**json.loads(transcript.to_json()), "question": about}, ensure_ascii=False)


def _encodable(line: str) -> str:
    """One line of JSON that the standard output can hold: where its encoding lacks a character, with JSON's escapes."""
    try:
        line.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(json.loads(line))
    return line


def _check_options(chosen: argparse.Namespace) -> None:
    """Refuse what would be ignored."""
    if chosen.task is None and (
        idle := [name for name in ("doc", "include-path") if getattr(chosen, name.replace("-", "_")) is not None]
    ):
        raise ConfigError(f"--{' and --'.join(idle)} mean something with --task alone")
    if chosen.assistant == "human" and (chosen.assistant_args or chosen.device):
        raise ConfigError("--assistant-args and --device are for a model; the assistant is human")


def _check_texts(chosen: argparse.Namespace) -> None:
    """Refuse bytes of another encoding, which Python hands over as halves of characters."""
    from lm_eval_plugin.border.text_border import is_encodable

    for name, given in vars(chosen).items():
        for text in given if isinstance(given, list) else [given]:
            if isinstance(text, str) and not is_encodable(text):
                raise ConfigError(
                    f"{name} is {ascii(text)[:80]}, with bytes that are no UTF-8; type it in UTF-8, or give it with --file"
                )


def _settings(chosen: argparse.Namespace) -> dict[str, Any]:
    """The keys of the dialogue block that the command line gives."""
    from lm_eval_plugin.config.simulator import name_or_mapping

    given = mapping_of(chosen.dialogue)
    if "repeats" in given:
        raise ConfigError(
            "--dialogue: each question is talked about once here; repeats is for lm_eval and simulate_many"
        )
    if chosen.max_turns is not None:
        given["max_turns"] = chosen.max_turns
    return given if chosen.user is None else {**given, "simulator": name_or_mapping(chosen.user, "--user")}
