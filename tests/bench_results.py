"""Results of a small bench run with real files, as `aec bench` leaves them."""

import hashlib
import io
import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aecodec.bench.gallery import Shot

PHOTO = Path(__file__).parent.parent / "examples" / "photo.png"
QUALITIES = (5, 30, 60, 90)
SAVED = {"jpeg": {"format": "JPEG"}, "webp": {"format": "WEBP"}}


def photo(width: int = 96, height: int = 64, left: int = 200) -> np.ndarray:
    with Image.open(PHOTO) as image:
        return np.asarray(image.convert("RGB").crop((left, 130, left + width, 130 + height)))


def decode(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


class Run:
    """Pictures that JPEG and WebP were measured on; `results` is what a report is made of."""

    def __init__(self, pictures: dict[str, np.ndarray]) -> None:
        self.pictures = pictures
        self.decoders: dict[str, Callable[[bytes], np.ndarray]] = dict.fromkeys(SAVED, decode)
        self._files: dict[tuple[str, str, int], bytes] = {}
        rows = [self._row(name, codec, q) for name in pictures for codec in SAVED for q in QUALITIES]
        self.results = frame() | {
            "pictures": [described(name, pixels) for name, pixels in pictures.items()],
            "rows": rows,
            "curves": {codec: [mean(rows, codec, q) for q in QUALITIES] for codec in SAVED},
        }

    def _row(self, name: str, codec: str, quality: int) -> dict[str, Any]:
        pixels, file = self.pictures[name], io.BytesIO()
        Image.fromarray(pixels).save(file, quality=quality, **SAVED[codec])
        data = self._files[name, codec, quality] = file.getvalue()
        mse = float(np.square(decode(data) / 255.0 - pixels / 255.0).mean())
        return {
            "picture": name,
            "codec": codec,
            "quality": quality,
            "bytes": len(data),
            "bpp": 8 * len(data) / (pixels.shape[0] * pixels.shape[1]),
            "mse": mse,
            "psnr": -10 * float(np.log10(mse)),
            "ms_ssim": None,
            "ssimulacra2": 20.0 + quality / 2 if quality != 30 else None,
        }

    def file_of(self, row: dict[str, Any]) -> bytes:
        return self._files[row["picture"], row["codec"], row["quality"]]

    def original(self, name: str) -> np.ndarray:
        return self.pictures[name]


def mean(rows: list[dict[str, Any]], codec: str, quality: int) -> dict[str, Any]:
    group = [row for row in rows if row["codec"] == codec and row["quality"] == quality]
    keys = ("bpp", "mse", "psnr", "ms_ssim", "ssimulacra2")
    values = {key: [row[key] for row in group] for key in keys}
    means = {key: None if None in v else float(np.mean(v)) for key, v in values.items()}
    pooled = -10 * float(np.log10(means["mse"]))
    return {"quality": quality, "psnr_pooled": pooled, "pictures": len(group)} | means


def described(name: str, pixels: np.ndarray) -> dict[str, Any]:
    height, width = pixels.shape[:2]
    digest = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
    return {"name": name, "width": width, "height": height, "sha256": digest}


def frame() -> dict[str, Any]:
    """A run that measured nothing."""
    return {
        "command": "aec bench pictures",
        "date": "2026-11-24T14:00:00Z",
        "machine": {"cpu": "a processor", "cores": 2, "memory_gb": 8.0, "system": "Linux", "gpu": None},
        "versions": {"aecodec": "0.1.0", "python": "3.11.7"},
        "models": [{"name": "photo", "version": 1, "entropy_id": "01", "synthesis_id": "02", "sha256": "03"}],
        "pictures": [],
        "codecs": [
            {"name": "jpeg", "label": "JPEG 4:2:0", "settings": "Pillow"},
            {"name": "webp", "label": "WebP", "settings": "Pillow"},
        ],
        "left_out": [{"codec": "jxl", "reason": "its library is missing"}],
        "metrics": ["mse", "psnr", "ms_ssim", "ssimulacra2"],
        "anchor": "jpeg",
        "rows": [],
        "failures": [],
        "curves": {},
        "bd": [
            delta("psnr", -21.5, 1.25, 26.0, 38.5, None),
            delta("ssimulacra2", None, None, None, None, "the curves share too little"),
            delta("ssim", 3.25, -0.01, 0.8, 0.99, None),
        ],
        "speed": [speed("jpeg", 0.012), speed("webp", 0.101), speed("jpeg", 0.002)],
    }


def delta(metric: str, rate: Any, quality: Any, low: Any, high: Any, reason: Any) -> dict[str, Any]:
    return {
        "codec": "webp",
        "anchor": "jpeg",
        "metric": metric,
        "bd_rate": rate,
        "bd_quality": quality,
        "low": low,
        "high": high,
        "points": [4, 4],
        "pictures": 2,
        "reason": reason,
    }


def speed(codec: str, seconds: float) -> dict[str, Any]:
    return {
        "codec": codec,
        "quality": 60,
        "picture": "first",
        "bpp": 0.9,
        "encode_s": seconds,
        "decode_s": seconds / 2,
        "cold_encode_s": 1 + seconds,
        "cold_decode_s": 1 - seconds,
        "encode_peak_mb": 100,
        "decode_peak_mb": 90,
        "pictures": 2,
        "megapixels": 0.01,
    }


def as_kodak(results: dict[str, Any]) -> dict[str, Any]:
    """A run whose pictures pass for the 24 of Kodak: their hashes are all that counts."""
    published = json.loads(files("aecodec.bench").joinpath("published.json").read_text("utf-8"))
    size = {"width": 768, "height": 512}
    pictures = [{"name": name, "sha256": digest} | size for name, digest in published["pictures"].items()]
    return results | {"pictures": pictures}


def flat_shots(name: str = "flat") -> tuple[dict[str, Any], list[Shot]]:
    """One picture of 400 x 200, red on the left side's file and blue on the right's, equal in one square."""
    red, blue = np.zeros((2, 200, 400, 3), np.uint8)
    red[..., 0], blue[..., 2] = 20, 25
    red[50:100, 100:200] = blue[50:100, 100:200] = 200
    results = frame() | {"pictures": [described(name, red)]}
    measured = {"picture": name, "quality": 60, "bpp": 0.5, "psnr": 30.0}
    results["rows"] = [measured | {"codec": codec, "bytes": 5000} for codec in ("jpeg", "webp")]
    window = (0, 0, 400, 200)
    return results, [
        Shot(name, codec, 60, 0.5, 30.0, (0.5,), window, True, png(pixels), "image/png")
        for codec, pixels in (("jpeg", red), ("webp", blue))
    ]


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def seen(page: Any, selector: str = "#stage") -> np.ndarray:
    """What a reader sees, uint8 [H, W, 3]."""
    page.evaluate("() => new Promise(requestAnimationFrame)")
    return decode(page.locator(selector).screenshot())[4:-4, 4:-4]  # without the mark of the focus
