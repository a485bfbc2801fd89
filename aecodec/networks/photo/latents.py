"""The latents of tiles <-> rANS words, through the integer entropy model.

`encode` and `decode` get mean and scale index of every latent from the same z; they differ in where symbols
come from. Arrays are [B, C, H, W] here, the order in which symbols are coded.
"""

from collections.abc import Sequence

import numpy as np

from aecodec.coding.rans import Decoder, Encoder, clip
from aecodec.coding.symbols import MISMATCH, SIXTEENTHS, Coded, cheapest, latents_crc
from aecodec.errors import Damaged, LatentsMismatch
from aecodec.networks.photo.architecture import HYPER_STRIDE, STRIDE, Z_LIMIT
from aecodec.networks.photo.exact import Entropy

RATIO = HYPER_STRIDE // STRIDE


def encode(entropy: Entropy, y: np.ndarray, z: np.ndarray, level: int) -> list[Coded]:
    """Code B tiles of one size.

    Args:
        entropy: the entropy model.
        y: gained latents float32 [B, M, h, w].
        z: hyper-latents float32 [B, N, ceil(h/4), ceil(w/4)].
        level: rate level.

    """
    z_indexes = _z_indexes(entropy, z.shape[2:], level)
    bounded = np.clip(np.rint(z), -Z_LIMIT, Z_LIMIT).astype(np.int32)
    z_hat = clip(bounded.reshape(len(z), -1), z_indexes, entropy.tables).reshape(z.shape)
    mu, indexes = entropy.parameters(z_hat, level, *y.shape[2:])
    coded = np.flatnonzero(indexes)  # at low rates few are
    residual = y.ravel()[coded] - mu.ravel()[coded].astype(np.float32) / SIXTEENTHS
    symbols = np.zeros(y.shape, np.int32)
    symbols.ravel()[coded] = cheapest(residual, indexes.ravel()[coded], entropy.tables)
    y_hat = SIXTEENTHS * symbols + mu
    tiles = []
    for tile in range(len(y)):
        groups = (z_indexes, z_hat[tile].ravel()), (indexes[tile].ravel(), symbols[tile].ravel())
        words = _words(entropy, groups)
        tiles.append(Coded(words, latents_crc(z_hat[tile], y_hat[tile]), y_hat[tile], groups))
    return tiles


def _words(entropy: Entropy, groups: Sequence[tuple[np.ndarray, np.ndarray]]) -> bytes:
    coder = Encoder()
    for indexes, symbols in reversed(groups):
        coder.push(symbols, indexes, entropy.tables)
    return coder.words()


def decode(entropy: Entropy, words: Sequence[bytes], height: int, width: int, level: int) -> list[Coded]:
    """Decode tiles of height x width latents from words whose checksums were right.

    Raises:
        Damaged: words that no coder ends with.
        LatentsMismatch: the words do not fit the tables that this machine chose for them.

    """
    coders = [Decoder(each) for each in words]
    try:
        return _decode(entropy, coders, height, width, level)
    except Damaged as fault:
        raise LatentsMismatch(f"{MISMATCH} ({fault})") from fault


def _decode(entropy: Entropy, coders: list[Decoder], height: int, width: int, level: int) -> list[Coded]:
    size = -(-height // RATIO), -(-width // RATIO)
    z_indexes = _z_indexes(entropy, size, level)
    z_hat = np.stack([coder.pop(z_indexes, entropy.tables) for coder in coders])
    if np.abs(z_hat).max(initial=0) > Z_LIMIT:
        raise Damaged(f"a hyper-latent is beyond {Z_LIMIT}")
    z_hat = z_hat.reshape(len(coders), -1, *size)
    mu, indexes = entropy.parameters(z_hat, level, height, width)
    tiles = []
    for tile, coder in enumerate(coders):
        symbols = coder.pop(indexes[tile].ravel(), entropy.tables).reshape(mu.shape[1:])
        coder.finish()
        y_hat = SIXTEENTHS * symbols + mu[tile]
        tiles.append(Coded(b"", latents_crc(z_hat[tile], y_hat), y_hat))
    return tiles


def _z_indexes(entropy: Entropy, size: Sequence[int], level: int) -> np.ndarray:
    """Scale indexes of z: uint8 [N * rows * columns]."""
    return np.repeat(entropy.z_index[level], size[0] * size[1])
