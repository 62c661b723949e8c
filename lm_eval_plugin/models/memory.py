"""The memory of this machine: its devices, and how much of each is free."""

from __future__ import annotations

import os
from pathlib import Path


def default_device() -> str:
    """The GPU that belongs to this process, which may see its own alone, else the CPU."""
    import torch

    if not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % torch.cuda.device_count()}"


def free_memory(device: str) -> int:
    """Bytes that are free on a GPU, or in main memory within the limit that the process has.

    Args:
        device: `cpu`, `cuda` or `cuda:N`.
    """
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    import psutil

    available = int(psutil.virtual_memory().available)
    limited = cgroup_free(Path("/sys/fs/cgroup"), _read(Path("/proc/self/cgroup")))
    return available if limited is None else min(available, limited)


def cgroup_free(root: Path, membership: str) -> int | None:
    """Bytes that the control groups of a process still allow it; None where they set no limit.

    Args:
        root: Where the control groups are mounted.
        membership: The groups of the process, as `/proc/self/cgroup` lists them.
    """
    free = []
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            free += _free_along(root, path, "memory.max", "memory.current", "")
        elif "memory" in controllers.split(","):
            free += _free_along(root / "memory", path, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
    return min(free, default=None)


def _free_along(root: Path, path: str, limit_file: str, usage_file: str, prefix: str) -> list[int]:
    """What is free in a group and in each that it lies in; inside a container only the root may be visible."""
    parts = [part for part in path.split("/") if part]
    free = []
    for depth in range(len(parts) + 1):
        folder = root.joinpath(*parts[:depth])
        limit, usage = _read(folder / limit_file), _read(folder / usage_file)
        if limit.isdecimal() and usage.isdecimal():
            cached = _file_cache(_read(folder / "memory.stat"), prefix)
            free.append(max(0, int(limit) - int(usage) + cached))
    return free


def _file_cache(statistics: str, prefix: str) -> int:
    """Bytes of cached files, which count as used and which the kernel gives up first."""
    numbers = dict(line.split(" ", 1) for line in statistics.splitlines() if " " in line)
    return sum(int(numbers.get(f"{prefix}{kind}_file", 0)) for kind in ("inactive", "active"))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def gigabytes(size: int) -> str:
    """A size as people read it, in units of a thousand."""
    for unit, width in (("GB", 10**9), ("MB", 10**6)):
        if size >= width:
            return f"{size / width:.1f} {unit}"
    return f"{size / 1000:.1f} kB"
