"""A small classifier: judges reconstructions, lends its features to a loss, and its training to encoders."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from aecodec.errors import BadData
from aecodec.training.classic.data import Pictures, to_tensor
from aecodec.training.precision import autocast

FORMAT = "aecodec-classifier-1"
BATCH, RATE, WEIGHT_DECAY = 64, 4e-3, 5e-2
SHIFT = 1 / 8  # of the side: the farthest that a training picture is moved
SMOOTHING = 0.1  # of the labels


class Classifier(nn.Module):
    """Pictures -> class scores, by three stages of two 3x3 convolutions.

    x [B, C, s, s], 0..1 -> stages [B, w, s, s], [B, 2w, s/2, s/2], [B, 4w, s/4, s/4] -> mean
    -> logits [B, classes]
    """

    def __init__(self, channels: int, classes: int = 10, width: int = 32) -> None:
        super().__init__()
        self.shape = {"channels": channels, "classes": classes, "width": width}
        widths = (channels, width, 2 * width, 4 * width)
        self.stages = nn.ModuleList(_stage(a, b) for a, b in zip(widths[:-1], widths[1:], strict=True))
        self.out = nn.Linear(widths[-1], classes)

    def features(self, x: Tensor) -> list[Tensor]:
        """What the stages make of pictures [B, C, s, s] of 0..1, the earliest first."""
        maps: list[Tensor] = []
        for stage in self.stages:
            x = stage(F.max_pool2d(x, 2) if maps else x - 0.5)
            maps.append(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Scores [B, classes]."""
        logits: Tensor = self.out(self.features(x)[-1].mean((2, 3)))
        return logits

    def save(self, path: Path) -> None:
        """Write the weights as safetensors."""
        tensors = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        save_file(tensors, path, {"format": FORMAT, "shape": json.dumps(self.shape)})

    @classmethod
    def load(cls, path: Path, device: torch.device) -> "Classifier":
        """Read what `save` wrote, ready to judge. Raises BadData."""
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != FORMAT:
                    raise BadData(f"{path} is no classifier: give a file that the training of one wrote")
                network = cls(**json.loads(metadata["shape"]))
                network.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise BadData(
                f"{path} cannot be read as a classifier ({error}): give in classifier the path, from the "
                "working folder, of one; benchmarks/classic.py leaves classifier.safetensors in its --work "
                "folder"
            ) from error
        return network.to(device).eval().requires_grad_(False)


def _stage(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for entering in (inputs, outputs):
        layers += [nn.Conv2d(entering, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


def train_classifier(
    network: nn.Module, pictures: Pictures, epochs: int, device: torch.device, seed: int = 0
) -> nn.Module:
    """Train any network from pictures [B, C, s, s] to scores, with labels, in place; ready to judge.

    Pictures are shifted at random, and flipped where they are in colour (digits are not alike mirrored).
    Raises BadData for pictures without classes.
    """
    if pictures.labels is None:
        raise BadData(f"{pictures.name} has no classes: put the pictures of each class into a sub-folder")
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    labels = torch.tensor(pictures.labels, dtype=torch.long, device=device)
    network.to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=WEIGHT_DECAY, fused=True)
    steps = epochs * (len(pictures) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, max(steps, 1), pct_start=0.2)
    for _ in range(epochs):
        order = random.permutation(len(pictures))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            chosen = order[start : start + BATCH]
            x = _varied(to_tensor(pictures.pixels[chosen]).to(device), random)
            with autocast(device):
                scores = network(x.contiguous(memory_format=torch.channels_last))
            loss: Any = F.cross_entropy(scores.float(), labels[chosen], label_smoothing=SMOOTHING)
            loss.backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    return network.eval().requires_grad_(False)


def _varied(x: Tensor, random: np.random.Generator) -> Tensor:
    """A batch moved by some pixels, edges repeated, and mirrored half the time where it is in colour."""
    side = x.shape[-1]
    far = round(side * SHIFT)
    top, left = random.integers(0, 2 * far + 1, 2)
    x = F.pad(x, (far, far, far, far), "replicate")[:, :, top : top + side, left : left + side]
    if x.shape[1] == 3:
        mirrored = torch.from_numpy(random.random(len(x)) < 0.5).to(x.device)
        x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    return x


@torch.no_grad()
def accuracy(network: nn.Module, pictures: Pictures, device: torch.device) -> float:
    """Share of the pictures whose class gets the highest score, 0..1."""
    assert pictures.labels is not None
    guesses = torch.cat([network(x).argmax(1).cpu() for x in pictures.batches(500, device)])
    return float((guesses.numpy() == pictures.labels).mean())
