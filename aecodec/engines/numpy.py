"""The operations in NumPy: arrays [B, H, W, C], inside `in_rows` [rows, W, C] of one picture.

Matrix products do nearly all of the arithmetic. All else is bound by memory, so that networks work on a few
rows at a time, whose activations stay in the caches. The rows are spread over threads: NumPy releases the
GIL.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from aecodec import threads
from aecodec.engines.blas import one_thread
from aecodec.engines.engine import Engine, Gradient, Level

Array = np.ndarray
BAND = 2**18  # numbers that `in_rows` takes at a time: enough for fast matrix products, few enough for caches
FEWEST = 2**16  # below that a thread of its own does not pay
CHUNK = 2**17  # numbers that several elementwise passes take at a time
WIDTH = 1024  # numbers that one pass of a depthwise convolution multiplies by one row of weights


@dataclass(frozen=True)
class NumpyEngine:
    """See `Engine`.

    Args:
        dtype: of weights and activations.
        above: rows of the halo that `in_rows` has given above; 0 at the picture's edge.
        below: the same below.
        tape: where the steps are recorded that gradients go back through; None for no gradients.

    """

    dtype: Any = np.float32
    above: int = 0
    below: int = 0
    tape: "Tape | None" = None

    device = "cpu"

    @property
    def name(self) -> str:
        """See `Engine`."""
        return f"NumPy {np.__version__}, {np.dtype(self.dtype).name}"

    def positions(self, products: int) -> tuple[int, ...]:
        """See `Engine`: OpenBLAS has kernels for vectors, and for matrices of up to a million products."""
        return 1, 2, max(81, 2**22 // products)

    def load(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """See `Engine`."""
        return {name: _loaded(name, tensor, self.dtype) for name, tensor in tensors.items()}

    def running(self) -> AbstractContextManager[object]:
        """See `Engine`: one BLAS thread, since the rows are spread over threads here."""
        return one_thread()

    def from_array(self, x: Array) -> Array:
        """See `Engine`."""
        return np.ascontiguousarray(x, self.dtype)

    def to_array(self, x: Array) -> Array:
        """See `Engine`."""
        return x

    def from_pixels(self, pixels: Array) -> Array:
        """See `Engine`."""
        x: Array = np.divide(pixels, 255, dtype=self.dtype)
        return x

    def to_pixels(self, x: Array) -> Array:
        """See `Engine`."""
        return self.in_rows(lambda _, rows: _rounded(rows), x)

    def pointwise(self, x: Array, weight: Array, bias: Array, precise: bool = False) -> Array:
        """See `Engine`."""
        if x.ndim == 4:
            return self.in_rows(lambda engine, rows: engine.pointwise(rows, weight, bias), x)
        result = _product(x, weight)
        result += bias
        return self._record(result, (x, lambda g: _product(g, weight.T)))

    def depthwise(self, x: Array, weight: Array, bias: Array) -> Array:
        """See `Engine`."""
        if x.ndim == 4:
            return self.in_rows(lambda engine, rows: engine.depthwise(rows, weight, bias), x, halo=1)
        result = _correlated(x, weight, 1 - self.above, 1 - self.below)
        result += bias
        above, below, flipped = 1 + self.above, 1 + self.below, weight[::-1, ::-1]
        return self._record(result, (x, lambda g: _correlated(g, flipped, above, below)))

    def hardswish(self, x: Array) -> Array:
        """See `Engine`."""
        result = x if self.tape is None else np.empty_like(x)
        _in_chunks(_hardswish, result, x)
        return self._record(result, (x, lambda g: _in_chunks(_hardswish_back, np.empty_like(x), x, g)))

    def asinh(self, x: Array) -> Array:
        """See `Engine`."""
        return self._record(np.arcsinh(x), (x, lambda g: g / np.sqrt(x * x + 1)))

    def requantise(self, x: Array, scale: Array, low: int, high: int) -> Array:
        """See `Engine`; it has no gradient."""
        x *= scale
        np.floor(x, out=x)
        return np.clip(x, low, high, out=x)

    def add(self, branch: Array, x: Array) -> Array:
        """See `Engine`."""
        halo = (self.above, self.below) if len(x) > len(branch) else (0, 0)
        inner = x[halo[0] : len(x) - halo[1]]
        result = np.add(branch, inner, out=branch if self.tape is None else None)
        return self._record(result, (branch, lambda g: g), (x, lambda g: _with_rows(g, *halo)))

    def scale(self, x: Array, factors: Array) -> Array:
        """See `Engine`."""
        return self._record(x * factors, (x, lambda g: g * factors))

    def shuffle(self, x: Array, size: int) -> Array:
        """See `Engine`."""
        return self._record(_shuffled(x, size), (x, lambda g: _unshuffled(g, size)))

    def unshuffle(self, x: Array, size: int) -> Array:
        """See `Engine`."""
        return self._record(_unshuffled(x, size), (x, lambda g: _shuffled(g, size)))

    def crop(self, x: Array, height: int, width: int) -> Array:
        """See `Engine`."""
        lost = (0, 0), (0, x.shape[1] - height), (0, x.shape[2] - width), (0, 0)
        return self._record(x[:, :height, :width], (x, lambda g: np.pad(g, lost)))

    def row(self, table: Array, level: Level) -> Array:
        """See `Engine`."""
        row: Array = table[level]
        return row

    def in_rows(self, part: Callable[[Engine, Array], Array], x: Array, halo: int = 0) -> Array:
        """See `Engine`."""
        backs: dict[_Band, Gradient] = {}

        def run(band: _Band) -> Array:
            rows, tape = x[band.outer], None if self.tape is None else Tape()
            made = part(replace(self, above=band.above, below=band.below, tape=tape), rows)
            if tape is not None:
                backs[band] = tape.pullback(made, rows)
            return made

        def fill(band: _Band) -> None:
            result[band.inner] = run(band)

        first, *others = _bands(x.shape, halo)
        made = run(first)
        result = np.empty((*x.shape[:3], made.shape[-1]), made.dtype)
        result[first.inner] = made
        threads.spread(fill, others)
        shape = x.shape
        return self._record(result, (x, lambda g: _through_bands(backs, g, shape)))

    def pullback(self, function: Callable[[Engine, Array], Array], x: Array) -> tuple[Array, Gradient]:
        """See `Engine`."""
        tape = Tape()
        result = function(replace(self, tape=tape), x)
        return result, tape.pullback(result, x)

    def _record(self, result: Array, *inputs: tuple[Array, Gradient]) -> Array:
        if self.tape is not None:
            self.tape.record(result, *inputs)
        return result


# Rows


@dataclass(frozen=True)
class _Band:
    """Rows top to bottom (excluded) of a picture, with so many more above and below that they depend on."""

    picture: int
    top: int
    bottom: int
    above: int
    below: int

    @property
    def inner(self) -> tuple[int, slice]:
        return self.picture, slice(self.top, self.bottom)

    @property
    def outer(self) -> tuple[int, slice]:
        return self.picture, slice(self.top - self.above, self.bottom + self.below)


def _bands(shape: tuple[int, ...], halo: int) -> list[_Band]:
    """What `in_rows` cuts [B, H, W, C] into: as many for each thread, where they are not too small."""
    pictures, height, width, channels = shape
    numbers, share = height * width * channels, threads.share()
    count = -(-numbers // BAND)
    count = max(1, min(-(-count // share) * share, numbers // FEWEST, height))
    edges = [height * number // count for number in range(count + 1)]
    return [
        _Band(picture, top, bottom, min(halo, top), min(halo, height - bottom))
        for picture in range(pictures)
        for top, bottom in zip(edges, edges[1:], strict=False)
    ]


def _through_bands(backs: "Mapping[_Band, Gradient]", gradient: Array, shape: tuple[int, ...]) -> Array:
    """The gradient in what was cut into bands, of all of them together: those of neighbours overlap."""
    total, lock = np.zeros(shape, gradient.dtype), threading.Lock()

    def add(band: _Band) -> None:
        part = backs[band](gradient[band.inner])
        with lock:
            total[band.outer] += part

    threads.spread(add, list(backs))
    return total


# Arithmetic


def _loaded(name: str, tensor: Array, dtype: Any) -> Array:
    """Pointwise weights [I, O]; depthwise ones [3, 3, n C], repeated for n neighbouring positions."""
    if tensor.ndim == 4:
        kernel = tensor[:, 0].transpose(1, 2, 0).astype(dtype)
        return np.tile(kernel, (1, 1, max(1, WIDTH // len(tensor))))
    return (tensor.T if name.endswith("weight") else tensor).astype(dtype, order="C")


def _product(x: Array, weight: Array) -> Array:
    """[..., I] by [I, O]; NumPy would multiply each row of pixels by itself."""
    product: Array = x.reshape(-1, x.shape[-1]) @ weight
    return product.reshape(*x.shape[:-1], -1)


def _correlated(x: Array, weight: Array, above: int, below: int) -> Array:
    """Each channel of rows [R, W, C], with so many rows of zeros around, by its kernel of [3, 3, n C].

    n positions at a time, as if they were n C channels of one: short loops would take longer.
    """
    rows, width, channels = len(x) + above + below - 2, *x.shape[1:]
    padded = np.zeros((rows + 2, width + 2, channels), x.dtype)
    padded[above : above + len(x), 1:-1] = x
    result = np.empty((rows, width, channels), x.dtype)
    several = weight.shape[2] // channels
    split = width - width % several
    _windowed(padded, weight, result[:, :split], several)
    _windowed(padded[:, split:], weight[:, :, :channels], result[:, split:], 1)
    return result


def _windowed(padded: Array, weight: Array, result: Array, several: int) -> None:
    """Sums of nine products, `several` positions taken for one."""
    rows, width, channels = result.shape
    row, column, number = padded.strides
    shape = rows, width // several, several * channels
    windows = as_strided(padded, (*shape, 3, 3), (row, several * column, number, row, column))
    out = as_strided(result, shape, (result.strides[0], several * result.strides[1], number))
    np.einsum("rwcab,abc->rwc", windows, weight, out=out)


def _with_rows(x: Array, above: int, below: int) -> Array:
    """Rows [R, W, C] with so many rows of zeros around them."""
    if not above + below:
        return x
    result = np.zeros((len(x) + above + below, *x.shape[1:]), x.dtype)
    result[above : above + len(x)] = x
    return result


def _in_chunks(function: Callable[..., None], result: Array, *inputs: Array) -> Array:
    """Let a function of a result, as many spare numbers and the inputs fill all of `result`; returns that."""
    flat, *sources = (array.reshape(-1) for array in (result, *inputs))
    spare = np.empty(min(CHUNK, flat.size), flat.dtype)
    for start in range(0, flat.size, CHUNK):
        chunk = slice(start, start + CHUNK)
        numbers = flat[chunk]
        function(numbers, spare[: len(numbers)], *(source[chunk] for source in sources))
    return result


def _hardswish(result: Array, spare: Array, x: Array) -> None:
    np.multiply(x, x.dtype.type(1 / 6), out=spare)
    spare += x.dtype.type(0.5)
    np.clip(spare, 0, 1, out=spare)
    np.multiply(x, spare, out=result)


def _hardswish_back(result: Array, spare: Array, x: Array, gradient: Array) -> None:
    """Gradient times slope of hardswish: (2 x + 3) / 6 between -3 and 3, 0 below and 1 above."""
    np.clip(x, -3, 3, out=spare)
    np.multiply(x, x == spare, out=result)
    result += spare
    result *= x.dtype.type(1 / 6)
    result += x.dtype.type(0.5)
    result *= gradient


def _rounded(x: Array) -> Array:
    x *= 255
    np.rint(x, out=x)
    return np.clip(x, 0, 255, out=x).astype(np.uint8)


def _shuffled(x: Array, size: int) -> Array:
    pictures, height, width, channels = x.shape
    parts = x.reshape(pictures, height, width, -1, size, size).transpose(0, 1, 4, 2, 5, 3)
    return parts.reshape(pictures, height * size, width * size, channels // size**2)


def _unshuffled(x: Array, size: int) -> Array:
    pictures, height, width, channels = x.shape
    parts = x.reshape(pictures, height // size, size, width // size, size, channels)
    return parts.transpose(0, 1, 3, 5, 2, 4).reshape(
        pictures, height // size, width // size, channels * size**2
    )


# Gradients


class Tape:
    """The steps from an input to a result, to go back through."""

    def __init__(self) -> None:
        self._steps: list[tuple[int, list[tuple[int, Gradient]]]] = []
        self._kept: list[Array] = []  # so that no id is given twice while steps are added

    def record(self, result: Array, *inputs: tuple[Array, Gradient]) -> None:
        """Add a step: how a gradient in its result becomes one in each input."""
        self._steps.append((id(result), [(id(x), back) for x, back in inputs]))
        self._kept += [result, *(x for x, _ in inputs)]

    def pullback(self, result: Array, x: Array) -> Gradient:
        """From a gradient in `result` to the one in `x`; the tape takes no more steps."""
        last, first = id(result), id(x)
        self._kept.clear()

        def back(gradient: Array) -> Array:
            gradients = {last: gradient}
            for output, inputs in reversed(self._steps):
                if output in gradients:
                    reached = gradients.pop(output)
                    for number, step in inputs:
                        more = step(reached)
                        gradients[number] = gradients[number] + more if number in gradients else more
            return gradients[first]

        return back
