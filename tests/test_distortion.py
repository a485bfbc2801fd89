"""What models are trained for: distances agree with the metrics they stand for, and can be trained on."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from samples import photo
from ssimulacra2 import compute_ssimulacra2

from aecodec.errors import BadRecipe
from aecodec.training import cvvdp, ssimulacra2
from aecodec.training.distortion import DISTANCES, Part, distortion, mse


def tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


ORIGINAL = Image.fromarray(photo(416, 304))


@pytest.mark.parametrize("quality", [10, 40, 70, 95])
def test_the_ssimulacra2_distance_gives_the_score_of_the_package(quality, tmp_path):
    decoded = as_jpeg(ORIGINAL, quality)
    ORIGINAL.save(tmp_path / "a.png")
    decoded.save(tmp_path / "b.png")
    want = compute_ssimulacra2(str(tmp_path / "a.png"), str(tmp_path / "b.png"))
    got = float(ssimulacra2.score(ssimulacra2.distance(tensor(decoded), tensor(ORIGINAL))))
    assert got == pytest.approx(want, abs=0.5 if want > 30 else 2)


@pytest.mark.parametrize(("quality", "jod"), [(10, 7.9913), (40, 9.3245), (70, 9.5899), (95, 9.8698)])
def test_the_cvvdp_distance_gives_the_jod_of_the_package(quality, jod):
    """What `pycvvdp.cvvdp(display_name="standard_fhd").predict` of cvvdp 0.5.7 gave for these pictures."""
    got = 10 - float(cvvdp.distance(tensor(as_jpeg(ORIGINAL, quality)), tensor(ORIGINAL)))
    assert got == pytest.approx(jod, abs=2e-3)


@pytest.mark.parametrize("name", DISTANCES)
def test_each_distance_is_zero_for_equal_pictures_and_grows_with_noise(name):
    x = tensor(ORIGINAL)[:, :, :256, :256].repeat(2, 1, 1, 1)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    distances = [DISTANCES[name]((x + amount * noise).clamp(0, 1), x) for amount in (0, 0.02, 0.05, 0.1)]
    assert float(distances[0].abs().max()) < 2e-3
    assert all(bool((a < b).all()) for a, b in zip(distances, distances[1:], strict=False))


@pytest.mark.parametrize("name", DISTANCES)
def test_each_distance_falls_along_its_gradient_which_is_finite_everywhere(name):
    x = tensor(ORIGINAL)[:, :, :256, :256].clone()
    x[:, :, 100:160] = 0.5  # flat in both pictures
    x_hat = x.clone()
    x_hat[:, :, :90] = tensor(as_jpeg(ORIGINAL, 20))[:, :, :90, :256]
    x_hat.requires_grad_()
    before = DISTANCES[name](x_hat, x).sum()
    (slope,) = torch.autograd.grad(before, x_hat)
    assert bool(slope.isfinite().all())
    step = 0.05 * float(before) / float(slope.square().sum())
    assert float(DISTANCES[name](x_hat - step * slope, x)) < float(before)


def test_parts_are_weighted_by_level_and_taken_on_crops_in_turn():
    x = torch.zeros(4, 3, 64, 64)
    x_hat = x + torch.tensor([1.0, 2, 3, 4])[:, None, None, None] / 255
    level = torch.tensor([0.0, 255, 0, 255])
    whole = {"mse": Part(0.5, 2.0, 8.0)}
    want = 0.5 * torch.tensor([2 * 1.0, 8 * 4, 2 * 9, 8 * 16])
    assert torch.allclose(distortion(whole, x_hat, x, level), want)
    halves = {"mse": Part(0.5, 2.0, 8.0, crops=0.5), "cvvdp": Part(0.0, 1.0, 1.0)}
    turns = [distortion(halves, x_hat, x, level, step) for step in (0, 1)]
    assert torch.allclose((turns[0] + turns[1]) / 2, want)
    assert torch.equal(turns[0] != 0, torch.tensor([True, True, False, False]))
    assert torch.allclose(mse(x_hat, x), torch.tensor([1.0, 4, 9, 16]))


@pytest.mark.parametrize(
    "values",
    [(-1, 1, 2), (1, 0, 2), (1, 2, 1), (1, 1, 2, 0), (1, 1, 2, 1.5), ("much", 1, 2), (1, 1, float("inf"))],
)
def test_wrong_parts_are_refused(values):
    with pytest.raises(BadRecipe):
        Part(*values)
