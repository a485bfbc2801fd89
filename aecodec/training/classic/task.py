"""What the training loop asks of a classic autoencoder."""

import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from aecodec.errors import BadWeights
from aecodec.networks.classic.autoencoder import build, weights_of
from aecodec.training.classic.data import Pictures, fit
from aecodec.training.classic.losses import make_loss
from aecodec.training.classic.optim import factor, make_optimizer
from aecodec.training.classic.recipe import ClassicRecipe
from aecodec.training.precision import autocast

WARM_UP = 50  # steps, but no more than half an epoch
TESTED = 2000  # pictures at most, after each epoch
PREFIXES = ("analysis.", "encoder.", "module.", "")  # of encoders in weights files, checkpoints, classifiers


class ClassicTask:
    """Epochs over pictures in memory; the order within each follows from its number."""

    rate_keys = "rate"

    def __init__(self, recipe: ClassicRecipe, pictures: Pictures, device: torch.device) -> None:
        """Raises BadData where pictures and network do not fit, and what the recipe's files raise."""
        self.pictures = fit(pictures, recipe.architecture.channels, recipe.architecture.side)
        self.recipe, self.device = recipe, device
        self.clip, self.average = recipe.clip, recipe.average
        self.model = build(recipe.architecture).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.loss = make_loss(recipe, device)
        self.optimizers = {"optimizer": make_optimizer(recipe, self.model.parameters())}
        pixels = torch.from_numpy(self.pictures.pixels)
        self.pixels = pixels.permute(0, 3, 1, 2).to(device)  # uint8, channels last
        self.epoch_steps = max(len(self.pixels) // recipe.batch, 1)
        self.warm_up = min(WARM_UP, max(self.epoch_steps // 2, 1))
        self.losses = torch.zeros((), device=device), 0  # sum and steps of this epoch
        self._order = -1, torch.zeros(0, dtype=torch.int64)

    def start(self) -> None:
        """Take the encoder of another file, if the recipe names one."""
        if self.recipe.encoder:
            take_encoder(Path(self.recipe.encoder), self.model.encoder)

    def warm_start(self) -> None:
        """Nothing to do."""

    def batch(self, step: int, progress: float) -> Tensor:
        """The next pictures of the epoch, at the side of the stage."""
        chosen = self._permutation(step // self.epoch_steps)
        first = step % self.epoch_steps * self.recipe.batch
        x = self.pixels[chosen[first : first + self.recipe.batch]].float() / 255
        side = self._side(progress)
        if side == x.shape[2]:
            return x
        return F.interpolate(x, (side, side), mode="bilinear", antialias=True)

    def _permutation(self, epoch: int) -> Tensor:
        if self._order[0] != epoch:
            random = torch.Generator().manual_seed(self.recipe.seed + epoch)
            self._order = epoch, torch.randperm(len(self.pixels), generator=random).to(self.device)
        return self._order[1]

    def _side(self, progress: float) -> int:
        sides = self.recipe.progressive or (self.recipe.architecture.side,)
        return sides[int(progress * len(sides))]

    def backward(self, network: nn.Module, x: Tensor, progress: float) -> Tensor:
        """Gradients of all, but of the encoder while it is frozen; returns loss and MSE."""
        frozen = progress < self.recipe.freeze
        self.model.train()
        self.model.encoder.train(not frozen)
        with autocast(self.device):
            x_hat = network(x)
            loss = self.loss(x_hat, x)
        torch.autograd.backward(loss)
        if frozen:
            self.model.encoder.zero_grad()
        self.losses = self.losses[0] + loss.detach(), self.losses[1] + 1
        return torch.stack((loss.detach(), F.mse_loss(x_hat.detach(), x)))

    def figures(self, means: list[float]) -> dict[str, float]:
        """Loss and MSE."""
        return {"loss": means[0], "mse": means[1]}

    def factor(self, progress: float) -> float:
        """The recipe's schedule."""
        return factor(self.recipe.schedule, progress)

    def part(self, step: int, progress: float) -> int:
        """Epochs; the end of the run ends one too."""
        return step // self.epoch_steps + (progress >= 1 and step % self.epoch_steps > 0)

    def mean_loss(self) -> float:
        """Mean loss since this was last asked."""
        total, steps = self.losses
        self.losses = torch.zeros_like(total), 0
        return float(total) / max(steps, 1)

    @torch.no_grad()
    def tested(self, network: nn.Module, pictures: Pictures) -> tuple[float, float]:
        """Mean loss and MSE of a network, in float32, on the first pictures of a set."""
        network.eval()
        pixels = torch.from_numpy(pictures.pixels[:TESTED]).permute(0, 3, 1, 2)
        sums = torch.zeros(2, device=self.device)
        for part in torch.split(pixels, self.recipe.batch):
            x = part.to(self.device).float() / 255
            x_hat = network(x)
            sums += len(x) * torch.stack((self.loss(x_hat, x), F.mse_loss(x_hat, x)))
        loss, mse = (sums / len(pixels)).tolist()
        return loss, mse

    def state(self) -> dict[str, Any]:
        """The losses of an epoch that is not over."""
        return {"losses": self.losses}

    def restore(self, state: Mapping[str, Any], seed: int | None) -> None:
        """Inverse of `state`; the order of the pictures follows from the steps."""
        self.losses = state["losses"]


def take_encoder(path: Path, encoder: nn.Module) -> int:
    """Take the tensors of a file that have the names and shapes of an encoder's; returns how many.

    The file: a weights file of a classic autoencoder, or a safetensors file or PyTorch state dict whose names
    begin with `encoder.` or with nothing. Layers of other shapes, the last one say, stay as they are.
    Raises BadWeights where nothing fits.
    """
    wanted = weights_of(encoder)
    found = dict(_renamed(_tensors(path)))
    fitting = {k: t for k, t in wanted.items() if k in found and found[k].shape == t.shape}
    if not fitting:
        raise BadWeights(f"{path}: no tensor fits the encoder of the recipe: give the weights of such a one")
    for name, tensor in fitting.items():
        tensor.copy_(found[name])
    return len(fitting)


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
        return {name: t for name, t in found.items() if isinstance(t, Tensor)}
    except (OSError, SafetensorError, RuntimeError, AttributeError, pickle.UnpicklingError) as fault:
        raise BadWeights(
            f"{path} cannot be read as weights ({fault}): give in encoder the path, from the working folder, "
            "of an encoder's tensors; benchmarks/classic.py leaves encoder.safetensors in its --work folder"
        ) from fault


def _renamed(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The tensors under the names that they have in the encoder alone."""
    for name, tensor in tensors.items():
        prefix = next(p for p in PREFIXES if name.startswith(p))
        yield name.removeprefix(prefix), tensor
