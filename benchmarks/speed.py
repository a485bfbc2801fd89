"""How fast: encode and decode with the model loaded, stage by stage, and against other codecs.

    python benchmarks/speed.py --picture kodim19.png [--sizes 0.4,2] [--record] [--rivals]

The picture is scaled to each size (megapixels). For each number of threads, arithmetic and size: the median
seconds from pixels to bytes (at effort 0, and at the default effort) and back, the seconds of each stage
(benchmarks/stages.py; PNG files apart), and the GFLOP/s of the transforms. The ceiling is what a product of
2048 x 2048 matrices reaches on one thread.
--record adds the run to results/speed.json.
"""

import argparse
import io
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from stages import stopwatch

from aecodec import Codec, threads
from aecodec.bench import codecs
from aecodec.engines.blas import one_thread
from aecodec.engines.numpy import NumpyEngine
from aecodec.networks.photo.architecture import Architecture
from aecodec.networks.photo.complexity import complexity
from aecodec.networks.photo.hyperprior import Hyperprior
from aecodec.picture import pictures
from aecodec.weights import find

SIZES = {0.1: (384, 256), 0.4: (768, 512), 2: (1920, 1080), 12: (4000, 3000), 50: (8192, 6144)}
QUALITY = 75
RIVALS_UP_TO = 12  # megapixels: AVIF takes minutes above
SECONDS, REPEATS = 3.0, 15  # of each measurement, as soon as either is reached
RESULTS = Path(__file__).parent / "results" / "speed.json"


def main() -> None:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", type=Path, required=True)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--rivals", action="store_true")
    arguments = parser.parse_args()
    sizes = [float(size) for size in arguments.sizes.split(",")]
    with Image.open(arguments.picture) as image:
        images = {size: image.convert("RGB").resize(SIZES[size], Image.Resampling.LANCZOS) for size in sizes}
    counts = sorted({1, threads.allowed()})
    run: dict[str, Any] = {**where(), "ceiling_gflops": ceiling(), "rows": []}
    print("ceiling:", run["ceiling_gflops"], "GFLOP/s")
    for size, image in images.items():
        run["rows"] += [show(row) for row in ours(size, image, counts)]
        if arguments.rivals and size <= RIVALS_UP_TO:
            run["rows"] += [show(row) for row in rivals(size, image)]
    if arguments.record:
        history = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
        RESULTS.write_text(json.dumps([*history, run], indent=1) + "\n")


def where() -> dict[str, Any]:
    """Machine, versions, commit and model."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    cpu = torch.cpu.get_capabilities().get("cpu_name", platform.processor())
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "commit": commit,
        "date": time.strftime("%Y-%m-%d"),
        "cpu": cpu,
        "gpu": gpu,
        "torch": torch.__version__,
        "model": find().entropy_id.hex(),
    }


# The ceiling


def ceiling() -> int:
    """GFLOP/s of a large product of matrices in float32 on one thread."""
    side = 2048
    a, b = np.random.default_rng(0).random((2, side, side), dtype=np.float32)
    with one_thread():
        return round(2e-9 * side**3 / seconds(partial(np.matmul, a, b)))


# Ours


def ours(size: float, image: Image.Image, counts: list[int]) -> list[dict[str, Any]]:
    """A row for each number of threads and arithmetic, and for a GPU if there is one."""
    places = [("cpu", count) for count in counts] + ([("cuda", 1)] if torch.cuda.is_available() else [])
    rows = []
    for device, count in places:
        os.environ["OMP_NUM_THREADS"] = str(count)
        for precision in ("float32", "fast"):
            codec = Codec("photo", device, precision=precision)
            row = {"codec": f"aec {precision}", "device": device, "threads": count, "megapixels": size}
            rows.append(row | measure(codec, image))
    return rows


def measure(codec: Codec, image: Image.Image) -> dict[str, Any]:
    """Seconds, stages, GFLOP/s of the transforms."""
    png = io.BytesIO()
    image.save(png, "PNG")
    picture = pictures.load(png.getvalue())
    data = codec.compress(picture, QUALITY)
    row: dict[str, Any] = {"bytes": len(data)}
    row["encode_default_s"] = round(seconds(partial(codec.compress, picture, QUALITY)), 4)
    pixels = picture.pixels.shape[0] * picture.pixels.shape[1]
    macs = complexity(architecture())
    calls = {
        "encode": (partial(codec.compress, picture, QUALITY, effort=0), "analysis", macs.analysis),
        "decode": (partial(codec.decompress, data), "synthesis", macs.synthesis),
    }
    for what, (call, transform, kilomacs) in calls.items():
        wall = seconds(call)
        stages = stages_of(call)
        gigaflops = 2e-6 * kilomacs * pixels / stages[transform]
        row |= {f"{what}_s": round(wall, 4), f"{what}_stages": {k: round(s, 4) for k, s in stages.items()}}
        row[f"{what}_gflops"] = round(gigaflops)
    files = stages_of(lambda: (pictures.load(png.getvalue()), pictures.save(picture, io.BytesIO(), "PNG")))
    return row | {"read_png_s": round(files["reading"], 4), "write_png_s": round(files["writing"], 4)}


def architecture() -> Architecture:
    """Of the default model."""
    return Hyperprior(find(), NumpyEngine()).architecture


def stages_of(call: Callable[[], Any]) -> dict[str, float]:
    """Seconds of each stage, the median of a few calls, and what is left of the wall time."""
    runs, spent = [], 0.0
    while len(runs) < 5 and spent < SECONDS:
        with stopwatch() as watch:
            wall = elapsed(call)
        runs.append(watch.seconds | {"all else": max(0.0, wall - watch.seconds.total())})
        spent += wall
    return {stage: median(run.get(stage, 0.0) for run in runs) for stage in runs[0]}


def seconds(call: Callable[[], Any]) -> float:
    """Median of some calls after the first, or of that if it takes long."""
    spent = [elapsed(call)]
    if spent[0] < SECONDS:
        spent = [elapsed(call)]
        while len(spent) < REPEATS and sum(spent) < SECONDS:
            spent.append(elapsed(call))
    return median(spent)


def elapsed(call: Callable[[], Any]) -> float:
    """Of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


