"""The tile grid, and the halos that make a tiled picture equal to an untiled one.

Every tile is a box in picture coordinates. Analysis and synthesis see a wider box, cut off at the picture's
edge, and only the inner part of what they compute is kept: the receptive field of a network never leaves
its halo, and at the picture's edge the network's zero padding is the same with and without tiles.
"""

import operator
from dataclasses import dataclass

from aecodec.errors import BadArgument


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

    def latents(self, stride: int) -> "Box":
        """The box in latent coordinates: its edges divided by the stride, outwards."""
        return Box(
            self.top // stride, self.left // stride, -(-self.bottom // stride), -(-self.right // stride)
        )

    def times(self, stride: int) -> "Box":
        """The box of latents in pixels: its edges multiplied by the stride."""
        return Box(*(stride * edge for edge in (self.top, self.left, self.bottom, self.right)))

    def widened(self, halo: int, height: int, width: int) -> "Box":
        """Grown by `halo` on all sides, inside an area of height x width."""
        return Box(
            max(0, self.top - halo),
            max(0, self.left - halo),
            min(height, self.bottom + halo),
            min(width, self.right + halo),
        )

    def inside(self, outer: "Box") -> "Box":
        """This box relative to the corner of `outer`."""
        return Box(
            self.top - outer.top, self.left - outer.left, self.bottom - outer.top, self.right - outer.left
        )

    def common(self, other: "Box") -> "Box":
        """What both boxes, which must overlap, cover."""
        return Box(
            max(self.top, other.top),
            max(self.left, other.left),
            min(self.bottom, other.bottom),
            min(self.right, other.right),
        )


def tile_boxes(width: int, height: int, size: int) -> list[Box]:
    """Tiles in raster order; those of the last row and column end with the picture."""
    count = -(-width // size) * -(-height // size)
    return [tile_box(number, width, height, size) for number in range(count)]


def tile_box(number: int, width: int, height: int, size: int) -> Box:
    """One of them, by its number."""
    row, column = divmod(number, -(-width // size))
    top, left = row * size, column * size
    return Box(top, left, min(top + size, height), min(left + size, width))


def tiles_under(box: Box, width: int, size: int) -> list[int]:
    """Numbers, rising, of the tiles of `size` that a box in an area `width` wide lies on."""
    columns = -(-width // size)
    return [
        row * columns + column
        for row in range(box.top // size, -(-box.bottom // size))
        for column in range(box.left // size, -(-box.right // size))
    ]


def region_box(region: tuple[int, int, int, int] | None, width: int, height: int) -> Box:
    """The box of x, y, width, height in a picture; all of it for None. Raises BadArgument outside of it."""
    if region is None:
        return Box(0, 0, height, width)
    try:
        left, top, columns, rows = map(operator.index, region)
    except (TypeError, ValueError) as fault:
        raise BadArgument(f"region {region!r}: give four whole numbers, x, y, width, height") from fault
    if left < 0 or top < 0 or columns < 1 or rows < 1 or left + columns > width or top + rows > height:
        raise BadArgument(
            f"region {region}: there is no such part of a picture of {width} x {height} pixels: "
            "give x, y, width, height that lie in it"
        )
    return Box(top, left, top + rows, left + columns)


def padded(side: int, stride: int) -> int:
    """Pixels a side after padding to whole latents."""
    return -(-side // stride) * stride
