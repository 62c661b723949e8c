"""`chatbench collect`: a small study of one's own, in which people at this terminal talk with a model about questions."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lm_eval_plugin.border.terminal import printable, say
from lm_eval_plugin.chatbench_data.columns import plain
from lm_eval_plugin.cli.shared import INTERRUPTED, mapping_of
from lm_eval_plugin.config.strict import nearest
from lm_eval_plugin.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from lm_eval_plugin.chatbench_data.collected import Session, StudyFolder
    from lm_eval_plugin.chatbench_data.records import ReleaseQuestion
    from lm_eval_plugin.cli.collect_session import Talk
    from lm_eval_plugin.dialogue.question import Question
    from lm_eval_plugin.dialogue.transcript import Transcript

ALONE, TOGETHER = 3, 9
"""As in the study."""

_WELCOME = """Thank you for taking part. What you type is kept, under the number {worker} and nothing else of you:
please write nothing about yourself. You can leave at any time (Ctrl-C) and go on with --participant {worker}.
When you talk with the AI, write "Answer: B" when you have made up your mind, or leave the line empty."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "questions",
        type=Path,
        metavar="QUESTIONS",
        help="JSON or JSON lines: objects with question, choices and answer",
    )
    parser.add_argument(
        "-o", "--output", required=True, type=Path, help="the study's folder; people after people add to it"
    )
    talked = parser.add_argument_group("whom people talk with")
    talked.add_argument("--model", required=True, help="a model type of lm_eval, such as hf")
    talked.add_argument("--model-args", default="", help="its arguments, as in lm_eval")
    talked.add_argument("--device", help="where the model goes: cpu, cuda:1, ... (default: a GPU, or the CPU)")
    talked.add_argument("--name", help="what the data calls the model (default: as lm_eval names it in a run)")
    talked.add_argument("--system-instruction", help="the model's system message")
    talked.add_argument(
        "--chat-template", action=argparse.BooleanOptionalAction, help="talk through the model's chat template or not"
    )
    asked = parser.add_argument_group("what people are asked")
    asked.add_argument("--participant", metavar="NUMBER", help="go on with a person's session that was left")
    asked.add_argument("--condition", help="direct-to-AI or answer-first (default: in turn)")
    asked.add_argument("--alone", type=_count, default=ALONE, help=f"questions to answer alone (default: {ALONE})")
    asked.add_argument(
        "--together",
        type=_count,
        default=TOGETHER,
        help=f"questions to talk with the model about (default: {TOGETHER})",
    )
    asked.add_argument(
        "--dialogue", default="{}", help='keys of a dialogue block as JSON, such as {"assistant": "paper"}'
    )


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def run(chosen: argparse.Namespace) -> int:
    """Have a person answer; 130 if questions are left.

    Raises:
        ConfigError: Questions, folder or session are not what was said.
        ModelError: The model cannot be loaded, or does not answer any more.
    """
    from lm_eval_plugin.chatbench_data.collected import StudyFolder
    from lm_eval_plugin.cli.collect_session import Sitting, Terminal

    questions = _questions(chosen.questions)
    study = StudyFolder(chosen.output, questions)
    session = _session(chosen, study, questions)
    terminal = Terminal(say, lambda prompt: input(printable(prompt)))
    sitting = Sitting(session, study, {each.id: each for each in questions}, terminal, _talk(chosen)(session))
    if session.worker not in study.sessions:
        study.begin(session)
    say(_WELCOME.format(worker=session.worker))
    try:
        sitting.run()
    except (KeyboardInterrupt, EOFError):
        _say_left(sitting.left(), session)
        return INTERRUPTED
    except ModelError:
        _say_left(sitting.left(), session)
        raise
    if left := sitting.left():
        _say_left(left, session)
        return INTERRUPTED
    say("\nThat was all. Thank you!")
    return 0


def _say_left(left: list[str], session: Session) -> None:
    say(f"\nchatbench: {len(left)} questions are left; go on with --participant {session.worker}", file=sys.stderr)


def _questions(file: Path) -> list[ReleaseQuestion]:
    from lm_eval_plugin.chatbench_data.records import ReleaseQuestion
    from lm_eval_plugin.cli.question_source import read_file

    found: dict[str, ReleaseQuestion] = {}
    for asked in read_file(file):
        if asked.question.id in found:
            raise ConfigError(f"{file}: two questions have the id {asked.question.id!r}")
        if len(asked.right) != 1:
            raise ConfigError(
                f"{file}: the answer of question {asked.question.id!r} is {asked.right or 'missing'}; give its one right option"
            )
        found[asked.question.id] = ReleaseQuestion(asked.question, asked.right)
    return list(found.values())


def _session(chosen: argparse.Namespace, study: StudyFolder, questions: list[ReleaseQuestion]) -> Session:
    from lm_eval_plugin.chatbench_data.collected import CONDITIONS
    from lm_eval_plugin.cli.collect_session import new_session

    model = chosen.name or _name(chosen.model, chosen.model_args)
    known = {**{plain(each): each for each in CONDITIONS}, "direct": CONDITIONS[0]}
    condition = None if chosen.condition is None else known.get(plain(chosen.condition))
    if chosen.condition is not None and condition is None:
        raise ConfigError(f"--condition is {chosen.condition!r}{nearest(chosen.condition, CONDITIONS)}")
    if not chosen.together + chosen.alone:
        raise ConfigError("--alone and --together are 0: nothing would be asked")
    if chosen.participant is None:
        return new_session(study, questions, model, condition, alone=chosen.alone, together=chosen.together)
    session = study.sessions.get(chosen.participant)
    if session is None:
        raise ConfigError(
            f"{chosen.output} has no participant {chosen.participant!r}{nearest(chosen.participant, sorted(study.sessions))}"
        )
    if session.model != model or condition not in {None, session.condition}:
        raise ConfigError(
            f"the participant {session.worker} began with {session.model}, {session.condition}; go on with the same (--model, "
            "--name, --condition)"
        )
    return session


def _name(model: str, arguments: str) -> str:
    """The model's name as lm_eval gives it to a run: that of its weights, else its type."""
    from lm_eval_plugin.harness.for_commands import model_name

    return model_name(arguments) or model


def _talk(chosen: argparse.Namespace) -> Callable[[Session], Talk]:
    """Load the model; the rest says how a session's person talks with it."""
    from lm_eval_plugin.harness.for_commands import load_assistant
    from lm_eval_plugin.models.person import Person
    from lm_eval_plugin.runner.simulation import converse_about, dialogue_config

    config = dialogue_config("human", mapping_of(chosen.dialogue))
    assistant = load_assistant(chosen.model, chosen.model_args, device=chosen.device)
    options: dict[str, Any] = {"chat_template": chosen.chat_template}
    if chosen.system_instruction is not None:
        options["system"] = chosen.system_instruction
    typed = _Typed()
    person = Person(typed.read)

    def with_person(session: Session) -> Talk:
        def talk(question: Question) -> Transcript:
            # A model that samples replies otherwise to everybody, and the same to one person who asks again.
            seed = int(session.worker, 16)
            (held,) = converse_about([question], assistant, config, user=person, progress=False, seed=seed, **options)
            if typed.closed:
                raise EOFError
            return held

        return talk

    return with_person


class _Typed:
    """What a person types; a dialogue takes a closed input for a message of nothing, a session must know."""

    def __init__(self) -> None:
        self.closed = False

    def read(self, prompt: str) -> str:
        try:
            return input(printable(prompt))
        except EOFError:
            self.closed = True
            raise
