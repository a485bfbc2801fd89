"""Integer frequency tables, one for each scale index: build, check, and what each symbol costs.

Table k = 1..K-1 has an entry for each symbol -r_k..r_k and, last, one for the escape. Scale index 0 has no
table: it stands for "not coded, symbol 0".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from aecodec.errors import BadArgument, BadWeights

PRECISION = 24  # bits: the frequencies of a table sum to 2^24
TOTAL = 1 << PRECISION
MAX_TABLES = 255  # scale indexes are bytes, and 0 has no table
MAX_ESCAPE_ZEROS = 11  # an escape takes at most 11 + 1 + 11 bits
MAX_ESCAPE_VALUE = 2 ** (MAX_ESCAPE_ZEROS + 1) - 2

_REFETCH = "get the weights file again"


def exact_model(frequencies: NDArray[np.integer]) -> Any:
    """The constriction model whose fixed-point probabilities are exactly frequencies / 2^24.

    constriction spreads 2^24 - n over its n inputs in proportion and adds 1 to each. Inputs frequency - 1
    sum to 2^24 - n already, so its scale is exactly 1 and nothing is rounded.
    """
    return constriction.stream.model.Categorical((frequencies - 1).astype(np.float64), perfect=False)


@dataclass(frozen=True, eq=False)
class Tables:
    """The tables for scale indexes 1..K-1.

    Args:
        radius: r_k >= 0, any integer type, [K - 1] with 2 <= K <= 256.
        frequencies: the tables one after the other, any integer type, [sum(2 r_k + 2)]. Each entry is at
            least 1 and each table sums to 2^24.

    Raises:
        BadWeights: the arrays do not hold such tables.

    """

    radius: NDArray[np.int32]
    frequencies: NDArray[np.int32]
    starts: NDArray[np.int64] = field(init=False, repr=False)  # [K + 1]: table k is starts[k]:starts[k + 1]
    lowest: NDArray[np.int32] = field(init=False, repr=False)  # [K], least symbol that can be coded
    highest: NDArray[np.int32] = field(init=False, repr=False)  # [K], greatest symbol that can be coded
    models: tuple[Any, ...] = field(init=False, repr=False)  # [K], constriction's; None for scale index 0

    def __post_init__(self) -> None:
        """Check the tables and derive the rest."""
        radius, frequencies = _integers(self.radius, "radius"), _integers(self.frequencies, "frequencies")
        if not 1 <= len(radius) <= MAX_TABLES or radius.min() < 0 or radius.max() >= TOTAL // 2:
            raise BadWeights(f"tables need 1 to {MAX_TABLES} radii from 0 to {TOTAL // 2 - 1}: {_REFETCH}")
        starts = np.concatenate([[0, 0], np.cumsum(2 * radius + 2)])
        if len(frequencies) != starts[-1]:
            raise BadWeights(f"there are {len(frequencies)} frequencies, not {starts[-1]}: {_REFETCH}")
        if frequencies.min() < 1 or (np.add.reduceat(frequencies, starts[1:-1]) != TOTAL).any():
            raise BadWeights(f"a table has a frequency below 1 or does not sum to {TOTAL}: {_REFETCH}")
        reach = np.concatenate([[0], radius + 1 + MAX_ESCAPE_VALUE // 2])
        derived = {
            "radius": radius.astype(np.int32),
            "frequencies": frequencies.astype(np.int32),
            "starts": starts,
            "lowest": np.minimum(1 - reach, 0).astype(np.int32),
            "highest": reach.astype(np.int32),
            "models": (None, *(exact_model(table) for table in np.split(frequencies, starts[2:-1]))),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    @property
    def count(self) -> int:
        """K, the number of scale indexes, 0 included."""
        return len(self.radius) + 1

    def check_indexes(self, indexes: NDArray[np.uint8]) -> None:
        """Raise BadArgument unless `indexes` are uint8 [N] below K."""
        if indexes.dtype != np.uint8 or indexes.ndim != 1 or (indexes.size and indexes.max() >= self.count):
            raise BadArgument(f"scale indexes must be uint8 [N] below {self.count}")

    def bits(self, symbols: NDArray[np.int32], indexes: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Bits of each of some codable symbols int32 [N], float64 [N]; scale indexes uint8 [N] above 0."""
        radius = self.radius[indexes - 1]
        escaped = np.abs(symbols) > radius
        entries = np.where(escaped, 2 * radius + 1, symbols + radius)
        bits: NDArray[np.float64] = self._entry_bits[self.starts[indexes] + entries]
        values = escape_values(symbols[escaped], radius[escaped])
        bits[escaped] += 2 * np.floor(np.log2(values + 1.0)) + 1
        return bits

    def ideal_bits(self, symbols: NDArray[np.int32], indexes: NDArray[np.uint8]) -> float:
        """Bits that codable symbols int32 [N] of scale indexes uint8 [N] take, those of escapes included."""
        self.check_indexes(indexes)
        coded = np.flatnonzero(indexes)
        return float(self.bits(symbols[coded], indexes[coded]).sum())

    @cached_property
    def _entry_bits(self) -> NDArray[np.float64]:
        """Bits of every entry of every table, escapes without what follows them."""
        bits: NDArray[np.float64] = PRECISION - np.log2(self.frequencies)
        return bits


