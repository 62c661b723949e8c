"""The errors that this package raises, and the policy behind them.

    ChatbenchError
    ├── ConfigError      what the user asked for cannot be done: a key, a value, a data set, a flag
    ├── ModelError       a language model cannot be loaded or used as asked
    │   └── ServerGoneError   its server stopped answering in the midst of a run
    ├── SimulatorError   the simulated user's model, adapter or window does not fit the task
    └── JudgeError       the judge's model cannot be loaded or used

An error says what is wrong, where (task, question, key), and what to do next, and it comes before time is spent.

What goes wrong inside one dialogue is data, not an exception: a missing reply, a full context window or an answer that
is no letter ends that dialogue with a `StopReason` and every other dialogue goes on. Anything else is a bug and is
left to propagate.
"""


class ChatbenchError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigError(ChatbenchError):
    """The configuration, a data set, a file or a command-line flag cannot be used; what was finished before it is kept."""


class ModelError(ChatbenchError):
    """A language model cannot be loaded or used as asked."""


class ServerGoneError(ModelError):
    """A server that had answered stopped, and did not come back in time; what was finished is kept where there is a cache.

    Attributes:
        finished: The transcripts that no cache keeps, as JSON: by the identity of their request and which of its dialogues.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.finished: dict[tuple[int, int], str] = {}


class SimulatorError(ChatbenchError):
    """The simulated user's model does not fit its adapter or the task."""


class JudgeError(ChatbenchError):
    """The judge's model cannot be loaded or used; a verdict that cannot be read is data, not this."""
