"""Python's collector of reference cycles, kept from looking at everything again and again while dialogues are held."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_NEW_OBJECTS = 10_000
"""How many more objects than before make it look; Python's own number is 700. Dialogues and `generate` leave no cycles."""


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """Look at new objects less often, and not at all at those that are there, such as the libraries' half a million."""
    often = gc.get_threshold()
    gc.freeze()
    # 0 turns it off, and then it stays off.
    gc.set_threshold(often[0] and max(often[0], _NEW_OBJECTS), *often[1:])
    try:
        yield
    finally:
        gc.set_threshold(*often)
        gc.unfreeze()
