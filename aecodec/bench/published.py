"""Rate-distortion points that others published for the 24 Kodak pictures, and what those pictures are.

`published.json` holds the curves as their authors give them, all optimised for PSNR: mean bits per pixel,
mean PSNR on RGB in dB and, where published, mean MS-SSIM, with the source and how the PSNR was averaged.
Rates of learned codecs are mostly those of their coder's words, without a file header.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any

Curve = dict[str, Any]  # name, kind (classical, learned), bpp, psnr, perhaps ms_ssim, source, psnr_average


@cache
def _load() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(files(__package__).joinpath("published.json").read_text("utf-8"))
    return content


def kodak_count(results: dict[str, Any]) -> int:
    """Count the Kodak pictures, 0 to 24, among those of a run, known by the hash of their pixels."""
    return len(set(_load()["pictures"].values()) & {picture["sha256"] for picture in results["pictures"]})


def is_kodak(results: dict[str, Any]) -> bool:
    """Say whether a run measured Kodak pictures and no others; all 24 or some, `kodak_count` says."""
    return 0 < kodak_count(results) == len(results["pictures"])


def published_curves(results: dict[str, Any]) -> list[Curve]:
    """Give the published curves if they compare, as means over the very pictures of the run; else none."""
    complete = is_kodak(results) and kodak_count(results) == len(_load()["pictures"])
    return list(_load()["curves"]) if complete else []
