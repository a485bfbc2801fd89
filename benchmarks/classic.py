"""The study of the classic autoencoders: what the tricks are worth, in bytes and errors of real files.

    python benchmarks/classic.py --data FOLDER --work FOLDER [--sets mnist,cifar10,stl10] [--epochs 15]

FOLDER of --data has load.py with mnist(split), cifar10(split) and stl10(split), split "train" or "test",
which give uint8 arrays of pictures and labels. Every method that is finished is kept in --work, so that a run
that was stopped goes on where it was. Writes results/classic.md, its figures, and results/classic.json.
"""

import argparse
import csv
import dataclasses
import importlib.util
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from classic_report import SIZES, write
from safetensors.torch import save_file
from torch import nn

from aecodec.devices import pick_device
from aecodec.networks.classic.autoencoder import Autoencoder, ClassicArchitecture, build
from aecodec.training.classic import figures
from aecodec.training.classic.classifier import Classifier, accuracy, train_classifier
from aecodec.training.classic.data import Pictures, fit
from aecodec.training.classic.measure import QUALITIES, Aec, Jpeg, PictureCodec, coded
from aecodec.training.classic.recipe import ClassicRecipe, read_recipe
from aecodec.training.classic.run import Epoch, train
from aecodec.training.classic.visualize import load_network

ROOT = Path(__file__).parent.parent
RECIPES = ROOT / "recipes" / "classic"
JPEG_QUALITIES = (1, 5, 10, 20, 30, 45, 60, 75, 85, 92, 97)
CURVE, ALONE = 1000, 100  # test pictures that curves are taken on, and that are coded into a file each
ENCODER_EPOCHS = 8  # of the classifier whose encoder is the pretrained one
MINUTES = {"mnist": 4.0, "cifar10": 4.5, "stl10": 5.0}  # a method, roughly, on one core: for the time left


@dataclass(frozen=True)
class Set:
    """A data set: its block, its methods and their recipes, and the classifier that judges, if one can."""

    channels: int
    side: int
    methods: dict[str, str]
    classifier_width: int = 0
    classifier_epochs: int = 0
    width: int | None = None  # of the networks, where not the recipe's: digits need less
    epochs: int | None = None  # of each method, where not the recipe's: few pictures are seen more often
    batch: int | None = None  # where not the recipe's: larger ones take less time
    slow_pictures: int | None = None  # that the methods of SLOW are trained on, where not all


SIX = {
    "baseline": "baseline32",
    "pixel shuffle": "pixelshuffle32",
    "progressive resizing": "progressive32",
    "pretrained encoder": "pretrained32",
    "ResNet encoder from scratch": "resnet32",
    "feature loss": "feature32",
}
FEWER = "baseline, fewer pictures"
SLOW = {"pretrained encoder", "ResNet encoder from scratch", FEWER}  # ResNet-18, and what to hold it against
FOUR = {
    "plain": "stl10",
    "normalized": "stl10-normalized",
    "dropout": "stl10-dropout",
    "normalized, dropout": "stl10-normalized-dropout",
}
SETS = {
    "mnist": Set(1, 32, SIX | {FEWER: "baseline32"}, 16, 4, width=24, batch=64, slow_pictures=6000),
    "cifar10": Set(3, 32, SIX, 48, 24, epochs=24, batch=64),
    "stl10": Set(3, 96, FOUR),
}
ORDER = (
    ("mnist", 1),
    ("cifar10", None),
    ("mnist", None),
    ("stl10", None),
)  # set, and how many of its methods


