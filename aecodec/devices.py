"""Where networks run, and what the chip there can do."""

import logging
from collections.abc import Callable, Mapping

import torch

from aecodec.errors import BadArgument, NoGpu

log = logging.getLogger(__name__)


def pick_device(name: str) -> torch.device:
    """The device that "auto", "cpu" or "cuda" stands for here. Raises NoGpu, BadArgument."""
    if name not in ("auto", "cpu", "cuda"):
        raise BadArgument(f"device {name!r}: give auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise NoGpu("there is no GPU that PyTorch can use here: use --device cpu or auto")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies in bfloat16; without that it would be slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    ask: Callable[[], Mapping[str, object]] = getattr(torch.cpu, "get_capabilities", dict)
    capabilities = ask()  # older versions cannot tell
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def arithmetic(device: torch.device) -> torch.dtype:
    """The float type that a device multiplies matrices in fastest: bfloat16 or float32."""
    return torch.bfloat16 if has_bfloat16(device) else torch.float32


def autocast(device: torch.device) -> torch.autocast:
    """Where it is entered, networks compute in what `arithmetic` says."""
    return torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device))


def allows_fast(device: torch.device) -> bool:
    """As `has_bfloat16`, for one who has asked for it: the log says where it is missing."""
    has = has_bfloat16(device)
    if not has:
        log.info("%s has no bfloat16: float32 it is", device)
    return has
