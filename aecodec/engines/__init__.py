"""Engines: the few operations that the photo models' networks are made of, in NumPy and in PyTorch."""

import logging

from aecodec.devices import has_bfloat16, has_torch
from aecodec.engines.engine import Engine
from aecodec.engines.numpy import NumpyEngine

log = logging.getLogger(__name__)


def choose(device: str, fast: bool = False) -> Engine:
    """The engine for a device, "cpu" or "cuda".

    On a CPU that is NumPy, unless bfloat16 was asked for, PyTorch is installed and the chip has it. The log
    says where bfloat16 is missing.
    """
    has = fast and has_torch() and has_bfloat16(device)
    if fast and not has:
        log.info("%s has no bfloat16, or PyTorch is missing: computing in float32", device)
    if device == "cpu" and not has:
        return NumpyEngine()
    from aecodec.engines.torch import TorchEngine

    return TorchEngine(device, fast=has)
