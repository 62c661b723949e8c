"""What of a conversation is shown to a model whose window cannot hold all of it.

The first user turn says what the conversation is about and the last turn is what is to be answered, so the oldest
exchanges between them go first. Where even that does not fit, the longest message is shown without its middle, with a
note that says how much is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from lm_eval_plugin.transcript import Message

_LEAST_SHOWN = 200
"""Characters of a message below which showing the rest of it makes no sense."""


def shortened_histories(history: tuple[Message, ...]) -> Iterator[tuple[Message, ...]]:
    """The history itself, then one exchange less each time: the oldest after the first turn, never the last turns."""
    yield history
    while len(history) >= 4:
        history = history[:1] + history[3:]
        yield history


def squeezed_history(
    history: tuple[Message, ...], fits: Callable[[tuple[Message, ...]], bool]
) -> tuple[Message, ...] | None:
    """The history with the middle of its longest message left out, as little as it takes to fit.

    Args:
        history: A history that does not fit.
        fits: Tells whether one does.

    Returns:
        None if it does not fit with 200 characters of that message either.
    """
    if not history:
        return None
    place = max(range(len(history)), key=lambda index: len(history[index].content))
    longest = history[place]

    def showing(characters: int) -> tuple[Message, ...]:
        return (
            *history[:place],
            replace(longest, content=_without_middle(longest.content, characters)),
            *history[place + 1 :],
        )

    least, most = _LEAST_SHOWN, len(longest.content) - 1
    if least > most or not fits(showing(least)):
        return None
    while least < most:
        middle = (least + most + 1) // 2
        if fits(showing(middle)):
            least = middle
        else:
            most = middle - 1
    return showing(least)


def _without_middle(text: str, characters: int) -> str:
    head, tail = (characters + 1) // 2, characters // 2
    return f"{text[:head]} [... {len(text) - characters} characters left out ...] {text[len(text) - tail :]}"
