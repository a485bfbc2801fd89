"""Small pictures cut from the photograph, and classic autoencoders trained on them for a second."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from aecodec.networks.classic.autoencoder import ClassicArchitecture
from aecodec.training.classic.data import Pictures
from aecodec.training.classic.recipe import ClassicRecipe
from aecodec.training.classic.run import train
from aecodec.training.trainer import Budget

PHOTO = Path(__file__).parent.parent / "examples" / "photo.png"
CPU = torch.device("cpu")
TINY = {  # the smallest of each kind that still make something of a picture
    "dense": ClassicArchitecture("dense", 1, 16, latents=24, width=64),
    "stl10": ClassicArchitecture("stl10", 3, 16, latents=48, width=8),
    "baseline32": ClassicArchitecture("baseline32", 3, 32, latents=96, width=16),
    "pixelshuffle32": ClassicArchitecture("pixelshuffle32", 3, 32, latents=96, width=16),
    "resnet32": ClassicArchitecture("resnet32", 3, 32, latents=32, width=8),
    "resattention": ClassicArchitecture("resattention", 1, 24, latents=72, width=8),
}


def pictures(a: ClassicArchitecture, count: int = 128) -> Pictures:
    """Random cut-outs of the size of a network's blocks."""
    with Image.open(PHOTO) as image:
        pixels = np.array(image.convert("RGB"))
    if a.channels == 1:
        pixels = pixels.transpose(2, 0, 1).reshape(-1, pixels.shape[1], 1)  # the planes, one below the other
    random = np.random.default_rng(0)
    tops, lefts = (random.integers(0, side - a.side, count) for side in pixels.shape[:2])
    cuts = [pixels[t : t + a.side, x : x + a.side] for t, x in zip(tops, lefts, strict=True)]
    return Pictures(np.stack(cuts), None, "cut-outs")


def picture(mode: str = "RGB", size: tuple[int, int] = (150, 110)) -> Image.Image:
    """A part of the photograph."""
    with Image.open(PHOTO) as image:
        return image.convert(mode).crop((200, 100, 200 + size[0], 100 + size[1]))


def recipe(kind: str, **changes: object) -> ClassicRecipe:
    """A recipe for a tiny network."""
    values = {"architecture": TINY[kind], "batch": 16, "rate": 3e-3, "average": 0.9} | changes
    return ClassicRecipe(f"tiny-{kind}", **values)  # type: ignore[arg-type]


def trained(kind: str, out: Path, **changes: object) -> Path:
    """The weights file of a tiny network."""
    made, steps = recipe(kind, **changes), 40 if kind == "resnet32" else 150  # tiny it is not
    return train(made, pictures(made.architecture), None, out, Budget(steps=steps), CPU)
