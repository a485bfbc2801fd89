"""What a decoded picture has lost: one function a metric, each from a library that is well kept."""

import io
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Metric = Callable[[Pixels, Pixels], float | None]

SMALLEST_SSIM = 7  # pixels a side: the window of scikit-image
SMALLEST_MS_SSIM = 161  # five scales of an 11 pixel window
SMALLEST_SSIMULACRA2 = 8


def mse(original: Pixels, decoded: Pixels) -> float:
    """Mean squared error over all samples, on [0, 1]."""
    return float(np.square(original / 255 - decoded / 255).mean())


def mae(original: Pixels, decoded: Pixels) -> float:
    """Mean absolute error over all samples, on [0, 1]."""
    return float(np.abs(original / 255 - decoded / 255).mean())


def psnr_of(mse: float) -> float | None:
    """PSNR in dB of a mean squared error on [0, 1]; None for equal pictures, where it is infinite."""
    return -10 * math.log10(mse) if mse > 0 else None


def ssim(original: Pixels, decoded: Pixels) -> float | None:
    """SSIM over RGB (Wang et al. 2004), windows of 7 x 7; None for pictures smaller than that."""
    from skimage.metrics import structural_similarity

    if min(original.shape[:2]) < SMALLEST_SSIM:
        return None
    return float(structural_similarity(original, decoded, channel_axis=2))  # type: ignore[no-untyped-call]


def ms_ssim(original: Pixels, decoded: Pixels) -> float | None:
    """MS-SSIM over RGB (Wang et al. 2003), linear, 0..1; None for pictures too small for its five scales."""
    import torch
    from pytorch_msssim import ms_ssim as library

    if min(original.shape[:2]) < SMALLEST_MS_SSIM:
        return None
    pair = (torch.from_numpy(x.astype(np.float64)).permute(2, 0, 1)[None] for x in (original, decoded))
    return float(library(*pair, data_range=255))


def ssimulacra2(original: Pixels, decoded: Pixels) -> float | None:
    """SSIMULACRA 2 (Cloudinary): up to 100, about 90 visually lossless, 70 high, 50 medium quality."""
    from ssimulacra2 import compute_ssimulacra2

    if min(original.shape[:2]) < SMALLEST_SSIMULACRA2:
        return None
    return float(compute_ssimulacra2(_file(original), _file(decoded)))


def _file(pixels: Pixels) -> io.BytesIO:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=0)
    return file


METRICS: Mapping[str, Metric] = {
    "mse": mse,
    "mae": mae,
    "mse_255": lambda original, decoded: mse(original, decoded) * 255**2,
    "mae_255": lambda original, decoded: mae(original, decoded) * 255,
    "psnr": lambda original, decoded: psnr_of(mse(original, decoded)),
    "ssim": ssim,
    "ms_ssim": ms_ssim,
    "ssimulacra2": ssimulacra2,
}
SLOW = "ssimulacra2"  # half a second a picture: by default at every second quality
CURVES = ("psnr", "ms_ssim", "ssimulacra2")  # those that BD-rates are given for, and plots


def measure(original: Pixels, decoded: Pixels, names: Sequence[str]) -> dict[str, float | None]:
    """The metrics `names` between two pictures uint8 [H, W, 3]; None where one is not defined."""
    return {name: METRICS[name](original, decoded) for name in names}
