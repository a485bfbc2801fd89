"""What the photo models' networks ask of an engine."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

LEVELS = 256  # rate levels: one byte

Features = Any  # an engine's own array: pixels, latents or what is between them, B pictures of one size
Weights = Mapping[str, Any]  # arrays as `Engine.load` returns them, by their names
Level = Any  # rate level 0..255: an int; in training a float tensor [B]
Gradient = Callable[[np.ndarray], np.ndarray]  # float32 [B, H, W, C] of a result -> of an input, its shape


class Engine(Protocol):
    """The operations. Shapes are given channels last; each engine has a layout of its own.

    An operation may overwrite its first argument where it says so, unless gradients are wanted.
    """

    def load(self, tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Weights as the operations take them.

        Args:
            tensors: of any number type. Those whose names end in "weight" are pointwise [O, I] or depthwise
                [C, 1, 3, 3], others [C] or [256, C].

        """
        ...

    @property
    def name(self) -> str:
        """Library and type of the numbers, for a person."""
        ...

    @property
    def device(self) -> str:
        """Where it computes: "cpu" or "cuda"."""
        ...

    def positions(self, products: int) -> tuple[int, ...]:
        """Numbers of positions that between them go through every kernel it has for a pointwise layer.

        Args:
            products: of the layer at each position.

        """
        ...

    def running(self) -> AbstractContextManager[object]:
        """What must hold around all operations outside of training, whatever the caller has set."""
        ...

    def from_array(self, x: np.ndarray) -> Features:
        """Float or integers [B, H, W, C] -> features."""
        ...

    def to_array(self, x: Features) -> np.ndarray:
        """Features -> float [B, H, W, C]."""
        ...

    def from_pixels(self, pixels: np.ndarray) -> Features:
        """Uint8 [B, H, W, C] -> features from 0 to 1."""
        ...

    def to_pixels(self, x: Features) -> np.ndarray:
        """Features of about 0 to 1 -> uint8 [B, H, W, C], rounded and clamped; x may be overwritten."""
        ...

    def pointwise(self, x: Features, weight: Any, bias: Any, precise: bool = False) -> Features:
        """1x1 convolution: [B, H, W, I] -> [B, H, W, O].

        Args:
            x: features.
            weight: [O, I].
            bias: [O], or what `row` returns.
            precise: in float32 even where the engine computes in bfloat16.

        """
        ...

    def depthwise(self, x: Features, weight: Any, bias: Any) -> Features:
        """3x3 depthwise convolution, zero outside the picture; inside `in_rows` with halo 1, and once."""
        ...

    def hardswish(self, x: Features) -> Features:
        """x min(max(x + 3, 0), 6) / 6; x may be overwritten."""
        ...

    def asinh(self, x: Features) -> Features:
        """Inverse hyperbolic sine."""
        ...

    def requantise(self, x: Features, scale: Any, low: int, high: int) -> Features:
        """clamp(floor(x scale), low, high), scale [C]; x may be overwritten."""
        ...

    def add(self, branch: Features, x: Features) -> Features:
        """branch + x, where x may have the halo that `branch` has lost; branch may be overwritten."""
        ...

    def scale(self, x: Features, factors: Any) -> Features:
        """x factors, [C] or what `row` returns."""
        ...

    def shuffle(self, x: Features, size: int) -> Features:
        """[B, H, W, C n n] -> [B, n H, n W, C]: channel c n n + n a + b is row a, column b of channel c."""
        ...

    def unshuffle(self, x: Features, size: int) -> Features:
        """Inverse of `shuffle`."""
        ...

    def crop(self, x: Features, height: int, width: int) -> Features:
        """The first rows and columns."""
        ...

    def row(self, table: Any, level: Level) -> Any:
        """The row of a table over the levels, [256, C] -> [C]."""
        ...

    def in_rows(self, part: Callable[["Engine", Features], Features], x: Features, halo: int = 0) -> Features:
        """What `part` makes of x, perhaps a few rows at a time, and these in several threads.

        Args:
            part: called with an engine, which it must use, and rows of x with `halo` more above and below
                where the picture has them; returns as many rows, without the halo.
            x: features; not overwritten.
            halo: 0 or 1.

        """
        ...

    def pullback(
        self, function: Callable[["Engine", Features], Features], x: Features
    ) -> tuple[Features, Gradient]:
        """What `function` makes of x, and how a gradient goes back through it.

        Args:
            function: called with an engine, which it must use, and x.
            x: features.

        Returns:
            The result, and a function from the gradient of some scalar in it to that in x.

        """
        ...
