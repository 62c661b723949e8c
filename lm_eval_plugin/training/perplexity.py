"""How well a model foretells what people wrote: `score_reply`, a request type of the host.

What is counted, for a prompt and the reply that a person gave to it:

- Both are tokenized apart, the prompt with the special tokens that the backend puts in front of a text, as they are in training
  and when a simulator runs: it is shown the prompt's tokens and generates the reply's. The string is one behind the other.
- Over the reply, each of its tokens counts, the end marker's included.
- Over the string, every token counts but the first, before which nothing stands: the BOS token where the tokenizer sets one.
  That is what transformers counts as the loss over `labels=input_ids`.
- Of the answers `Answer: A`, `Answer: B`, ... the model names the one whose token is the likeliest where they differ.
- A string of more tokens than the model's window is not scored; nothing is truncated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import compress

from lm_eval_plugin.answers.final_answer import ANSWER_HEAD
from lm_eval_plugin.border.terminal import logger_of, warn_once
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.lm_eval_access.base import LM, Instance, TemplateLM
from lm_eval_plugin.models.chat_format import is_chat_api
from lm_eval_plugin.models.generation.finite_logits import no_numbers
from lm_eval_plugin.training.likelihoods import Likelihoods, TokenString, likelihoods

logger = logger_of(__name__)


@dataclass(frozen=True, slots=True)
class ReplyScore:
    """How likely a model finds a reply.

    Args:
        tokens: Of the string that were or would be scored.
        reply_tokens: Of the reply.
        string: Log-likelihood of the string, a natural logarithm; None if it is longer than the window.
        reply: Of the reply alone, likewise.
        letters: Of each letter behind `Answer:`, where letters were asked for.
    """

    tokens: int
    reply_tokens: int
    string: float | None = None
    reply: float | None = None
    letters: Mapping[str, float] = field(default_factory=dict)

    @property
    def likeliest(self) -> str | None:
        """The letter that the model would answer with; None where letters were not asked for."""
        return max(self.letters, key=self.letters.__getitem__, default=None)


def score_arguments(prompt: str, reply: str, letters: str = "") -> tuple[str, dict[str, str]]:
    """The arguments of a request.

    Args:
        prompt: What the model is shown.
        reply: What the person wrote behind it.
        letters: The letters to choose from, where the reply is an answer.
    """
    return prompt, {"reply": reply, "letters": letters}


def score_reply(lm: LM, requests: Sequence[Instance]) -> list[dict[str, object]]:
    """Score replies by any backend of the host that tells tokens and their likelihood.

    Args:
        lm: The model.
        requests: Instances with the arguments of `score_arguments`.

    Returns:
        The fields of a `ReplyScore` each, in the order of the requests.

    Raises:
        ConfigError: The backend does not tell tokens or likelihoods.
        ModelError: Its likelihoods are no numbers.
    """
    _check_backend(lm)
    strings = [_tokenized(lm, prompt, **asked) for prompt, asked in (instance.args for instance in requests)]
    fits = [len(string.tokens) <= int(lm.max_length) for string in strings]
    fitting = list(compress(strings, fits))
    told = iter(_numbers(lm, likelihoods(lm, fitting)) if fitting else [])
    return [asdict(_score(string, next(told) if fit else None)) for string, fit in zip(strings, fits, strict=True)]


def _numbers(lm: LM, told: Sequence[Likelihoods]) -> Sequence[Likelihoods]:
    if any(math.isnan(each) for one in told for each in (one.string, one.end, *one.choices.values())):
        raise no_numbers(lm, "the model under test")
    return told


def _score(string: TokenString, told: Likelihoods | None) -> ReplyScore:
    counts = (len(string.tokens) - 1, len(string.end))
    return ReplyScore(*counts) if told is None else ReplyScore(*counts, told.string, told.end, told.choices)


def _tokenized(lm: TemplateLM, prompt: str, reply: str, letters: str) -> TokenString:
    end = _behind(lm, reply)
    answers = {letter: _behind(lm, f"{ANSWER_HEAD} {letter}") for letter in letters}
    heads = [tokens[:-1] for tokens in answers.values()]
    place = len(heads[0]) if heads else 0
    if any(head != end[:place] for head in heads):
        warn_once(
            logger,
            lm,
            "The model's tokenizer writes the answers to choose from, or the reply behind them, so that they differ in more than "
            "one token; perplexity is reported without answer_named for such replies.",
        )
        place, answers = 0, {}
    return TokenString(lm.tok_encode(prompt), end, place, {letter: tokens[-1] for letter, tokens in answers.items()})


def _behind(lm: TemplateLM, text: str) -> list[int]:
    """The tokens of a text that stands behind another."""
    tokens: list[int] = lm.tok_encode(text, add_special_tokens=False)
    return tokens


def _check_backend(lm: LM) -> None:
    if isinstance(lm, TemplateLM) and not is_chat_api(type(lm)):
        tokens = lm.tok_encode("a")
        if isinstance(tokens, list) and tokens and isinstance(tokens[0], int):
            return
    raise ConfigError(
        f"the backend {type(lm).__name__} does not tell tokens and their likelihoods, which perplexity is made of; use hf, vllm, "
        "sglang, or local-completions with a tokenizer in model_args"
    )
