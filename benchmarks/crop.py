"""One crop of a photograph at equal bytes: original, JPEG, AVIF, aec.

    python benchmarks/crop.py --picture kodim19.png --crop 250,80,240,200 [--bpp 0.25] [--name crop]

Each codec codes the whole picture, at the highest quality whose file is no larger than the rate allows, or at
its lowest where all are. Writes NAME.png and NAME.json.
"""

import argparse
import json
from pathlib import Path

import matplotlib
import numpy as np

from aecodec.bench import codecs, inputs
from aecodec.bench.codecs import BenchCodec
from aecodec.measure import metrics

SHOWN = ("jpeg", "avif", "aec")
QUALITIES = np.arange(0, 101, 1.0)
ZOOM = 2


def main() -> None:
    """Encode, measure, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", type=Path, required=True)
    parser.add_argument("--crop", required=True, metavar="X,Y,W,H")
    parser.add_argument("--bpp", type=float, default=0.25)
    parser.add_argument("--name", default="crop")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    x, y, width, height = (int(n) for n in arguments.crop.split(","))
    original = inputs.load(arguments.picture)
    limit = int(arguments.bpp * original.shape[0] * original.shape[1] / 8)
    panels, rows = [("Original", original)], []
    found = {codec.name: codec for codec in codecs.choose(SHOWN, "auto")[0]}
    for codec in (found[name] for name in SHOWN):
        quality, data = largest(codec, original, limit)
        decoded = codec.decode(data)
        psnr = metrics.psnr_of(metrics.mse(original, decoded))
        rows.append({"codec": codec.name, "quality": quality, "bytes": len(data), "psnr": psnr})
        panels.append((f"{codec.label}\n{len(data):,} bytes, {psnr:.1f} dB", decoded))
    report = {
        "picture": arguments.picture.name,
        "limit_bytes": limit,
        "crop": [x, y, width, height],
        "rows": rows,
    }
    (arguments.out / f"{arguments.name}.json").write_text(json.dumps(report, indent=1) + "\n")
    draw(
        [(title, pixels[y : y + height, x : x + width]) for title, pixels in panels],
        arguments.out / f"{arguments.name}.png",
    )
    print(json.dumps(report, indent=1))


def largest(codec: BenchCodec, original: np.ndarray, limit: int) -> tuple[float, bytes]:
    """The highest quality whose file has at most `limit` bytes, by bisection: sizes rise with the quality."""
    low, high = 0, len(QUALITIES) - 1
    best = codec.encode(original, QUALITIES[0])
    while low < high:
        middle = (low + high + 1) // 2
        data = codec.encode(original, QUALITIES[middle])
        if len(data) <= limit:
            low, best = middle, data
        else:
            high = middle - 1
    return float(QUALITIES[low]), best


def draw(panels: list[tuple[str, np.ndarray]], path: Path) -> None:
    """The crops side by side, each pixel as ZOOM x ZOOM."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    height, width = panels[0][1].shape[:2]
    size = (len(panels) * width * ZOOM / 100, (height * ZOOM + 80) / 100)
    figure, axes = pyplot.subplots(1, len(panels), figsize=size, layout="constrained", dpi=100)
    for axis, (title, pixels) in zip(axes, panels, strict=True):
        axis.imshow(pixels, interpolation="nearest")
        axis.set_title(title, fontsize=11)
        axis.axis("off")
    figure.savefig(path)


if __name__ == "__main__":
    main()
