"""What decoding a picture takes of memory, known from its header alone."""

from aecodec.errors import TooLarge
from aecodec.file.container import TILE_SIZE, Header
from aecodec.threads import MAX_WORKERS
from aecodec.tiles.grid import Box

# Bytes a pixel, at most, while a picture is decoded: for pixels and latents of two rows of tiles, and for the
# activations of the tiles that are worked on at a time, or for the copies of one lossless tile.
PICTURE_BYTES, TILE_BYTES, LOSSLESS_TILE_BYTES = 12, 110, 16


def check(header: Header, box: Box, max_pixels: int) -> None:
    """Raise TooLarge for what takes more memory than `max_pixels` in tiles as this encoder writes them."""
    pixels = box.width * box.height
    needed = bytes_needed(pixels, header.tile_size, header.has_model)
    if pixels > max_pixels or needed > bytes_needed(max_pixels, TILE_SIZE):
        raise TooLarge(
            f"the picture is {box.width} x {box.height} pixels in tiles of {header.tile_size}, above "
            f"the limit of {max_pixels}: decoding takes about {needed / 1e9:.1f} GB; decode a region of it, "
            "or, if you have that much memory, decode it by Codec(max_pixels=...) in Python"
        )


def bytes_needed(pixels: int, tile_size: int, has_model: bool = True) -> int:
    """Bytes, at most, for a picture or region of so many pixels in tiles of tile_size x tile_size."""
    at_work = MAX_WORKERS * TILE_BYTES if has_model else LOSSLESS_TILE_BYTES
    return pixels * PICTURE_BYTES + min(pixels * TILE_BYTES, tile_size**2 * at_work)
