r"""An assistant's reply in one plain form: no markup, no LaTeX, and one way to write a number.

`**$\boxed{\frac{3}{8}}$**` becomes a line `Answer: 3/8`, and `1,200`, `1 200` and `1200.00` become `1200`. What is not the
assistant's own statement can be taken out: questions, conditions, quotes of the user, and the next dialogue or question
that a base model makes up. Time grows with the length of the text alone.
"""

from __future__ import annotations

import re

from lm_eval_plugin.answers.number_forms import in_one_form

_Replacements = tuple[tuple[re.Pattern[str], str], ...]

_CHARACTERS = str.maketrans({
    **dict.fromkeys("‘’", "'"),
    **dict.fromkeys("“”„«»", '"'),
    **dict.fromkeys("−–‒‑", "-"),
    **dict.fromkeys("×·⋅", " x "),
    "⁄": "/",
    ":": ":",
    **{chr(0x2080 + digit): str(digit) for digit in range(10)},
    **{sign: f"^{power}" for sign, power in zip("²³⁴⁵⁶⁷⁸⁹", range(2, 10), strict=True)},
    "½": "1/2", "¼": "1/4", "¾": "3/4", "⅓": "1/3", "⅔": "2/3", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8",
})  # fmt: skip

_LATEX: _Replacements = (
    (re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mathit|operatorname)\s?\{([^{}]{0,200})\}"), r"\1"),
    (re.compile(r"\\[dt]?frac\s?\{([^{}]{0,80})\}\s?\{([^{}]{0,80})\}"), r"\1/\2"),
    (re.compile(r"\\sqrt\s?\{([^{}]{0,80})\}"), r"√\1"),
)
_LATEX_DEPTH = 3
_BOXED = re.compile(r"\\boxed\s?\{([^{}]{0,300})\}")
_SYMBOLS: _Replacements = (
    (re.compile(r"(?<=[A-Za-z])_\{?(\d{1,3})\}?"), r"\1"),
    (re.compile(r"\bsqrt ?\((\d{1,20})\)"), r"√\1"),
    (re.compile(r"\\(?:times|cdot)(?![a-zA-Z]) ?"), " x "),
    (re.compile(r"\\(?:[,;:! ()\[\]]|quad\b|left\b|right\b)"), " "),
    (re.compile(r"\\pi\b"), "π"),
    (re.compile(r"\b10\*\*(?=-?\d)"), "10^"),
)
_BOXES: _Replacements = (
    (re.compile(r"\[[xX✓✔]\]"), "☑"),
    (re.compile(r"\[ ?\]"), "☐"),
    # What is struck out is rejected; a whole sentence of it is not said at all.
    (re.compile(r"~~([^~\n]{1,60}?)~~"), r"\1 ✗ "),
    (re.compile(r"~~[^~]{1,2000}~~"), " "),
)
_MARKUP: _Replacements = (
    (re.compile(r"\\(?=[$%])|\$|\*\*|__|`{1,3}(?:python\b)?|^#{1,6} ", re.MULTILINE), ""),
    (re.compile(r"(?<![\w)\s*])\*(?=\w)|(?<=\w)\*(?![\w(\s*])|(?:(?<=\s)|^)\*(?=\w{1,40}\*)", re.MULTILINE), ""),
)
_QUESTION = re.compile(r"(?:^|(?<=[.!?:\n]))[^.!?:\n]*\?", re.MULTILINE)
_OWN_ANSWER = re.compile(
    r"(?P<asked>[^.!?:\n]{1,200}\?)(?P<answer> (?:it's|it is|that's|that is|about|exactly|yes|no)\b[^.!?\n]{0,100}[.!])",
    re.IGNORECASE,
)
"""A question that the reply asks and answers itself: `What would 10% be? It's 8.`"""
_TOKEN = re.compile(r"\d[\d.,%]*|[^\W\d_]{4,}")
_QUOTE = re.compile(r"^>[^\n]*$", re.MULTILINE)
_PARENTHETICAL = re.compile(
    r",? (?<=, )(?:though|however|then|of course|in fact|indeed|by contrast|in contrast|on the other hand|in turn), ",
    re.IGNORECASE,
)
_OF_THE_USER = re.compile(
    r"\b(?:you (?:said|wrote|chose|picked|answered|asked|mentioned|thought|think|got)"
    r"|your (?:answer|guess|choice|result|solution))\b"
    r"(?:(?!\bbut\b|\bhowever\b)[^.;\n])*",
    re.IGNORECASE,
)
_OF_OTHERS = re.compile(
    r"\b(?:some|others|many)(?: people)? (?:say|think|believe)\b(?:(?!\bbut\b)[^.\n])*", re.IGNORECASE
)
_CONDITION = re.compile(
    r"\b(?:if|unless|whether|in case)\b(?! i had to\b)(?:(?!, so\b|\bso the\b|\btherefore\b)[^.\n])*", re.IGNORECASE
)
_UNREAL = re.compile(
    r"(?:^|(?<=[.!?\n]))[^.!?\n]{0,200}\bwould\b[^.!?\n]{0,100}\b(?:if|unless|had)\b[^.!?\n]{0,200}",
    re.IGNORECASE | re.MULTILINE,
)
"""`60 would be right if the mass were 1` says what is not so."""
_INSTRUCTION = re.compile(
    r"(?:^|(?<=[.!?\n] ))(?:remember|recall|think (?:of|about)|try|start (?:from|with|by)"
    r"|as a first step|to begin with|don't forget"
    r"|keep in mind|notice|consider)\b(?:(?!, so\b|\bso the\b|\btherefore\b)[^.!?:\n])*",
    re.IGNORECASE | re.MULTILINE,
)
"""`Remember that 10% is 8` tells the user what to start from."""
_INVITATION = re.compile(
    r"\blet(?:'s| us) (?:look|start|consider|begin|discuss)\b(?:(?!\bbut\b)[^.:\n])*", re.IGNORECASE
)
_NOT_STATED = (
    ("would", _UNREAL),
    ("", _INSTRUCTION),
    ("?", _QUESTION),
    (">", _QUOTE),
    ("", _OF_THE_USER),
    ("", _OF_OTHERS),
    ("", _CONDITION),
    ("", _INVITATION),
)
"""What a reply says without stating it, and a sign without which it does not stand there."""
_NEXT_SPEAKER = re.compile(r"\n(?:user|human|student|question|q) ?:", re.IGNORECASE)
_NEXT_QUESTION = re.compile(r"\n([^\n]{1,400}\?)\n\(?A[.):]")


