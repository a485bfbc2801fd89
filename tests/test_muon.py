"""Muon, and the arithmetic that training takes on each chip."""

from pathlib import Path

import pytest
import torch
from torch import nn

import aecodec.training
from aecodec.training import precision
from aecodec.training.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(3, 24, 24), (2, 16, 48), (2, 48, 16)])
def test_orthogonal_keeps_singular_vectors_and_brings_singular_values_near_one(shape):
    g = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    u, _, v = torch.linalg.svd(g, full_matrices=False)
    made = u.mT @ orthogonal(g) @ v.mT
    values = made.diagonal(dim1=1, dim2=2)
    assert float(values.min()) > 0.3 and float(values.max()) < 1.3
    assert float((made - torch.diag_embed(values)).abs().max()) < 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_muon_steps_as_the_one_of_pytorch(dtype):
    start = [
        torch.randn(shape, generator=torch.Generator().manual_seed(2))
        for shape in [(16, 16), (16, 32), (16, 16)]
    ]
    ours, theirs = ([nn.Parameter(p.clone()) for p in start] for _ in range(2))
    optimizers = (
        Muon(ours, 0.01, dtype),
        torch.optim.Muon(theirs, lr=0.01, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
    )
    for number in range(3):
        for optimizer, parameters in zip(optimizers, (ours, theirs), strict=True):
            for seed, p in enumerate(parameters):
                p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(10 * number + seed))
            optimizer.step()
    for p, q, before in zip(ours, theirs, start, strict=True):
        moved, apart = (q - before).norm().item(), (p - q).norm().item()
        assert moved > 0.01 and apart < 0.03 * moved


@pytest.mark.parametrize(
    ("capabilities", "dtype"),
    [
        ({"avx512_bf16": True, "amx_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"bf16": True}, torch.bfloat16),  # ARM
        ({"avx2": True, "avx512_bf16": False}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_training_computes_in_what_the_chip_multiplies_fast(monkeypatch, capabilities, dtype):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    cpu = torch.device("cpu")
    assert precision.arithmetic(cpu) == dtype
    seen = []
    layer = nn.Linear(4, 4)
    layer.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    with precision.autocast(cpu):
        layer(torch.zeros(1, 4))
    assert seen == [dtype]


def test_nothing_in_training_casts_to_bfloat16_by_itself():
    for path in Path(aecodec.training.__file__).parent.rglob("*.py"):
        assert ("torch.bfloat16" in path.read_text()) == (path.name == "precision.py"), path
