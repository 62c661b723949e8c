"""What reads a model's text takes time linear in its length: ten times a text of one sign against letters."""

import time

import pytest
from doubles import PRODUCT

from lm_eval_plugin.answers.final_answer import final_answer
from lm_eval_plugin.answers.supported_option import concluded_option, named_options
from lm_eval_plugin.border.escaping import in_markdown, visible
from lm_eval_plugin.dialogue.quoting import break_tokens, indent_headings
from lm_eval_plugin.dialogue.reasoning import opened_reasoning, part_reply
from lm_eval_plugin.dialogue.transcript import Message, Role
from lm_eval_plugin.judge import read_letter_verdict, read_verdict
from lm_eval_plugin.simulators import cleaning
from lm_eval_plugin.simulators.guardrails import faults, leaks_answer

SIZE = 1_000_000
MOST = 20
"""Times the time of letters."""
FLOOR_S = 0.05
"""What is faster than this is not told apart from the noise of the clock."""

HISTORY = (Message(Role.USER, "What is 7 x 8?"), Message(Role.ASSISTANT, "It is 56."))
READERS = {
    "reasoning": part_reply,
    "opened_reasoning": opened_reasoning,
    "faults": lambda text: faults(text, PRODUCT, HISTORY, ("You are a person. You were told to think it over well.",)),
    "leaks_answer": lambda text: leaks_answer(text, PRODUCT, ()),
    "final_answer": lambda text: final_answer(text, PRODUCT),
    "named_options": lambda text: named_options(text, PRODUCT),
    "concluded_option": lambda text: concluded_option(text, PRODUCT),
    "cleaning": cleaning.clean,
    "break_tokens": lambda text: break_tokens(text, ("<s>", "</s>", "<|im_start|>", "[END]", "==")),
    "indent_headings": lambda text: indent_headings(text, ("User:", "Assistant:")),
    "judge": read_verdict,
    "judge, letter": lambda text: read_letter_verdict(text, PRODUCT),
    "fenced": lambda text: read_verdict(f"```{text}"),
    "visible": visible,
    "markdown": in_markdown,
}
UNITS = ["\n", "\r\n", " ", "\t", "7", "=", "<think>", "</think>", "[THINK]", "[END]", "A)", "A) ", "(", "**", "`", '"']
UNITS += [
    "Answer:",
    "Answer: ",
    "\nAnswer: ",
    "\nUser:",
    '"YOU: ',
    "<|channel|>",
    "assistantanalysis",
    "56 ",
    "not ",
    "A or B ",
]


def seconds(reader, text):
    started = time.process_time()
    reader(text)
    return time.process_time() - started


@pytest.mark.parametrize("name", READERS)
def test_a_megabyte_of_one_sign_is_read_as_fast_as_letters(name):
    reader = READERS[name]
    reader("warm up")
    letters = max(seconds(reader, "the words " * (SIZE // 10)), FLOOR_S)
    slow = {unit: took for unit in UNITS if (took := seconds(reader, unit * (SIZE // len(unit)))) > MOST * letters}
    assert not slow
