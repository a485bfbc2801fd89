"""Pictures in memory as one flat uint8 buffer, and random patches cut from it."""

import csv
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from aecodec.errors import AecError, BadData
from aecodec.picture import pictures

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff", ".bmp", ".ppm"}
# The pictures were compressed once, which took their finest texture: most are scaled down.
DOWNSCALES = (1.0, 1.25, 1.25, 1.5, 1.5, 2.0)


def _withheld(folder: Path) -> set[str]:
    """Names of the pictures that index.csv, where there is one, marks `release` = no."""
    index = folder / "index.csv"
    if not index.is_file():
        return set()
    try:
        with index.open(newline="", encoding="utf-8") as file:
            return {row["file"] for row in csv.DictReader(file) if row.get("release") == "no"}
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as fault:
        raise BadData(
            f"{index} cannot be read ({fault!r}): make it a table in UTF-8 with the columns file and release"
        ) from fault


def _sources(folder: Path) -> Iterator[tuple[str, str, Path | bytes]]:
    """(shard or file's stem, picture name, file or bytes) of all pictures in a folder and its tar shards."""
    path = folder
    try:
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in SUFFIXES:
                yield path.stem, path.name, path
            elif path.suffix == ".tar" and path.is_file():
                with tarfile.open(path) as tar:
                    for member in tar:
                        stream = tar.extractfile(member) if member.isfile() else None
                        if stream is not None and Path(member.name).suffix.lower() in SUFFIXES:
                            yield path.stem, Path(member.name).name, stream.read()
    except (OSError, EOFError, tarfile.TarError) as fault:
        raise BadData(f"{path} cannot be read ({fault}): get it again, or take it away") from fault


def _read(source: Path | bytes) -> np.ndarray:
    """uint8 [H, W, 3], upright; alpha is left out. Raises AecError, also where values would be changed."""
    pixels = pictures.upright(pictures.load(source, strict=True)).pixels
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


@dataclass
class Loaded:
    """The pictures of some folders: uint8 arrays [H, W, 3], their names, and what could not be read."""

    pixels: list[np.ndarray]
    names: list[str]
    graphic: list[bool]  # screens, text, drawings: never scaled, so that text stays sharp
    skipped: list[str]


def load_folders(folders: list[Path], smallest: int) -> Loaded:
    """Read every picture with both sides at least `smallest` pixels; grey ones become colour.

    Raises BadData when a folder is missing, a shard or index damaged, or not one picture can be used.
    """
    loaded = Loaded([], [], [], [])
    for folder in folders:
        if not folder.is_dir():
            raise BadData(
                f"{folder} is not a folder: give a folder of pictures or of tar files with pictures"
            )
        withheld = _withheld(folder)
        for shard, name, source in _sources(folder):
            if name in withheld:
                continue
            try:
                pixels = _read(source)
            except AecError:
                loaded.skipped.append(name)
                continue
            if min(pixels.shape[:2]) < smallest:
                loaded.skipped.append(name)
                continue
            loaded.pixels.append(pixels)
            loaded.names.append(name)
            loaded.graphic.append(shard.startswith("graphics"))
    if not loaded.pixels:
        where = ", ".join(map(str, folders))
        raise BadData(
            f"no usable picture in {where}: pictures must be readable and {smallest} pixels a side or more"
        )
    return loaded


class Patches:
    """Random square patches from pictures that lie in one flat buffer on the training device.

    Position, flip and quarter turn are folded into the strides of one gather, so that a batch costs a
    single indexing operation on whatever device the buffer is.
    """

    def __init__(self, loaded: Loaded, device: torch.device, seed: int, graphics_share: float) -> None:
        self.sizes = [p.shape[:2] for p in loaded.pixels]
        counts = [p.size // 3 for p in loaded.pixels]
        self.offsets = np.concatenate(([0], np.cumsum(counts)[:-1]))
        flat = np.concatenate([p.reshape(-1, 3) for p in loaded.pixels])
        self.buffer = torch.from_numpy(flat).to(device)  # [pixels, 3] uint8
        self.random = np.random.default_rng(seed)
        self.graphics_share = graphics_share
        self.groups = [np.flatnonzero(np.asarray(loaded.graphic) == g) for g in (False, True)]
        self.weights = [np.asarray(counts, float)[g] for g in self.groups]

    def batch(self, count: int, side: int) -> Tensor:
        """Patches [count, 3, side, side], float32 0..1, on the buffer's device."""
        graphics = int(self.random.binomial(count, self.graphics_share)) if len(self.groups[1]) else 0
        if not len(self.groups[0]):
            graphics = count
        parts = []
        if graphics < count:
            scale = self.random.choice(DOWNSCALES)
            patches = self._cut(0, count - graphics, round(side * scale))
            if scale > 1:
                patches = F.interpolate(patches, (side, side), mode="bilinear", antialias=True)
            parts.append(patches)
        if graphics:
            parts.append(self._cut(1, graphics, side))
        return torch.cat(parts) / 255

    def _cut(self, group: int, count: int, side: int) -> Tensor:
        members, weights = self.groups[group], self.weights[group]
        large = np.asarray([min(self.sizes[m]) >= side for m in members])
        if not large.any():
            return F.interpolate(self._cut(group, count, side // 2), (side, side), mode="bilinear")
        chosen = self.random.choice(members[large], count, p=weights[large] / weights[large].sum())
        starts, rows, columns = zip(*(self._strides(int(m), side) for m in chosen), strict=True)
        device = self.buffer.device
        start, row, column = (
            torch.tensor(v, dtype=torch.int64, device=device)[:, None, None] for v in (starts, rows, columns)
        )
        at = torch.arange(side, device=device)
        index = start + row * at[:, None] + column * at  # [count, side, side]
        return self.buffer[index].permute(0, 3, 1, 2).float()

    def _strides(self, picture: int, side: int) -> tuple[int, int, int]:
        """Start, row stride and column stride of one randomly placed, flipped and turned patch."""
        height, width = self.sizes[picture]
        top = int(self.random.integers(height - side + 1))
        left = int(self.random.integers(width - side + 1))
        start, row, column = int(self.offsets[picture]) + top * width + left, width, 1
        if self.random.random() < 0.5:
            start, row = start + row * (side - 1), -row
        if self.random.random() < 0.5:
            start, column = start + column * (side - 1), -column
        return (start, column, row) if self.random.random() < 0.5 else (start, row, column)
