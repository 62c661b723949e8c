"""Position schemes that switch with the length of what a model is shown, told from its configuration.

Under such a scheme the longest row of a batch, or a turn that makes a dialogue longer, changes what the positions of earlier
tokens mean: keys that were kept are those of another model. A few short rows cannot show it.

Source: transformers 5.24, `modeling_rope_utils.dynamic_rope_update`, which switches where the type holds `dynamic` or is
`longrope`; `su` is the name of LongRoPE in the first checkpoints, `use_dynamic_ntk` that of dynamic NTK in Qwen's own code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_SWITCHING = ("longrope", "su")


def switching_scheme(config: Mapping[str, Any]) -> str | None:
    """The scheme of a configuration that switches with the length; None if it has none.

    Args:
        config: A model's configuration as a mapping; those of its parts and of kinds of layers stand in it.
    """
    return next((name for name in _schemes(config, within=False) if "dynamic" in name or name in _SWITCHING), None)


def _schemes(config: Mapping[str, Any], *, within: bool) -> Iterator[str]:
    """The names of the schemes below a mapping; `within` one about rotary positions, `type` is such a name, too."""
    for key, entry in config.items():
        if isinstance(entry, Mapping):
            yield from _schemes(entry, within=within or str(key).startswith("rope_"))
        elif key == "rope_type" or (within and key == "type"):
            yield str(entry).lower()
        elif key == "use_dynamic_ntk" and entry is True:
            yield "dynamic NTK"
