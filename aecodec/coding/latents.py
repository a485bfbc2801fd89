"""The latents of one tile <-> rANS words, through the integer entropy model.

`encode` and `decode` walk the same passes with the same parameters; they differ in where symbols come from.
"""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aecodec.coding.rans import Decoder, Encoder, clip
from aecodec.coding.tables import Tables
from aecodec.errors import Damaged, LatentsMismatch
from aecodec.networks.architecture import Z_LIMIT, Pass
from aecodec.networks.entropy import parity_mask
from aecodec.networks.model import Entropy

MISMATCH = (
    "the file is intact but decodes to other latents on this machine than on the one that encoded it: "
    "run `aec selftest` here and report what it prints"
)
SIXTEENTHS = 16  # units of y_hat and mu

# What a unit of squared error in y is worth, in bits. Uniform quantisation at high rate, with steps that are
# optimal for lambda, would make it 6 / ln 2 = 8.7; this is the best on the validation photographs.
DISTORTION_BITS = 16.0


@dataclass(frozen=True)
class Coded:
    """A coded tile: its words, the CRC-32 of its integer latents, and y_hat in sixteenths, int32 [M, h, w].

    `groups`: scale indexes and symbols in the order of decoding, z first; decoding leaves both empty.
    """

    words: bytes
    latents_crc: int
    y_hat: np.ndarray
    groups: tuple[tuple[np.ndarray, np.ndarray], ...] = ()


def encode(entropy: Entropy, y: Tensor, z: Tensor, level: int) -> Coded:
    """Code gained latents y [M, h, w] and hyper-latents z [N, ceil(h/4), ceil(w/4)], both float32."""
    z_indexes = _z_indexes(entropy, z.shape[1], z.shape[2], level)
    bounded = z.round().clamp(-Z_LIMIT, Z_LIMIT).int().cpu().numpy()
    z_symbols = clip(bounded.ravel(), z_indexes, entropy.tables)
    groups = [(z_indexes, z_symbols)]

    def choose(part: Pass, mu: np.ndarray, indexes: np.ndarray, mask: np.ndarray) -> np.ndarray:
        wanted = y[part.first : part.last].cpu().numpy()[:, mask].ravel()
        symbols = cheapest(wanted - mu / SIXTEENTHS, indexes, entropy.tables)
        groups.append((indexes, symbols))
        return symbols

    z_hat = z_symbols.reshape(z.shape)
    y_hat = _run_passes(entropy, z_hat, level, y.shape[1], y.shape[2], choose)
    coder = Encoder()
    for indexes, symbols in reversed(groups):
        coder.push(symbols, indexes, entropy.tables)
    return Coded(coder.words(), latents_crc(z_hat, y_hat), y_hat, tuple(groups))


def decode(entropy: Entropy, words: bytes, height: int, width: int, level: int) -> Coded:
    """Decode a tile of height x width latents from words whose checksum was right.

    Raises Damaged for words that no coder ends with, LatentsMismatch where the words do not fit the tables
    that this machine chose for them.
    """
    coder = Decoder(words)
    try:
        return _decode(entropy, coder, height, width, level)
    except Damaged as fault:
        raise LatentsMismatch(f"{MISMATCH} ({fault})") from fault


def _decode(entropy: Entropy, coder: Decoder, height: int, width: int, level: int) -> Coded:
    rows, columns = -(-height // 4), -(-width // 4)
    z_symbols = coder.pop(_z_indexes(entropy, rows, columns, level), entropy.tables)
    if np.abs(z_symbols).max(initial=0) > Z_LIMIT:
        raise Damaged(f"a hyper-latent is beyond {Z_LIMIT}")

    def choose(part: Pass, mu: np.ndarray, indexes: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return coder.pop(indexes, entropy.tables)

    z_hat = z_symbols.reshape(-1, rows, columns)
    y_hat = _run_passes(entropy, z_hat, level, height, width, choose)
    coder.finish()
    return Coded(b"", latents_crc(z_hat, y_hat), y_hat)


def cheapest(residual: np.ndarray, indexes: np.ndarray, tables: Tables) -> np.ndarray:
    """Symbols int32 [n] for the residuals y - mu, float [n]: rounded, or one step nearer to zero.

    The step is taken where it saves more bits than its squared error is worth.
    """
    symbols = clip(np.rint(residual).astype(np.int32), indexes, tables)
    at = np.flatnonzero(symbols)
    rounded, exact, index = symbols[at], residual[at], indexes[at]
    nearer = rounded - np.sign(rounded)
    saved = tables.bits(rounded, index) - tables.bits(nearer, index)
    added = DISTORTION_BITS * (np.square(exact - nearer) - np.square(exact - rounded))
    symbols[at] = np.where(saved > added, nearer, rounded)
    return symbols


def latents_crc(z_hat: np.ndarray, y_hat: np.ndarray) -> int:
    """CRC-32 over z, then y_hat in sixteenths, as int32 little-endian, [C, H, W]."""
    return zlib.crc32(y_hat.astype("<i4").tobytes(), zlib.crc32(z_hat.astype("<i4").tobytes()))


def _z_indexes(entropy: Entropy, rows: int, columns: int, level: int) -> np.ndarray:
    """Scale indexes of z: uint8 [N * rows * columns]."""
    return np.repeat(entropy.z_index[level], rows * columns)


Choose = Callable[[Pass, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def _run_passes(
    entropy: Entropy, z_hat: np.ndarray, level: int, height: int, width: int, choose: Choose
) -> np.ndarray:
    """y_hat in sixteenths, int32 [M, h, w], pass by pass.

    `choose` gives the symbols of a pass, int32 [n], for its mu in sixteenths and scale indexes, both [n],
    at the positions of its mask [h, w].
    """
    a = entropy.architecture
    y_hat = np.zeros((a.latent_channels, height, width), np.int32)
    for part, mu, indexes, mask in _parameters(entropy, z_hat, level, y_hat):
        symbols = choose(part, mu, indexes, mask)
        values = (SIXTEENTHS * symbols + mu).reshape(part.last - part.first, -1)
        y_hat[part.first : part.last, mask] = values
    return y_hat


def _parameters(
    entropy: Entropy, z_hat: np.ndarray, level: int, y_hat: np.ndarray
) -> Iterator[tuple[Pass, np.ndarray, np.ndarray, np.ndarray]]:
    """For each pass: mu in sixteenths int32 [n], scale indexes uint8 [n], mask [h, w].

    Reads `y_hat` anew for every pass: the caller fills in what the pass before decoded.
    """
    network, device, dtype = entropy.network()
    height, width = y_hat.shape[1:]
    features = network.features(torch.from_numpy(z_hat)[None].to(device, dtype), level, height, width)
    for number, part in enumerate(entropy.architecture.passes):
        decoded = entropy.companded(torch.from_numpy(y_hat)[None].to(device, dtype)) if number else features
        mu, index = network.parameters(number, features, decoded, level)
        mask = parity_mask(part, height, width).numpy()
        yield (
            part,
            mu[0].to(torch.int32).cpu().numpy()[:, mask].ravel(),
            index[0].to(torch.uint8).cpu().numpy()[:, mask].ravel(),
            mask,
        )
