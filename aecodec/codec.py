"""Codec: picture -> tiles -> latents -> words -> file, and back."""

import contextlib
import threading
from collections.abc import Iterator
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from aecodec import container, models, pictures
from aecodec.coding import latents
from aecodec.container import Container, Header, Tile
from aecodec.errors import (
    BadArgument,
    BadQuality,
    Damaged,
    LatentsMismatch,
    NoGpu,
    TooLarge,
    UnknownSection,
)
from aecodec.networks.architecture import HYPER_STRIDE, STRIDE
from aecodec.networks.model import Model
from aecodec.pictures import MAX_PIXELS, Picture
from aecodec.tiles import TILE_SIZE, Box, analysis_halo, padded_side, synthesis_halo, tile_boxes

if TYPE_CHECKING:
    from PIL import Image

Target = Literal["pil", "numpy", "torch"]

# Bytes a pixel, at most, while a picture is decoded: for pixels and latents of three rows of tiles, and for
# the activations of one tile.
PICTURE_BYTES, TILE_BYTES = 12, 110


class Codec:
    """Encodes and decodes pictures, with the model kept loaded; may be shared between threads.

        picture -> analysis -> y, z -> words -> bytes
        bytes -> words -> y_hat -> synthesis -> picture

    model: a name, or the path of a weights file; by default `photo` encodes, and every file is decoded with
    the weights that its ids ask for. device: "auto" (a GPU if there is one), "cpu" or "cuda".
    max_pixels: larger pictures are refused with TooLarge.
    """

    def __init__(
        self, model: str | Path | None = None, device: str = "auto", max_pixels: int = MAX_PIXELS
    ) -> None:
        """Nothing is loaded until it is needed. Raises NoGpu, BadArgument."""
        self.model, self.device, self.max_pixels = model, pick_device(device), max_pixels
        self._loaded: dict[Path, Model] = {}
        self._lock = threading.Lock()

    def encode(self, image: Any, quality: float = 75) -> bytes:
        """Encode what `pictures.load` takes: a path, PIL image, uint8 array or uint8 torch tensor."""
        return self.compress(pictures.load(image, self.max_pixels), quality)

    def decode(self, data: bytes | str | Path, to: Target = "pil") -> "Image.Image | np.ndarray | Tensor":
        """Decode bytes or the file at a path.

        to: "pil"; "numpy", uint8 [H, W, 3] or [H, W] for grey; "torch", uint8 [3, H, W] or [1, H, W].
        """
        if to not in ("pil", "numpy", "torch"):
            raise BadArgument(f"to={to!r}: give 'pil', 'numpy' or 'torch'")
        picture = self.decompress(pictures.read_source(data))
        if to == "pil":
            return pictures.to_pil(picture)
        pixels = pictures.upright(picture).pixels  # an array has no place for an orientation
        if to == "torch":
            return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)
        return pixels[:, :, 0] if pixels.shape[2] == 1 else pixels

    def compress(self, picture: Picture, quality: float = 75) -> bytes:
        """Picture -> the bytes of an .aec file. quality: 0..100. Raises BadQuality."""
        if not isinstance(quality, Real) or not 0 <= quality <= 100:
            raise BadQuality(f"quality {quality!r} is out of range: give a number from 0 to 100")
        model = self._load(models.find(self.model))
        level = model.level(quality)
        with _exact():
            tiles = tuple(_encode_tiles(model, picture.pixels, level))
        height, width, channels = picture.pixels.shape
        header = Header(
            alpha=False,
            entropy_id=model.weights.entropy_id,
            synthesis_id=model.weights.synthesis_id,
            width=width,
            height=height,
            channels=channels,
            latent_height=-(-height // STRIDE),
            latent_width=-(-width // STRIDE),
            latent_channels=model.architecture.latent_channels,
            level=level,
            tile_size=TILE_SIZE,
        )
        return container.write(
            Container(header, tiles, (), picture.icc, picture.exif, picture.xmp, picture.resolution)
        )

    def decompress(self, data: bytes) -> Picture:
        """The bytes of an .aec file -> picture.

        Raises FormatError, LatentsMismatch, TooLarge, UnknownModel, SynthesisMismatch.
        """
        header, _ = container.read_header(data)
        _check_size(header, self.max_pixels)
        file = container.read(data)
        _check_kinds(file)
        weights = models.find_by_id(header.entropy_id, header.synthesis_id, self.model)
        model = self._load(weights)
        _check_latents(header, model)
        with _exact():
            pixels = _decode_tiles(model, file)
        return Picture(pixels, file.icc, file.exif, file.xmp, file.resolution)

    def _load(self, weights: models.Weights) -> Model:
        with self._lock, torch.device("cpu"):
            if weights.path not in self._loaded:
                self._loaded[weights.path] = Model(weights, self.device)
            return self._loaded[weights.path]


def pick_device(name: str) -> torch.device:
    """The device that "auto", "cpu" or "cuda" stands for here. Raises NoGpu, BadArgument."""
    if name not in ("auto", "cpu", "cuda"):
        raise BadArgument(f"device {name!r}: give auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise NoGpu("there is no GPU that PyTorch can use here: use --device cpu or auto")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


@contextlib.contextmanager
def _exact() -> Iterator[None]:
    """No autograd, and neither the autocast nor the default device that the caller may have set."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        stack.enter_context(torch.device("cpu"))
        for device in ("cpu", "cuda"):
            stack.enter_context(torch.autocast(device, enabled=False))
        yield


# Encoding


def _encode_tiles(model: Model, pixels: np.ndarray, level: int) -> Iterator[Tile]:
    height, width = pixels.shape[:2]
    gain = model.gain[level][:, None, None]
    at = torch.tensor([level], dtype=torch.float32, device=model.device)
    for box in tile_boxes(width, height, TILE_SIZE):
        y = _analyse(model, pixels, box) * gain
        z = model.hyper_analysis(_whole_hyper(y)[None], at)[0]
        coded = latents.encode(model.entropy, y, z, level)
        yield Tile(container.NEURAL, coded.latents_crc, coded.words)


def _analyse(model: Model, pixels: np.ndarray, box: Box) -> Tensor:
    """Latents of one tile before the gain: [M, h, w]."""
    height, width = (padded_side(side) for side in pixels.shape[:2])
    outer = box.widened(analysis_halo(model.architecture), height, width)
    rows = np.minimum(np.arange(outer.top, padded_side(outer.bottom)), pixels.shape[0] - 1)
    columns = np.minimum(np.arange(outer.left, padded_side(outer.right)), pixels.shape[1] - 1)
    x = torch.from_numpy(pixels[np.ix_(rows, columns)]).to(model.device)
    x = x.permute(2, 0, 1)[None].expand(-1, 3, -1, -1).float() / 255  # a grey plane counts three times
    y: Tensor = model.analysis(x)[0]
    return y[:, *box.latents().inside(outer.latents()).slices]


def _whole_hyper(y: Tensor) -> Tensor:
    """Pad latents [M, h, w] to whole hyper-latents by repeating the last row and column."""
    ratio = HYPER_STRIDE // STRIDE
    return F.pad(y[None], (0, -y.shape[2] % ratio, 0, -y.shape[1] % ratio), mode="replicate")[0]


# Decoding


def _check_size(header: Header, max_pixels: int) -> None:
    """Refuse what takes more memory than a picture of `max_pixels` in tiles as this encoder writes them."""
    pixels = header.width * header.height
    needed = _decoding_bytes(pixels, header.tile_size)
    if pixels > max_pixels or needed > _decoding_bytes(max_pixels, TILE_SIZE):
        raise TooLarge(
            f"the picture is {header.width} x {header.height} pixels in tiles of {header.tile_size}, above "
            f"the limit of {max_pixels}: decoding takes about {needed / 1e9:.1f} GB; raise max_pixels for it"
        )


def _decoding_bytes(pixels: int, tile_size: int) -> int:
    return pixels * PICTURE_BYTES + min(pixels, tile_size**2) * TILE_BYTES


def _check_kinds(file: Container) -> None:
    """Refuse what the format has but this version does not decode; left out, it would be another picture."""
    if file.alpha or any(tile.kind != container.NEURAL for tile in file.tiles):
        what = "an alpha channel" if file.alpha else "lossless tiles"
        raise UnknownSection(f"the file has {what}, which this version does not decode: update aecodec")


def _check_latents(header: Header, model: Model) -> None:
    said = header.latent_height, header.latent_width, header.latent_channels
    derived = -(-header.height // STRIDE), -(-header.width // STRIDE), model.architecture.latent_channels
    if said != derived:
        raise Damaged(f"the header says {said} latents where the model has {derived}: get the file again")


def _decode_tiles(model: Model, file: Container) -> np.ndarray:
    """Pixels uint8 [H, W, C]. Latents are kept for three rows of tiles: a tile's halo reaches no further."""
    header = file.header
    pixels = np.empty((header.height, header.width, header.channels), np.uint8)
    boxes = list(tile_boxes(header.width, header.height, header.tile_size))
    columns = container.tile_grid(header.width, header.height, header.tile_size)[1]
    rows = [range(start, start + columns) for start in range(0, len(boxes), columns)]
    strips: dict[int, np.ndarray] = {}
    for number, row in enumerate(rows):
        for near in range(number, min(number + 2, len(rows))):
            if near not in strips:
                strips[near] = _decode_row(model, file, [boxes[n] for n in rows[near]], rows[near])
        strips.pop(number - 2, None)
        window = np.concatenate([strips[n] for n in sorted(strips)], axis=1)
        top = boxes[rows[min(strips)][0]].top
        for n in row:
            pixels[boxes[n].slices] = _synthesise(model, window, top, boxes[n], header)
    return pixels


def _decode_row(model: Model, file: Container, boxes: list[Box], numbers: range) -> np.ndarray:
    """y_hat in sixteenths of a row of tiles: int32 [M, h, w]."""
    return np.concatenate(
        [_decode_tile(model, file, n, box) for n, box in zip(numbers, boxes, strict=True)], axis=2
    )


def _decode_tile(model: Model, file: Container, number: int, box: Box) -> np.ndarray:
    tile, area = file.tiles[number], box.latents()
    coded = latents.decode(model.entropy, tile.payload, area.height, area.width, file.header.level)
    if coded.latents_crc != tile.latents_crc:
        raise LatentsMismatch(f"{latents.MISMATCH} (tile {number})")
    return coded.y_hat


def _synthesise(model: Model, window: np.ndarray, top: int, box: Box, header: Header) -> np.ndarray:
    """Pixels of one tile from latents whose first row belongs to pixel row `top`: uint8 [h, w, C]."""
    area = box.inside(Box(top, 0, top, 0)).latents()
    outer = area.widened(synthesis_halo(model.architecture), window.shape[1], window.shape[2])
    y_hat = torch.from_numpy(window[:, *outer.slices].copy()).to(model.device)
    level = torch.tensor([header.level], dtype=torch.float32, device=model.device)
    y_hat = y_hat.float() / (latents.SIXTEENTHS * model.gain[header.level][:, None, None])
    x_hat = model.synthesis(y_hat[None].contiguous(memory_format=torch.channels_last), level)[0]
    start = area.inside(outer, STRIDE)
    x_hat = x_hat[:, start.top : start.top + box.height, start.left : start.left + box.width]
    if header.channels == 1:
        x_hat = x_hat.mean(0, keepdim=True)
    pixels: np.ndarray = (x_hat * 255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return pixels
