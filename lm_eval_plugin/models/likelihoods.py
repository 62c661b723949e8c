"""How likely a model takes each of some words for its next ones, by lm_eval's own `loglikelihood`."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_plugin.dialogue.engine import Ask
from lm_eval_plugin.errors import JudgeError
from lm_eval_plugin.lm_eval_access.base import Instance, TemplateLM
from lm_eval_plugin.models.chat_format import is_chat_api
from lm_eval_plugin.models.lm_model import HostModel


def log_likelihoods(model: HostModel, asks: Sequence[Ask], words: Sequence[Sequence[str]]) -> list[list[float] | None]:
    """The natural logarithms of the likelihoods of each ask's words, all in one call of lm_eval.

    Args:
        model: Who is asked.
        asks: What it is asked; whatever does not fit into its window with a reply is not shown in part.
        words: Of each ask, what may follow it.

    Returns:
        For each ask the likelihoods of its words, or None if it does not fit.

    Raises:
        JudgeError: The backend tells no likelihoods.
    """
    check_tells_likelihoods(model)
    fitted = [model.fit(ask) for ask in asks]
    prompts = [None if found is None else str(found[0].text) for found in fitted]
    pairs = [
        (prompt, word if prompt[-1:].isspace() else f" {word}")
        for prompt, each in zip(prompts, words, strict=True)
        if prompt is not None
        for word in each
    ]
    told = iter(_scored(model, pairs))
    return [None if prompt is None else [next(told) for _ in each] for prompt, each in zip(prompts, words, strict=True)]


def check_tells_likelihoods(model: HostModel) -> None:
    """Make sure that a model's backend can be asked for likelihoods.

    Raises:
        JudgeError: It takes chat messages only, and tells none.
    """
    if is_chat_api(type(model.lm)):
        raise JudgeError(
            f"{model.name}: a chat API tells no log-likelihoods; take dialogue.reader.by: judge, or a backend that tells them"
        )


def _scored(model: HostModel, pairs: Sequence[tuple[str, str]]) -> list[float]:
    requests = [
        Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=index) for index, pair in enumerate(pairs)
    ]
    if not requests:
        return []
    quiet = {"disable_tqdm": True} if isinstance(model.lm, TemplateLM) else {}
    try:
        return [float(likelihood) for likelihood, _ in model.lm.loglikelihood(requests, **quiet)]
    except NotImplementedError as error:
        raise JudgeError(
            f"{model.name}: its backend tells no log-likelihoods; take dialogue.reader.by: judge, or another backend"
        ) from error
