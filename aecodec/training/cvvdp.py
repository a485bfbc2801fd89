"""ColorVideoVDP as a loss: the path that still pictures take through the metric, for a batch of them at once.

R. Mantiuk et al., "ColorVideoVDP: a visual difference predictor for image, video and display distortions",
SIGGRAPH 2024. The authors' package `cvvdp` (MIT) has the fitted sensitivities, which are read from its files;
its code takes one picture a call and is several times slower. The display is its "standard_fhd": 24 inches,
1920 x 1080, seen from 0.6 m in an office.
"""

import importlib.util
import json
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from aecodec.errors import BadArgument
from aecodec.training.ssimulacra2 import linear

PEAK = 200.0  # cd/m^2, white on black of a thousandth
REFLECTED = 250 / math.pi * 0.005  # cd/m^2 of the office's 250 lux
PIXELS_A_DEGREE = 37.8425
FINEST_BAND = 0.3228  # of the Nyquist frequency, the second band; each further one is an octave below
LOWEST_FREQUENCY = 0.2  # cycles a degree: no band lies below
BASE_FREQUENCY = 0.1  # cycles a degree, for what is below the bands
REDUCE = (0.05, 0.25, 0.4, 0.25, 0.05)  # taps of the pyramid
SPREAD, SPREAD_RADIUS = 3.0, 6  # pixels: masking reaches so far
TO_DKL = (  # linear sRGB, D65 -> luminance, red-green, violet-yellow
    (0.2332012107, 0.7288307890, 0.0889958693),
    (0.1276207712, -0.0870680876, -0.0367773906),
    (-0.2148225086, -0.6262536922, 0.8514033270),
)


def distance(x_hat: Tensor, x: Tensor) -> Tensor:
    """How visible the errors of decoded pictures are.

    Args:
        x_hat: decoded pictures, float32 [B, 3, H, W], sRGB, clamped to 0..1; gradients flow to these.
        x: the originals, 0..1; H and W are even, 16 or more.

    Returns:
        float32 [B]: just-objectionable differences (JOD) below a perfect picture, 0 to about 10.

    Raises:
        BadArgument: the package `cvvdp` is not installed.
    """
    fitted = _fitted()
    tests = _contrasts(_dkl(x_hat.clamp(0, 1)))
    with torch.no_grad():
        references = _contrasts(_dkl(x))
    pooled = []
    for number, ((test, _), (reference, background)) in enumerate(zip(tests, references, strict=True)):
        last = number == len(tests) - 1
        sensitivity = fitted.sensitivity(_frequency(number, last), background)
        if last:
            visible = (test - reference).abs() * sensitivity * fitted.base_weight.to(x)
        else:
            visible = fitted.masked(test * sensitivity, reference * sensitivity)
        pooled.append(_power(_power(visible, 2.0).mean((2, 3)), 0.5))  # [B, 3]
    channels = _norm4(torch.stack(pooled, 2))
    total = fitted.still * _norm4(channels)
    near = 0.1  # a straight line below: there the slope of the power has no bound
    straight = fitted.jod_factor * near ** (fitted.jod_power - 1) * total
    return torch.where(total > near, fitted.jod_factor * total.clamp(min=near) ** fitted.jod_power, straight)


class _Fitted:
    """What the authors fitted to people's ratings, from the files of their package."""

    def __init__(self, folder: Path) -> None:
        values = json.loads((folder / "cvvdp_parameters.json").read_text())
        table = json.loads((folder / f"csf_lut_{values['csf']}.json").read_text())
        self.log_background = torch.tensor(table["L_bkg"]).log10()
        self.log_frequency = torch.tensor(table["rho"]).log10()
        self.log_sensitivity = [torch.tensor(table[f"o0_c{channel}"]) for channel in (1, 2, 3)]
        self.correction = 10 ** (values["sensitivity_correction"] / 20)
        self.mask_power, self.mask_scale = values["mask_p"], 10 ** values["mask_c"]
        self.mask_powers = torch.tensor(values["mask_q"][:3]).view(3, 1, 1)
        self.mixing = 2 ** torch.tensor(values["xcm_weights"]).view(4, 4)[:3, :3]  # from, to a channel
        self.largest = 10 ** values["d_max"]
        self.base_weight = torch.tensor(values["baseband_weight"][:3]).view(3, 1, 1)
        self.still = values["image_int"]
        self.jod_factor, self.jod_power = values["jod_a"], values["jod_exp"]
        self.gain = torch.tensor((1.0, 1.45, 1.0)).view(3, 1, 1)

    def sensitivity(self, frequency: float, background: Tensor) -> Tensor:
        """Of each channel, at a frequency in cycles a degree: luminance [B, 1, h, w] -> [B, 3, h, w]."""
        at, count = torch.tensor(math.log10(frequency)), len(self.log_background)
        upper = int(torch.bucketize(at, self.log_frequency).clamp(1, count - 1))
        low, high = self.log_frequency[upper - 1], self.log_frequency[upper]
        share = ((at - low) / (high - low)).clamp(0, 1)
        first, last = self.log_background[0], self.log_background[-1]
        position = ((background.log10() - first) / (last - first) * (count - 1)).clamp(0, count - 1)
        lower = position.long().clamp(max=count - 2)
        between = position - lower
        logs = []
        for table in self.log_sensitivity:
            row = torch.lerp(table[:, upper - 1], table[:, upper], share).to(background)
            logs.append(torch.lerp(row[lower], row[lower + 1], between))
        sensitivity: Tensor = 10 ** torch.cat(logs, 1) * self.correction
        return sensitivity

    def masked(self, test: Tensor, reference: Tensor) -> Tensor:
        """Visible differences of a band [B, 3, h, w]: less where both pictures have strong contrasts."""
        test, reference = test * self.gain.to(test), reference * self.gain.to(test)
        shared = _spread(torch.minimum(test.abs(), reference.abs())) * self.mask_scale
        strengths = _power(shared, self.mask_powers.to(test))
        mask = torch.einsum("bihw,ij->bjhw", strengths, self.mixing.to(test))
        visible = _power((test - reference).abs(), self.mask_power) / (1 + mask)
        clamped: Tensor = self.largest * visible / (self.largest + visible)
        return clamped


