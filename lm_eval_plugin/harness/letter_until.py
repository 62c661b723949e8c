"""The letter-only static score: the model generates the letter of an option, and nothing else counts.

Source: ChatBench, AI-alone methods (letter-only, zero-shot and few-shot); interactive-eval @ a90f773: at most 10 tokens,
the first character of the stripped reply must be one of the letters, else the reply is invalid and wrong. Deviations: the
prompt is that of the host's task with an instruction of this project, generation is greedy where the paper samples at
0.7 (and `protocol: paper` does), and a word that begins with a letter (`Because`) names none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from lm_eval_plugin.border.text_border import encodable
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.lm_eval_access.base import LM, Instance
from lm_eval_plugin.models.generation import Prompted
from lm_eval_plugin.models.generation.backend import HostGeneration
from lm_eval_plugin.models.generation.servers.api import ApiGeneration, speaks_http

LETTER_INSTRUCTION = "Reply with the letter of the right option and nothing else."

LETTER_GENERATION: dict[str, object] = {
    # Some servers fail on an empty list of stop strings.
    "until": ["<|endoftext|>"],
    "max_gen_toks": 10,
    "do_sample": False,
    "temperature": 0.0,
}
"""How the letter is generated, as the host's `generate_until` takes it."""


def letter_until(lm: LM, requests: Sequence[Instance]) -> list[str | None]:
    """Have a model write the letters of the requested prompts: a request type of the host, attached to its `LM`.

    Args:
        lm: The model under test, any backend of the host.
        requests: Instances whose arguments are a prompt and how its letter is generated, as `LETTER_GENERATION` is.

    Returns:
        What it wrote, in the order of the requests; None where a server gave no reply, which ends nothing else.

    Raises:
        ModelError: The model's logits are no numbers.
    """
    name = "the model under test"
    # Of the backends' own ways only the host's is known to reproduce what it reports for the same prompts.
    generation = ApiGeneration(lm, name) if speaks_http(lm) else HostGeneration(lm, name)
    replies: dict[int, str | None] = {}
    for settings, asked in _by_settings(requests).items():
        prompts = [Prompted(requests[index].args[0], seed=index) for index in asked]
        written = generation.generate(prompts, json.loads(settings))
        replies |= {
            index: None if reply is None else encodable(reply.text) for index, reply in zip(asked, written, strict=True)
        }
    return [replies[index] for index in range(len(requests))]


def _by_settings(requests: Sequence[Instance]) -> dict[str, list[int]]:
    """The indices of the requests that are generated alike, by how they are."""
    asked: dict[str, list[int]] = {}
    for index, request in enumerate(requests):
        asked.setdefault(json.dumps(request.args[1], sort_keys=True), []).append(index)
    return asked


def read_letter(reply: str, question: Question) -> str | None:
    """The letter that a reply begins with; None if it begins with none of the question's letters."""
    match = re.match(r"([A-Z])(?!\w)", reply.strip())
    return match[1] if match and match[1] in question.letters else None
