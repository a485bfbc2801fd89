"""What a recipe's choices are worth: short trainings at equal time, compared on held-back pictures.

    python benchmarks/recipes.py --data FOLDER --val FOLDER --work FOLDER [--minutes 8] [--only NAME,NAME]

Each variant changes one thing of recipes/photo.toml and trains from nothing, for so many minutes of CPU time
on one thread, so that other work on the machine takes little from it; then the estimated rate of the averaged
weights is compared with JPEG 4:2:0 on the held-back photographs and graphics. In --work every variant has a
folder with its checkpoint, from which it goes on after a stop, and its result. results/recipes.csv has all.
"""

import argparse
import csv
import dataclasses
import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from lion_pytorch import Lion

from aecodec.measure.bd import bd_rate
from aecodec.networks.photo.complexity import complexity
from aecodec.training.data import Patches, load_folders
from aecodec.training.objective import TrainedModel
from aecodec.training.photo import PhotoTask
from aecodec.training.recipe import Recipe, read_recipe
from aecodec.training.trainer import Budget, Trainer
from aecodec.training.validation import Validation

HERE = Path(__file__).parent
RECIPE = HERE.parent / "recipes" / "photo.toml"


@dataclass(frozen=True)
class Variant:
    """What is changed: values of the recipe, of the architecture, or the optimizer of the matrices."""

    recipe: dict[str, Any] = field(default_factory=dict)
    architecture: dict[str, Any] = field(default_factory=dict)
    matrices: Callable[[Any], torch.optim.Optimizer] | None = None


VARIANTS = {
    "as it is": Variant(),
    "AdamW 1e-3 for the matrices": Variant(matrices=partial(torch.optim.AdamW, lr=1e-3, betas=(0.9, 0.98))),
    "AdamW 2e-3 for the matrices": Variant(matrices=partial(torch.optim.AdamW, lr=2e-3, betas=(0.9, 0.98))),
    "Lion 2e-4 for the matrices": Variant(matrices=partial(Lion, lr=2e-4)),
    "Muon 1e-3": Variant({"matrix_rate": 1e-3}),
    "Muon 4e-3": Variant({"matrix_rate": 4e-3}),
    "batches of 8": Variant({"batch": 8}),
    "batches of 32": Variant({"batch": 32}),
    "all from the start": Variant({"entropy_share": 0.0}),
    "no graphics": Variant({"graphics_share": 0.0}),
    "not rounded at the end": Variant({"rounded_share": 0.0}),
    "synthesis 5 + 1 and analysis 3 + 1 blocks": Variant(
        architecture={"analysis_blocks": (3, 1), "synthesis_blocks": (1, 5)}
    ),
    "synthesis 3 + 1 and analysis 5 + 1 blocks": Variant(
        architecture={"analysis_blocks": (5, 1), "synthesis_blocks": (1, 3)}
    ),
    "entropy model half as wide again": Variant(architecture={"hyper_width": 384}),
}


def main() -> None:
    """Train what is not done, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--val", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--only", help="names, separated by commas")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    names = arguments.only.split(",") if arguments.only else list(VARIANTS)
    loaded = load_folders([arguments.data], 192)
    validation = Validation(load_folders([arguments.val], 64))
    for name in names:
        result = arguments.work / name / "result.json"
        if not result.exists():
            row = measure(name, arguments.minutes, loaded, validation, result.parent)
            result.write_text(json.dumps(row))
        print(result.read_text(), flush=True)
    write(arguments.work)


def measure(name: str, minutes: float, loaded: Any, validation: Validation, out: Path) -> dict[str, Any]:
    """Train one variant, or go on with it, and compare it with JPEG."""
    variant, base = VARIANTS[name], read_recipe(RECIPE)
    architecture = dataclasses.replace(base.architecture, **variant.architecture)
    recipe = dataclasses.replace(base, architecture=architecture, **variant.recipe)
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    cpu = torch.device("cpu")
    task = PhotoTask(recipe, Patches(loaded, cpu, 0, recipe.graphics_share), cpu)
    if variant.matrices:
        (group,) = task.optimizers["matrix"].param_groups
        task.optimizers["matrix"] = variant.matrices(group["params"], weight_decay=0.0)
    trainer = Trainer(task, Budget(minutes=minutes), out, cpu, clock=time.process_time)
    if (out / "checkpoint.pt").exists():
        trainer.resume()
    else:
        trainer.start()
    trainer.run(lambda row, progress: None, lambda: None)
    curves = validation.curves(cast(TrainedModel, trainer.averaged))
    deltas = {group: compare(validation, group, curve) for group, curve in curves.items()}
    return {"variant": name, "minutes": minutes, "steps": trainer.step} | deltas | costs(recipe)


def compare(validation: Validation, group: str, curve: Any) -> float:
    """BD-rate in per cent against JPEG on a group of pictures."""
    jpeg = validation.jpeg[group]
    return round(bd_rate((jpeg.bpp, jpeg.psnr), (curve.bpp, curve.psnr)).value, 2)


def costs(recipe: Recipe) -> dict[str, float]:
    """kMAC a pixel."""
    counted = complexity(recipe.architecture)
    return {"encode_kmac": round(counted.encode, 1), "decode_kmac": round(counted.decode, 1)}


def write(work: Path) -> None:
    """The table of what is done, the best on photographs first."""
    rows = [json.loads(path.read_text()) for path in work.glob("*/result.json")]
    rows.sort(key=lambda row: row["photographs"])
    cpu = torch.cpu.get_capabilities().get("cpu_name", platform.processor())
    with (HERE / "results" / "recipes.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "cpu"])
        writer.writeheader()
        writer.writerows(row | {"cpu": f"{cpu}, one thread"} for row in rows)


if __name__ == "__main__":
    main()
