"""Time of reading which option replies support: `python tests/benchmarks/reading_replies.py`, half a minute.

10,000 replies of 300 words, of the sentences of the labelled replies in `tests/data`, about the questions that these are
about; no reply twice, so that nothing is read out of a cache. The limit is 20 s of one core.

On one of two cores shared with other work: 19.7 s; before the rules knew polarity, hints and judgements 17.5 s.
"""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

from lm_eval_plugin.answers.supported_option import named_option
from lm_eval_plugin.dialogue.question import Question

DATA = Path(__file__).parents[1] / "data"
REPLIES, WORDS, LIMIT_S = 10_000, 300, 20.0


def replies(dice: random.Random) -> list[tuple[str, Question]]:
    """Replies of so many words about the labelled questions."""
    lines = (DATA / "replies_by_regime.jsonl").read_text(encoding="utf-8").splitlines()
    cases = [json.loads(line) for line in lines]
    said = [case["reply"] for case in cases]
    made = []
    for _ in range(REPLIES):
        case, words = dice.choice(cases), list[str]()
        while len(words) < WORDS:
            words += dice.choice(said).split(" ")
        made.append((" ".join(words[:WORDS]), Question("q", "s", case["stem"], tuple(case["choices"]))))
    return made


def main() -> None:
    """Print the seconds, and fail over the limit."""
    made = replies(random.Random(1))
    started = time.process_time()
    read = sum(named_option(text, question) is not None for text, question in made)
    seconds = time.process_time() - started
    print(f"{len(made)} replies of {WORDS} words in {seconds:.1f} s of one core; an option in {read} of them")
    if seconds > LIMIT_S:
        raise SystemExit(f"over the limit of {LIMIT_S:.0f} s")


if __name__ == "__main__":
    main()
