"""What becomes of a picture of the stress set: one row for the tests, and for the table of the benchmark."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image
from stress import Case

from aecodec.codec import Codec
from aecodec.file import container
from aecodec.picture import pictures

METADATA = ("icc", "exif", "xmp", "resolution", "index", "header")


@dataclass(frozen=True)
class Row:
    """Sizes in bytes; `png` and `aec` without metadata; psnr in dB of the colours that can be seen."""

    name: str
    mode_in: str
    mode_out: str
    bytes_in: int
    png: int
    aec: int
    lossless: bool
    psnr: float
    same_alpha: bool
    same_size: bool
    same_metadata: bool


def row(case: Case, codec: Codec, quality: float = 75) -> Row:
    """Compress, decompress and compare."""
    with Image.open(io.BytesIO(case.data)) as image:
        if case.frame:
            image.seek(case.frame)
        image.load()
        before = pictures.load(case.data, frame=case.frame)
        data = codec.encode(case.data, quality, frame=case.frame)
        after = codec.decompress(data)
        decoded = pictures.to_pil(after)
        wanted = expected(case, image, decoded.mode)
        beside = ("icc", "exif", "xmp", "resolution")
        return Row(
            name=case.name,
            mode_in=image.mode,
            mode_out=decoded.mode,
            bytes_in=len(case.data),
            png=min(png_bytes(image), png_bytes(pictures.to_pil(before))),
            aec=len(data) - sum(part.length for part in container.layout(data) if part.name in beside),
            lossless=not container.read_header(data)[0].has_model,
            psnr=psnr(np.asarray(decoded), wanted, after.alpha),
            same_alpha=after.alpha is None or np.array_equal(after.alpha, wanted[..., -1]),
            same_size=decoded.size == image.size,
            same_metadata=all(getattr(after, field) == getattr(before, field) for field in beside),
        )


def expected(case: Case, image: Image.Image, mode: str) -> np.ndarray:
    """What the picture shows: [H, W] or [H, W, n]."""
    return case.samples if case.samples is not None else np.asarray(image.convert(mode))


def png_bytes(image: Image.Image) -> int:
    """Size as PNG without metadata, in the image's own mode if PNG has it."""
    bare = image.copy()
    bare.info = {key: value for key, value in image.info.items() if key == "transparency"}
    file = io.BytesIO()
    try:
        bare.save(file, "PNG", optimize=True, exif=b"")
    except (OSError, ValueError):  # CMYK, LAB, ...
        return 2**31
    return len(file.getvalue())


def psnr(one: np.ndarray, other: np.ndarray, alpha: np.ndarray | None) -> float:
    """Of colours where alpha is not 0; infinite where nothing differs."""
    apart = one.astype(float) - other
    if alpha is not None:
        apart = apart[..., :-1][alpha > 0]
    error = float(np.mean(apart**2)) if apart.size else 0.0
    return float(10 * np.log10(255**2 / error)) if error else float("inf")