# Others


def rivals(size: float, image: Image.Image) -> list[dict[str, Any]]:
    """JPEG, WebP, AVIF and JPEG XL by Pillow, at a middle quality, and CompressAI's models where they are."""
    pixels = pictures.load(image).pixels
    rows = []
    for codec in codecs.choose(["jpeg", "webp", "avif", "jxl"], "cpu")[0]:
        quality = codec.qualities[len(codec.qualities) // 2]
        data = codec.encode(pixels, quality)
        row = {"codec": codec.name, "megapixels": size, "bytes": len(data)}
        row["encode_s"] = round(seconds(partial(codec.encode, pixels, quality)), 4)
        row["decode_s"] = round(seconds(partial(codec.decode, data)), 4)
        rows.append(row)
    return rows + list(compressai(size, image))


def compressai(size: float, image: Image.Image) -> list[dict[str, Any]]:
    """Its models with random weights, as slow as trained ones; none if it is not installed."""
    try:
        from compressai import zoo
    except ImportError:
        return []
    rows = []
    x = torch.from_numpy(pictures.load(image).pixels).permute(2, 0, 1)[None].float() / 255
    x = F.pad(x, (0, -x.shape[3] % 64, 0, -x.shape[2] % 64), mode="replicate")
    for name in ("bmshj2018_hyperprior", "mbt2018_mean"):
        model = getattr(zoo, name)(quality=4, pretrained=False).eval()
        model.update()
        with torch.inference_mode():
            code = model.compress(x)
            row = {"codec": f"compressai {name}", "megapixels": size}
            row["encode_s"] = round(seconds(partial(model.compress, x)), 4)
            row["decode_s"] = round(seconds(partial(model.decompress, code["strings"], code["shape"])), 4)
        rows.append(row)
    return rows


def show(row: dict[str, Any]) -> dict[str, Any]:
    """Print a row as it comes."""
    place = f", {row['device']}, {row['threads']} threads" if "threads" in row else ""
    print(f"{row['megapixels']} MP, {row['codec']}{place}: {row['encode_s']} s, {row['decode_s']} s")
    if "encode_default_s" in row:
        print(f"  encode at the default effort: {row['encode_default_s']} s")
    for what in ("encode", "decode"):
        if f"{what}_stages" in row:
            shown = ", ".join(
                f"{name} {1000 * s:.1f}" for name, s in row[f"{what}_stages"].items() if s > 5e-5
            )
            print(f"  {what} (ms): {shown}; {row[f'{what}_gflops']} GFLOP/s", flush=True)
    return row


if __name__ == "__main__":
    main()
