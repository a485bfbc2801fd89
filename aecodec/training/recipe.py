"""Recipes: what is trained and how, in a TOML file with a fixed set of keys."""

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aecodec.errors import BadRecipe, InputMissing
from aecodec.networks.architecture import Architecture
from aecodec.training.objective import LambdaRange


@dataclass(frozen=True)
class Recipe:
    """One training run. Shares are of the whole run, measured in minutes or steps, whichever is given."""

    name: str
    version: int = 1  # grows with every release of the name
    patch: int = 192  # pixels a side, a multiple of 64
    late_patch: int = 256  # for the last `late_share`
    batch: int = 16
    late_share: float = 0.15
    graphics_share: float = 0.14  # of the patches from screens, text and drawings
    entropy_share: float = 0.1  # the entropy model alone, on the fixed linear transform
    rounded_share: float = 0.1  # at the end: analysis frozen, all on rounded latents
    flat_share: float = 0.5  # of the run until the learning rates begin to fall
    matrix_rate: float = 2e-3  # Muon, for the 1x1 weights of blocks and entropy model
    other_rate: float = 1e-3  # AdamW, for the rest
    linear_rate: float = 3e-4  # AdamW, for the transform's linear path, which starts at its optimum
    clip: float = 2.0  # largest norm of the gradient
    average: float = 0.9995  # decay of the averaged weights
    lambdas: LambdaRange = LambdaRange(0.0010, 0.45)
    architecture: Architecture = field(default_factory=Architecture)


def read_recipe(path: Path) -> Recipe:
    """Parse a recipe file. Raises BadRecipe naming the key, InputMissing."""
    try:
        values = tomllib.loads(path.read_text())
    except OSError as error:
        raise InputMissing(
            f"{path}: no such recipe: give the path of a TOML file like recipes/photo.toml"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadRecipe(f"{path} is not a TOML file: {error}") from error
    known = {f.name for f in dataclasses.fields(Recipe)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise BadRecipe(f"{path}: unknown key {unknown[0]!r}: the keys are {', '.join(sorted(known))}")
    try:
        recipe = Recipe(**{key: _value(key, value) for key, value in values.items()})
    except (TypeError, KeyError, ValueError) as error:
        raise BadRecipe(f"{path}: {error}") from error
    if recipe.patch % 64 or recipe.late_patch % 64:
        raise BadRecipe(f"{path}: patch and late_patch must be multiples of 64")
    return recipe


def _value(key: str, value: Any) -> Any:
    if key == "lambdas":
        return LambdaRange(*value)
    if key == "architecture":
        return Architecture.from_record(Architecture().record() | value)
    return value
