"""Which files a simulator is made of, and whether they are on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from lm_eval_plugin.border.paths import local_or_hub
from lm_eval_plugin.config.simulator import SimulatorConfig
from lm_eval_plugin.models.revisions import revision_of

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")


def is_at_hand(config: SimulatorConfig) -> bool:
    """Whether every part of a simulator is a folder or in the local cache of the hub, so that nothing is downloaded."""
    return all(
        Path(local_or_hub(name)).exists() or in_cache(*part) for part in repositories(config) for name in [part[1]]
    )


def repositories(config: SimulatorConfig) -> list[tuple[str, str, str]]:
    """Part, name and revision of what a simulator is made of."""
    args = config.model_args
    revisions = {"base": args.get("revision"), "adapter": args.get("adapter_revision")}
    parts = {"base": args.get("pretrained"), "adapter": args.get("peft"), "tokenizer": args.get("tokenizer")}
    return [(part, str(name), revisions.get(part) or revision_of(str(name))) for part, name in parts.items() if name]


def in_cache(part: str, name: str, revision: str) -> bool:
    """Whether a part of a simulator is in the local cache of the hub, whole."""

    def cached(file: str) -> str | None:
        found = try_to_load_from_cache(name, file, revision=revision)
        return found if isinstance(found, str) else None

    try:
        return complete(part, cached)
    except ValueError:
        # No name of the hub, which is said when it is asked.
        return False


def complete(part: str, find: Callable[[str], str | None]) -> bool:
    """Whether all files of a model, an adapter or a tokenizer are there; `find` gives the path of one, if it is."""
    if part == "tokenizer":
        return any(find(file) for file in TOKENIZER_FILES)
    if part == "adapter":
        return bool(find("adapter_config.json") and find("adapter_model.safetensors"))
    if not find("config.json"):
        return False
    index = find("model.safetensors.index.json")
    shards = _shards(Path(index)) if index else {"model.safetensors"}
    return all(map(find, shards))


def _shards(index: Path) -> set[str]:
    try:
        return set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, AttributeError):
        return {"model.safetensors"}
