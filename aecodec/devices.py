"""Where networks run, and what the chip there can do. PyTorch is imported only where there may be a GPU."""

import ctypes
import importlib.util
from collections.abc import Callable, Mapping

from aecodec.errors import BadArgument, NoGpu, NoTorch

DRIVERS = ("libcuda.so.1", "libamdhip64.so", "nvcuda.dll")  # of GPUs that PyTorch calls "cuda"


def pick_device(name: str) -> str:
    """What "auto", "cpu" or "cuda" stands for here: "cpu" or "cuda". Raises NoGpu, BadArgument."""
    if name not in ("auto", "cpu", "cuda"):
        raise BadArgument(f"device {name!r}: give auto, cpu or cuda")
    if name == "cpu":
        return name
    if has_gpu():
        return "cuda"
    if name == "cuda":
        raise NoGpu(
            "there is no GPU that PyTorch can use here: use --device cpu or auto"
            + ("" if has_torch() else ", or install PyTorch: pip install 'aecodec[torch]'")
        )
    return "cpu"


def has_torch() -> bool:
    """Whether PyTorch is installed; it is not imported."""
    return importlib.util.find_spec("torch") is not None


def need_torch(what: str, extra: str = "torch") -> None:
    """Raise NoTorch, which says what needs PyTorch and how to install it, where it is missing."""
    if not has_torch():
        raise NoTorch(f"{what} needs PyTorch, which is not installed: pip install 'aecodec[{extra}]'")


def has_gpu() -> bool:
    """Whether PyTorch is installed and has a GPU; without a driver for one that is known at once."""
    if not any(map(_is_there, DRIVERS)) or not has_torch():
        return False
    import torch

    return torch.cuda.is_available()


def _is_there(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def has_bfloat16(device: str) -> bool:
    """Whether a device multiplies in bfloat16; without that it would be slower than float32."""
    import torch

    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    ask: Callable[[], Mapping[str, object]] = getattr(torch.cpu, "get_capabilities", dict)
    capabilities = ask()  # older versions cannot tell
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
