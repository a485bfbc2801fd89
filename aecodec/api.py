"""The functions of the package: encode, decode, info."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aecodec import sources
from aecodec.file import container
from aecodec.weights import name_of

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image
    from torch import Tensor

    from aecodec.codec import Codec, Region, Target
    from aecodec.tiles.neural import Latents


@cache
def _codec(model: str | Path | None, device: str) -> "Codec":
    """One codec for each choice of model and device, so that calls after the first are quick."""
    from aecodec.codec import Codec  # not above: `info` does without the networks

    return Codec(model, device)


def encode(
    image: Any,
    *,
    quality: float = 75,
    effort: int = 1,
    device: str = "auto",
    model: str | Path | None = None,
    target_size: int | None = None,
    bpp: float | None = None,
    psnr: float | None = None,
    min_quality: float = 0,
    max_quality: float = 100,
    strip: bool = False,
    strict: bool = False,
    frame: int | None = None,
) -> bytes:
    """Encode a picture into the bytes of an .aec file.

    image: a PIL image, a uint8 array [H, W] or [H, W, C], a uint8 torch tensor [C, H, W], the bytes of a
    picture file, or a path; C is 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha). quality: 0..100.
    effort: 0..9, from quick to small; decoding takes the same time. device: "auto", "cpu" or "cuda". model: a
    name or the path of a weights file; by default small or drawn pictures are kept without loss where that
    takes no more bytes. In place of a quality: target_size, bytes that the file may take; bpp, bits a pixel;
    or psnr, dB; the quality is then sought from min_quality to max_quality. strip: without metadata, turned
    upright. strict: refuse what an .aec file cannot hold unchanged, as 16 bits a channel. frame: which of
    several pictures in a file, from 0. Raises AecError.
    """
    return _codec(model, device).encode(
        image,
        quality,
        effort=effort,
        target_size=target_size,
        bpp=bpp,
        psnr=psnr,
        min_quality=min_quality,
        max_quality=max_quality,
        strip=strip,
        strict=strict,
        frame=frame,
    )


def decode(
    data: bytes | str | Path,
    *,
    device: str = "auto",
    model: str | Path | None = None,
    to: "Target" = "pil",
    region: "Region | None" = None,
) -> "Image.Image | np.ndarray | Tensor | Latents":
    """Decode the bytes of an .aec file, or the file at a path.

    to: "pil"; "numpy", uint8 [H, W, 3] or [H, W] for grey; "torch", uint8 [3, H, W] or [1, H, W]. Alpha is
    one channel more: [H, W, 4], [H, W, 2], [4, H, W], [2, H, W]. "latents": neural.Latents, without
    drawing the picture.
    region: x, y, width, height of the part to decode, in pixels as they are stored: an orientation in EXIF
    is applied after it. Raises AecError.
    """
    return _codec(model, device).decode(data, to, region=region)


def info(data: bytes | str | Path) -> dict[str, Any]:
    """What an .aec file says of itself, as JSON values; needs no weights. Raises FormatError."""
    data = sources.read(data, container.check_beginning)
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
        "model": name_of(header.entropy_id),
        "lossless": not header.has_model,
        "bytes": len(data),
        "bpp": 8 * len(data) / (header.width * header.height),
        "sections": [{"name": p.name, "offset": p.offset, "bytes": p.length} for p in parts],
    }
