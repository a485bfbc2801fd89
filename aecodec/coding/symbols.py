"""Symbols of latents: the choice of the cheapest, and the checksum over what was decoded."""

import zlib
from dataclasses import dataclass

import numpy as np

from aecodec.coding.rans import clip
from aecodec.coding.tables import Tables

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


def cheapest(residual: np.ndarray, indexes: np.ndarray, tables: Tables) -> np.ndarray:
    """Symbols int32 [n] for the residuals y - mu, float [n]: rounded, or one step nearer to zero.

    The step is taken where it saves more bits than its squared error is worth. Of scale index 0 they are 0.
    """
    symbols = np.zeros(residual.shape, np.int32)
    at = np.flatnonzero((np.abs(residual) >= 0.5) & (indexes != 0))
    exact, index = residual[at], indexes[at]
    rounded = clip(np.rint(exact).astype(np.int32), index, tables)
    nearer = rounded - np.sign(rounded)
    saved = tables.bits(rounded, index) - tables.bits(nearer, index)
    added = DISTORTION_BITS * (np.square(exact - nearer) - np.square(exact - rounded))
    symbols[at] = np.where(saved > added, nearer, rounded)
    return symbols


def latents_crc(z_hat: np.ndarray, y_hat: np.ndarray) -> int:
    """CRC-32 over z, then y_hat in sixteenths, as int32 little-endian, [C, H, W]."""
    z_crc = zlib.crc32(np.ascontiguousarray(z_hat, "<i4").data)
    return zlib.crc32(np.ascontiguousarray(y_hat, "<i4").data, z_crc)
