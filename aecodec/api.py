"""The functions of the package: encode, decode, info."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aecodec import container, models, pictures

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image
    from torch import Tensor

    from aecodec.codec import Codec, Target


@cache
def _codec(model: str | Path | None, device: str) -> "Codec":
    """One codec for each choice of model and device, so that calls after the first are quick."""
    from aecodec.codec import Codec  # brings torch, which `info` does without

    return Codec(model, device)


def encode(
    image: Any, *, quality: float = 75, device: str = "auto", model: str | Path | None = None
) -> bytes:
    """Encode a picture into the bytes of an .aec file.

    image: a PIL image, a uint8 array [H, W, 3] or [H, W], a uint8 torch tensor [3, H, W] or [1, H, W],
    the bytes of a picture file, or a path. quality: 0..100. device: "auto", "cpu" or "cuda".
    model: a name or the path of a weights file. Raises AecError.
    """
    return _codec(model, device).encode(image, quality)


def decode(
    data: bytes | str | Path, *, device: str = "auto", model: str | Path | None = None, to: "Target" = "pil"
) -> "Image.Image | np.ndarray | Tensor":
    """Decode the bytes of an .aec file, or the file at a path.

    to: "pil"; "numpy", uint8 [H, W, 3] or [H, W] for grey; "torch", uint8 [3, H, W] or [1, H, W].
    Raises AecError.
    """
    return _codec(model, device).decode(data, to)


def info(data: bytes | str | Path) -> dict[str, Any]:
    """What an .aec file says of itself, as JSON values; needs no weights and no torch. Raises FormatError."""
    data = pictures.read_source(data)
    header, _ = container.read_header(data)
    parts = container.layout(data)
    return {
        "format_version": container.VERSION,
        "width": header.width,
        "height": header.height,
        "channels": header.channels,
        "alpha": header.alpha,
        "level": header.level,
        "tile_size": header.tile_size,
        "tiles": sum(part.name.startswith("tile ") for part in parts),
        "latents": {
            "channels": header.latent_channels,
            "height": header.latent_height,
            "width": header.latent_width,
        },
        "entropy_id": header.entropy_id.hex(),
        "synthesis_id": header.synthesis_id.hex(),
        "model": models.name_of(header.entropy_id),
        "bytes": len(data),
        "bpp": 8 * len(data) / (header.width * header.height),
        "sections": [{"name": p.name, "offset": p.offset, "bytes": p.length} for p in parts],
    }
