"""The arithmetic of training: bfloat16 where a chip has it, else float32."""

import torch

from aecodec.devices import has_bfloat16


def arithmetic(device: torch.device) -> torch.dtype:
    """The float type that a device multiplies matrices in fastest: bfloat16 or float32."""
    return torch.bfloat16 if has_bfloat16(device.type) else torch.float32


def autocast(device: torch.device) -> torch.autocast:
    """Where it is entered, networks compute in what `arithmetic` says."""
    return torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device.type))
