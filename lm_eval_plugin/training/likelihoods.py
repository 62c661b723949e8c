"""Log-likelihoods of strings in tokens: of the whole, of its end, and of the tokens that could stand at one place.

The host's `loglikelihood` gives the sum over one continuation a request. With the backend `hf` all three come out of one
forward pass here; other backends are asked for each.

The host's `hf` backend must not be asked for the whole and for the end in one call: it runs both as one (0.4.13, `Collator` with
`group_by="contexts"`), and then takes the shorter one's likelihoods at the longer one's places.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from tqdm import tqdm

from lm_eval_plugin.lm_eval_access.base import TemplateLM
from lm_eval_plugin.lm_eval_access.local import HFLM, chunks, pad_and_concat
from lm_eval_plugin.lm_eval_access.private_names import TokenPair, detected_batch_size, logits, token_likelihoods


@dataclass(frozen=True, slots=True)
class TokenString:
    """A string in tokens.

    Args:
        start: What stands first, at least one token.
        end: What stands behind it.
        place: Where in the end one of several tokens stands, from 0.
        choices: These tokens by name; none if there is nothing to choose.
    """

    start: Sequence[int]
    end: Sequence[int]
    place: int
    choices: Mapping[str, int]

    @property
    def tokens(self) -> list[int]:
        """All of it."""
        return [*self.start, *self.end]


@dataclass(frozen=True, slots=True)
class Likelihoods:
    """Natural logarithms of the likelihoods of a string.

    Args:
        string: Of all its tokens but the first.
        end: Of its end.
        choices: Of each choice at its place.
    """

    string: float
    end: float
    choices: Mapping[str, float]


def likelihoods(lm: TemplateLM, strings: Sequence[TokenString]) -> list[Likelihoods]:
    """The log-likelihoods of strings that fit into the model's window, in their order.

    Args:
        lm: object backend that scores tokens.
        strings: The strings.
    """
    if isinstance(lm, HFLM) and lm.backend == "causal":
        return _by_forward_passes(lm, strings)
    return _by_requests(lm, strings)


def _by_forward_passes(lm: HFLM, strings: Sequence[TokenString]) -> list[Likelihoods]:
    size = detected_batch_size(lm) if lm.batch_size == "auto" else lm.batch_size
    # The longest first, so that a batch has little padding and memory runs out at once if it does.
    order = sorted(range(len(strings)), key=lambda place: -len(strings[place].tokens))
    found: dict[int, Likelihoods] = {}
    with tqdm(total=len(strings), desc="Scoring strings", disable=lm.rank != 0) as bar:
        for batch in chunks(order, n=size):
            found.update(zip(batch, _of_batch(lm, [strings[place] for place in batch]), strict=True))
            bar.update(len(batch))
    return [found[place] for place in range(len(strings))]


def _of_batch(lm: HFLM, strings: Sequence[TokenString]) -> Iterator[Likelihoods]:
    inputs = [torch.tensor(string.tokens[:-1], device=lm.device) for string in strings]
    padded = pad_and_concat(max(map(len, inputs)), inputs, padding_side="right")
    # Virtual tokens of a tuned prompt have logits in front of those of the string.
    behind = logits(lm, padded)[:, -padded.shape[1] :]
    for string, each in zip(strings, behind, strict=True):
        yield _of_string(string, each)


def _of_string(string: TokenString, logits: torch.Tensor) -> Likelihoods:
    """From logits of shape (at least tokens - 1, vocabulary), each for the token behind its place."""
    targets = torch.tensor(string.tokens[1:], device=logits.device)
    # In a model's half precision, a sum of hundreds of logarithms would keep two digits.
    logarithms = logits[: len(targets)].float().log_softmax(-1)
    told = logarithms.gather(1, targets[:, None])[:, 0].double()
    before_end = len(string.start) - 1
    at_place = logarithms[before_end + string.place]
    return Likelihoods(
        string=told.sum().item(),
        end=told[before_end:].sum().item(),
        choices={name: at_place[token].item() for name, token in string.choices.items()},
    )


def _by_requests(lm: TemplateLM, strings: Sequence[TokenString]) -> list[Likelihoods]:
    wholes = token_likelihoods(lm, [(None, string.tokens[:1], string.tokens[1:]) for string in strings])
    parts = iter(token_likelihoods(lm, list(chain.from_iterable(map(_parts, strings)))))
    return [
        Likelihoods(whole, next(parts), {name: next(parts) for name in string.choices})
        for whole, string in zip(wholes, strings, strict=True)
    ]


def _parts(string: TokenString) -> list[TokenPair]:
    before = [*string.start, *string.end[: string.place]]
    return [(None, [*string.start], [*string.end]), *((None, before, [token]) for token in string.choices.values())]