def _integers(array: NDArray[np.integer], name: str) -> NDArray[np.int64]:
    array = np.asarray(array)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise BadWeights(f"{name} of tables must be integers [N], not {array.dtype}: {_REFETCH}")
    return array.astype(np.int64)


def escape_values(symbols: NDArray[np.int32], radius: NDArray[np.int32] | int) -> NDArray[np.int32]:
    """What is written after an escape: 0, 1, 2, ... for the symbols r + 1, -r - 1, r + 2, -r - 2, ..."""
    return (2 * (np.abs(symbols) - radius - 1) + (symbols < 0)).astype(np.int32)


def from_masses(masses: Sequence[NDArray[np.float64]]) -> Tables:
    """The tables nearest to some probability masses.

    Args:
        masses: for each table float64 [2 r + 2], the last the escape's; at least 0, of any positive sum.

    Raises:
        BadWeights: masses of another kind.

    """
    frequencies = [_frequencies(np.asarray(mass, np.float64)) for mass in masses]
    radius = np.array([len(table) // 2 - 1 for table in frequencies], np.int32)
    return Tables(radius, np.concatenate([*frequencies, np.zeros(0, np.int32)]))


def _frequencies(masses: NDArray[np.float64]) -> NDArray[np.int32]:
    """Integers of at least 1 that sum to 2^24: one for each entry, the rest shared by largest remainder."""
    size = len(masses)
    if size < 2 or size % 2 or not np.isfinite(masses).all() or masses.min() < 0 or masses.sum() <= 0:
        raise BadWeights("the masses of a table must be 2 r + 2 finite numbers, none negative, not all zero")
    shares = masses / masses.sum() * (TOTAL - size)
    floors = np.floor(shares)
    missing = TOTAL - size - int(floors.sum())
    floors[np.argsort(floors - shares, kind="stable")[:missing]] += 1
    frequencies: NDArray[np.float64] = floors + 1
    return frequencies.astype(np.int32)


def gaussian_masses(sigma: float, radius: int) -> NDArray[np.float64]:
    """Masses float64 [2 r + 2] of a zero-mean Gaussian rounded to integers; the escape has both tails."""
    tails = [math.erfc(max(step - 0.5, 0) / (sigma * math.sqrt(2))) for step in range(radius + 2)]
    side = [(near - far) / 2 for near, far in zip(tails[1:-1], tails[2:], strict=True)]
    return np.array([*reversed(side), 1 - tails[1], *side, tails[-1]])
