"""What a model keeps of a dialogue's earlier turns: the keys and values of the tokens that it has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.dialogue.engine import Conversation
from lm_eval_plugin.models.generation.local.roomy_cache import RowKeys

logger = logger_of(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of one row.

    Args:
        ids: The tokens that it holds.
        keys: Their keys and values.
        size: Bytes that they take.
    """

    ids: Sequence[int]
    keys: RowKeys
    size: int

    def first(self, tokens: int) -> RowKeys:
        """Keys and values of the first tokens."""
        return [(keys[:, :tokens], values[:, :tokens]) for keys, values in self.keys]


class KeptKeys:
    """The keys and values of the dialogues that are held, as many as a budget takes.

    What is asked for is handed over and not kept any more; what does not fit is not kept, so its prompt is computed again.
    Dialogues come round in turn, so letting go of the oldest would let go of the one that is needed next.

    Args:
        budget: Bytes that may be kept, from 0.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._kept: WeakKeyDictionary[Conversation, Kept] = WeakKeyDictionary()

    @property
    def size(self) -> int:
        """Bytes that are kept now; a dialogue that has ended takes none."""
        return sum(kept.size for kept in self._kept.values())

    def seen(self, conversation: Conversation | None, ids: Sequence[int]) -> int:
        """How many of a prompt's tokens what is kept of its dialogue begins with; at least the last one is left.

        Args:
            conversation: The dialogue; None for a prompt outside of one.
            ids: The prompt, in tokens.
        """
        kept = None if conversation is None else self._kept.get(conversation)
        return 0 if kept is None else _common_prefix(kept.ids, ids[:-1])

    def take(self, conversation: Conversation | None) -> Kept | None:
        """What is kept of a dialogue, and from now on is not any more."""
        return None if conversation is None else self._kept.pop(conversation, None)

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more can be kept."""
        return self.size + size <= self.budget

    def keep(self, conversation: Conversation, kept: Kept) -> None:
        """Keep it until it is asked for, or the dialogue has ended."""
        self._kept[conversation] = kept

    def clear(self) -> None:
        """Let go of everything."""
        self._kept.clear()


def _common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    pairs = zip(one, other, strict=False)
    return next((place for place, (left, right) in enumerate(pairs) if left != right), min(len(one), len(other)))
