"""How fast the trainer is: megapixels a second in bfloat16 and in float32, and where the time goes.

    python benchmarks/train_speed.py --data FOLDER [--recipe recipes/photo.toml] [--device cuda] [--steps 20]

Whole training steps (patches, forward, backward, both optimizers, averaged weights) after a warm-up, in the
middle phase of the recipe. Training takes the type that the chip is said to multiply fast: the other figure
shows what the wrong choice would cost. Writes train_speed.json.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import torch
from torch.profiler import ProfilerActivity, profile

from aecodec.devices import pick_device
from aecodec.networks.photo.complexity import complexity
from aecodec.training.data import Patches, load_folders
from aecodec.training.photo import PhotoTask
from aecodec.training.precision import arithmetic
from aecodec.training.recipe import Recipe, read_recipe
from aecodec.training.trainer import Budget, Trainer, compiled

ROOT = Path(__file__).parent.parent
MIDDLE = 0.5  # of the run: all networks train, on noisy latents
WARM_UP = 2
TYPES = {"bfloat16": True, "float32": False}  # whether the chip is taken to have bfloat16


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=ROOT / "recipes" / "photo.toml")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    device, recipe = torch.device(pick_device(arguments.device)), read_recipe(arguments.recipe)
    patches = Patches(load_folders([arguments.data], recipe.patch), device, 0, recipe.graphics_share)
    pixels, counted = recipe.batch * recipe.patch**2, complexity(recipe.architecture)
    thousands = counted.analysis + counted.hyper_analysis + counted.decode
    report = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "batch": recipe.batch,
        "patch": recipe.patch,
        "thousand_macs_a_pixel": round(thousands, 1),
        "chosen_here": str(arithmetic(device)).removeprefix("torch."),
    }
    for name, has in TYPES.items():
        with patch("aecodec.training.precision.has_bfloat16", lambda device, has=has: has):
            seconds, shares = measure(recipe, patches, device, arguments.steps)
        report[name] = {
            "megapixels_per_second": round(pixels / seconds / 1e6, 4),
            "share_of_time": shares,
        }
    (arguments.out / "train_speed.json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


def measure(
    recipe: Recipe, patches: Patches, device: torch.device, count: int
) -> tuple[float, dict[str, float]]:
    """Seconds a step, and the ten kernels that take most of the device's time with their shares of it."""
    with tempfile.TemporaryDirectory() as out:
        task = PhotoTask(recipe, patches, device)
        trainer = Trainer(task, Budget(steps=1), Path(out), device)
        network = compiled(task.model, device)

        def steps(count: int) -> float:
            start = time.perf_counter()
            for _ in range(count):
                trainer._update(network, patches.batch(recipe.batch, recipe.patch), MIDDLE)
            if device.type == "cuda":
                torch.cuda.synchronize()
            return time.perf_counter() - start

        steps(WARM_UP)
        seconds = steps(count) / count
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
        with profile(activities=activities) as profiler:
            steps(1)
    kind = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    events = sorted(profiler.key_averages(), key=lambda e: -getattr(e, kind))
    total = sum(getattr(e, kind) for e in events)
    return seconds, {e.key: round(getattr(e, kind) / total, 3) for e in events[:10]}


if __name__ == "__main__":
    main()
