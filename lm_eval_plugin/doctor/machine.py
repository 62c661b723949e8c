"""The checks of the machine and the installation."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import platform
import shutil
import sys
from pathlib import Path

from huggingface_hub import constants, get_session, get_token

from lm_eval_plugin.border.hub_errors import HTTP_ERROR
from lm_eval_plugin.doctor.diagnosis import Check, Status, short
from lm_eval_plugin.models.memory import gigabytes

PACKAGES = (
    "chatbench-lm-eval",
    "lm_eval",
    "torch",
    "transformers",
    "peft",
    "bitsandbytes",
    "accelerate",
    "datasets",
)
"""The distributions that a run depends on."""

HUB_TIMEOUT_S = 5.0

_ROOM_FOR_CACHES = 1_000_000_000


def check_versions() -> list[Check]:
    """The Python and the distributions that a run depends on."""
    python = Check("python", Status.OK, f"{platform.python_version()} on {platform.platform()}")
    return [python, *map(_check_version, PACKAGES)]


def _check_version(package: str) -> Check:
    try:
        return Check(package, Status.OK, importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        return Check(package, Status.PROBLEM, "is not installed", f"pip install {package}")


def check_watcher() -> Check:
    """Whether the host gets our tasks: the watcher waits for its task manager, or has already met it."""
    name, by_hand = "tasks", 'add --include_path "$(chatbench path tasks)" to lm_eval'
    if os.environ.get("CHATBENCH_AUTOLOAD") == "0":
        return Check(name, Status.WARNING, "CHATBENCH_AUTOLOAD=0 keeps them from the host", f"Unset it, or {by_hand}.")
    manager = sys.modules.get("lm_eval.tasks.manager")
    index = getattr(manager, "TaskIndex", None)
    waits = any(type(finder).__name__ == "ChatbenchWatcher" for finder in sys.meta_path)
    if waits or getattr(index, "__module__", "").startswith("lm_eval_plugin"):
        return Check(name, Status.OK, "the host gets them by itself")
    return Check(
        name, Status.WARNING, "the start-up watcher is not active", f"Install chatbench-lm-eval again, or {by_hand}."
    )


def gpus() -> list[str]:
    """The GPUs that PyTorch can use, as it names them."""
    try:
        import torch
    except (ImportError, OSError):
        # Its absence is a check of its own.
        return []
    return [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []


def check_gpus() -> list[Check]:
    """Each GPU with its memory, or that there is none."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return [Check("GPU", Status.PROBLEM, f"PyTorch cannot be imported: {short(error)}", "Install torch again.")]
    if not (names := gpus()):
        return [Check("GPU", Status.OK, f"none that PyTorch {torch.__version__} can use; models run on the CPU")]
    return [_check_gpu(name) for name in names]


def _check_gpu(name: str) -> Check:
    import torch

    try:
        free, total = torch.cuda.mem_get_info(name)
        kind, (major, minor) = torch.cuda.get_device_name(name), torch.cuda.get_device_capability(name)
    except RuntimeError as error:
        return Check(name, Status.PROBLEM, short(error), "See what nvidia-smi says, or hide it: CUDA_VISIBLE_DEVICES.")
    text = f"{kind}, {gigabytes(free)} of {gigabytes(total)} free, compute capability {major}.{minor}"
    return Check(name, Status.OK, text)


def bitsandbytes_fault(device: str) -> str:
    """Why bitsandbytes does not work on a device; empty if it does."""
    # It warns of kernels that it can do without.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        import torch
        from bitsandbytes.nn import Linear4bit, Linear8bitLt

        layers = (
            Linear8bitLt(64, 64, bias=False, has_fp16_weights=False, threshold=6.0),
            Linear4bit(64, 64, bias=False, quant_type="nf4", compute_dtype=torch.float32),
        )
        with torch.no_grad():
            for layer in layers:
                if not torch.isfinite(layer.to(device)(torch.ones(2, 64, device=device))).all():
                    return f"{type(layer).__name__} computes values that are not finite"
    # Whatever it raises, from a missing library to a kernel for another GPU, is what was to be found out.
    except Exception as error:  # noqa: BLE001  # what it raises is the finding
        return f"{type(error).__name__}: {short(error)}"
    return ""


def check_bitsandbytes(device: str, fault: str) -> Check:
    """Whether weights can be quantized on a device, given what `bitsandbytes_fault` says of it."""
    name = f"bitsandbytes on {device}"
    if not fault:
        return Check(name, Status.OK, "8bit and nf4 work")
    return Check(name, Status.PROBLEM, fault, "Install bitsandbytes again, or set the simulator's quantization: none.")


def hub_fault() -> Exception | None:
    """Why the hub cannot be asked; None if it can."""
    if constants.HF_HUB_OFFLINE:
        return ConnectionError("HF_HUB_OFFLINE is set")
    try:
        get_session().head(constants.ENDPOINT, timeout=HUB_TIMEOUT_S)
    except (OSError, HTTP_ERROR) as error:
        return error
    return None


def check_hub(fault: Exception | None) -> Check:
    """Whether the hub can be asked, given what `hub_fault` says."""
    token = "with a token" if get_token() else "without a token, which gated models need"
    if fault is None:
        return Check("Hugging Face hub", Status.OK, f"{constants.ENDPOINT} answers, {token}")
    advice = "Only models in local folders and in the cache can be loaded."
    return Check("Hugging Face hub", Status.WARNING, f"not reachable: {short(fault)}; {token}", advice)


def check_disk() -> Check:
    """How much room there is for downloads."""
    folder = constants.HF_HUB_CACHE
    try:
        free = free_disk()
    except OSError as error:
        return Check("disk", Status.WARNING, f"{folder}: {short(error)}", "Set HF_HOME to a folder that can be read.")
    text = f"{gigabytes(free)} free for downloads in {folder}"
    if free < _ROOM_FOR_CACHES:
        return Check(
            "disk", Status.WARNING, text, "Set HF_HOME to a folder with more room before anything is downloaded."
        )
    return Check("disk", Status.OK, text)


def free_disk() -> int:
    """Bytes that are free for downloads."""
    folder = Path(constants.HF_HUB_CACHE)
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free
