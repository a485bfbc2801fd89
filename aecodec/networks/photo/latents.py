"""The latents of one tile <-> rANS words, through the integer entropy model.

`encode` and `decode` walk the same passes with the same parameters; they differ in where symbols come from.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from aecodec.coding.rans import Decoder, Encoder, clip
from aecodec.coding.symbols import MISMATCH, SIXTEENTHS, Coded, cheapest, latents_crc
from aecodec.errors import Damaged, LatentsMismatch
from aecodec.networks.photo.architecture import Z_LIMIT, Pass
from aecodec.networks.photo.entropy import parity_mask
from aecodec.networks.photo.exact import Entropy


def encode(entropy: Entropy, y: Tensor, z: Tensor, level: int) -> list[Coded]:
    """Code B tiles of one size.

    y: gained latents [B, M, h, w]; z: hyper-latents [B, N, ceil(h/4), ceil(w/4)]; both float32.
    """
    z_indexes = _z_indexes(entropy, z.shape[2], z.shape[3], level)
    bounded = z.round().clamp(-Z_LIMIT, Z_LIMIT).int().cpu().numpy()
    z_symbols = clip(bounded.reshape(len(z), -1), z_indexes, entropy.tables)
    groups = [[(z_indexes, symbols)] for symbols in z_symbols]
    wanted = y.flatten(2).cpu().numpy()

    def choose(part: Pass, mu: np.ndarray, indexes: np.ndarray, where: Positions) -> np.ndarray:
        coded = np.flatnonzero(indexes != 0)  # at low rates few are
        means = mu.ravel()[coded].astype(np.float32) / SIXTEENTHS
        residual = wanted[:, part.first : part.last, where].ravel()[coded] - means
        symbols = np.zeros(mu.shape, np.int32)
        symbols.ravel()[coded] = cheapest(residual, indexes.ravel()[coded], entropy.tables)
        for group, index, symbol in zip(groups, indexes, symbols, strict=True):
            group.append((index.ravel(), symbol.ravel()))
        return symbols

    z_hat = z_symbols.reshape(z.shape)
    y_hat = _run_passes(entropy, z_hat, level, y.shape[2], y.shape[3], choose)
    return [
        Coded(_words(entropy, group), latents_crc(z_hat[tile], y_hat[tile]), y_hat[tile], tuple(group))
        for tile, group in enumerate(groups)
    ]


def _words(entropy: Entropy, groups: Sequence[tuple[np.ndarray, np.ndarray]]) -> bytes:
    coder = Encoder()
    for indexes, symbols in reversed(groups):
        coder.push(symbols, indexes, entropy.tables)
    return coder.words()


def decode(entropy: Entropy, words: Sequence[bytes], height: int, width: int, level: int) -> list[Coded]:
    """Decode tiles of height x width latents from words whose checksums were right.

    Raises Damaged for words that no coder ends with, LatentsMismatch where the words do not fit the tables
    that this machine chose for them.
    """
    coders = [Decoder(each) for each in words]
    try:
        return _decode(entropy, coders, height, width, level)
    except Damaged as fault:
        raise LatentsMismatch(f"{MISMATCH} ({fault})") from fault


def _decode(entropy: Entropy, coders: list[Decoder], height: int, width: int, level: int) -> list[Coded]:
    rows, columns = -(-height // 4), -(-width // 4)
    z_indexes = _z_indexes(entropy, rows, columns, level)
    z_symbols = np.stack([coder.pop(z_indexes, entropy.tables) for coder in coders])
    if np.abs(z_symbols).max(initial=0) > Z_LIMIT:
        raise Damaged(f"a hyper-latent is beyond {Z_LIMIT}")

    def choose(part: Pass, mu: np.ndarray, indexes: np.ndarray, where: Positions) -> np.ndarray:
        pairs = zip(coders, indexes, strict=True)
        symbols = [coder.pop(index.ravel(), entropy.tables) for coder, index in pairs]
        return np.stack(symbols).reshape(mu.shape)

    z_hat = z_symbols.reshape(len(coders), -1, rows, columns)
    y_hat = _run_passes(entropy, z_hat, level, height, width, choose)
    for coder in coders:
        coder.finish()
    return [Coded(b"", latents_crc(z, y), y) for z, y in zip(z_hat, y_hat, strict=True)]


def _z_indexes(entropy: Entropy, rows: int, columns: int, level: int) -> np.ndarray:
    """Scale indexes of z: uint8 [N * rows * columns]."""
    return np.repeat(entropy.z_index[level], rows * columns)


Positions = slice | np.ndarray  # of a pass, among the h * w of a tile
Choose = Callable[[Pass, np.ndarray, np.ndarray, Positions], np.ndarray]


def _run_passes(
    entropy: Entropy, z_hat: np.ndarray, level: int, height: int, width: int, choose: Choose
) -> np.ndarray:
    """y_hat in sixteenths, int32 [B, M, h, w], pass by pass.

    `choose` gives the symbols of a pass, int32 [B, c, n], for its mu in sixteenths and scale indexes of that
    shape: c channels at n positions.
    """
    shape = len(z_hat), entropy.architecture.latent_channels, height, width
    y_hat = np.zeros(shape, np.int32)
    flat = y_hat.reshape(*shape[:2], -1)
    for part, mu, indexes, where in _parameters(entropy, z_hat, level, y_hat):
        flat[:, part.first : part.last, where] = SIXTEENTHS * choose(part, mu, indexes, where) + mu
    return y_hat


def _parameters(
    entropy: Entropy, z_hat: np.ndarray, level: int, y_hat: np.ndarray
) -> Iterator[tuple[Pass, np.ndarray, np.ndarray, Positions]]:
    """For each pass: mu in sixteenths int32 and scale indexes uint8, both [B, c, n], and its n positions.

    Reads `y_hat` anew for every pass: the caller fills in what the pass before decoded.
    """
    network, device, dtype = entropy.network()
    height, width = y_hat.shape[2:]
    features = network.features(torch.from_numpy(z_hat).to(device, dtype), level, height, width)
    for number, part in enumerate(entropy.architecture.passes):
        decoded = entropy.companded(torch.from_numpy(y_hat).to(device, dtype)) if number else features
        mu, index = network.parameters(number, features, decoded, level)
        where = positions(part, height, width)
        yield (
            part,
            mu.to(torch.int32).cpu().numpy().reshape(*mu.shape[:2], -1)[:, :, where],
            index.to(torch.uint8).cpu().numpy().reshape(*index.shape[:2], -1)[:, :, where],
            where,
        )


def positions(part: Pass, height: int, width: int) -> Positions:
    """Where a pass codes, in raster order: to index the h * w positions of a tile."""
    if part.parity == "all":
        return slice(None)
    return np.flatnonzero(parity_mask(part, height, width).numpy())
