"""Recipes: what is trained and how, in a TOML file with a fixed set of keys."""

import dataclasses
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from aecodec.errors import AecError, BadRecipe, InputMissing
from aecodec.networks.photo.architecture import Architecture
from aecodec.training.distortion import DISTANCES, Part
from aecodec.training.objective import LambdaRange

Ranges = Mapping[str, tuple[float, float]]  # lowest and highest of each number, whole where these are

RANGES: Ranges = {
    "version": (1, 10**6),
    "patch": (64, 2**14),
    "late_patch": (64, 2**14),
    "batch": (1, 2**16),
    "late_share": (0.0, 1.0),
    "graphics_share": (0.0, 1.0),
    "entropy_share": (0.0, 1.0),
    "rounded_share": (0.0, 1.0),
    "flat_share": (0.0, 0.999999),
    "matrix_rate": (1e-9, 1e3),
    "other_rate": (1e-9, 1e3),
    "linear_rate": (1e-9, 1e3),
    "clip": (1e-6, 1e9),
    "average": (0.0, 0.999999),
}
MOST_BLOCKS = 1000
SIZES: Ranges = {  # of the architecture
    "latent_channels": (1, 768),  # 16 x 16 x 3 values have no more components
    "width": (1, 2**14),
    "hyper_channels": (1, 2**14),
    "hyper_width": (1, 2**14),
    "quarter_width": (1, 2**14),
    "quarter_blocks": (0, MOST_BLOCKS),
    "scales": (2, 256),  # an index is a byte
    "scale_first": (1e-3, 1e3),
    "scale_ratio": (1.001, 10.0),
}


@dataclass(frozen=True)
class Recipe:
    """One training run. Shares are of the whole run, measured in minutes or steps, whichever is given.

    Raises BadRecipe for values that cannot be.
    """

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
    distortion: Mapping[str, Part] = field(default_factory=lambda: {"mse": Part(1.0, 0.0010, 0.45)})
    architecture: Architecture = field(default_factory=Architecture)

    def __post_init__(self) -> None:
        """Check every value."""
        check_name(self.name)
        check_numbers(self, RANGES)
        if self.patch % 64 or self.late_patch % 64:
            raise BadRecipe("patch and late_patch must be multiples of 64")
        low, high = self.lambdas.lowest, self.lambdas.highest
        if not 0 < low <= high < math.inf:
            raise BadRecipe(f"lambdas = [{low}, {high}]: give two numbers above 0, the larger one last")
        unknown = sorted(set(self.distortion) - set(DISTANCES))
        if unknown:
            raise BadRecipe(f"distortion has no {unknown[0]!r}: its parts are {', '.join(DISTANCES)}")
        if not any(part.share for part in self.distortion.values()):
            raise BadRecipe("distortion has no part with a share above 0")
        a = self.architecture
        check_numbers(a, SIZES)
        for blocks in (a.analysis_blocks, a.synthesis_blocks):
            if len(blocks) != 2 or not all(type(n) is int and 0 <= n <= MOST_BLOCKS for n in blocks):
                raise BadRecipe(f"blocks = {list(blocks)}: give two whole numbers")


def check_name(name: object) -> None:
    """Raise BadRecipe for a name that cannot be part of a file's."""
    if not isinstance(name, str) or not name or "/" in name:
        raise BadRecipe(f"name = {name!r}: give a name that can be part of a file's")


def check_numbers(values: object, ranges: Ranges) -> None:
    """Raise BadRecipe for an attribute that is no number of its range."""
    for key, (low, high) in ranges.items():
        value, whole = getattr(values, key), type(low) is int
        if type(value) not in ((int,) if whole else (int, float)) or not low <= value <= high:
            raise BadRecipe(f"{key} = {value!r}: give a {'whole ' * whole}number from {low} to {high}")


def read_recipe(path: Path) -> Recipe:
    """Parse a recipe file. Raises BadRecipe naming the key, InputMissing."""
    return fill(Recipe, read_toml(path), path, _value)


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
    if key == "distortion":
        return {name: _part(name, part) for name, part in value.items()}
    if key == "architecture":
        return Architecture.from_record(Architecture().record() | value)
    return value


def _part(name: str, values: Any) -> Part:
    try:
        return Part(**values)
    except (BadRecipe, TypeError) as fault:
        raise BadRecipe(f"distortion.{name}: {fault}") from fault
