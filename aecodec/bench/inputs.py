"""The pictures that are measured: 8-bit RGB, upright, whatever their files hold."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aecodec.errors import AecError, InputMissing, UnsupportedPicture
from aecodec.picture import pictures

Pixels = NDArray[np.uint8]

OPAQUE = 255

# Photographs in the wheel of scikit-image: public domain or CC0 (their README.txt)
DEFAULT = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png")


@dataclass(frozen=True, slots=True)
class Input:
    """A picture to measure, by a name that no other has and the SHA-256 of its RGB pixels."""

    name: str
    path: Path
    width: int
    height: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Failure:
    """What could not be measured, and why; codec and quality are None where it is the picture itself."""

    picture: str
    codec: str | None
    quality: float | None
    reason: str

    def __str__(self) -> str:
        about = (str(part) for part in (self.picture, self.codec, self.quality) if part is not None)
        return f"{', '.join(about)}: {self.reason}"


def gather(paths: Sequence[Path]) -> tuple[list[Input], list[Failure]]:
    """Read every picture once; folders stand for the pictures in them, nothing for scikit-image's.

    Raises InputMissing where there is no such file or no picture at all.
    """
    found, failures = [], []
    for name, path in _named(_files(paths)):
        try:
            pixels = load(path)
        except AecError as error:
            failures.append(Failure(name, None, None, str(error)))
            continue
        height, width = pixels.shape[:2]
        found.append(Input(name, path, width, height, hashlib.sha256(pixels.tobytes()).hexdigest()))
    if not found:
        reasons = "; ".join(f"{failure.picture}: {failure.reason}" for failure in failures)
        raise InputMissing(f"no picture to measure: {reasons or 'the folder holds none'}")
    return found, failures


def load(path: Path) -> Pixels:
    """Pixels uint8 [H, W, 3] as a viewer shows them; grey becomes RGB. Raises AecError."""
    picture = pictures.upright(pictures.load(path, strict=True))
    if picture.alpha is not None and (picture.alpha < OPAQUE).any():
        raise UnsupportedPicture("the picture is transparent in places, which most metrics know nothing of")
    return np.ascontiguousarray(np.broadcast_to(picture.pixels, (*picture.pixels.shape[:2], 3)))


def _files(paths: Sequence[Path]) -> list[Path]:
    if not paths:
        import skimage

        folder = Path(skimage.__file__).parent / "data"
        return [folder / name for name in DEFAULT]
    endings = set(Image.registered_extensions())
    files = []
    for path in paths:
        if not path.exists():
            raise InputMissing(f"{path}: there is no such file or folder: name pictures or folders of them")
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        files += [p for p in inside if p.is_file() and (p == path or p.suffix.lower() in endings)]
    return files


def _named(files: Sequence[Path]) -> list[tuple[str, Path]]:
    """Stems as names; with the ending or a number where two files share one."""
    taken: dict[str, Path] = {}
    for path in files:
        options = (path.stem, path.name, *(f"{path.name}-{n}" for n in range(2, len(files) + 2)))
        taken[next(name for name in options if name not in taken)] = path
    return list(taken.items())
