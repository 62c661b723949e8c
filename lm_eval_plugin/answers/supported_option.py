r"""Which options of a question an assistant's reply supports: by letter, by text, by number, or several of them.

A reply is made plain (`plain_text`), its mentions of options become marks (`option_marks`), and then the strongest
statement about an option decides, of several the last:

| strength | such as |
|---|---|
| verdict | `The answer is B`, `B is correct`, `choose B`, `\boxed{B}`, `B. 56 ✅` |
| alone | the reply begins with `B.`, or its last line is `B` |
| conclusion | `so B`, `it is B`, `= 56`, `that leaves B` |
| mention | the only option that a clause asserts (`mentions`), or the only one that is left |

A reply that hints, rejects or asks back (`tutoring`) is read for verdicts alone. Where the question asks for what is not so,
false or least so (`polarity`), `negated` reads; pairs of judgements, as in moral scenarios, are read by `judgements`.

What a clause rejects (`not B`, `B is too small`) it does not support. After a correction (`Wait, ...`) what was said before
it no longer counts. `B or C` is undecided; `both B and C` supports both. A plain function of text: no model, no chance.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lm_eval_plugin.answers.elimination import compared, rejections
from lm_eval_plugin.answers.judgements import judged_option, of_judgements
from lm_eval_plugin.answers.mentions import asserted
from lm_eval_plugin.answers.negated import lacking
from lm_eval_plugin.answers.option_marks import OPTION, given, marked
from lm_eval_plugin.answers.plain_text import own_statements, plain
from lm_eval_plugin.answers.polarity import Polarity, polarity_of
from lm_eval_plugin.answers.tutoring import leaves_it_to_the_user, suggests_a_step
from lm_eval_plugin.answers.verdicts import Strength, comes_to_no_option, outright, statements
from lm_eval_plugin.answers.walks import Walk, walked
from lm_eval_plugin.dialogue.question import Question

_END = 10_000
"""How many characters of a long reply are read at each end, where answers stand; what lies between is not read."""


_LETTER_FIRST = re.compile(r"\W{0,4}(?:option |answer )?[a-z](?:\W|$)")
_CORRECTION = re.compile(
    r"(?:^|[.!?…\n,-])\s?(?:but |oh,? |hmm,? )?(?:wait|actually|sorry|correction|apologies)\b"
    r"|\b(?:scratch that|i apologi[sz]e|i (?:made a mistake|was wrong|meant|mean|miscounted)|let me (?:re\w+|double[- ]?check))\b"
    rf"|(?:[.!?…\n]|\bbut) ?no[,:](?=[^.\n]{{0,200}}{OPTION})"
)
_TAKEN_BACK = re.compile(r"\b(?:wrong|incorrect|mistake|not right|not correct|isn't right)\b")


def named_options(reply: str, question: Question) -> frozenset[str]:
    """The letters that a reply supports at its end; empty for none or undecided, several if it says that several hold."""
    whole = plain(_ends(reply))
    text = own_statements(whole, question.stem)
    said = marked(text, question).lower()
    reading = _Reading(question, polarity_of(question.stem), whole.lower())
    if of_judgements(question):
        return (
            outright(said, alone=not reading.guides)
            or judged_option(text, question)
            or _supported(said, reading)
            or frozenset()
        )
    correction = max((match.end() for match in _CORRECTION.finditer(said)), default=0)
    if correction:
        corrected = _supported(said[correction:], reading)
        if corrected is not None or _TAKEN_BACK.search(said, correction):
            return corrected or frozenset()
    return _supported(said, reading) or frozenset()


def named_option(reply: str, question: Question) -> str | None:
    """The one option that a reply supports, or None where it supports none or more than one."""
    letters = named_options(reply, question)
    return next(iter(letters)) if len(letters) == 1 else None


def concluded_option(text: str, question: Question) -> str | None:
    """The one option that a text states as the answer: by a verdict, a conclusion or by itself, not by mentioning it."""
    said = marked(own_statements(plain(_ends(text)), question.stem), question).lower()
    # Every first message of a user is read so, and most speak of no option.
    if not re.search(OPTION, said):
        return None
    letters = _stated(said, rejections(said), tuple(Strength)[::-1]) or frozenset()
    return next(iter(letters)) if len(letters) == 1 else None


def _ends(reply: str) -> str:
    return reply if len(reply) <= 2 * _END else f"{reply[:_END]}\n{reply[-_END:]}"


@dataclass(frozen=True, slots=True)
class _Reading:
    """What decides how a text about a question is read.

    Args:
        question: The question.
        polarity: What it asks for.
        whole: The reply in plain form and small letters.
    """

    question: Question
    polarity: Polarity
    whole: str

    @property
    def guides(self) -> bool:
        """Whether the reply leaves the answer to the user, so that only a verdict counts."""
        return leaves_it_to_the_user(self.whole)


def _supported(said: str, reading: _Reading) -> frozenset[str] | None:
    """The options that the strongest and last statement supports; None if no option is spoken of."""
    if reading.polarity is not Polarity.POSITIVE:
        return _lacking(said, reading)
    rejected = rejections(said)
    walk = walked(said, reading.question, reading.polarity)
    several = walk is not None and walk.several
    verdict = outright(said, alone=False) if several else _stated(said, rejected, [Strength.VERDICT], walk)
    if verdict is not None or reading.guides:
        return verdict
    # What a walk through the options begins or ends with does not stand alone.
    weaker = [Strength.CONCLUSION] if walk is not None else [Strength.ALONE, Strength.CONCLUSION]
    stated = _stated(said, rejected, weaker)
    if stated is not None:
        return stated
    return compared(said, reading.question) or _only_one_left(said, frozenset(rejected), reading)


def _stated(
    said: str, rejected: Mapping[str, int], strengths: Sequence[Strength], walk: Walk | None = None
) -> frozenset[str] | None:
    """The options of the last statement of the first of these strengths that has one; a walk's outcome is a verdict."""
    for strength in strengths:
        made = [(each.end, each.letters) for each in statements(strength, said, rejected)]
        if walk is not None and walk.letters and strength is Strength.VERDICT:
            made.append((walk.start, walk.letters))
        if made:
            return max(made, key=lambda each: each[0])[1]
    return None


def _lacking(said: str, reading: _Reading) -> frozenset[str] | None:
    """The options that a verdict names, or of which it is said that they lack what the question asks about."""
    walk = walked(said, reading.question, reading.polarity)
    # `It releases oxygen` says that the statement of this text is true, and not which is false; a letter is an answer.
    text_alone = reading.polarity is Polarity.FALSE and not _LETTER_FIRST.match(reading.whole)
    found = outright(said, alone=walk is None and not reading.guides and not text_alone)
    if found is not None or reading.guides:
        return found
    return (walk and walk.letters) or lacking(said, reading.question, reading.polarity)


def _only_one_left(said: str, rejected: frozenset[str], reading: _Reading) -> frozenset[str] | None:
    """The only option that a sentence asserts, else the only one that is not rejected; None without one.

    Where something comes out that is no option, as in `I get 1. 56 less 6`, what is merely mentioned is not the answer.
    """
    if comes_to_no_option(said):
        return None
    claimed = asserted(said, reading.question, rejected | given(reading.question))
    if claimed and not suggests_a_step(reading.whole):
        return claimed if len(claimed) == 1 else frozenset()
    left = frozenset(reading.question.letters) - rejected
    return left if len(left) == 1 else None
