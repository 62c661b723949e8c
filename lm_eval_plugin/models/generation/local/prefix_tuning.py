"""Trained prefixes of adapters, in texts that are generated.

peft puts a prefix into the key-value cache under the name that transformers gave it before 5.24. Newer releases pass the
cache under another name and leave peft's out, so that `generate` speaks as the bare model while a forward pass, and so every
score by likelihood, has the prefix: two models under one name. Here the name is translated for peft and back, and a prefix
that is lost all the same is an error.

Source: peft 0.21.2, `PeftModelForCausalLM.prepare_inputs_for_generation`; transformers 5.24, `GenerationMixin`.
"""

from __future__ import annotations

import warnings
from functools import wraps
from typing import Any

import peft
import torch
import transformers
from lm_eval.models.huggingface import HFLM
from peft import PeftType

from lm_eval_plugin.errors import ModelError
from lm_eval_plugin.models.generation.local.row_ends import CACHE_ARGUMENT

_OLD_NAME = "past_key_values"


def use_prefix(lm: HFLM, name: str) -> None:
    """Have an adapter's trained prefix used when texts are generated.

    Args:
        lm: A model that generates in this process.
        name: What to call it in messages.

    Raises:
        ModelError: The prefix is lost with the installed releases.
    """
    kinds = {config.peft_type for config in getattr(lm.model, "peft_config", {}).values()}
    if PeftType.PREFIX_TUNING in kinds:
        if CACHE_ARGUMENT != _OLD_NAME:
            _translate_cache(lm.model)
        _check_prefix(lm, name)


def _translate_cache(model: Any) -> None:
    """Show peft the cache under the name that it knows, and the model under its own."""
    of_base, of_peft = model.base_model_prepare_inputs_for_generation, model.prepare_inputs_for_generation

    @wraps(of_base)
    def for_peft(*args: Any, **kwargs: Any) -> dict[str, Any]:
        return _renamed(of_base(*args, **kwargs), CACHE_ARGUMENT, _OLD_NAME)

    @wraps(of_peft)
    def for_model(*args: Any, **kwargs: Any) -> dict[str, Any]:
        return _renamed(of_peft(*args, **kwargs), _OLD_NAME, CACHE_ARGUMENT)

    model.base_model_prepare_inputs_for_generation = for_peft
    model.prepare_inputs_for_generation = for_model


def _renamed(arguments: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return {new if key == old else key: value for key, value in arguments.items()}


def _check_prefix(lm: HFLM, name: str) -> None:
    ids = torch.tensor([lm.tok_encode("What is the answer?")], device=lm.device)
    seen = torch.ones_like(ids)
    with warnings.catch_warnings(), torch.no_grad():
        # A forward pass of peft uses the old name, which is deprecated.
        warnings.simplefilter("ignore")
        bare = lm.model.get_base_model()(input_ids=ids, attention_mask=seen).logits[0, -1].float()
        passed = lm.model(input_ids=ids, attention_mask=seen).logits[0, -1].float()
        settings = {"max_new_tokens": 1, "do_sample": False, "output_logits": True, "return_dict_in_generate": True}
        outcome = lm.model.generate(input_ids=ids, attention_mask=seen, **settings)
    generated = outcome.logits[0][0].float()
    if not (generated - passed).norm() <= (generated - bare).norm():
        raise ModelError(
            f"{name}: the prefix of its adapter is lost when texts are generated (peft {peft.__version__} with transformers "
            f"{transformers.__version__}), so that it would speak as the model without the adapter; install "
            "transformers<5.24, or a peft that knows this release"
        )
