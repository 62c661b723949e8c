"""Generation by a causal language model in this process, with transformers' own `generate`.

The host's `generate_until` computes a batch until its last row has ended, and every prompt from its first token on. Here

- each row ends at its own stop string or end token, and rows that wait take its place;
- what a dialogue's earlier turns left in the key-value cache is used again, as far as its budget goes;
- both only for a model of which they were shown to change nothing; see `neutrality`;
- what is sampled for a row depends on the row's own seed alone;
- a batch that does not fit into memory lets go of what is kept, and is halved if that is not enough.

Tokenization, stop strings and generation arguments are the host's, and so is the text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from accelerate.utils import find_executable_batch_size
from accelerate.utils.memory import should_reduce_batch_size
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import has_bos_prefix

from lm_eval_plugin.border.terminal import logger_of
from lm_eval_plugin.errors import ModelError
from lm_eval_plugin.models.generation import Generated, Prompted
from lm_eval_plugin.models.generation.local.batch import Row, decode
from lm_eval_plugin.models.generation.local.decoding import Decoding
from lm_eval_plugin.models.generation.local.kept_keys import KeptKeys
from lm_eval_plugin.models.generation.local.roomy_cache import roomy_up_to
from lm_eval_plugin.models.generation.neutrality.exclusions import verdict_of
from lm_eval_plugin.models.generation.shared_time import with_shares

logger = logger_of(__name__)

_SETTINGS = frozenset(
    (
        *("until", "max_gen_toks", "do_sample", "temperature"),
        *("top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"),
    )
)
"""Generation arguments under which no row depends on its neighbours or on their padding."""

_OWN_SETTINGS = _SETTINGS | {
    *("repetition_penalty", "suppress_tokens", "stop_strings", "max_length"),
    *("use_cache", "output_attentions", "output_hidden_states"),
    *("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"),
    *("_from_model_config", "transformers_version", "trust_remote_code", "early_stopping", "length_penalty"),
}
"""The same for what a checkpoint sets; the last two are for beams alone, which are another setting."""

_ONE_IS_NONE = {"num_beams", "num_beam_groups", "num_return_sequences", "guidance_scale", "encoder_repetition_penalty"}


def generates_locally(lm: object, gen_kwargs: Mapping[str, Any]) -> bool:
    """Whether a backend's `generate_until` is that of the host's causal models, under arguments that keep rows apart."""
    return (
        isinstance(lm, HFLM)
        and type(lm).generate_until is HFLM.generate_until
        and type(lm)._model_generate is HFLM._model_generate  # noqa: SLF001
        and lm.backend == "causal"
        and gen_kwargs.keys() <= _SETTINGS
    )


def settings_of_batches(lm: HFLM) -> list[str]:
    """Which settings of a checkpoint's own generation configuration make a text depend on the batch, or on its pieces.

    They count tokens from where a call of `generate` begins, look at tokens of paddings, or search for several texts.
    """
    own = lm.model.generation_config.to_diff_dict()
    return sorted(
        name
        for name, setting in own.items()
        if name not in _OWN_SETTINGS and setting and not (name in _ONE_IS_NONE and setting == 1)
    )


class LocalGeneration:
    """Generation by an `hf` model of the host.

    Args:
        lm: The model; see `generates_locally`.
        name: What to call it in messages.
        kept: Where to keep what earlier turns left.
    """

    seeded = True

    def __init__(self, lm: HFLM, name: str, kept: KeptKeys) -> None:
        self._lm = lm
        self._name = name
        self._kept = kept
        longest = roomy_up_to(lm.model)
        self._verdict = verdict_of(lm, name, longest)
        # Without it nothing is kept, and rows stay together to their end.
        self._roomy_up_to = 0 if self._verdict.keys else longest

    def encode(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """Prompts in the model's tokens, exactly as they are generated from.

        Each is encoded as the host's `tok_batch_encode` encodes it by itself; of several, the host lets the first decide
        whether they need a token for their beginning.
        """
        lm = self._lm
        ids: dict[str, list[int]] = {}
        bos = getattr(lm.tokenizer, "bos_token", None)
        for begun in (False, True):
            alike = [text for text in dict.fromkeys(texts) if has_bos_prefix(text, bos) is begun]
            special = False if begun else lm.add_bos_token
            options = {} if special is None else {"add_special_tokens": special}
            if alike:
                ids.update(zip(alike, lm.tokenizer(alike, **options)["input_ids"], strict=True))
        return [tuple(ids[text]) for text in texts]

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """How many of the model's tokens each text takes by itself, without a beginning or an end."""
        return (
            [len(ids) for ids in self._lm.tokenizer(list(texts), add_special_tokens=False)["input_ids"]]
            if texts
            else []
        )

    def generate(self, prompts: Sequence[Prompted], gen_kwargs: Mapping[str, Any]) -> list[Generated]:
        """Generate for B prompts, in their order.

        Args:
            prompts: B prompts that fit into the model's window together with `max_gen_toks`.
            gen_kwargs: As the host's `generate_until` takes them.

        Raises:
            ModelError: Not even one prompt fits into memory, or the model's logits are no numbers.
        """
        decoding = Decoding.read(gen_kwargs, self._lm, self._name)
        rows = [self._row(prompt) for prompt in prompts]
        # Rows of like length share a batch; the longest go first, so that what does not fit into memory shows at once.
        waiting = sorted(rows, key=lambda row: len(row.ids) - row.seen, reverse=True)
        size = 1 if self._verdict.batches else max(1, self._lm.batch_size)
        if not (self._fits(waiting, size, decoding) or self._fits_without_kept(waiting, size, decoding)):
            self._in_smaller_batches(waiting, size, decoding)
        return [each for each in with_shares([row.written for row in rows]) if each is not None]

    def _row(self, prompt: Prompted) -> Row:
        ids = prompt.ids or self.encode([prompt.text])[0]
        return Row(prompt, ids, self._kept.seen(prompt.conversation, ids))

    def _decode(self, rows: Sequence[Row], size: int, decoding: Decoding) -> None:
        decode(rows, size, decoding, roomy_up_to=self._roomy_up_to, kept=self._kept)

    def _fits(self, rows: Sequence[Row], size: int, decoding: Decoding) -> bool:
        """Generate for rows; whether so many fit into memory together."""
        try:
            self._decode(rows, size, decoding)
        except Exception as error:
            if not should_reduce_batch_size(error):
                raise
            # Only outside of this block nothing holds on to what did not fit any more.
            return False
        return True

    def _fits_without_kept(self, rows: Sequence[Row], size: int, decoding: Decoding) -> bool:
        """The same for those that have no text yet, after letting go of what is kept; from now on half as much is."""
        held = self._kept.size
        self._kept.clear()
        if not held:
            return False
        self._kept.budget = held // 2
        logger.warning("%s: out of memory; keeping at most %d MiB of earlier turns", self._name, held // 2**21)
        return self._fits(_without_text(rows), size, decoding)

    def _in_smaller_batches(self, rows: Sequence[Row], size: int, decoding: Decoding) -> None:
        """Generate for the rows that have no text yet after some did not fit: with half as many, or half of that, from now on."""

        def halved() -> int:
            nonlocal size
            self._kept.clear()
            size //= 2
            if size:
                logger.warning("%s: out of memory; going on with batches of %d", self._name, size)
            return size

        def attempt(batch_size: int) -> None:
            self._decode(_without_text(rows), batch_size, decoding)

        try:
            # Not as a decorator: as one, accelerate before 1.15 forgets how to reduce the size.
            find_executable_batch_size(attempt, starting_batch_size=halved(), reduce_batch_size_fn=halved)()
        except RuntimeError as error:
            if size:
                raise
            raise ModelError(
                f"{self._name}: not even one prompt of {len(_without_text(rows)[0].ids)} tokens fits into memory; lower "
                "max_tokens, use a smaller model or quantization: nf4, or another device in its model_args"
            ) from error
        self._lm.batch_size_per_gpu = size


def _without_text(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.written is None]
