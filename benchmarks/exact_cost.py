"""What exactness costs, the integer entropy model against its float masters, and what fitted tables gain.

    python benchmarks/exact_cost.py --data FOLDER [--model NAME|FILE]

On every photograph and at several levels, latents are coded with means and scale indexes from the integer
networks, with those of the float networks they were quantised from, and with the integer networks but the
Gaussian tables that those of the model were fitted from. The PSNR is that of the same synthesis,
so that the difference in rate at equal PSNR is the cost of the whole integer path, or the gain of the fit.
Writes benchmarks/results/exact_cost.json.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from aecodec.coding.symbols import SIXTEENTHS, Coded, cheapest
from aecodec.coding.tables import from_masses
from aecodec.engines.numpy import NumpyEngine
from aecodec.measure.bd import bd_rate
from aecodec.networks.photo import latents
from aecodec.networks.photo.hyperprior import Hyperprior
from aecodec.training.export import import_weights, parametric_masses
from aecodec.training.objective import TrainedModel
from aecodec.weights import find

LEVELS = (0, 51, 102, 153, 204, 255)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model")
    arguments = parser.parse_args()
    model = Hyperprior(find(arguments.model), NumpyEngine())
    masters = TrainedModel(model.architecture)
    import_weights(model.weights.path, masters)
    masters = masters.eval()
    points: dict[str, list[list[tuple[float, float]]]] = {"integer": [], "gaussian": [], "float": []}
    for level in LEVELS:
        rows = [each(model, masters, x, level) for x in photographs(arguments.data)]
        for name, column in zip(points, zip(*rows, strict=True), strict=True):
            points[name].append(list(column))
    curves = {name: np.asarray(p).mean(1).T.tolist() for name, p in points.items()}  # [2, levels]
    cost, fit = (bd_rate(curves[name], curves["integer"]) for name in ("float", "gaussian"))
    report = {
        "cost_percent": round(cost.value, 4),
        "fitted_tables_percent": round(fit.value, 4),
        "range_db": [cost.low, cost.high],
        "curves": curves,
    }
    print(json.dumps(report))
    out = Path(__file__).parent / "results" / "exact_cost.json"
    out.write_text(json.dumps(report, indent=1) + "\n")


def photographs(folder: Path) -> list[np.ndarray]:
    """Central 512 x 512 pixels of the photographs of a folder."""
    paths = sorted(p for p in folder.glob("*.png") if not p.name.startswith("graphics"))
    pictures = [np.asarray(Image.open(p).convert("RGB")) for p in paths]
    return [x[: x.shape[0] // 64 * 64, : x.shape[1] // 64 * 64][:512, :512] for x in pictures]


def each(model: Hyperprior, masters: TrainedModel, x: np.ndarray, level: int) -> list[tuple[float, float]]:
    """(bpp, PSNR) of the integer path, with Gaussian tables, and of the float path."""
    gained = model.analyse(x[None]) * model.gain[level]
    y, z = (np.moveaxis(part, 3, 1).copy() for part in (gained, model.hyper_latents(gained, level)))
    gaussian = replace(model.entropy, tables=from_masses(parametric_masses(model.architecture)))
    paths = []
    for entropy in (model.entropy, gaussian):
        (coded,) = latents.encode(entropy, y, z, level)
        bits = sum(entropy.tables.ideal_bits(symbols, indexes) for indexes, symbols in coded.groups)
        paths.append((bits, coded.y_hat))
    (coded,) = latents.encode(model.entropy, y, z, level)
    paths.append(float_path(model, masters, y, coded, level))
    return [finish(model, x, level, *path) for path in paths]


@torch.no_grad()
def float_path(
    model: Hyperprior, masters: TrainedModel, y: np.ndarray, coded: Coded, level: int
) -> tuple[float, np.ndarray]:
    """Bits and y_hat in sixteenths with means and scale indexes from the float masters."""
    z_index, z = coded.groups[0]
    bits = model.entropy.tables.ideal_bits(z, z_index)
    height, width = y.shape[2:]
    z_hat = torch.from_numpy(z.reshape(1, -1, -(-height // 4), -(-width // 4))).float()
    mu, index = (t.numpy() for t in masters.masters(z_hat, torch.tensor([float(level)]), height, width))
    indexes = np.rint(index).clip(0, model.architecture.scales - 1).astype(np.uint8).ravel()
    symbols = cheapest((y - mu).ravel(), indexes, model.entropy.tables)
    bits += model.entropy.tables.ideal_bits(symbols, indexes)
    return bits, SIXTEENTHS * (symbols.reshape(mu.shape) + mu)[0]


def finish(
    model: Hyperprior, x: np.ndarray, level: int, bits: float, y_hat: np.ndarray
) -> tuple[float, float]:
    """Synthesis and PSNR."""
    pixels = model.synthesise(model.scaled(y_hat, level)[None], level, 3)[0]
    mse = np.square(pixels.astype(np.float64) - x).mean()
    return bits / (x.shape[0] * x.shape[1]), 10 * float(np.log10(255**2 / mse))


if __name__ == "__main__":
    main()
