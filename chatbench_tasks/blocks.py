"""Blocks of a task's YAML that are this package's own: taken out before the host sees them, and checked strictly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lm_eval_plugin.config.strict import StrictType, validated
from lm_eval_plugin.errors import ConfigError


def read_block(config: Mapping[str, Any], key: str, kind: type[StrictType]) -> tuple[dict[str, Any], StrictType]:
    """A block with what `--metadata` says of it put over it, key by key.

    Args:
        config: The YAML as the host read it, with `--metadata` under `metadata`.
        key: The block's name, which is that of its override as well.
        kind: What it holds.

    Returns:
        The YAML without the block and `class`, the block's values noted under `metadata`, where the host logs them; and
        the block.

    Raises:
        ConfigError: A key that is not known, or a value of the wrong type or range.
    """
    metadata = config.get("metadata") or {}
    parts = {f"task {config.get('task')}": config.get(key, {}), "--metadata": metadata.get(key, {})}
    for where, part in parts.items():
        if not isinstance(part, Mapping):
            raise ConfigError(f"{where}: {key} is {part!r}; it must be a mapping of {', '.join(kind.known_keys())}")
    own, override = parts.values()
    block = validated(kind, {**own, **override}, f"task {config.get('task')}: {key}")
    rest = {name: entry for name, entry in config.items() if name not in ("class", key)}
    return {**rest, "metadata": {**metadata, key: block.model_dump(mode="json")}}, block
