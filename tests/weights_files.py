"""Weights files like the frozen test model's, but changed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from aecodec.networks.photo.hyperprior import Hyperprior

Tensors = dict[str, np.ndarray]


def read(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """Tensors by name, and metadata with the architecture parsed."""
    with safe_open(path, framework="np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = dict(file.metadata())
    return tensors, metadata | {"architecture": json.loads(metadata["architecture"])}


def rewrite(
    source: Path,
    target: Path,
    change: Callable[[Tensors, dict[str, Any]], object],
    rehash: bool = True,
) -> Path:
    """Write `target`: `source` after change(tensors, metadata); `rehash`: with the ids that this gives."""
    tensors, metadata = read(source)
    change(tensors, metadata)
    if rehash:
        halves = [of(tensors, prefix) for prefix in ("entropy.", "synthesis.")]
        entropy_id, synthesis_id = Hyperprior.ids(metadata["architecture"], *halves)
        metadata |= {"entropy_id": entropy_id.hex(), "synthesis_id": synthesis_id.hex()}
    metadata["architecture"] = json.dumps(metadata["architecture"], sort_keys=True, separators=(",", ":"))
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, target, metadata)
    return target


def of(tensors: Tensors, prefix: str) -> Tensors:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def with_a_bit_flipped(tensor: np.ndarray, position: int) -> np.ndarray:
    """`position` counts bytes; its lowest bit is flipped."""
    changed = tensor.copy()
    changed.reshape(-1).view(np.uint8)[position] ^= 1
    return changed
