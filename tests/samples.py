"""Pictures, latents and parts of .aec files, made alike on every machine."""

import zlib
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rans_reference
from PIL import Image

from aecodec.coding.symbols import latents_crc
from aecodec.engines.numpy import NumpyEngine
from aecodec.file import container
from aecodec.file.container import Container, Header, Tile
from aecodec.file.fields import leb, u32, with_crc
from aecodec.networks.photo import latents
from aecodec.networks.photo.hyperprior import Hyperprior
from aecodec.tiles import neural
from aecodec.tiles.grid import tile_boxes
from aecodec.weights import open_weights

TESTS = Path(__file__).parent
PHOTO = TESTS.parent / "examples" / "photo.png"
TINY = TESTS / "data" / "tiny-050e010fcd72e405.safetensors"
GRID = 64  # latents are rounded to 1/64 before they are coded, so that no machine's last bit matters


def load_model(path: Path = TINY) -> Hyperprior:
    return Hyperprior(open_weights(path), NumpyEngine())


def photo(width: int, height: int, grey: bool = False, left: int = 0, top: int = 0) -> np.ndarray:
    """A photograph of any size, uint8 [H, W, C]: examples/photo.png, mirrored where it ends.

    Its upper left corner is soft; there are hard edges from (230, 130) on.
    """
    with Image.open(PHOTO) as image:
        pixels = np.array(image.convert("L"))[:, :, None] if grey else np.array(image)
    pixels = pixels[top:, left:]
    rows, columns = max(0, height - pixels.shape[0]), max(0, width - pixels.shape[1])
    return np.pad(pixels, ((0, rows), (0, columns), (0, 0)), "symmetric")[:height, :width]


# Files that decode


