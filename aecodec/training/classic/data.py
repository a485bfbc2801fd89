"""Data sets of small pictures of one size: folders of files, and torchvision's MNIST, CIFAR-10 and STL-10."""

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aecodec.errors import AecError, BadArgument, BadData
from aecodec.networks.classic.blocks import TORCHVISION
from aecodec.picture import pictures
from aecodec.training.data import SUFFIXES

SETS = {"mnist": "MNIST", "cifar10": "CIFAR10", "stl10": "STL10"}  # names of torchvision's classes
MOST_PADDING = 8  # of the side a block must have: one part may be missing, as MNIST's 4 of 32 pixels are


@dataclass(frozen=True)
class Pictures:
    """A data set: pixels uint8 [N, side, side, C], labels uint8 [N] where there are classes, and its name."""

    pixels: np.ndarray
    labels: np.ndarray | None
    name: str

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def side(self) -> int:
        """Pixels a side."""
        return int(self.pixels.shape[1])

    @property
    def channels(self) -> int:
        """1 (grey) or 3."""
        return int(self.pixels.shape[3])

    def where(self, chosen: np.ndarray | slice) -> "Pictures":
        """Some of them, by numbers, booleans or a slice."""
        labels = None if self.labels is None else self.labels[chosen]
        return Pictures(self.pixels[chosen], labels, self.name)

    def batches(self, count: int, device: torch.device) -> Iterator[Tensor]:
        """All pictures in order, as float32 [up to count, C, side, side] of 0..1."""
        for start in range(0, len(self), count):
            yield to_tensor(self.pixels[start : start + count]).to(device)


def to_tensor(pixels: np.ndarray) -> Tensor:
    """uint8 [N, H, W, C] -> float32 [N, C, H, W], 0..1."""
    return torch.tensor(pixels).permute(0, 3, 1, 2).float() / 255


def to_pixels(x: Tensor) -> np.ndarray:
    """Float [N, C, H, W] of about 0..1 -> uint8 [N, H, W, C], rounded as the codec rounds."""
    return (x.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def load(source: str | Path, split: str) -> Pictures:
    """Read a data set into memory.

    source: a folder of pictures, with a sub-folder for each class if there are classes, whatever the split;
    or mnist:FOLDER, cifar10:FOLDER or stl10:FOLDER, which torchvision downloads into FOLDER if they are not
    there. split: "train" or "test".
    Raises BadData for what is missing, damaged or of unequal sizes, BadArgument without torchvision.
    """
    name, colon, folder = str(source).partition(":")
    if colon and name in SETS:
        return _from_torchvision(name, Path(folder), split)
    return _from_folder(Path(source))


def load_both(data: str | Path, val: str | Path | None) -> tuple[Pictures, Pictures]:
    """Pictures to train on, and to test with: those of `val`, the set's own, or every tenth of a folder."""
    train = load(data, "train")
    if val is not None or str(data).partition(":")[0] in SETS:
        return train, load(data if val is None else val, "test")
    held_back = np.arange(len(train)) % 10 == 9
    if not held_back.any():
        raise BadData(f"{data} holds {len(train)} pictures: ten are needed to hold one back, or give --val")
    return train.where(~held_back), train.where(held_back)


def fit(found: Pictures, channels: int, side: int) -> Pictures:
    """The pictures as a network with blocks of channels x side x side takes them.

    Somewhat smaller ones (MNIST in a network of 32 pixels) are padded on all sides by repeating their edges,
    grey ones become colour. Raises BadData for other sizes, for colour where the network is grey, for none.
    """
    if not len(found):
        raise BadData(f"{found.name}: there are no pictures")
    missing = side - found.side
    if not 0 <= missing <= side // MOST_PADDING:
        raise BadData(
            f"{found.name}: the pictures are {found.side} x {found.side} pixels, the network takes "
            f"{side} x {side}: give others, or a recipe with side = {found.side}"
        )
    if found.channels > channels:
        raise BadData(f"{found.name} is in colour, the network grey: give a recipe with channels = 3")
    before = missing // 2
    pad = (before, missing - before)
    pixels = np.pad(found.pixels, ((0, 0), pad, pad, (0, 0)), "edge")
    return Pictures(np.repeat(pixels, channels // found.channels, axis=3), found.labels, found.name)


# Folders


def _from_folder(folder: Path) -> Pictures:
    if not folder.is_dir():
        raise BadData(
            f"{folder} is not a folder: give a folder of pictures, or one of "
            f"{', '.join(f'{name}:FOLDER' for name in SETS)}"
        )
    files, labels = _files(folder), None
    if not files:
        classes = [files for below in sorted(folder.iterdir()) if below.is_dir() and (files := _files(below))]
        if len(classes) > 256:
            raise BadData(f"{folder} has {len(classes)} sub-folders of pictures: 256 classes at most")
        files = [file for members in classes for file in members]
        labels = np.repeat(np.arange(len(classes)), list(map(len, classes))).astype(np.uint8)
    if not files:
        raise BadData(f"{folder} holds no pictures, nor do its sub-folders: give a folder that does")
    images = [_read(file) for file in files]
    channels = max(image.shape[2] for image in images)  # one in colour, and all are
    side = images[0].shape[0]
    for file, image in zip(files, images, strict=True):
        height, width = image.shape[:2]
        if (height, width) != (side, side):
            raise BadData(
                f"{file} is {width} x {height} pixels, not {side} x {side}: the pictures must "
                "be squares of one size, so cut or scale them first"
            )
    stacked = np.stack([np.repeat(image, channels // image.shape[2], axis=2) for image in images])
    return Pictures(stacked, labels, folder.name)


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES and path.is_file()]


def _read(file: Path) -> np.ndarray:
    """uint8 [H, W, 1 or 3], upright; alpha is left out."""
    try:
        return pictures.upright(pictures.load(file)).pixels
    except AecError as error:
        raise BadData(f"{file}: {error}") from error


# torchvision


def _from_torchvision(name: str, folder: Path, split: str) -> Pictures:
    try:
        from torchvision import datasets
    except (ImportError, RuntimeError) as error:  # beside a PyTorch it was not built for: RuntimeError
        raise BadArgument(f"{SETS[name]} needs {TORCHVISION.format(error)}") from error
    how: dict[str, Any] = {"split": split} if name == "stl10" else {"train": split == "train"}
    try:
        found = getattr(datasets, SETS[name])(folder, download=True, **how)
    except (RuntimeError, OSError, EOFError, ValueError, AssertionError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadData(
            f"{folder} holds no whole {SETS[name]}, and it cannot be downloaded or unpacked ({reason}): "
            "remove what is there and load it again"
        ) from error
    pixels = np.asarray(found.data)
    if pixels.ndim == 3:  # MNIST
        pixels = pixels[..., None]
    elif pixels.shape[1] == 3:  # STL-10
        pixels = pixels.transpose(0, 2, 3, 1)
    labels = found.labels if name == "stl10" else found.targets
    return Pictures(pixels, np.asarray(labels, np.uint8), f"{SETS[name]} {split}")
