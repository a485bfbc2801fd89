"""Codec: picture -> tiles -> latents -> words -> file, and back."""

import os
import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from aecodec import engines, sources
from aecodec.devices import need_torch, pick_device
from aecodec.encoder import rate
from aecodec.encoder.encode import encode_batch, encode_tiles
from aecodec.encoder.rate import Goal
from aecodec.engines.engine import Engine
from aecodec.errors import BadArgument, BadQuality, Damaged, TargetOutOfReach
from aecodec.file import container
from aecodec.file.container import Container, Header, Tile
from aecodec.networks.load import load
from aecodec.networks.model import Model
from aecodec.picture import pictures
from aecodec.picture.pictures import MAX_PIXELS, Picture
from aecodec.threads import in_order, workers
from aecodec.tiles import alpha, batches, lossless, memory, salvage
from aecodec.tiles.drawing import check, draw_alpha, draw_tiles
from aecodec.tiles.grid import Box, region_box
from aecodec.tiles.neural import Latents, read_latents
from aecodec.tiles.salvage import Salvaged
from aecodec.weights import Weights, find, find_by_id

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

Target = Literal["pil", "numpy", "torch", "latents"]
Precision = Literal["float32", "fast"]
Region = tuple[int, int, int, int]  # x, y, width, height
MAX_EFFORT = 9
Item = TypeVar("Item")
Made = TypeVar("Made")


