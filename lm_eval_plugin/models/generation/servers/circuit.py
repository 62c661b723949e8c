"""Whether a server still answers, judged by how its requests ended."""

from __future__ import annotations


class Circuit:
    """Open, so that nothing more should be sent, once requests have only failed; the next success closes it.

    Until a server has replied once, a single failure opens it: there is nothing yet that speaks for the server.

    Args:
        limit: How many requests in a row may fail before it opens.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._failures = 0
        self.proven = False

    @property
    def open(self) -> bool:
        """Whether the server has stopped answering, or never did."""
        return self._failures >= self._limit

    def succeeded(self) -> None:
        """A request was answered."""
        self.proven = True
        self._failures = 0

    def failed(self) -> None:
        """A request failed after all of its tries."""
        self._failures = self._failures + 1 if self.proven else self._limit

    def refused(self) -> None:
        """A request was turned down: the prompt's fault where the server has replied to others, else perhaps its own."""
        self._failures = 0 if self.proven else self._failures + 1
