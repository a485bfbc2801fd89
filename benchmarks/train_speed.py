"""How fast the trainer is: megapixels a second, share of the device's bfloat16 peak, where the time goes.

    python benchmarks/train_speed.py --data FOLDER [--recipe recipes/photo.toml] [--device cuda] [--steps 50]

Whole training steps (patches, forward, backward, both optimizers, averaged weights) after a warm-up, in the
middle phase of the recipe. The peak is what a large matrix product reaches here. Writes train_speed.json.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from aecodec.devices import pick_device
from aecodec.networks.photo.complexity import complexity
from aecodec.training.data import Patches, load_folders
from aecodec.training.photo import PhotoTask
from aecodec.training.recipe import read_recipe
from aecodec.training.trainer import Budget, Trainer, compiled

ROOT = Path(__file__).parent.parent
MIDDLE = 0.5  # of the run: all networks train, on noisy latents
WARM_UP = 10


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=ROOT / "recipes" / "photo.toml")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    device, recipe = pick_device(arguments.device), read_recipe(arguments.recipe)
    patches = Patches(load_folders([arguments.data], recipe.patch), device, 0, recipe.graphics_share)
    with tempfile.TemporaryDirectory() as out:
        task = PhotoTask(recipe, patches, device)
        trainer = Trainer(task, Budget(steps=1), Path(out), device)
        network = compiled(task.model, device)

        def steps(count: int) -> float:
            start = time.perf_counter()
            for _ in range(count):
                trainer._update(network, patches.batch(recipe.batch, recipe.patch), MIDDLE)
            wait(device)
            return time.perf_counter() - start

        steps(WARM_UP)
        seconds = steps(arguments.steps) / arguments.steps
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
        with profile(activities=activities) as profiler:
            steps(3)
    pixels = recipe.batch * recipe.patch**2
    counted = complexity(recipe.architecture)
    thousands = counted.analysis + counted.hyper_analysis + counted.decode
    flops = 3 * 2 * 1000 * thousands * pixels / seconds  # backward: twice the forward pass
    ceiling = peak(device)
    report = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "batch": recipe.batch,
        "patch": recipe.patch,
        "megapixels_per_second": round(pixels / seconds / 1e6, 3),
        "teraflops": round(flops / 1e12, 4),
        "bfloat16_peak_teraflops": round(ceiling / 1e12, 3),
        "share_of_peak": round(flops / ceiling, 3),
        "share_of_time": shares(profiler, device),
    }
    (arguments.out / "train_speed.json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


def peak(device: torch.device) -> float:
    """FLOP a second of a large bfloat16 matrix product."""
    side = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        a @ b
        wait(device)
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best


def shares(profiler: profile, device: torch.device) -> dict[str, float]:
    """The ten kernels that take most of the device's time, and their shares of it."""
    kind = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    events = sorted(profiler.key_averages(), key=lambda e: -getattr(e, kind))
    total = sum(getattr(e, kind) for e in events)
    return {e.key: round(getattr(e, kind) / total, 3) for e in events[:10]}


def wait(device: torch.device) -> None:
    """Until the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
