"""The tile grid, and the halos that make a tiled picture equal to an untiled one.

Every tile is a box in picture coordinates. Analysis and synthesis see a wider box, cut off at the picture's
edge, and only the inner part of what they compute is kept: the receptive field of a network never leaves
its halo, and at the picture's edge the network's zero padding is the same with and without tiles.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from aecodec.networks.architecture import PATCH, STRIDE, Architecture

TILE_SIZE = 1024  # pixels: large enough that halos cost little, small enough for memory


@dataclass(frozen=True)
class Box:
    """A rectangle: rows top to bottom (excluded), columns left to right (excluded)."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """To index the last two axes of an array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def latents(self) -> "Box":
        """The box in latent coordinates: its edges divided by the stride, outwards."""
        return Box(
            self.top // STRIDE, self.left // STRIDE, -(-self.bottom // STRIDE), -(-self.right // STRIDE)
        )

    def widened(self, halo: int, height: int, width: int) -> "Box":
        """Grown by `halo` on all sides, inside an area of height x width."""
        return Box(
            max(0, self.top - halo),
            max(0, self.left - halo),
            min(height, self.bottom + halo),
            min(width, self.right + halo),
        )

    def inside(self, outer: "Box", scale: int = 1) -> "Box":
        """This box relative to the corner of `outer`, times `scale`."""
        return Box(
            (self.top - outer.top) * scale,
            (self.left - outer.left) * scale,
            (self.bottom - outer.top) * scale,
            (self.right - outer.left) * scale,
        )


def tile_boxes(width: int, height: int, size: int) -> Iterator[Box]:
    """Tiles in raster order; those of the last row and column end with the picture."""
    for top in range(0, height, size):
        for left in range(0, width, size):
            yield Box(top, left, min(top + size, height), min(left + size, width))


def padded_side(side: int) -> int:
    """Pixels a side after padding to whole latents."""
    return -(-side // STRIDE) * STRIDE


def analysis_halo(a: Architecture) -> int:
    """Pixels, a multiple of the stride: one 3x3 step for each block."""
    fine, coarse = a.analysis_blocks
    return padded_side(fine * PATCH + coarse * STRIDE)


def synthesis_halo(a: Architecture) -> int:
    """Latents: one for each coarse block, one for every two fine ones."""
    coarse, fine = a.synthesis_blocks
    return coarse + -(-fine * PATCH // STRIDE)
