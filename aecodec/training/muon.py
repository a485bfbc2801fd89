"""Muon in the arithmetic that a chip is fast in: PyTorch's own computes in bfloat16 on every chip.

K. Jordan, "Muon: an optimizer for hidden layers" (2024), scaled to the learning rates of AdamW (J. Liu et
al., "Muon is scalable for LLM training", 2025). Matrices of one shape are made orthogonal together.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

STEPS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic iteration with the steepest slope at 0


class Muon(torch.optim.Optimizer):
    """Momentum whose steps are made orthogonal, for matrices [out, in] alone."""

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float, dtype: torch.dtype, momentum: float = 0.95
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step along the gradients."""
        for group in self.param_groups:
            alike: dict[torch.Size, list[tuple[nn.Parameter, Tensor]]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    alike[p.shape].append((p, self._moved(p, group["momentum"])))
            for shape, pairs in alike.items():
                steps = orthogonal(torch.stack([step for _, step in pairs]).to(self.dtype))
                rate = group["lr"] * 0.2 * math.sqrt(max(shape))
                for (p, _), step in zip(pairs, steps, strict=True):
                    p.add_(step.to(p.dtype), alpha=-rate)

    def _moved(self, p: nn.Parameter, momentum: float) -> Tensor:
        """The gradient with Nesterov momentum."""
        assert p.grad is not None
        state = self.state[p]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(p.grad)
        buffer: Tensor = state["momentum_buffer"]
        buffer.lerp_(p.grad, 1 - momentum)
        return p.grad.lerp(buffer, momentum)


def orthogonal(g: Tensor) -> Tensor:
    """[n, rows, columns] -> matrices with the same singular vectors and singular values of about 1."""
    a, b, c = COEFFICIENTS
    tall = g.shape[1] > g.shape[2]
    x = g.mT if tall else g
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
