"""Why a model, a tokenizer or an adapter could not be had from the Hugging Face hub, and what to do about it.

transformers and PEFT wrap the hub's errors in `OSError` and `ValueError` whose text names neither the reason nor the way
out, so the chain of causes is read here: the most telling error in it decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

HTTP_ERROR: type[Exception] = HfHubHTTPError.__bases__[0]
"""Base of what the hub's HTTP client raises; which client that is depends on the version of huggingface_hub."""

# A refusal is often wrapped in "not in the cache", so what the hub has said stands before what is missing here.
_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (
        GatedRepoError,
        (
            "it is gated. Open https://huggingface.co/{name}, accept its licence on its page, and log in as who has accepted it, "
            "with `hf auth login` or HF_TOKEN."
        ),
    ),
    (
        RepositoryNotFoundError,
        (
            "the hub has no repository {name!r} that you may see. Check the name; if it is private, log in with `hf auth login` "
            "or set HF_TOKEN."
        ),
    ),
    (
        RevisionNotFoundError,
        (
            "{name} has no such revision. See https://huggingface.co/{name}/commits/main for those that it has, and give one as "
            "revision (of the adapter: adapter_revision) in model_args, or none."
        ),
    ),
    (DisabledRepoError, "the hub has disabled {name}. Use another model or a local folder."),
    (
        RemoteEntryNotFoundError,
        (
            "the repository {name} lacks a file that is needed ({said}). Check that it is what it is used as: a model, a "
            "tokenizer or an adapter."
        ),
    ),
    (HfHubHTTPError, "{refusal}"),
    (
        PermissionError,
        "it cannot be written to the cache ({said}). Make HF_HOME a folder that you may write to.",
    ),
    (ConnectionError, "{network}"),
    (LocalEntryNotFoundError, "{network}"),
    (TimeoutError, "{network}"),
    (HTTP_ERROR, "{network}"),
    (HFValidationError, "{name!r} is neither a folder nor a name of the hub. Give an existing folder, or owner/name."),
)


def why_unavailable(name: str, error: BaseException) -> str:
    """What kept a model, tokenizer or adapter from being had, and what to do next.

    Args:
        name: The folder or the name on the hub that was asked for.
        error: What the library raised.

    Returns:
        A reason in lower case and then whole sentences, to stand behind "cannot be loaded: ".
    """
    causes = list(_causes(error))
    on_hub = not Path(name).exists()
    refusals = [cause for cause in causes if isinstance(cause, HfHubHTTPError)]
    if "safetensors" in str(error) and all(isinstance(refusal, RemoteEntryNotFoundError) for refusal in refusals):
        # Without a network nobody can tell whether the hub has such a file.
        return _no_network(name) if on_hub and constants.HF_HUB_OFFLINE else _no_safetensors(name, error)
    if not on_hub:
        return (
            f"the folder {name} does not hold what is needed ({_first_line(error)}). Give the folder of a whole model."
        )
    for kind, reason in _REASONS:
        if found := _of(causes, kind):
            return reason.format(
                name=name, said=_first_line(found), refusal=_refusal(name, found), network=_no_network(name)
            )
    return f"{_first_line(error)}. Check the name, and that it is what it is used as (model, tokenizer or adapter)."


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, from the last to the first."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _of(causes: list[BaseException], kind: type[BaseException]) -> BaseException | None:
    return next((cause for cause in causes if isinstance(cause, kind)), None)


def _no_safetensors(name: str, error: BaseException) -> str:
    return (
        f"only weights in safetensors are loaded, because a pickle can run code, and {name} has none that can be read "
        f"({_shortened(str(error))}). Convert them, with `save_pretrained` on a machine where you trust them, or use another model."
    )


def _refusal(name: str, error: BaseException) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return (
            f"the hub refused access to {name} (HTTP {status}). Check that HF_TOKEN or the token of `hf auth login` is "
            f"valid and may read it; `hf auth whoami` says whose it is."
        )
    if status == 429:
        return "the hub refused for too many requests (HTTP 429). Wait a few minutes, and log in with `hf auth login`."
    return f"the hub answered with HTTP {status}. Try again later, or see https://status.huggingface.co."


def _no_network(name: str) -> str:
    if constants.HF_HUB_OFFLINE:
        why, start = "HF_HUB_OFFLINE is set", "Unset HF_HUB_OFFLINE if there is a network; without one, download"
    else:
        why, start = "the Hugging Face hub cannot be reached", "Download"
    return (
        f"it is not complete in the local cache, and {why}. {start} it elsewhere with `hf download {name} --local-dir FOLDER` "
        "(if it is gated, first accept its licence on its page and log in) and give local folders as base and adapter; or use "
        "the simulator 'demo' or 'scripted'."
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return _shortened(lines[0]) if lines else type(error).__name__


def _shortened(text: str) -> str:
    return " ".join(text.split()).rstrip(".")[:300]
