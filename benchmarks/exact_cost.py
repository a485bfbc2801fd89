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
from torch import Tensor

from aecodec.coding.symbols import SIXTEENTHS, Coded, cheapest
from aecodec.coding.tables import from_masses
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
    model = Hyperprior(find(arguments.model), torch.device("cpu"))
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


@torch.no_grad()
def each(model: Hyperprior, masters: TrainedModel, x: np.ndarray, level: int) -> list[tuple[float, float]]:
    """(bpp, PSNR) of the integer path, with Gaussian tables, and of the float path."""
    at = torch.tensor([float(level)])
    y = model.analyse(torch.from_numpy(x.copy()).permute(2, 0, 1)[None].float() / 255)
    y = y * model.gain[level][:, None, None]
    z = model.hyper_analysis(y, at)
    gaussian = replace(model.entropy, tables=from_masses(parametric_masses(model.architecture)))
    paths = []
    for entropy in (model.entropy, gaussian):
        (coded,) = latents.encode(entropy, y, z, level)
        bits = sum(entropy.tables.ideal_bits(symbols, indexes) for indexes, symbols in coded.groups)
        paths.append((bits, torch.from_numpy(coded.y_hat)[None].float() / SIXTEENTHS))
    (coded,) = latents.encode(model.entropy, y, z, level)
    paths.append(float_path(model, masters, y, coded, at))
    return [finish(model, x, level, *path) for path in paths]


def float_path(
    model: Hyperprior, masters: TrainedModel, y: Tensor, coded: Coded, at: Tensor
) -> tuple[float, Tensor]:
    """Bits and y_hat with means and scale indexes from the float masters."""
    z_index, z = coded.groups[0]
    bits = model.entropy.tables.ideal_bits(z, z_index)
    network = masters.masters.model()
    height, width = y.shape[2:]
    z_hat = torch.from_numpy(z.reshape(1, -1, -(-height // 4), -(-width // 4))).float()
    features = network.features(z_hat, at, height, width)
    mu, index = network.parameters(0, features, features, at)  # of models with one pass
    indexes = index.round().clamp(0, model.architecture.scales - 1).to(torch.uint8).numpy().ravel()
    symbols = cheapest((y - mu).numpy().ravel(), indexes, model.entropy.tables)
    bits += model.entropy.tables.ideal_bits(symbols, indexes)
    return bits, (torch.from_numpy(symbols).view_as(mu) + mu).float()


def finish(model: Hyperprior, x: np.ndarray, level: int, bits: float, y_hat: Tensor) -> tuple[float, float]:
    """Synthesis and PSNR."""
    x_hat = model.synthesis(y_hat / model.gain[level][:, None, None], torch.tensor([float(level)]))
    pixels = (x_hat[0].permute(1, 2, 0) * 255).round().clamp(0, 255).numpy()
    mse = np.square(pixels.astype(np.float64) - x).mean()
    return bits / (x.shape[0] * x.shape[1]), 10 * float(np.log10(255**2 / mse))


if __name__ == "__main__":
    main()