@lru_cache
def _fitted() -> _Fitted:
    package = importlib.util.find_spec("pycvvdp")  # not imported: that would need torchvision
    if package is None or not package.submodule_search_locations:
        raise BadArgument(
            "the share cvvdp of the distortion needs cvvdp: install aecodec[train], or make it 0"
        )
    return _Fitted(Path(package.submodule_search_locations[0]) / "vvdp_data")


def _dkl(x: Tensor) -> Tensor:
    """sRGB [B, 3, H, W], 0..1 -> opponent colours on the display, in cd/m^2."""
    light = (PEAK - PEAK / 1000) * linear(x) + PEAK / 1000 + REFLECTED
    return torch.einsum("ij,bjhw->bihw", x.new_tensor(TO_DKL), light)


def _contrasts(picture: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The bands of a Laplacian pyramid as contrasts, each with the luminance [B, 1, h, w] it is seen on."""
    deepest = int(math.log2(min(picture.shape[2:]))) - 1
    visible = 1 + next(n for n in range(99) if _frequency(n, False) <= LOWEST_FREQUENCY)
    bands = []
    for number in range(min(visible, deepest)):
        smaller = _both_ways(picture, _reduce)
        around = _both_ways(smaller, _expand, picture.shape[2:])
        background = around[:, :1].clamp(min=0.01)
        contrast = ((picture - around) / background).clamp(max=1000)
        bands.append((contrast * 2 if number else contrast, background))
        picture = smaller
    background = picture[:, :1].clamp(min=0.01).mean((2, 3), True)
    bands.append(((picture / background).clamp(max=1000), background))
    return bands


def _frequency(number: int, last: bool) -> float:
    """Of a band, in cycles a degree."""
    if last:
        return BASE_FREQUENCY
    return PIXELS_A_DEGREE / 2 * (FINEST_BAND * 2.0 ** (1 - number) if number else 1.0)


def _power(x: Tensor, exponent: float | Tensor) -> Tensor:
    """x ** exponent from 0 on, with a slope that has a bound."""
    shift = 1e-5
    return (x + shift) ** exponent - shift**exponent


def _norm4(x: Tensor) -> Tensor:
    """The 4-norm of the last axis."""
    return _power(_power(x, 4.0).sum(-1), 0.25)


def _spread(x: Tensor) -> Tensor:
    """Blurred: the phase of a contrast is not seen."""
    if min(x.shape[2:]) <= SPREAD_RADIUS:
        return x
    return _both_ways(x, _blur)


def _both_ways(x: Tensor, matrix: Callable[[int, int], Tensor], size: Sequence[int] | None = None) -> Tensor:
    """Rows and columns of [B, C, H, W] through the matrices for their lengths, to `size` where given."""
    height, width = x.shape[2:]
    to_height, to_width = size or (height, width)
    return matrix(height, to_height).to(x) @ (x @ matrix(width, to_width).to(x).T)


@lru_cache
def _reduce(size: int, _: int) -> Tensor:
    """Half as many values, [ceil(size / 2), size]; mirrored at the ends."""
    padded = torch.cat((torch.eye(size)[:2].flip(0), torch.eye(size), torch.eye(size)[-2:].flip(0)))
    return _taps(padded, REDUCE)[::2]


@lru_cache
def _expand(size: int, to: int) -> Tensor:
    """Twice as many values, [to, size]; those at the ends are repeated."""
    spaced = torch.zeros(2 * size + 3, size)
    spaced[2:-1:2] = torch.eye(size)
    spaced[0, 0] = spaced[-1, -1] = 1
    spaced = F.pad(spaced, (0, 0, 0, 1))
    return 2 * _taps(spaced, REDUCE)[:to]


@lru_cache
def _blur(size: int, _: int) -> Tensor:
    at = torch.arange(-SPREAD_RADIUS, SPREAD_RADIUS + 1)
    taps = torch.exp(-0.5 * (at / SPREAD).square())
    padded = F.pad(torch.eye(size)[None], (0, 0, SPREAD_RADIUS, SPREAD_RADIUS), "reflect")[0]
    return _taps(padded, (taps / taps.sum()).tolist())


def _taps(rows: Tensor, taps: Sequence[float]) -> Tensor:
    """Rows [n, m] filtered downwards: [n - taps + 1, m]."""
    count = len(rows) - len(taps) + 1
    return sum(tap * rows[i : i + count] for i, tap in enumerate(taps))  # type: ignore[return-value]
