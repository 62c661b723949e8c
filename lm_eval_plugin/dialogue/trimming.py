"""What of a conversation is shown to a model whose window cannot hold all of it.

The first user turn says what the conversation is about and the last turn is what is to be answered, so the oldest
exchanges between them go first. Where even that does not fit, the longest messages are shown without their middle, with
a note that says how much is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from lm_eval_plugin.dialogue.transcript import Message

_LEAST_SHOWN = 200
"""Characters of a message below which showing the rest of it makes no sense."""


def shortened_histories(history: tuple[Message, ...]) -> Iterator[tuple[Message, ...]]:
    """One exchange less each time: the oldest after the first turn, never the last turns."""
    while len(history) >= 4:
        history = history[:1] + history[3:]
        yield history


def squeezed_history(
    history: tuple[Message, ...], fits: Callable[[tuple[Message, ...]], bool]
) -> tuple[Message, ...] | None:
    """The history with the middles of its longest messages left out, the longest first and as little as it takes to fit.

    Args:
        history: A history that does not fit.
        fits: Tells whether one does.

    Returns:
        None if it does not fit with 200 characters of each message either.
    """
    for place in sorted(range(len(history)), key=lambda index: -len(history[index].content)):
        most = len(history[place].content) - 1
        if most < _LEAST_SHOWN:
            return None
        squeezed = _showing(history, place, _LEAST_SHOWN)
        if fits(squeezed):
            return _showing(history, place, _most_that_fits(history, place, most, fits))
        history = squeezed
    return None


def _most_that_fits(
    history: tuple[Message, ...], place: int, most: int, fits: Callable[[tuple[Message, ...]], bool]
) -> int:
    """How many characters of a message can be shown; the least number is known to fit."""
    least = _LEAST_SHOWN
    while least < most:
        middle = (least + most + 1) // 2
        if fits(_showing(history, place, middle)):
            least = middle
        else:
            most = middle - 1
    return least


def _showing(history: tuple[Message, ...], place: int, characters: int) -> tuple[Message, ...]:
    message = history[place]
    shown = replace(message, content=_without_middle(message.content, characters))
    return (*history[:place], shown, *history[place + 1 :])


def _without_middle(text: str, characters: int) -> str:
    head, tail = (characters + 1) // 2, characters // 2
    return f"{text[:head]} [... {len(text) - characters} characters left out ...] {text[len(text) - tail :]}"
