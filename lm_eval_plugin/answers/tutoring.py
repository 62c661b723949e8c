"""Whether a reply helps somebody towards the answer without giving it: hints, rejections, questions back.

`Not quite! 10 would be 12.5% of 80. Try again.` speaks of an option and supports none. What such a reply mentions, and what
comes out on its way, is no verdict; only an outright one (`The answer is 12`) counts in it.
"""

from __future__ import annotations

import re
from functools import lru_cache

_GUIDES = re.compile(
    r"\b(?:hints?|clues?)\b ?:|\bhere(?:'s| is) a (?:hint|clue|tip)\b"
    r"|\b(?:not (?:quite|yet|exactly)|nearly there|nice try|(?:good|great|nice|close) (?:guess|try|attempt)"
    r"|(?:try|guess|think|look|count) (?:again|once more)|(?:try|have) (?:another|one more)|another (?:go|try|guess)"
    r"|have a go|keep (?:going|trying)|your turn|almost(?: there| right)?[,!.]|on the right track|(?:is|was|are|very|so) close\b"
    r"|(?:isn't|not|wasn't) (?:it|right|that|him|her|them)(?=[.,!:;])"
    r"|you(?:'ve| have)? (?:seem to|forgot|added|subtracted|multiplied|divided|counted|mixed|confused|missed|swapped)\b"
    r"|(?:can't|cannot|won't|not going to) (?:give|tell) you)"
    r"|(?:^|[.!?\n] ?)(?:close|nearly|almost|careful)\b"
    r"|(?:^|[.!?\n] ?)(?:good|nice) thinking,? but\b",
)
_SUGGESTS = re.compile(
    r"(?:^|[.!?:\n] ?)(?:first,? |now,? |so,? )?(?:remember|recall|consider|start|try|think|look|check|ask|count|take|add|note how"
    r"|don't forget|begin|imagine)\b|\b(?:you (?:can|could|might|should|may want)|we want|we need|you need)\b",
)
_OFFER = re.compile(
    r"\b(?:would you like|do you want|want me|shall i|should i|can i|may i|may we|let me know|need (?:more|any|help|me)|make sense"
    r"|does (?:that|this) (?:help|answer|sound|make|clear)"
    r"|is (?:that|this|it) clear|any (?:other |more |further )?questions|anything else|help you|right\?|okay\?|ok\?)",
)
_LAST_STEP = re.compile(
    r"(?:^|[.!?:\n] ?)(?:so |and |then |now,? |next,? |from there,? )*"
    r"(?:go on|go ahead|carry on|continue|add|subtract|multiply|divide|use"
    r"|find|look|try|think|check (?:that|if|whether|your|again|it|the|which|how|each)|count|take|compare|work"
    r"|see (?:if|what|whether|how)|have a|give it|ask yourself|rule|eliminate"
    r"|(?:but )?you(?:'ll)? (?:still )?(?:have|need|ought) to|you should)\b[^.!?\n=]{0,200}[.!…]?[\s)\"'*]{0,8}\Z",
)
"""A last sentence that tells the user what to do next: `Now add half of that.`"""
_LAST_SENTENCE = re.compile(r"[^.!?\n]{1,400}\?[\s)\"'*]{0,8}\Z")


@lru_cache(maxsize=4)
def leaves_it_to_the_user(text: str) -> bool:
    """Whether a plain reply in small letters rejects, hints, asks back or tells the next step: only a verdict counts in it."""
    start = max(0, len(text) - 420)
    last = _LAST_SENTENCE.search(text, start)
    if last is not None and _OFFER.search(last[0]) is None:
        return True
    return _GUIDES.search(text) is not None or _LAST_STEP.search(text, start) is not None


def suggests_a_step(text: str) -> bool:
    """Whether a plain reply in small letters tells the user to do or bear in mind something, so that mentions say little."""
    return _SUGGESTS.search(text) is not None
