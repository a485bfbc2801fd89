"""Recipes of the classic autoencoders: TOML files with family = "classic"."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aecodec.errors import BadRecipe
from aecodec.networks.classic.autoencoder import RESIZABLE, SHAPES, ClassicArchitecture
from aecodec.networks.classic.model import FAMILY
from aecodec.training.recipe import Ranges, check_name, check_numbers, fill, read_toml

CHOICES = {
    "loss": ("mse", "mae", "feature"),
    "optimizer": ("adamw", "adam", "lion", "sgd"),
    "schedule": ("flat", "step", "cosine"),
}
RANGES: Ranges = {
    "version": (1, 10**6),
    "epochs": (1, 10**6),
    "batch": (1, 2**16),
    "rate": (1e-9, 1e3),
    "clip": (1e-6, 1e9),
    "average": (0.0, 0.999999),
    "freeze": (0.0, 1.0),
    "seed": (0, 2**31),
}


@dataclass(frozen=True)
class ClassicRecipe:
    """One training run of a classic autoencoder. Raises BadRecipe for values that cannot be."""

    name: str
    architecture: ClassicArchitecture
    version: int = 1  # grows with every release of the name
    epochs: int = 15  # how long, where neither minutes nor steps are given
    batch: int = 64
    loss: str = "mse"  # mse, mae or feature
    classifier: str | None = None  # file of the classifier whose features the loss "feature" compares
    optimizer: str = "adamw"  # adamw, adam, lion or sgd
    rate: float = 1e-3  # learning rate
    schedule: str = "cosine"  # flat, step (a tenth at half and again at three quarters) or cosine
    clip: float = 1.0  # largest norm of the gradient
    average: float = 0.99  # decay of the averaged weights, which are what is exported
    progressive: tuple[int, ...] = ()  # sides of the pictures, one after the other, the block's at last
    encoder: str | None = None  # weights file to take the encoder from
    freeze: float = 0.0  # share of the run in which that encoder is held still
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every value."""
        for key, allowed in CHOICES.items():
            if getattr(self, key) not in allowed:
                raise BadRecipe(f"{key} = {getattr(self, key)!r}: give {', '.join(allowed)}")
        check_numbers(self, RANGES)
        check_name(self.name)
        for key in ("classifier", "encoder"):
            if not isinstance(getattr(self, key), str | None):
                raise BadRecipe(f"{key} = {getattr(self, key)!r}: give the path of a file")
        if self.loss == "feature" and self.classifier is None:
            raise BadRecipe('loss = "feature" needs a classifier: give the path of its file')
        if self.freeze and self.encoder is None:
            raise BadRecipe("freeze holds the encoder of a file still: give encoder, the path of that file")
        self._check_sides()

    def _check_sides(self) -> None:
        a = self.architecture
        stride = SHAPES[a.kind].stride
        if not self.progressive:
            return
        if a.kind not in RESIZABLE:
            raise BadRecipe(f"progressive is for {', '.join(RESIZABLE)}: {a.kind} takes one side alone")
        fit = all(type(side) is int and side > 0 and side % stride == 0 for side in self.progressive)
        if not fit or self.progressive[-1] != a.side:
            raise BadRecipe(f"progressive: give multiples of {stride}, the last of them {a.side}")


def read_recipe(path: Path) -> ClassicRecipe:
    """Parse a recipe file. Raises BadRecipe naming the key, InputMissing."""
    values = read_toml(path)
    if values.pop("family", None) != FAMILY:
        raise BadRecipe(f'{path} is no recipe of a classic autoencoder: it has no line family = "classic"')
    return fill(ClassicRecipe, {"architecture": {}} | values, path, _value)


def _value(key: str, value: Any) -> Any:
    if key == "architecture":
        known = {field.name for field in dataclasses.fields(ClassicArchitecture)}
        unknown = sorted(set(value) - known)
        if unknown or "kind" not in value:
            fault = f"unknown key {unknown[0]!r}" if unknown else "kind is missing"
            raise BadRecipe(f"[architecture]: {fault}: the keys are {', '.join(sorted(known))}")
        return ClassicArchitecture(**value)
    if key == "progressive":
        return tuple(value)
    return value
