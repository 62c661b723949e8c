"""Whether the device that a model is to go to is there, told before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from lm_eval_plugin.errors import ModelError


def check_devices(model_args: Mapping[str, Any], what: str) -> None:
    """Make sure that the devices that a model's arguments name are there.

    Args:
        model_args: As the `hf` backend takes them; `device` and `device_map` name devices.
        what: Names the model.

    Raises:
        ModelError: PyTorch has one of them not, or it is no device.
    """
    for device in _named(model_args):
        if not is_there(device):
            raise ModelError(
                f"{what}: its device {device!r} is not on this machine, which has {', '.join(present())}; set device in its "
                "model_args to one of them, or leave it out"
            )


def is_there(device: object) -> bool:
    """Whether PyTorch has a device of this name, or a GPU of this number."""
    try:
        chosen = torch.device(device if isinstance(device, int) else str(device))
    except RuntimeError:
        return False
    if chosen.type == "cpu":
        return True
    kind: Any = getattr(torch, chosen.type, None)
    if not hasattr(kind, "is_available") or not kind.is_available():
        return False
    return (chosen.index or 0) < _count(kind)


def present() -> list[str]:
    """The names of the devices on this machine."""
    kinds = [kind for kind in ("cuda", "xpu", "npu", "hpu", "mps") if is_there(kind)]
    return ["cpu", *(f"{kind}:{index}" for kind in kinds for index in range(_count(getattr(torch, kind))))]


def _named(model_args: Mapping[str, Any]) -> Iterator[object]:
    device, layers = model_args.get("device"), model_args.get("device_map")
    if device is not None:
        yield device
    if isinstance(layers, Mapping):
        yield from (entry for entry in dict.fromkeys(layers.values()) if entry != "disk")


def _count(kind: Any) -> int:
    return int(kind.device_count()) if hasattr(kind, "device_count") else 1
