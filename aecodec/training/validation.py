"""Rate and distortion on held-back pictures while training: estimates, marked as such.

What counts is measured in file bytes by `aec bench`; this is the thermometer in between.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from aecodec.errors import BadArgument
from aecodec.measure.bd import bd_rate
from aecodec.training.data import Loaded
from aecodec.training.objective import TrainedModel
from aecodec.training.precision import autocast

LEVELS_SHOWN = (0, 51, 102, 153, 204, 255)
JPEG_QUALITIES = (5, 10, 20, 35, 50, 65, 80, 90)
SIDE = 512  # the central part of each picture, sides cut to multiples of 64


@dataclass(frozen=True)
class Curve:
    """Mean bits per pixel and mean PSNR (dB) of a group of pictures, one entry a level or quality."""

    bpp: list[float]
    psnr: list[float]


class Validation:
    """Photographs and graphics apart, with JPEG's curves on the same cut-outs."""

    def __init__(self, loaded: Loaded) -> None:
        cuts = [_central(p) for p in loaded.pixels]
        self.groups = {
            name: [c for c, g in zip(cuts, loaded.graphic, strict=True) if g == graphic]
            for name, graphic in (("photographs", False), ("graphics", True))
        }
        self.groups = {name: group for name, group in self.groups.items() if group}
        self.jpeg = {name: _jpeg_curve(group) for name, group in self.groups.items()}

    def curves(self, model: TrainedModel, levels: Sequence[int] = LEVELS_SHOWN) -> dict[str, Curve]:
        """The model's curve on each group."""
        return {
            name: _mean([[_measure(model, c, level) for c in group] for level in levels])
            for name, group in self.groups.items()
        }

    def summary(self, curves: dict[str, Curve]) -> str:
        """One line: BD-rate of each group against JPEG 4:2:0, and the ends of the range."""
        parts = []
        for name, curve in curves.items():
            try:
                jpeg = self.jpeg[name]
                delta = f"{bd_rate((jpeg.bpp, jpeg.psnr), (curve.bpp, curve.psnr)).value:+.1f} % against JPEG"
            except BadArgument:
                delta = "no common range with JPEG"
            low, high = (f"{curve.bpp[end]:.3f} bpp {curve.psnr[end]:.2f} dB" for end in (0, -1))
            parts.append(f"{name} {delta} ({low} to {high}, estimated)")
        return "; ".join(parts)


def table(curves: Mapping[str, Curve]) -> str:
    """Rate and distortion of each group at the levels shown, for a terminal."""
    lines = []
    for name, curve in curves.items():
        lines.append(f"{name}, held back: level, bpp (estimated), PSNR in dB")
        rows = zip(LEVELS_SHOWN, curve.bpp, curve.psnr, strict=True)
        lines += [f"  {level:5d} {bpp:8.3f} {psnr:8.2f}" for level, bpp, psnr in rows]
    return "\n".join(lines)


def _central(pixels: np.ndarray) -> np.ndarray:
    height, width = (min(SIDE, side // 64 * 64) for side in pixels.shape[:2])
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width]


def _mean(table: list[list[tuple[float, float]]]) -> Curve:
    means = np.asarray(table).mean(1)
    return Curve(means[:, 0].tolist(), means[:, 1].tolist())


@torch.no_grad()
def _measure(model: TrainedModel, pixels: np.ndarray, level: int) -> tuple[float, float]:
    device = next(model.parameters()).device
    x = torch.from_numpy(pixels.copy()).to(device).permute(2, 0, 1)[None].float() / 255
    with autocast(device):
        outcome = model(x, torch.full((1,), float(level), device=device), "round")
    assert outcome.x_hat is not None
    return float(outcome.bpp), _psnr((outcome.x_hat - x).square().mean())


def _psnr(mse: Tensor) -> float:
    return float(-10 * mse.clamp(min=1e-10).log10())


def _jpeg_curve(pictures: list[np.ndarray]) -> Curve:
    return _mean([[_jpeg(p, quality) for p in pictures] for quality in JPEG_QUALITIES])


def _jpeg(pixels: np.ndarray, quality: int) -> tuple[float, float]:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, optimize=True, progressive=True)
    decoded = np.asarray(Image.open(file), np.float32)
    mse = torch.tensor(((decoded - pixels) ** 2).mean() / 255**2)
    return 8 * file.tell() / pixels[..., 0].size, _psnr(mse)
