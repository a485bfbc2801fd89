"""Recipes: what is trained and how, in a TOML file with a fixed set of keys."""

import dataclasses
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from aecodec.errors import AecError, BadRecipe, InputMissing
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
    recipe = fill(Recipe, read_toml(path), path, _value)
    if recipe.patch % 64 or recipe.late_patch % 64:
        raise BadRecipe(f"{path}: patch and late_patch must be multiples of 64")
    return recipe


def is_classic(path: Path) -> bool:
    """Whether a recipe file is of a classic autoencoder. Raises BadRecipe, InputMissing."""
    return read_toml(path).get("family") == "classic"


def read_toml(path: Path) -> dict[str, Any]:
    """The keys of a recipe file. Raises BadRecipe, InputMissing."""
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise InputMissing(
            f"{path}: no such recipe: give the path of a TOML file like recipes/photo.toml"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadRecipe(f"{path} is not a TOML file: {error}") from error


R = TypeVar("R")


def fill(kind: type[R], values: dict[str, Any], path: Path, value: Callable[[str, Any], Any]) -> R:
    """A recipe, a dataclass, of the values that a file has; `value` turns those of TOML into its own.

    Raises BadRecipe naming the key.
    """
    known = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise BadRecipe(f"{path}: unknown key {unknown[0]!r}: the keys are {', '.join(sorted(known))}")
    try:
        return kind(**{key: value(key, given) for key, given in values.items()})
    except (AecError, TypeError, KeyError, ValueError) as error:
        raise BadRecipe(f"{path}: {error}") from error


def _value(key: str, value: Any) -> Any:
    if key == "lambdas":
        return LambdaRange(*value)
    if key == "architecture":
        return Architecture.from_record(Architecture().record() | value)
    return value