def plain(text: str) -> str:
    """The text without markup, with every number and symbol in one form; a box becomes a line `Answer: ...`.

    Of a reply that thinks aloud in `<think>` tags only what follows them is left.
    """
    text = text.rpartition("</think>")[2].translate(_CHARACTERS)
    for _ in range(_LATEX_DEPTH if "\\" in text else 0):
        text = _replaced(text, _LATEX)
    if any(sign in text for sign in ("\\", "_", "sqrt", "**")):
        text = _BOXED.sub(r"\nAnswer: \1\n", _replaced(text, _SYMBOLS))
    text = _replaced(text, _BOXES) if "[" in text or "~~" in text else text
    text = _single_spaced(text)
    if any(sign in text for sign in "\\$*_`#"):
        text = _replaced(text, _MARKUP)
    return _single_spaced(in_one_form(_PARENTHETICAL.sub(" ", text)))


def own_statements(text: str, stem: str) -> str:
    """A plain text up to a turn or a question other than `stem` that it makes up, without what it does not state itself.

    Questions, conditions, views of others and quotes of the user state nothing.
    """
    ends = [match.start() for match in (_NEXT_SPEAKER.search(text), _other_question(text, stem)) if match]
    text = text[: min(ends, default=len(text))]
    # Looking for a sign first takes a tenth of the time of looking for what is around it.
    if "?" in text:
        text = _OWN_ANSWER.sub(lambda match: match[0] if _restates(match["asked"], stem) else "", text)
    for sign, pattern in _NOT_STATED:
        if sign in text:
            text = pattern.sub("", text)
    return _single_spaced(text)


def _restates(asked: str, stem: str) -> bool:
    """Whether a question asks nothing but what the stem asks."""
    return set(_TOKEN.findall(asked.casefold())) <= set(_TOKEN.findall(plain(stem).casefold()))


def _other_question(text: str, stem: str) -> re.Match[str] | None:
    asked = plain(stem).casefold()
    return next((match for match in _NEXT_QUESTION.finditer(text) if asked not in match[1].casefold()), None)


def _single_spaced(text: str) -> str:
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def _replaced(text: str, replacements: _Replacements) -> str:
    for pattern, new in replacements:
        text = pattern.sub(new, text)
    return text
