"""Float masters of the entropy model's integer layers: what is trained, and later quantised."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aecodec.networks.photo.architecture import Architecture
from aecodec.networks.photo.entropy import LayerSpec, layer_specs, parameters
from aecodec.training.networks import ENGINE, LevelTable

OUTPUT_UNITS = {"mu": 4.0, "index": 16.0}  # outputs of tens of units from weights that move by thousandths


class MasterLayer(nn.Module):
    """A layer of the entropy model in floats; a low clamp of zero becomes a ReLU."""

    def __init__(self, spec: LayerSpec) -> None:
        super().__init__()
        self.spec = spec
        self.unit = OUTPUT_UNITS.get(spec.name.rpartition(".")[2])  # None: not an output of the model
        if spec.kind == "pointwise":
            self.weight = nn.Parameter(torch.randn(spec.outputs, spec.inputs) * (2 / spec.inputs) ** 0.5)
            if self.unit:
                self.weight.data *= 0.1
        else:
            weight = torch.randn(spec.outputs, 1, 3, 3) * 0.1
            weight[:, :, 1, 1] += 1
            self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.full((spec.outputs,), 1.25 if spec.name.endswith(".index") else 0.0))
        self.level = LevelTable(spec.outputs) if spec.leveled else None

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """[B, C, H, W], levels [B] -> [B, C', H, W]."""
        if self.unit:  # a mean of 200 has no room for its fraction in bfloat16
            with torch.autocast(x.device.type, enabled=False):
                h = F.conv2d(x.float(), self.weight[:, :, None, None], self.bias)
        elif self.spec.kind == "pointwise":
            h = F.conv2d(x, self.weight[:, :, None, None], self.bias)
        else:
            h = F.conv2d(x, self.weight, self.bias, padding=1, groups=x.shape[1])
        if self.level is not None:
            h = h + self.level(level)[:, :, None, None].to(h.dtype)
        if self.unit:
            return h * self.unit
        return h if self.spec.low < 0 else F.relu(h)

    def bias_table(self) -> Tensor:
        """Bias of every level: [256, C], or [1, C] where it does not depend on the level."""
        return self.bias[None] if self.level is None else self.bias + self.level.table()


class Masters(nn.Module):
    """All master layers, and the scales of z: log standard deviations over the levels."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.architecture = a
        self.layers = nn.ModuleDict({s.name.replace(".", "_"): MasterLayer(s) for s in layer_specs(a)})
        self.z_log_scale = LevelTable(a.hyper_channels)

    def forward(self, z: Tensor, level: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Hyper-latents [B, N, h/4, w/4], levels [B] -> mu and scale index, real, [B, M, height, width]."""
        layers = {name.replace("_", "."): layer for name, layer in self.layers.items()}
        return parameters(ENGINE, layers, z, level, height, width)