def header_for(
    model: Hyperprior, width: int, height: int, channels: int, level: int, tile_size: int
) -> Header:
    return Header(
        alpha=False,
        entropy_id=model.weights.entropy_id,
        synthesis_id=model.weights.synthesis_id,
        width=width,
        height=height,
        channels=channels,
        latent_height=-(-height // 16),
        latent_width=-(-width // 16),
        latent_channels=model.architecture.latent_channels,
        level=level,
        tile_size=tile_size,
    )


def neural_file(
    model: Hyperprior, pixels: np.ndarray, level: int, tile_size: int = 1024, outliers: int = 0
) -> Container:
    """Code a picture; `outliers`: so many latents of each tile are made so large that they escape."""
    height, width, channels = pixels.shape
    rng = np.random.default_rng(7)
    tiles = []
    for box in tile_boxes(width, height, tile_size):
        y = neural.analyse(model, pixels, box)[None] * model.gain[level]
        z = model.hyper_latents(y, level)
        y, z = (on_grid(array.transpose(0, 3, 1, 2)) for array in (y, z))
        where = rng.choice(y.size, outliers, replace=False)
        y.ravel()[where] = rng.choice([-1, 1], outliers) * rng.geometric(0.004, outliers)
        (coded,) = latents.encode(model.entropy, y, z, level)
        tiles.append(Tile(container.NEURAL, coded.latents_crc, coded.words))
    return Container(header_for(model, width, height, channels, level, tile_size), tuple(tiles))


def png(pixels: np.ndarray, chunks: bytes = b"") -> bytes:
    """A PNG stream, written by hand so that its bytes depend on no library."""
    height, width, channels = pixels.shape
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    start = chunk(b"IHDR", size + bytes([8, channels - 1, 0, 0, 0]))
    packed = stored(filtered(pixels))
    return b"\x89PNG\r\n\x1a\n" + start + chunks + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def filtered(pixels: np.ndarray) -> bytes:
    """The rows of a PNG, with every filter in turn."""
    height, width, channels = pixels.shape
    before = np.zeros((height + 1, width + 1, channels), np.int64)
    before[1:, 1:] = pixels
    up, left, corner = before[:-1, 1:], before[1:, :-1], before[:-1, :-1]
    guess = up + left - corner
    near = [abs(guess - value) for value in (left, up, corner)]
    paeth = np.where(
        (near[0] <= near[1]) & (near[0] <= near[2]), left, np.where(near[1] <= near[2], up, corner)
    )
    predictions = 0 * up, left, up, (left + up) // 2, paeth
    return b"".join(
        bytes([row % 5]) + ((pixels[row] - predictions[row % 5][row]) % 256).astype(np.uint8).tobytes()
        for row in range(height)
    )


def stored(rows: bytes) -> bytes:
    """A zlib stream that compresses nothing."""
    blocks = [rows[at : at + 65535] for at in range(0, len(rows), 65535)]
    content = b"".join(
        bytes([block is blocks[-1]]) + u16(len(block)) + u16(65535 - len(block)) + block for block in blocks
    )
    return b"\x78\x01" + content + zlib.adler32(rows).to_bytes(4, "big")


def u16(value: int) -> bytes:
    return value.to_bytes(2, "little")


def chunk(name: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")


def lossless_tile(pixels: np.ndarray) -> Tile:
    return Tile(container.LOSSLESS, zlib.crc32(pixels.tobytes()), png(pixels))


def packed_tile(samples: np.ndarray) -> Tile:
    """A packed tile without a palette."""
    return Tile(container.PACKED, zlib.crc32(samples.tobytes()), b"\0" + stored(filtered(samples)))


def palette_tile(indexes: np.ndarray, colours: np.ndarray) -> Tile:
    """A packed tile of indexes [h, w] into a palette [n, samples]."""
    depth = next(depth for depth in (1, 2, 4, 8) if len(colours) <= 1 << depth)
    bits = np.unpackbits(indexes.astype(np.uint8)[:, :, None], axis=2)[:, :, 8 - depth :]
    rows = np.packbits(bits.reshape(len(indexes), -1), axis=1).tobytes()
    steps = np.diff(colours.astype(int), axis=0, prepend=0) % 256
    body = bytes([1, len(colours) - 1]) + stored(steps.astype(np.uint8).tobytes() + rows)
    return Tile(container.PACKED, zlib.crc32(colours[indexes].tobytes()), body)


def packed(samples: np.ndarray, tiles: tuple[Tile, ...] = (), tile_size: int = 256) -> Container:
    """A file without a model whose tiles hold samples [H, W, 1 to 4]: plain ones unless others are given."""
    height, width, count = samples.shape
    alpha = count in (2, 4)
    header = Header(alpha, bytes(8), bytes(4), width, height, count - alpha, 0, 0, 0, 0, tile_size)
    boxes = tile_boxes(width, height, tile_size)
    plain = tuple(packed_tile(np.ascontiguousarray(samples[box.slices])) for box in boxes)
    return Container(replace(header, alpha_in_tiles=alpha), tiles or plain)


def spread(height: int, width: int, count: int) -> np.ndarray:
    """Indexes [h, w] below `count`, all of them if there are pixels enough."""
    rows, columns = np.ogrid[:height, :width]
    return (7 * rows + 3 * columns + rows * columns) % count


def palette(count: int, samples: int) -> np.ndarray:
    """Colours uint8 [count, samples], no two alike."""
    numbers = np.arange(count)[:, None]
    return ((numbers * [37, 91, 53, 29] + [5, 60, 200, 90])[:, :samples] % 256).astype(np.uint8)


def lossless(pixels: np.ndarray, tile_size: int = 256) -> Container:
    """A file without a model."""
    height, width, channels = pixels.shape
    header = Header(False, bytes(8), bytes(4), width, height, channels, 0, 0, 0, 0, tile_size)
    boxes = tile_boxes(width, height, tile_size)
    return Container(header, tuple(lossless_tile(pixels[box.slices]) for box in boxes))


def with_alpha(file: Container) -> Container:
    """A slope of transparency over the picture."""
    header = file.header
    rows, columns = np.ogrid[: header.height, : header.width]
    alpha = ((3 * rows + 5 * columns) % 256).astype(np.uint8)[:, :, None]
    boxes = tile_boxes(header.width, header.height, header.tile_size)
    return replace(
        file, header=replace(header, alpha=True), alpha=tuple(png(alpha[box.slices]) for box in boxes)
    )


def with_section(data: bytes, tag: int, payload: bytes) -> bytes:
    """Append a section that `container.write` does not know."""
    header, stop = container.read_header(data)
    start = data[: stop - 4 - len(leb(header.sections))]
    return with_crc(start, leb(header.sections + 1)) + data[stop:] + section(tag, payload)


def section(tag: int, payload: bytes) -> bytes:
    return with_crc(bytes([tag]), leb(len(payload)), payload)


# Latents that are encoded


class Given(NamedTuple):
    """What an encoder is handed for one tile: gained y [M, h, w], z [N, ...], both float32; the level."""

    y: np.ndarray
    z: np.ndarray
    level: int


def given(model: Hyperprior, height: int, width: int, level: int, spread: float, seed: int = 1) -> Given:
    rng = np.random.default_rng(seed)
    a = model.architecture
    shapes = (a.latent_channels, height, width), (a.hyper_channels, -(-height // 4), -(-width // 4))
    y, z = (rng.laplace(0, scale, shape) for scale, shape in zip((spread, 2), shapes, strict=True))
    return Given(on_grid(y), on_grid(z), level)


def on_grid(values: np.ndarray) -> np.ndarray:
    return (np.round(values * GRID) / GRID).astype(np.float32, order="C")


def coded_by_hand(
    model: Hyperprior, z: np.ndarray, height: int = 2, width: int = 2, last: int = 1, state: int = 0
) -> Tile:
    """A tile at level 128 by an encoder that weighs nothing and refuses nothing: symbols 1, 0 and -1.

    z: hyper-latents [N, ceil(height / 4), ceil(width / 4)]; `last`: the last symbol of the tile; `state`:
    where the coder starts, and the decoder must end.
    """
    entropy = model.entropy
    (mu,), (indexes,) = entropy.parameters(z[None], 128, height, width)
    flat = indexes.ravel()
    symbols = np.where(flat > 0, 1 - np.arange(len(flat)) % 3, 0)
    symbols[np.flatnonzero(flat)[-1]] = last
    y_hat = 16 * symbols.reshape(mu.shape) + mu
    groups = [(z.ravel(), np.repeat(entropy.z_index[128], z[0].size)), (symbols, flat)]
    tables = [[], *(t.tolist() for t in np.split(entropy.tables.frequencies, entropy.tables.starts[2:-1]))]
    coder = rans_reference.Encoder()
    coder.state = state
    for symbols, indexes in reversed(groups):
        coder.push(symbols.tolist(), indexes.tolist(), tables)
    words = b"".join(map(u32, coder.words()))
    return Tile(container.NEURAL, latents_crc(z, y_hat), words)
