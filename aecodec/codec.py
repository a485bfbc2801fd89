"""Codec: picture -> tiles -> latents -> words -> file, and back."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import torch
from torch import Tensor

from aecodec import alpha, container, lossless, models, pictures, rate, salvage
from aecodec.container import Container, Header, Tile
from aecodec.drawing import check, draw_alpha, draw_tiles
from aecodec.errors import BadArgument, BadQuality, Damaged, NoGpu, TooLarge
from aecodec.networks.architecture import STRIDE
from aecodec.networks.model import Model
from aecodec.neural import Latents, encode_tiles, read_latents
from aecodec.pictures import MAX_PIXELS, Picture
from aecodec.salvage import Salvaged
from aecodec.threads import MAX_WORKERS, exact, in_order, workers
from aecodec.tiles import TILE_SIZE, Box, region_box

if TYPE_CHECKING:
    from PIL import Image

Target = Literal["pil", "numpy", "torch", "latents"]
Region = tuple[int, int, int, int]  # x, y, width, height

# Bytes a pixel, at most, while a picture is decoded: for pixels and latents of two rows of tiles, and for the
# activations of the tiles that are worked on at a time, or for the copies of one lossless tile.
PICTURE_BYTES, TILE_BYTES, LOSSLESS_TILE_BYTES = 12, 110, 16


class Codec:
    """Encodes and decodes pictures, with the model kept loaded; may be shared between threads.

        picture -> analysis -> y, z -> words -> bytes
        bytes -> words -> y_hat -> synthesis -> picture

    model: a name, or the path of a weights file; by default `photo` encodes, and every file is decoded with
    the weights that its ids ask for. device: "auto" (a GPU if there is one), "cpu" or "cuda".
    max_pixels: larger pictures are refused with TooLarge. Pickled, for a worker process, a codec is no more
    than these arguments: the other side picks its own device and loads the model when it needs it.
    """

    def __init__(
        self, model: str | Path | None = None, device: str = "auto", max_pixels: int = MAX_PIXELS
    ) -> None:
        """Nothing is loaded until it is needed. Raises NoGpu, BadArgument."""
        self.model, self.device, self.max_pixels = model, pick_device(device), max_pixels
        self._made_from = model, device, max_pixels
        self._loaded: dict[Path, Model] = {}
        self._lock = threading.Lock()

    def encode(
        self,
        image: Any,
        quality: float = 75,
        *,
        strip: bool = False,
        strict: bool = False,
        frame: int | None = None,
        **goal: Any,
    ) -> bytes:
        """Encode what `pictures.load` takes: a path, PIL image, uint8 array or uint8 torch tensor.

        strip: without metadata, turned upright. strict, frame: as for `pictures.load`. goal: target_size,
        bpp, psnr, min_quality and max_quality as for `compress`.
        """
        picture = pictures.load(image, self.max_pixels, frame=frame, strict=strict)
        return self.compress(pictures.stripped(picture) if strip else picture, quality, **goal)

    def decode(
        self, data: bytes | str | Path, to: Target = "pil", *, region: Region | None = None
    ) -> "Image.Image | np.ndarray | Tensor | Latents":
        """Decode bytes or the file at a path.

        to: "pil"; "numpy", uint8 [H, W, 3] or [H, W] for grey; "torch", uint8 [3, H, W] or [1, H, W]. Alpha
        is one channel more: [H, W, 4], [H, W, 2], [4, H, W], [2, H, W]. "latents": Latents, without drawing
        the picture. region: as for `decompress`; it is cut out before an orientation in EXIF turns the
        pixels.
        """
        if to not in ("pil", "numpy", "torch", "latents"):
            raise BadArgument(f"to={to!r}: give 'pil', 'numpy', 'torch' or 'latents'")
        data = pictures.read_source(data)
        if to == "latents":
            if region is not None:
                raise BadArgument("latents are given of the whole picture: leave out the region")
            return self._latents(data)
        picture = self.decompress(data, region=region)
        if to == "pil":
            return pictures.to_pil(picture)
        samples = pictures.upright(picture).samples  # an array has no place for an orientation
        if to == "torch":
            return torch.from_numpy(np.ascontiguousarray(samples)).permute(2, 0, 1)
        return samples[:, :, 0] if samples.shape[2] == 1 else samples

    def decode_batch(self, items: Sequence[bytes | str | Path]) -> list[Tensor]:
        """Decode each item into uint8 [C, H, W] on the codec's device; their sizes may differ.

        Raises what `decode` raises, for the first item that cannot be decoded.
        """
        # Not one batch for the networks: on a CPU that gains nothing from 0.2 megapixels a picture on.
        with workers(len(items)) as pool:
            tensors = in_order(pool, lambda item: self.decode(item, to="torch"), items)
            return [cast(Tensor, tensor).to(self.device, copy=True) for tensor in tensors]

    def compress(
        self,
        picture: Picture,
        quality: float = 75,
        *,
        target_size: int | None = None,
        bpp: float | None = None,
        psnr: float | None = None,
        min_quality: float = 0,
        max_quality: float = 100,
    ) -> bytes:
        """Picture -> the bytes of an .aec file.

        quality: 0..100. Or one of these takes its place: target_size, bytes of the whole file, never above
        and within 2 %, or as near as two levels leave; bpp, bits of the whole file a pixel, within 2 %; psnr,
        dB over the pixels, within 0.1 dB. Then the quality lies between min_quality and max_quality.
        Unless a model was named, a picture is kept without loss where that takes no more bytes.
        Raises BadQuality, BadArgument, TargetOutOfReach.
        """
        goal = rate.goal(target_size, bpp, psnr, min_quality, max_quality)
        if not rate.is_quality(quality):
            raise BadQuality(f"quality {quality!r} is out of range: give a number from 0 to 100")
        model = self._load(models.find(self.model))
        file = _frame(model, picture, model.level(quality))
        if target_size is not None and self.model is None:
            small = lossless.within(picture, file, target_size)
            if small is not None:
                return container.write(small)
        pixels = alpha.filled(picture)
        with exact():
            if goal is not None:
                return rate.encode(model, pixels, file.header, partial(_write, file), goal)
            tiles = tuple(encode_tiles(model, pixels, file.header))
        file = replace(file, tiles=tiles)
        return container.write(file if self.model else lossless.cheaper(picture, file))

    def decompress(self, data: bytes, *, region: Region | None = None) -> Picture:
        """The bytes of an .aec file -> picture.

        region: x, y, width and height, in pixels as they are stored: an orientation in EXIF is not applied.
        Then memory and time follow the region, and only those tiles are read and checked on which it depends;
        pixels are those of the whole picture within one level.
        Raises FormatError, LatentsMismatch, TooLarge, UnknownModel, SynthesisMismatch, BadArgument.
        """
        header, _ = container.read_header(data)
        box = region_box(region, header.width, header.height)
        _check_size(header, box, self.max_pixels)
        if region is None:
            container.read(data)  # all of it is checked before anything is drawn
        index = container.read_index(data)
        with exact():
            samples = draw_tiles(
                self._model_of(header), header, partial(container.read_tile, data, index=index), box
            )
        opacity = draw_alpha(header, partial(container.read_alpha, data, index=index), box)
        return pictures.of_samples(samples, header.channels, opacity, container.read_metadata(data, index))

    def salvage(self, data: bytes) -> Salvaged:
        """Decode what is intact of a damaged file; damaged tiles are grey, and opaque.

        Raises what `decompress` raises where nothing can be salvaged: the header is damaged, or every tile.
        """
        header, _ = container.read_header(data)
        _check_size(header, region_box(None, header.width, header.height), self.max_pixels)
        with exact():
            return salvage.salvage(self._model_of(header), data)

    def verify(self, data: bytes) -> None:
        """Check all of a file, down to the latents, without drawing it. Raises what `decompress` raises."""
        file = self._read(data)
        with exact():
            check(self._model_of(file.header), file)

    def __reduce__(self) -> tuple[type["Codec"], tuple[Any, ...]]:
        return Codec, self._made_from

    def _latents(self, data: bytes) -> Latents:
        file = self._read(data)
        without = [number for number, tile in enumerate(file.tiles) if tile.kind != container.NEURAL]
        model = self._model_of(file.header)
        if without or model is None:
            raise BadArgument(
                f"tile {without[0]} is lossless and has no latents: decode the pixels, or encode them anew "
                "with a named model, which then codes every tile"
            )
        with exact():
            return read_latents(model, file)

    def _read(self, data: bytes) -> Container:
        header, _ = container.read_header(data)
        _check_size(header, region_box(None, header.width, header.height), self.max_pixels)
        return container.read(data)

    def _model_of(self, header: Header) -> Model | None:
        """The model that a file asks for, None if it does without. Raises UnknownModel, SynthesisMismatch."""
        if not header.has_model:
            return None
        model = self._load(models.find_by_id(header.entropy_id, header.synthesis_id, self.model))
        _check_latents(header, model)
        return model

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


def _frame(model: Model, picture: Picture, level: int) -> Container:
    """The file of a picture but for its tiles."""
    height, width, channels = picture.pixels.shape
    header = Header(
        alpha=picture.alpha is not None,
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
    beside = picture.icc, picture.exif, picture.xmp, picture.resolution
    return Container(header, (), tuple(alpha.encode_tiles(picture, TILE_SIZE)), *beside)


def _write(file: Container, header: Header, tiles: Sequence[Tile]) -> bytes:
    return container.write(replace(file, header=header, tiles=tuple(tiles)))


def _check_size(header: Header, box: Box, max_pixels: int) -> None:
    """Refuse what takes more memory than a picture of `max_pixels` in tiles as this encoder writes them."""
    pixels = box.width * box.height
    needed = _decoding_bytes(pixels, header.tile_size, header.has_model)
    if pixels > max_pixels or needed > _decoding_bytes(max_pixels, TILE_SIZE):
        raise TooLarge(
            f"the picture is {box.width} x {box.height} pixels in tiles of {header.tile_size}, above "
            f"the limit of {max_pixels}: decoding takes about {needed / 1e9:.1f} GB; raise max_pixels for it"
        )


def _decoding_bytes(pixels: int, tile_size: int, has_model: bool = True) -> int:
    at_work = MAX_WORKERS * TILE_BYTES if has_model else LOSSLESS_TILE_BYTES
    return pixels * PICTURE_BYTES + min(pixels * TILE_BYTES, tile_size**2 * at_work)


def _check_latents(header: Header, model: Model) -> None:
    said = header.latent_height, header.latent_width, header.latent_channels
    derived = -(-header.height // STRIDE), -(-header.width // STRIDE), model.architecture.latent_channels
    if said != derived:
        raise Damaged(f"the header says {said} latents where the model has {derived}: get the file again")
