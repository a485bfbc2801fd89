"""Rate control: the level at which a picture takes so many bytes, or comes out so close to the original.

pixels -> analysis, once -> y of all tiles -> at a few levels: gain, symbols, words -> the best file

The logarithm of the size, and PSNR, are nearly straight lines over the levels, so that a search which draws
lines through what it has measured needs few files.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Literal

import numpy as np

from aecodec.encoder.encode import Source, encode_source, read_source
from aecodec.errors import BadArgument, BadQuality, TargetOutOfReach
from aecodec.file.container import NEURAL, Header, Tile
from aecodec.networks.model import Model
from aecodec.threads import in_order, workers
from aecodec.tiles.grid import Box, tile_boxes
from aecodec.tiles.neural import draw, tile_of

Unit = Literal["bytes", "bpp", "dB"]
Pack = Callable[[Header, Sequence[Tile]], bytes]

STEP = {"bytes": 0.018, "bpp": 0.018, "dB": 0.055}  # from one level to the next in a usual photograph
NEAR = {"bytes": math.log2(1.006), "bpp": math.log2(1.006), "dB": 0.03}  # half a step: the search stops here
WITHIN = {"bytes": math.log2(1.02), "bpp": math.log2(1.02), "dB": 0.1}  # what is promised
SAMPLE = 6  # tiles that stand for a huge picture until the level is nearly known
PEAK, LOSSLESS = 255, 100.0  # largest value of a pixel; the dB that stand for no error at all


@dataclass(frozen=True)
class Goal:
    """What a picture is to be: so large (bytes, bpp) or so good (dB), at a quality between two."""

    unit: Unit
    value: float
    min_quality: float
    max_quality: float

    def most_bytes(self, pixels: int) -> int | None:
        """How many bytes a picture of so many pixels may take, None for a goal in dB."""
        size = {"bytes": self.value, "bpp": self.value * pixels / 8}.get(self.unit)
        return None if size is None else int(size)


def goal(
    target_size: int | None, bpp: float | None, psnr: float | None, min_quality: float, max_quality: float
) -> Goal | None:
    """The goal that arguments ask for, None without one. Raises BadArgument, BadQuality."""
    given: dict[Unit, Any] = {"bytes": target_size, "bpp": bpp, "dB": psnr}
    given = {unit: value for unit, value in given.items() if value is not None}
    for name, quality in (("min_quality", min_quality), ("max_quality", max_quality)):
        if not is_quality(quality):
            raise BadQuality(f"{name} {quality!r} is out of range: give a number from 0 to 100")
    if min_quality > max_quality:
        raise BadQuality(f"min_quality {min_quality} is above max_quality {max_quality}: exchange them")
    if not given:
        if (min_quality, max_quality) != (0, 100):
            raise BadArgument(
                "min_quality and max_quality bound a target_size, bpp or psnr: give one of them"
            )
        return None
    if len(given) > 1:
        raise BadArgument("of target_size, bpp and psnr only one can be reached: give one of them")
    ((unit, value),) = given.items()
    if not _is_number(value) or not 0 < value < math.inf:
        raise BadArgument(f"{value!r} {unit} is no target: give a number above 0")
    return Goal(unit, float(value), min_quality, max_quality)


def is_quality(value: Any) -> bool:
    """Whether a value is a number from 0 to 100."""
    return _is_number(value) and 0 <= value <= 100


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def encode(model: Model, pixels: np.ndarray, header: Header, pack: Pack, wanted: Goal, effort: int) -> bytes:
    """The file that comes nearest to the goal, of bytes the largest that is not above it.

    It is the file of its level, as if that had been asked for. `pack` makes files of tiles and a header,
    which is `header` but for the level. All y are kept meanwhile, 6 bytes a pixel.

    Raises:
        TargetOutOfReach: no level comes within 2 % or 0.1 dB.

    """
    trials = _Trials(model, pixels, header, pack, wanted.unit, effort)
    low, high = model.level(wanted.min_quality), model.level(wanted.max_quality)
    target = _scaled(wanted.unit, wanted.value)
    start = (low + high) // 2
    if len(trials.boxes) > 2 * SAMPLE:
        sample = range(0, len(trials.boxes), len(trials.boxes) // SAMPLE)
        guess = search(lambda level: trials.guess(level, sample), target, wanted.unit, low, high, start)
        start = guess[0].level if guess[0] else low
    below, above = search(trials.make, target, wanted.unit, low, high, start)
    found = [trial for trial in (below, above if wanted.unit != "bytes" else None) if trial]
    best = min(found, key=lambda trial: abs(trial.value - target), default=None)
    if best is None or not ((below and above) or abs(best.value - target) <= WITHIN[wanted.unit]):
        raise _out_of_reach(wanted, trials.make(low), trials.make(high), trials.fixed)
    return best.data


@dataclass(frozen=True)
class Trial:
    """A file, or none if only a sample was coded. value: log2 of bytes or of bpp, or dB."""

    level: int
    value: float
    data: bytes = b""


def search(
    measure: Callable[[int], Trial], target: float, unit: Unit, low: int, high: int, start: int
) -> tuple[Trial | None, Trial | None]:
    """The nearest trials not above and above the target that were made from level `low` to `high`.

    They are neighbours, or one of them is near; one is None where the target lies beyond an end.
    """
    below: Trial | None = None
    above: Trial | None = None
    last: Trial | None = None
    level, slope, width = start, STEP[unit], math.inf
    while True:
        trial = measure(level)
        below, above = (trial, above) if trial.value <= target else (below, trial)
        first = below.level + 1 if below else low
        final = above.level - 1 if above else high
        close = abs(trial.value - target) <= NEAR[unit]
        if first > final or (close and not (unit == "bytes" and trial is above)):
            return below, above
        one, other = (below, above) if below and above else (last or trial, trial)
        if one.level != other.level:
            slope = max((other.value - one.value) / (other.level - one.level), 0.1 * STEP[unit])
        if below and above and final - first > width / 2:  # far from a line here: halve what is left
            level = (first + final) // 2
        else:
            steps = (target - trial.value) / slope
            level = min(max(level + (math.floor(steps) if unit == "bytes" else round(steps)), first), final)
        width, last = final - first, trial


class _Trials:
    """Files of one picture at any level; the analysis runs once."""

    def __init__(
        self, model: Model, pixels: np.ndarray, header: Header, pack: Pack, unit: Unit, effort: int
    ) -> None:
        self.model, self.pixels, self.header, self.pack, self.unit = model, pixels, header, pack, unit
        self.effort = effort
        self.boxes = tile_boxes(header.width, header.height, header.tile_size)
        with workers(len(self.boxes)) as pool:
            self.sources = list(in_order(pool, self._analyse, self.boxes))
        self.fixed = len(pack(header, [Tile(NEURAL, 0, b"")] * len(self.boxes)))  # bytes of all but words

    def _analyse(self, box: Box) -> Source:
        return read_source(self.model, self.pixels, box, self.effort)

    def make(self, level: int) -> Trial:
        """The whole file."""
        whole = Box(0, 0, self.header.height, self.header.width)
        tiles, error = self._code(level, range(len(self.boxes)), [whole])
        header = replace(self.header, level=level)
        data = self.pack(header, [tiles[number] for number in sorted(tiles)])
        return Trial(level, self._value(len(data), error, self.pixels.size), data)

    def guess(self, level: int, sample: range) -> Trial:
        """What some tiles tell of the whole file."""
        boxes = [self.boxes[number] for number in sample]
        tiles, error = self._code(level, sample, boxes)
        pixels = sum(box.height * box.width for box in boxes)
        share = pixels / (self.header.height * self.header.width)
        size = self.fixed + sum(len(tile.payload) for tile in tiles.values()) / share
        return Trial(level, self._value(size, error, pixels * self.header.channels))

    def _code(self, level: int, numbers: range, regions: list[Box]) -> tuple[dict[int, Tile], int]:
        """Some tiles, and for a goal in dB the squared error of regions that are drawn from them alone."""
        tiles: dict[int, Tile] = {}

        def y_hat(number: int) -> np.ndarray | None:
            if number not in numbers:
                return None
            coded = encode_source(self.model, self.sources[number], level, self.effort)
            tiles[number] = tile_of(coded)
            return coded.y_hat

        if self.unit == "dB":
            header = replace(self.header, level=level)
            return tiles, sum(self._error(header, y_hat, region) for region in regions)
        with workers(len(numbers)) as pool:
            for _ in in_order(pool, y_hat, numbers):
                pass
        return tiles, 0

    def _error(self, header: Header, y_hat: Callable[[int], np.ndarray | None], region: Box) -> int:
        error = 0
        for part, drawn in draw(self.model, header, y_hat, region):
            difference = self.pixels[part.slices].astype(np.int32) - drawn
            error += int(np.square(difference).sum(dtype=np.int64))
        return error

    def _value(self, size: float, error: int, samples: int) -> float:
        if self.unit == "dB":
            return 10 * math.log10(PEAK**2 * samples / error) if error else LOSSLESS
        pixels = self.header.height * self.header.width
        return _scaled(self.unit, size if self.unit == "bytes" else 8 * size / pixels)


def _scaled(unit: Unit, value: float) -> float:
    return value if unit == "dB" else math.log2(value)


def _out_of_reach(wanted: Goal, lowest: Trial, highest: Trial, fixed: int) -> TargetOutOfReach:
    """The error that says what can be reached."""
    asked = _shown(wanted.unit, wanted.value)
    least, most = (
        _shown(wanted.unit, end.value if wanted.unit == "dB" else 2**end.value) for end in (lowest, highest)
    )
    what = f"{asked} {wanted.unit} cannot be reached"
    if wanted.unit == "bytes" and fixed >= wanted.value:
        return TargetOutOfReach(
            f"{what}: all but the pixels takes {fixed} bytes: ask for more, or leave metadata out with strip"
        )
    return TargetOutOfReach(
        f"{what}: this picture has {least} to {most} {wanted.unit} "
        f"at qualities {wanted.min_quality:g} to {wanted.max_quality:g}: ask for a value in between"
    )


def _shown(unit: Unit, value: float) -> str:
    return f"{value:.{ {'bytes': 0, 'bpp': 3, 'dB': 2}[unit] }f}"
