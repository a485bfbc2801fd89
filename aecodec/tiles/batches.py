"""Pictures of one padded size through the networks together: what a GPU wants.

On a CPU that gains nothing from 0.2 megapixels a picture on: there each picture goes alone, in a thread.
"""

from collections.abc import Hashable, Sequence

import numpy as np

from aecodec.coding.symbols import MISMATCH
from aecodec.errors import LatentsMismatch
from aecodec.file.container import Header, Tile
from aecodec.networks.model import Model
from aecodec.picture.pictures import Pixels
from aecodec.tiles.grid import padded

PIXELS = 2**24  # that go together: 2 GB of activations


def pay(device: str) -> bool:
    """Whether pictures should go together on a device."""
    return device != "cpu"


def groups(keys: Sequence[Hashable], sizes: Sequence[int]) -> list[list[int]]:
    """The numbers of the pictures that go together, by their keys (None: alone) and sizes in pixels."""
    latest: dict[Hashable, list[int]] = {}
    found: list[list[int]] = []
    for number, (key, size) in enumerate(zip(keys, sizes, strict=True)):
        group = latest.get(key)
        if key is None or group is None or (len(group) + 1) * size > PIXELS:
            found.append(group := [])
            latest[key] = group
        group.append(number)
    return found


def padded_size(model: Model, height: int, width: int) -> tuple[int, int] | None:
    """Height and width of whole latents of a picture that is one tile; None if it is more."""
    if max(height, width) > model.tile_size:
        return None
    return padded(height, model.stride), padded(width, model.stride)


def decode(model: Model, header: Header, tiles: Sequence[Tile]) -> Pixels:
    """Padded pixels uint8 [B, H, W, C] of pictures of one padded size, each one tile. Raises LatentsMismatch.

    header: of any of them; they agree in level, channels and latents.
    """
    shape = header.latent_channels, header.latent_height, header.latent_width
    coded = model.decode([tile.payload for tile in tiles], shape, header.level)
    for one, tile in zip(coded, tiles, strict=True):
        if one.latents_crc != tile.latents_crc:
            raise LatentsMismatch(MISMATCH)
    y_hat = np.stack([one.y_hat for one in coded])
    return model.synthesise(model.scaled(y_hat, header.level), header.level, header.channels)
