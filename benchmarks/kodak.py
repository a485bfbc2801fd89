"""Rate-distortion on a folder of pictures (Kodak): aec beside JPEG, in bytes of whole files.

    python benchmarks/kodak.py --data FOLDER [--model NAME|FILE] [--out benchmarks/results]

Every picture is encoded to bytes and decoded from them. Curves are mean bits per pixel and mean PSNR over
the pictures at each quality; BD-rate is PCHIP on log rate. Writes kodak.csv (a row a picture), kodak.json
(curves, BD-rates, times, versions) and kodak.png.
"""

import argparse
import csv
import io
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from PIL import Image

import aecodec
from aecodec import models
from aecodec.bench.bd import bd_rate

QUALITIES = tuple(range(0, 101, 5))
CURVE = (0, 15, 30, 45, 60, 75, 90, 100)  # the eight of them that make the curve
JPEG_QUALITIES = (5, 15, 30, 45, 60, 75, 85, 93)

# CompressAI, results/image/kodak/vtm.json: RGB -> YUV 4:4:4, intra.
VTM = (
    [0.048, 0.112, 0.246, 0.491, 0.875, 1.431, 2.325, 3.633],
    [26.14, 28.49, 31.20, 34.26, 37.42, 40.42, 43.51, 46.59],
)

Row = dict[str, Any]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    codec = aecodec.Codec(arguments.model)
    weights = models.find(arguments.model)
    pictures = {
        p.stem: np.asarray(Image.open(p).convert("RGB")) for p in sorted(arguments.data.glob("*.png"))
    }
    codec.decode(codec.encode(next(iter(pictures.values()))))  # load the model outside the timing
    rows = [row for name, x in pictures.items() for row in measure(codec, name, x)]
    report = summarize(rows) | {
        "pictures": len(pictures),
        "entropy_id": weights.entropy_id.hex(),
        "synthesis_id": weights.synthesis_id.hex(),
        "versions": {
            "aecodec": aecodec.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "threads": torch.get_num_threads(),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    write(rows, report, arguments.out)
    print(json.dumps({k: v for k, v in report.items() if k != "curves"}, indent=1))


def measure(codec: aecodec.Codec, name: str, x: np.ndarray) -> list[Row]:
    """All qualities of both codecs on one picture."""
    rows = []
    for quality in QUALITIES:
        rows.append(
            one("aec", name, x, quality, lambda q: codec.encode(x, q), lambda d: codec.decode(d, "numpy"))
        )
    for quality in JPEG_QUALITIES:
        rows.append(
            one(
                "jpeg",
                name,
                x,
                quality,
                lambda q: jpeg(x, q),
                lambda d: np.asarray(Image.open(io.BytesIO(d))),
            )
        )
    return rows


def jpeg(x: np.ndarray, quality: int) -> bytes:
    """Pillow's JPEG, 4:2:0."""
    file = io.BytesIO()
    Image.fromarray(x).save(
        file, "JPEG", quality=quality, subsampling="4:2:0", optimize=True, progressive=True
    )
    return file.getvalue()


def one(
    codec: str,
    name: str,
    x: np.ndarray,
    quality: int,
    encode: Callable[[int], bytes],
    decode: Callable[[bytes], Any],
) -> Row:
    """One row: bits per pixel of the file, PSNR in dB, seconds."""
    start = time.perf_counter()
    data = encode(quality)
    middle = time.perf_counter()
    decoded = decode(data)
    end = time.perf_counter()
    mse = np.square(decoded.astype(np.float64) - x).mean()
    return {
        "codec": codec,
        "picture": name,
        "quality": quality,
        "bytes": len(data),
        "bpp": 8 * len(data) / (x.shape[0] * x.shape[1]),
        "psnr": 10 * float(np.log10(255**2 / mse)),
        "encode_s": middle - start,
        "decode_s": end - middle,
    }


def summarize(rows: list[Row]) -> dict[str, Any]:
    """Curves, BD-rates, rising or not, median times at quality 75."""
    curves = {"aec": curve(rows, "aec", CURVE), "jpeg": curve(rows, "jpeg", JPEG_QUALITIES), "vtm": VTM}
    middle = [r for r in rows if r["codec"] == "aec" and r["quality"] == 75]
    report: dict[str, Any] = {"curves": curves}
    for anchor in ("jpeg", "vtm"):
        delta = bd_rate(curves[anchor], curves["aec"])
        report[f"bd_rate_against_{anchor}"] = round(delta.percent, 2)
        report[f"range_db_against_{anchor}"] = [round(delta.low, 2), round(delta.high, 2)]
    report["range"] = [[axis[end] for axis in curves["aec"]] for end in (0, -1)]
    report["bpp_at_75"] = statistics.mean(r["bpp"] for r in middle)
    report["rising_on_every_picture"] = rising(rows)
    report["encode_median_s"] = statistics.median(r["encode_s"] for r in middle)
    report["decode_median_s"] = statistics.median(r["decode_s"] for r in middle)
    return report


def curve(rows: list[Row], codec: str, qualities: tuple[int, ...]) -> tuple[list[float], list[float]]:
    """Mean bits per pixel and mean PSNR at each quality."""
    groups = [[r for r in rows if r["codec"] == codec and r["quality"] == q] for q in qualities]
    return [statistics.mean(r["bpp"] for r in g) for g in groups], [
        statistics.mean(r["psnr"] for r in g) for g in groups
    ]


def rising(rows: list[Row]) -> bool:
    """Whether rate and PSNR rise strictly over the qualities on every picture."""
    by_picture: dict[str, list[Row]] = {}
    for row in rows:
        if row["codec"] == "aec":
            by_picture.setdefault(row["picture"], []).append(row)
    return all(
        a["bpp"] < b["bpp"] and a["psnr"] < b["psnr"]
        for group in by_picture.values()
        for a, b in zip(group, group[1:], strict=False)
    )


def write(rows: list[Row], report: dict[str, Any], out: Path) -> None:
    """kodak.csv, kodak.json, kodak.png."""
    with (out / "kodak.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (out / "kodak.json").write_text(json.dumps(report, indent=1) + "\n")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 5), layout="constrained")
    labels = {"aec": "aec", "jpeg": "JPEG 4:2:0 (Pillow)", "vtm": "VTM (published, CompressAI)"}
    for (name, label), style in zip(labels.items(), ("o-", "s-", "--"), strict=True):
        axes.plot(*report["curves"][name], style, label=label, markersize=4)
    axes.set(
        xlabel="bits per pixel",
        ylabel="PSNR (RGB), dB",
        title="Kodak, mean of 24 pictures",
        xlim=(0, 2.5),
        ylim=(24, 44),
    )
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(out / "kodak.png", dpi=120)


if __name__ == "__main__":
    main()
