"""Fine-tune the released model on one kind of picture, and measure the gain on pictures it has not seen.

    python examples/specialize.py FOLDER [--minutes 5] [--sharp] [--out specialized]

Every fifth picture of the folder is held back. `--sharp` is for screens, text and drawings, which must not be
scaled while they are learnt. The weights that come out work at once: `aec compress --model FILE`, and
`aec decompress` finds them by the id in the file once their folder is in $AECODEC_MODELS.
"""

import argparse
import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import aecodec
from aecodec.bench import inputs
from aecodec.measure import bd, metrics
from aecodec.training.recipe import read_recipe
from aecodec.training.run import Job, train
from aecodec.training.trainer import Budget, Logged
from aecodec.weights import find

ROOT = Path(__file__).parent.parent
QUALITIES = (0, 20, 40, 60, 80, 100)


def main() -> None:
    """Split, train, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--sharp", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("specialized"))
    arguments = parser.parse_args()
    found, failures = inputs.gather([arguments.folder])
    for failure in failures:
        print(f"left out: {failure.picture}: {failure.reason}")
    if len(found) < 2:
        parser.error(f"{arguments.folder} holds one picture: it takes one to train on and one to hold back")
    held_back = [picture.path for picture in found[::5]]
    released = find().path
    with tempfile.TemporaryDirectory() as folder:
        for number, picture in enumerate(p for p in found if p.path not in held_back):
            kind = "graphics" if arguments.sharp else "photo"  # graphics are never scaled
            copy = Path(folder) / f"{kind}-{number}.png"  # training reads fewer formats than are measured
            Image.fromarray(inputs.load(picture.path)).save(copy, compress_level=1)
        job = Job(
            recipe(arguments.sharp),
            [Path(folder)],
            None,
            arguments.out,
            Budget(minutes=arguments.minutes),
            torch.device("cuda" if torch.cuda.is_available() else "cpu"),
            init=released,
        )
        special = train(job, print, show)
    before, after = (curve(path, held_back) for path in (released, special))
    gain = bd.bd_rate(before, after)
    print(
        f"{len(held_back)} pictures held back: {gain.value:+.1f} % bytes at equal PSNR, "
        f"{gain.low:.1f} to {gain.high:.1f} dB"
    )


def show(row: Logged, progress: float) -> None:
    """Print a row of the training log."""
    print(f"{progress:.0%} loss {row.figures['loss']:.4f}", flush=True)


def recipe(sharp: bool):
    """The released model's recipe, for a short run from its weights: learning rates fall soon."""
    return dataclasses.replace(
        read_recipe(ROOT / "recipes" / "photo.toml"),
        name="special",
        flat_share=0.2,
        late_share=0.0,
        graphics_share=1.0 if sharp else 0.0,
    )


def curve(weights: Path, pictures: list[Path]) -> bd.Curve:
    """Mean bits per pixel of whole files and mean PSNR at each quality."""
    codec, points = aecodec.Codec(weights), []
    for quality in QUALITIES:
        for path in pictures:
            original = inputs.load(path)
            data = codec.encode(original, quality)
            psnr = metrics.psnr_of(metrics.mse(original, codec.decode(data, "numpy")))
            points.append((8 * len(data) / original[..., 0].size, psnr))
    means = np.reshape(points, (len(QUALITIES), len(pictures), 2)).mean(1)
    return list(means[:, 0]), list(means[:, 1])


if __name__ == "__main__":
    main()
