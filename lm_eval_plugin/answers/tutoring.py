"""Whether a reply helps somebody towards the answer without giving it: hints, rejections, questions back.

`Not quite! 10 would be 12.5% of 80. Try again.` speaks of an option and supports none. What such a reply mentions, and what
comes out on its way, is no verdict; only an outright one (`The answer is 12`) counts in it.
"""

from __future__ import annotations

import re

_GUIDES = re.compile(
    r"\b(?:hints?|clues?)\b ?:|\bhere(?:'s| is) a (?:hint|clue|tip)\b"
    r"|\b(?:not (?:quite|yet|exactly)|nearly there|nice try|(?:good|great|nice|close) (?:guess|try|attempt)"
    r"|(?:try|guess|think|look|count) (?:again|once more)|(?:try|have) (?:another|one more)|another (?:go|try|guess)"
    r"|have a go|keep (?:going|trying)|your turn|almost(?: there| right)?[,!.]|on the right track|(?:is|was|are|very|so) close\b"
    r"|(?:isn't|not|wasn't) (?:it|right|that|him|her|them)(?=[.,!]))"
    r"|(?:^|[.!?\n] ?)(?:close|nearly|almost|careful)\b"
    r"|(?:^|[.!?\n] ?)(?:good|nice) thinking,? but\b",
    re.IGNORECASE,
)
_SUGGESTS = re.compile(
    r"(?:^|[.!?:\n] ?)(?:first,? |now,? |so,? )?(?:remember|recall|consider|start|try|think|look|check|ask|count|take|add|note how"
    r"|don't forget|begin|imagine)\b|\b(?:you (?:can|could|might|should|may want)|we want|we need|you need)\b",
    re.IGNORECASE,
)
_OFFER = re.compile(
    r"\b(?:would you like|do you want|want me|shall i|should i|can i|may i|may we|let me know|need|make sense|does (?:that|this)"
    r"|is (?:that|this|it) clear|any (?:other |more |further )?questions|anything else|help you|right\?|okay\?|ok\?)",
    re.IGNORECASE,
)
_LAST_SENTENCE = re.compile(r"[^.!?\n]{1,400}\?[\s)\"'*]{0,8}\Z")


def leaves_it_to_the_user(text: str) -> bool:
    """Whether a plain reply rejects, hints, or ends with a question about the matter, so that only a verdict counts in it."""
    last = _LAST_SENTENCE.search(text, max(0, len(text) - 420))
    return _GUIDES.search(text) is not None or (last is not None and _OFFER.search(last[0]) is None)


def suggests_a_step(text: str) -> bool:
    """Whether a plain reply tells the user to do or bear in mind something, so that what it merely mentions says little."""
    return _SUGGESTS.search(text) is not None