class Judging(nn.Module):
    """The encoder of an autoencoder, and a linear layer from its latents to classes."""

    def __init__(self, autoencoder: Autoencoder, latents: int) -> None:
        super().__init__()
        self.autoencoder, self.out = autoencoder, nn.Linear(latents, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pictures [B, C, s, s] -> scores [B, 10]."""
        scores: torch.Tensor = self.out(self.autoencoder.encode(x))
        return scores


class Study:
    """What one run knows: pictures, classifiers, and the folder that keeps what is finished."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.load, self.work = loader(arguments.data), Path(arguments.work)
        self.epochs, self.sets = arguments.epochs, arguments.sets
        self.device, self.began, self.done = pick_device(arguments.device), time.monotonic(), 0.0
        self.kept: dict[tuple[str, str], Pictures] = {}

    def pictures(self, name: str, split: str) -> Pictures:
        """A part of a set, padded to the side of its networks."""
        if (name, split) not in self.kept:
            pixels, labels = getattr(self.load, name)(split)
            found = Pictures(pixels, labels, f"{name} {split}")
            self.kept[name, split] = fit(found, SETS[name].channels, SETS[name].side)
        return self.kept[name, split]

    def plan(self) -> Iterator[tuple[str, str]]:
        """Sets and methods in the order in which they are trained."""
        planned: dict[tuple[str, str], None] = {}
        for name, count in ORDER:
            if name in self.sets:
                planned.update(dict.fromkeys((name, method) for method in list(SETS[name].methods)[:count]))
        return iter(planned)

    def run(self) -> None:
        """Train and measure all that is not done yet."""
        plan = list(self.plan())
        left = [step for step in plan if not self.result(*step).exists()]
        for number, (name, method) in enumerate(left):
            self.say(f"{name}, {method}: {len(left) - number} methods left")
            found = self.method(name, method, sum(MINUTES[other] for other, _ in left[number + 1 :]))
            keep(self.result(name, method), found)
            self.done += MINUTES[name]
        for name in self.sets:
            for label, codec in self.others().items():
                if not self.result(name, label).exists():
                    self.say(f"{name}, {label}")
                    keep(self.result(name, label), self.reference(name, codec))

    def others(self) -> dict[str, PictureCodec]:
        """What the methods are held against."""
        return {"JPEG": Jpeg(), "photo": Aec("photo", self.device)}

    def found(self, name: str) -> dict[str, Any]:
        """All that is known of a set: accuracy on the originals, and results by method."""
        methods: dict[str, Any] = {}
        for method in [*SETS[name].methods, *self.others()]:
            path = self.result(name, method)
            methods[method] = json.loads(path.read_text())
            if (path.parent / "epochs.csv").exists():
                methods[method]["mse_by_epoch"] = squared_errors(path.parent / "epochs.csv", method)
        return {"accuracy": self.accuracy(name, self.pictures(name, "test")), "methods": methods}

    def compare(self, name: str, size: float, path: Path) -> None:
        """Draw some pictures through every codec, each at the quality that comes nearest to a size."""
        some = self.pictures(name, "test").where(slice(CURVE // 10))
        codecs: dict[str, PictureCodec] = self.others()
        for method in SETS[name].methods:
            codecs[method] = Aec(next(self.result(name, method).parent.glob("*.safetensors")), self.device)
        rows = {"input": some.pixels}
        for label, codec in codecs.items():
            curve = json.loads(self.result(name, label).read_text())["curve"]
            quality = float(np.interp(size, [p["bytes"] for p in curve], [p["quality"] for p in curve]))
            point, pixels = coded(codec, some, quality)
            rows[f"{label}\n{point.bytes:.0f} bytes, {-10 * math.log10(point.mse):.1f} dB"] = pixels
        figures.rows_of_pictures(rows, f"{name}: the bytes a picture that come nearest to {size}", path)

    def result(self, name: str, method: str) -> Path:
        """Where the figures of a method are kept."""
        return self.work / name / method.replace(", ", "-").replace(" ", "-") / "result.json"

    def method(self, name: str, method: str, later: float) -> dict[str, Any]:
        """Train one method and measure it."""
        out = self.result(name, method).parent
        recipe, test = self.recipe(name, method), self.pictures(name, "test")
        pictures = self.pictures(name, "train").where(
            slice(SETS[name].slow_pictures if method in SLOW else None)
        )
        planned = MINUTES[name]

        def on_epoch(epoch: Epoch) -> None:
            share = epoch.epoch / recipe.epochs
            spent = (time.monotonic() - self.began) / 60
            pace = spent / (self.done + share * planned)
            left = pace * ((1 - share) * planned + later)
            test_loss = "" if epoch.test_loss is None else f", test {epoch.test_loss:.6f}"
            self.say(
                f"{name}, {method}: epoch {epoch.epoch} of {recipe.epochs}, {epoch.minutes:.1f} min, loss "
                f"{epoch.train_loss:.6f}{test_loss}; about {left:.0f} min left in all"
            )

        resume, before = (out / "checkpoint.pt").exists(), time.process_time()
        if not (weights := sorted(out.glob("*.safetensors"))):
            weights = [
                train(recipe, pictures, test, out, None, self.device, resume=resume, on_epoch=on_epoch)
            ]
        (out / "checkpoint.pt").unlink(missing_ok=True)
        spent = (time.process_time() - before) / 60  # a busy machine takes longer by the clock
        return self.measured(name, weights[0], len(pictures)) | {
            "processor_minutes": spent,
            "resumed": resume,
        }

    def measured(self, name: str, weights: Path, seen: int) -> dict[str, Any]:
        """Errors, bytes and accuracy of trained weights."""
        test = self.pictures(name, "test")
        network = load_network(weights, self.device)
        with (weights.parent / "epochs.csv").open(newline="") as file:
            epochs = list(csv.DictReader(file))
        codec = Aec(weights, self.device)
        return {
            "weights": weights.name,
            "pictures": seen,
            "epochs": len(epochs),
            "minutes": float(epochs[-1]["minutes"]),
            "parameters": sum(p.numel() for p in network.parameters()),
            "floats": self.floats(name, network),
            "finest": self.point(name, codec, test, 100, 10),
            **self.reference(name, codec, QUALITIES),
        }

    def floats(self, name: str, network: Autoencoder) -> dict[str, float]:
        """MSE and MAE of latents that are neither rounded nor coded: what is usually published."""
        test = self.pictures(name, "test")
        squared = absolute = 0.0
        with torch.no_grad():
            for x in test.batches(500, self.device):
                error = network(x) - x
                squared, absolute = squared + float(error.square().sum()), absolute + float(error.abs().sum())
        return {"mse": squared / test.pixels.size, "mae": absolute / test.pixels.size}

    def reference(
        self, name: str, codec: PictureCodec, qualities: tuple[float, ...] = JPEG_QUALITIES
    ) -> dict[str, Any]:
        """Curves of a codec over qualities: pictures in mosaics, and some of them alone."""
        test = self.pictures(name, "test")
        some, few = test.where(slice(CURVE)), test.where(slice(ALONE))
        return {
            "curve": [self.point(name, codec, some, quality, 10) for quality in qualities],
            "alone": [self.point(name, codec, few, quality, 1) for quality in qualities],
        }

    def point(
        self, name: str, codec: PictureCodec, some: Pictures, quality: float, across: int
    ) -> dict[str, Any]:
        """One point of a curve, with the accuracy of the classifier on what was decoded."""
        point, pixels = coded(codec, some, quality, across)
        return dataclasses.asdict(point) | {
            "accuracy": self.accuracy(name, dataclasses.replace(some, pixels=pixels))
        }

    def accuracy(self, name: str, pictures: Pictures) -> float | None:
        """Share of the pictures that the set's classifier knows; None where it has none."""
        if not SETS[name].classifier_epochs:
            return None
        return accuracy(self.classifier(name), pictures, self.device)

    def recipe(self, name: str, method: str) -> ClassicRecipe:
        """The recipe of a method, for the pictures of a set."""
        kind = SETS[name]
        found = read_recipe(RECIPES / f"{kind.methods[method]}.toml")
        a = dataclasses.replace(
            found.architecture,
            channels=kind.channels,
            side=kind.side,
            width=kind.width or found.architecture.width,
        )
        changes: dict[str, Any] = {"name": f"{name}-{kind.methods[method]}", "architecture": a}
        changes |= {"epochs": self.epochs or kind.epochs or found.epochs, "batch": kind.batch or found.batch}
        if found.loss == "feature":
            self.classifier(name)
            changes["classifier"] = str(self.work / name / "classifier.safetensors")
        if found.encoder:
            changes["encoder"] = str(self.encoder(name, a))
        return dataclasses.replace(found, **changes)

    def encoder(self, name: str, a: ClassicArchitecture) -> Path:
        """The encoder of a classifier of the same shape, trained on the originals when it is first needed."""
        path = self.work / name / "encoder.safetensors"
        if not path.exists():
            self.say(f"{name}: training an encoder as a classifier")
            pictures = self.pictures(name, "train").where(slice(SETS[name].slow_pictures))
            network = Judging(build(a), a.latents)
            train_classifier(network, pictures, ENCODER_EPOCHS, self.device)
            share = accuracy(network, self.pictures(name, "test"), self.device)
            self.say(f"{name}: with it {share:.4f} of the test pictures are known")
            save_file({k: t.contiguous() for k, t in network.autoencoder.state_dict().items()}, path)
        return path

    def classifier(self, name: str) -> Classifier:
        """The judge of a set, trained on its originals when it is first needed."""
        path = self.work / name / "classifier.safetensors"
        if not path.exists():
            kind, pictures = SETS[name], self.pictures(name, "train")
            self.say(f"{name}: training the classifier")
            network = Classifier(kind.channels, 10, kind.classifier_width)
            train_classifier(network, pictures, kind.classifier_epochs, self.device)
            path.parent.mkdir(parents=True, exist_ok=True)
            network.save(path)
            share = accuracy(network, self.pictures(name, "test"), self.device)
            self.say(f"{name}: the classifier knows {share:.4f} of the test pictures")
        return Classifier.load(path, self.device)

    def say(self, line: str) -> None:
        """Print with the minutes since the start."""
        print(f"{(time.monotonic() - self.began) / 60:6.1f}  {line}", flush=True)


def squared_errors(log: Path, method: str) -> list[dict[str, float | None]]:
    """MSE of each epoch on training and test pictures; on training pictures only where it is the loss."""
    with log.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        {
            "train": None if method == "feature loss" else float(row["train_loss"]),
            "test": float(row["test_mse"]),
        }
        for row in rows
    ]


def keep(path: Path, values: dict[str, Any]) -> None:
    """Write as JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(values, indent=1) + "\n")
    part.replace(path)


def loader(folder: Path) -> Any:
    """The module load.py of a folder."""
    spec = importlib.util.spec_from_file_location("load", folder / "load.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--sets", type=lambda text: text.split(","), default=list(SETS), metavar="A,B")
    parser.add_argument("--epochs", type=int, help="of each method [the recipe's]")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    study = Study(arguments)
    study.run()
    write({name: study.found(name) for name in study.sets}, arguments.out)
    for name in study.sets:
        study.compare(name, SIZES[name][1], arguments.out / f"classic-{name}-pictures.png")


if __name__ == "__main__":
    main()
