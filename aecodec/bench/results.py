"""From rows to what is reported: curves, BD-rates, tables, CSV and JSON."""

import csv
import hashlib
import json
import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import fmean
from typing import Any

from PIL import features

from aecodec.bench.worker import Row
from aecodec.errors import BadArgument
from aecodec.measure import bd, metrics, style
from aecodec.weights import Weights

Results = dict[str, Any]  # what results.json holds

PACKAGES = (
    *("aecodec", "torch", "numpy", "pillow", "pillow-jxl-plugin"),  # make the files
    *("scikit-image", "pytorch-msssim", "ssimulacra2"),  # measure them
)
OTHER_PICTURES = "measured on other pictures than the anchor"
LIBRARIES = {"libjpeg-turbo": "libjpeg_turbo", "libwebp": "webp", "libavif": "avif"}  # name: Pillow's


def curves(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Means over the pictures at each quality of each codec; None where a picture has no value.

    `psnr` is the mean of the pictures' PSNRs, `psnr_pooled` the PSNR of their mean MSE.
    """
    groups: dict[str, dict[float, list[Row]]] = {}
    for row in rows:
        groups.setdefault(row["codec"], {}).setdefault(row["quality"], []).append(row)
    return {
        codec: [{"quality": quality} | _means(group) for quality, group in sorted(points.items())]
        for codec, points in groups.items()
    }


def _means(group: Sequence[Row]) -> Row:
    names = [name for name in ("bytes", "bpp", *metrics.METRICS) if any(name in row for row in group)]
    columns: dict[str, list[Any]] = {name: [row.get(name) for row in group] for name in names}
    means: Row = {name: None if None in column else fmean(column) for name, column in columns.items()}
    if means.get("mse") is not None:
        means["psnr_pooled"] = metrics.psnr_of(means["mse"])
    return means | {"pictures": len(group)}


def points(curve: Sequence[Row], metric: str) -> bd.Curve:
    """Rate and quality of a curve where the metric was measured, on the scale that BD-rates are taken on."""
    measured = [point for point in curve if point.get(metric) is not None]
    return [p["bpp"] for p in measured], [style.scale(metric, p[metric]) for p in measured]


def bd_table(rows: Sequence[Row], anchor: str) -> list[Row]:
    """BD-rate (per cent) and BD-quality of every codec against the anchor, or why there is none.

    Each over the pictures that both codecs have at all their qualities: what is hard or easy about a picture
    that one of them failed on is no difference between the codecs.
    """
    whole, table = curves(rows), []
    for metric in metrics.CURVES:
        measured = [codec for codec in whole if points(whole[codec], metric)[0]]
        for codec in measured if anchor in measured else ():
            if codec == anchor:
                continue
            shared = _complete(rows, whole, anchor) & _complete(rows, whole, codec)
            both = curves([r for r in rows if r["codec"] in (anchor, codec) and r["picture"] in shared])
            pair = [points(both.get(name, ()), metric) for name in (anchor, codec)]
            row = {"codec": codec, "anchor": anchor, "metric": metric, "pictures": len(shared)}
            row["points"] = [len(rate) for rate, _ in pair]
            table.append(row | (_deltas(*pair) if shared else _refused(OTHER_PICTURES)))
    return table


def _complete(rows: Sequence[Row], whole: Mapping[str, Sequence[Row]], codec: str) -> set[str]:
    """The pictures that a codec has at all its qualities."""
    times = Counter(row["picture"] for row in rows if row["codec"] == codec)
    return {picture for picture, count in times.items() if count == len(whole[codec])}


def _refused(reason: str) -> Row:
    return dict.fromkeys(("bd_rate", "bd_quality", "low", "high")) | {"reason": reason}


def _deltas(anchor: bd.Curve, test: bd.Curve) -> Row:
    """Both deltas and the range of the metric, or the reason why there are none."""
    try:
        rate, quality = bd.bd_rate(anchor, test), bd.bd_quality(anchor, test)
    except BadArgument as error:
        return _refused(str(error))
    found = {"bd_rate": rate.value, "bd_quality": quality.value, "low": rate.low, "high": rate.high}
    return found | {"reason": None}


def machine() -> Row:
    """What the figures were measured on."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.platform(),
        "gpu": gpu,
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(
        (line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine()
    )


def model(weights: Weights) -> Row:
    """A model by its ids and the hash of its weights file."""
    return {
        "name": weights.name,
        "version": weights.version,
        "entropy_id": weights.entropy_id.hex(),
        "synthesis_id": weights.synthesis_id.hex(),
        "sha256": hashlib.sha256(weights.path.read_bytes()).hexdigest(),
    }


@cache
def versions() -> dict[str, str]:
    """Of Python, of the packages and of the libraries inside Pillow, as far as they are there."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    libraries = {name: features.version(known) for name, known in LIBRARIES.items()}
    return found | {name: said for name, said in libraries.items() if said}


def write(results: Results, out: Path) -> list[Path]:
    """Write results.json and results.csv; returns their paths."""
    whole, table = out / "results.json", out / "results.csv"
    whole.write_text(json.dumps(results, indent=1, allow_nan=False) + "\n")
    names = list(dict.fromkeys(name for row in results["rows"] for name in row))
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(results["rows"])
    return [whole, table]