class Codec:
    """Encodes and decodes pictures, with the model kept loaded; may be shared between threads.

        picture -> analysis -> y, z -> words -> bytes
        bytes -> words -> y_hat -> synthesis -> picture

    model: a name, or the path of a weights file; by default `photo` encodes, and every file is decoded with
    the weights that its ids ask for. device: "auto" (a GPU if there is one), "cpu" or "cuda".
    precision: "float32", or "fast": the transforms in bfloat16 where the device has it; either decodes the
    files of the other. max_pixels: larger pictures are refused with TooLarge. Pickled, for a worker process,
    a codec is no more than these arguments: the other side picks its own device and loads the model when it
    needs it.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        device: str = "auto",
        max_pixels: int = MAX_PIXELS,
        precision: Precision = "float32",
    ) -> None:
        """Nothing is loaded until it is needed. Raises NoGpu, BadArgument."""
        if model is not None and not isinstance(model, str | os.PathLike):
            raise BadArgument(f"model {model!r}: give a name, or the path of a weights file")
        if precision not in ("float32", "fast"):
            raise BadArgument(f"precision {precision!r}: give 'float32' or 'fast'")
        self.model, self.device, self.max_pixels = model, pick_device(device), max_pixels
        self.precision = precision
        self._made_from = model, device, max_pixels, precision
        self._engine: Engine | None = None
        self._loaded: dict[tuple[Path, bytes, bytes], Model] = {}
        self._lock = threading.Lock()

    def encode(
        self,
        image: Any,
        quality: float = 75,
        *,
        strip: bool = False,
        strict: bool = False,
        frame: int | None = None,
        **how: Any,
    ) -> bytes:
        """Encode what `pictures.load` takes: a path, PIL image, uint8 array or uint8 torch tensor.

        strip: without metadata, turned upright. strict, frame: as for `pictures.load`. how: effort,
        target_size, bpp, psnr, min_quality and max_quality as for `compress`.
        """
        picture = pictures.load(image, self.max_pixels, frame=frame, strict=strict)
        return self.compress(pictures.stripped(picture) if strip else picture, quality, **how)

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
        data = sources.read(data, container.check_beginning)
        if to == "latents":
            if region is not None:
                raise BadArgument("latents are given of the whole picture: leave out the region")
            return self._latents(data)
        picture = self.decompress(data, region=region)
        if to == "pil":
            return pictures.to_pil(picture)
        samples = pictures.upright(picture).samples  # an array has no place for an orientation
        if to == "torch":
            return _as_tensor(samples)
        return samples[:, :, 0] if samples.shape[2] == 1 else samples

    def decode_batch(self, items: Sequence[bytes | str | Path]) -> "list[Tensor]":
        """Decode each item into uint8 [C, H, W] on the codec's device; their sizes may differ.

        Raises what `decode` raises, for the first item that cannot be decoded.
        """
        batch = self.decompress_batch([sources.read(item, container.check_beginning) for item in items])
        return [_as_tensor(pictures.upright(one).samples).to(self.device, copy=True) for one in batch]

    def compress(
        self,
        picture: Picture,
        quality: float = 75,
        *,
        effort: int = 1,
        target_size: int | None = None,
        bpp: float | None = None,
        psnr: float | None = None,
        min_quality: float = 0,
        max_quality: float = 100,
    ) -> bytes:
        """Picture -> the bytes of an .aec file.

        quality: 0..100. In its place one of these: target_size, bytes of the whole file, never above and
        within 2 %, or as near as two levels leave; bpp, bits of the whole file a pixel, within 2 %; psnr, dB
        over the pixels, within 0.1 dB. Then the quality lies between min_quality and max_quality.
        effort: 0..9, rounds in which the latents are refined for this picture (`refine.py`). Each takes
        longer than all the rest; to decode takes the same. Classic models make no use of it.
        Unless a model was named, a picture is kept without loss where that takes no more bytes than the model
        would, or than were asked for.
        Raises BadQuality, BadArgument, TargetOutOfReach.
        """
        goal = rate.goal(target_size, bpp, psnr, min_quality, max_quality)
        effort = _checked_effort(effort)
        model = self._encoder()
        file = _frame(model, picture, model.level(_checked(quality)))
        if goal is not None:
            return self._sought(model, picture, file, goal, effort)
        tiles = tuple(encode_tiles(model, alpha.filled(picture), file.header, effort))
        return self._finished(picture, replace(file, tiles=tiles))

    def _sought(self, model: Model, picture: Picture, file: Container, goal: Goal, effort: int) -> bytes:
        """The file of a picture that comes nearest to a goal. `file`: all but its tiles."""
        most = goal.most_bytes(picture.pixels.shape[0] * picture.pixels.shape[1])
        if most is not None and self.model is None:
            small = lossless.within(picture, file, most)
            if small is not None:
                return container.write(small)
        try:
            pixels, pack = alpha.filled(picture), partial(_write, file)
            data = rate.encode(model, pixels, file.header, pack, goal, effort)
        except TargetOutOfReach:
            if goal.unit != "dB" or self.model is not None:
                raise
            data = self.compress(picture, goal.max_quality, effort=effort)
            if container.read_header(data)[0].has_model:  # it takes less with loss
                raise
            return data
        return data if self.model else self._finished(picture, container.read(data))

    def compress_batch(
        self, batch: Sequence[Picture], quality: float = 75, *, effort: int = 1
    ) -> list[bytes]:
        """Each picture as `compress` does it; on a GPU those of one padded size go through it together.

        Raises what `compress` raises, for the first picture that cannot be encoded.
        """
        if not batches.pay(self.device):
            return self._spread(lambda picture: self.compress(picture, quality, effort=effort), batch)
        model = self._encoder()
        level, effort = model.level(_checked(quality)), _checked_effort(effort)
        shapes = [picture.pixels.shape for picture in batch]
        sizes = [batches.padded_size(model, *shape[:2]) for shape in shapes]
        keys = [size and (size, shape[2]) for size, shape in zip(sizes, shapes, strict=True)]

        def compress(some: list[Picture]) -> list[bytes]:
            if len(some) == 1:
                return [self.compress(some[0], quality, effort=effort)]
            tiles = encode_batch(model, [alpha.filled(picture) for picture in some], level, effort)
            return [
                self._finished(picture, replace(_frame(model, picture, level), tiles=(tile,)))
                for picture, tile in zip(some, tiles, strict=True)
            ]

        return self._in_batches(compress, batch, keys, [shape[0] * shape[1] for shape in shapes])

    def decompress(self, data: bytes, *, region: Region | None = None) -> Picture:
        """The bytes of an .aec file -> picture; `decode` takes paths, and gives images, arrays and tensors.

        region: x, y, width and height, in pixels as they are stored: an orientation in EXIF is not applied.
        Then memory and time follow the region, and only those tiles are read and checked on which it depends;
        pixels are those of the whole picture within one level.
        Raises FormatError, LatentsMismatch, TooLarge, UnknownModel, SynthesisMismatch, BadArgument.
        """
        header, box = self._look(data, region)
        if region is None:
            container.read(data)  # all of it is checked before anything is drawn
        index = container.read_index(data)
        samples = draw_tiles(
            self._model_of(header), header, partial(container.read_tile, data, index=index), box
        )
        opacity = draw_alpha(header, partial(container.read_alpha, data, index=index), box)
        return pictures.of_samples(samples, header.channels, opacity, container.read_metadata(data, index))

    def decompress_batch(self, batch: Sequence[bytes]) -> list[Picture]:
        """Each file as `decompress` does it; on a GPU those of one padded size go through it together.

        Raises what `decompress` raises, for the first file that cannot be decoded.
        """
        if not batches.pay(self.device):
            return self._spread(self.decompress, batch)
        files = [self._read(data) for data in batch]

        def decompress(some: list[tuple[bytes, Container]]) -> list[Picture]:
            if len(some) == 1:
                return [self.decompress(some[0][0])]
            header = some[0][1].header
            model = self._model_of(header)
            assert model  # files without one go alone
            drawn = batches.decode(model, header, [file.tiles[0] for _, file in some])
            return [_picture(*item, samples) for item, samples in zip(some, drawn, strict=True)]

        sizes = [file.header.width * file.header.height for file in files]
        return self._in_batches(decompress, list(zip(batch, files, strict=True)), map(_key, files), sizes)

    def salvage(self, data: bytes | str | Path) -> Salvaged:
        """Decode what is intact of bytes or of the file at a path; damaged tiles are grey, and opaque.

        Raises what `decode` raises where nothing can be salvaged: the header is damaged, or every tile.
        """
        data = sources.read(data, container.check_beginning)
        header, _ = self._look(data)
        return salvage.salvage(self._model_of(header), data)

    def verify(self, data: bytes | str | Path) -> None:
        """Check all of a file, down to the latents, without drawing it. Raises what `decode` raises."""
        file = self._read(sources.read(data, container.check_beginning))
        check(self._model_of(file.header), file)

    def _spread(self, work: Callable[[Item], Made], items: Sequence[Item]) -> list[Made]:
        """What `work` makes of each item, in a few threads."""
        with workers(len(items)) as pool:
            return list(in_order(pool, work, items))

    def _in_batches(
        self,
        work: Callable[[list[Item]], list[Made]],
        items: Sequence[Item],
        keys: Iterable[Hashable],
        sizes: Sequence[int],
    ) -> list[Made]:
        """What `work` makes of the items, those of one key together; groups overlap."""
        groups = batches.groups(list(keys), sizes)
        made = self._spread(lambda group: work([items[number] for number in group]), groups)
        by_number = dict(zip(chain(*groups), chain(*made), strict=True))
        return [by_number[number] for number in range(len(items))]

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
        return read_latents(model, file)

    def _look(self, data: bytes, region: Region | None = None) -> tuple[Header, Box]:
        """The header, and the box of a region or of the whole picture, which is not too large to decode."""
        header, _ = container.read_header(data)
        box = region_box(region, header.width, header.height)
        memory.check(header, box, self.max_pixels)
        return header, box

    def _read(self, data: bytes) -> Container:
        self._look(data)
        return container.read(data)

    def _encoder(self) -> Model:
        return self._load(find(self.model))

    def _finished(self, picture: Picture, file: Container) -> bytes:
        """The file of a picture, which may be one without a model where that was not named."""
        return container.write(file if self.model else lossless.cheaper(picture, file))

    def _model_of(self, header: Header) -> Model | None:
        """The model that a file asks for, None if it does without. Raises UnknownModel, SynthesisMismatch."""
        if not header.has_model:
            return None
        model = self._load(find_by_id(header.entropy_id, header.synthesis_id, self.model))
        _check_latents(header, model)
        return model

    def _load(self, weights: Weights) -> Model:
        key = weights.path, weights.entropy_id, weights.synthesis_id  # a file may have been replaced
        with self._lock:
            if key not in self._loaded:
                if self._engine is None:
                    self._engine = engines.choose(self.device, self.precision == "fast")
                self._loaded[key] = load(weights, self._engine)
            return self._loaded[key]


def _checked(quality: Any) -> float:
    if not rate.is_quality(quality):
        raise BadQuality(f"quality {quality!r} is out of range: give a number from 0 to 100")
    return float(quality)


def _checked_effort(effort: Any) -> int:
    if isinstance(effort, bool) or effort not in range(MAX_EFFORT + 1):
        raise BadArgument(f"effort {effort!r} is out of range: give a whole number from 0 to {MAX_EFFORT}")
    return int(effort)


def _frame(model: Model, picture: Picture, level: int) -> Container:
    """The file of a picture but for its tiles."""
    height, width, channels = picture.pixels.shape
    latent_channels, latent_height, latent_width = model.latents_shape(height, width, channels)
    header = Header(
        alpha=picture.alpha is not None,
        entropy_id=model.weights.entropy_id,
        synthesis_id=model.weights.synthesis_id,
        width=width,
        height=height,
        channels=channels,
        latent_height=latent_height,
        latent_width=latent_width,
        latent_channels=latent_channels,
        level=level,
        tile_size=model.tile_size,
    )
    beside = picture.icc, picture.exif, picture.xmp, picture.resolution
    return Container(header, (), tuple(alpha.encode_tiles(picture, model.tile_size)), *beside)


def _key(file: Container) -> Hashable:
    """What files that are decoded together have in common, None for one that goes alone."""
    header = file.header
    if len(file.tiles) > 1 or file.tiles[0].kind != container.NEURAL:
        return None
    shape = header.latent_channels, header.latent_height, header.latent_width
    return header.entropy_id, header.synthesis_id, header.level, header.channels, shape


def _picture(data: bytes, file: Container, samples: np.ndarray) -> Picture:
    """The picture of a file with one tile, whose samples, uint8 [H, W, C], may have padding around them."""
    header, whole = file.header, region_box(None, file.header.width, file.header.height)
    opacity = draw_alpha(header, file.alpha.__getitem__, whole)
    return pictures.of_samples(samples[whole.slices], header.channels, opacity, container.read_metadata(data))


def _as_tensor(samples: np.ndarray) -> "Tensor":
    """Samples uint8 [H, W, C] -> [C, H, W]."""
    need_torch("a tensor")
    import torch

    return torch.from_numpy(np.ascontiguousarray(samples)).permute(2, 0, 1)


def _write(file: Container, header: Header, tiles: Sequence[Tile]) -> bytes:
    return container.write(replace(file, header=header, tiles=tuple(tiles)))


def _check_latents(header: Header, model: Model) -> None:
    said = header.latent_channels, header.latent_height, header.latent_width
    derived = model.latents_shape(header.height, header.width, header.channels)
    if said != derived or header.tile_size % model.stride:
        raise Damaged(
            f"the header says {said} latents in tiles of {header.tile_size}, where the model has {derived} "
            f"at stride {model.stride}: get the file again"
        )
