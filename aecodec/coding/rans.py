"""Symbols and scale indexes <-> words: the rANS stream that FORMAT.md defines, on constriction's AnsCoder.

    latents' symbols int32 [N], scale indexes uint8 [N], tables --Encoder.push, words--> bytes
    bytes --Decoder.pop, pop, ..., finish--> symbols

A coder is a stack: what is pushed last is popped first. Push in reverse of the order in which a decoder pops.
"""

from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from aecodec.coding.tables import MAX_ESCAPE_ZEROS, TOTAL, Tables, escape_values, exact_model
from aecodec.errors import BadArgument, Damaged
from aecodec.file.fields import AGAIN

_BIT = exact_model(np.array([TOTAL // 2, TOTAL // 2]))


def clip(symbols: NDArray[np.integer], indexes: NDArray[np.uint8], tables: Tables) -> NDArray[np.int32]:
    """The nearest symbols that can be coded, int32 [N] as `symbols` and `indexes`; 0 for scale index 0."""
    clipped: NDArray[np.integer] = np.clip(symbols, tables.lowest[indexes], tables.highest[indexes])
    return clipped.astype(np.int32)


class Encoder:
    """Codes the symbols of one tile."""

    def __init__(self) -> None:
        """Start with no words."""
        self._coder = constriction.stream.stack.AnsCoder()

    def push(self, symbols: NDArray[np.int32], indexes: NDArray[np.uint8], tables: Tables) -> None:
        """Code what one pop will return.

        Args:
            symbols: int32 [N], as `clip` leaves them.
            indexes: scale indexes uint8 [N], below K.
            tables: for scale indexes 1..K-1.

        Raises:
            BadArgument: other arrays, or a symbol that cannot be coded.

        """
        order, stops = _grouped(indexes, tables)
        if symbols.shape != indexes.shape:
            raise BadArgument("symbols must have the shape of their scale indexes")
        coded = symbols[order]
        clipped = clip(coded, indexes[order], tables)
        if (clipped != coded).any() or np.count_nonzero(symbols) != np.count_nonzero(coded):
            raise BadArgument("symbols must be clipped")
        groups = np.split(coded, stops[:-1])
        for k in range(tables.count - 1, 0, -1):
            if len(groups[k]):
                self._push_group(groups[k], int(tables.radius[k - 1]), tables.models[k])

    def _push_group(self, symbols: NDArray[np.int32], radius: int, model: Any) -> None:
        escaped = np.abs(symbols) > radius
        if escaped.any():
            self._coder.encode_reverse(_escape_bits(escape_values(symbols[escaped], radius)), _BIT)
        entries = np.where(escaped, 2 * radius + 1, symbols + radius)
        self._coder.encode_reverse(entries.astype(np.int32), model)

    def words(self) -> bytes:
        """All that was pushed, as 32-bit little-endian words."""
        return bytes(self._coder.get_compressed().astype("<u4").tobytes())


class Decoder:
    """Decodes the symbols of one tile."""

    def __init__(self, words: bytes) -> None:
        """Start from what `Encoder.words` gave; Damaged if it cannot have been that."""
        if len(words) % 4:
            raise Damaged(
                f"the rANS words take {len(words)} bytes, no multiple of 4: the file is damaged, {AGAIN}"
            )
        array = np.frombuffer(words, "<u4").astype(np.uint32)
        if len(array) and array[-1] == 0:
            raise Damaged(f"the last of {len(array)} rANS words is 0: the file is damaged, {AGAIN}")
        self._coder = constriction.stream.stack.AnsCoder(array)

    def pop(self, indexes: NDArray[np.uint8], tables: Tables) -> NDArray[np.int32]:
        """The next symbols, int32 [N], 0 where the scale index is 0.

        Args:
            indexes: scale indexes uint8 [N], below K.
            tables: for scale indexes 1..K-1.

        Raises:
            Damaged: an escape is longer than any encoder writes.
            BadArgument: other indexes.

        """
        order, stops = _grouped(indexes, tables)
        symbols = np.zeros(len(indexes), np.int32)
        for k, positions in enumerate(np.split(order, stops[:-1])):
            if len(positions):
                symbols[positions] = self._pop_group(
                    len(positions), int(tables.radius[k - 1]), tables.models[k]
                )
        return symbols

    def _pop_group(self, size: int, radius: int, model: Any) -> NDArray[np.int32]:
        symbols: NDArray[np.int32] = self._coder.decode(model, size) - np.int32(radius)
        for position in np.flatnonzero(symbols > radius):
            value = self._pop_escape()
            magnitude = radius + 1 + value // 2
            symbols[position] = -magnitude if value % 2 else magnitude
        return symbols

    def _pop_escape(self) -> int:
        zeros = 0
        while self._coder.decode(_BIT) == 0:
            zeros += 1
            if zeros > MAX_ESCAPE_ZEROS:
                raise Damaged(f"an escape in the rANS words has over {MAX_ESCAPE_ZEROS} zeros")
        value = 1
        for bit in self._coder.decode(_BIT, zeros):
            value = 2 * value + int(bit)
        return value - 1

    def finish(self) -> None:
        """Raise Damaged unless every word is used up and the coder is back in its start state."""
        if not self._coder.is_empty():
            raise Damaged("the rANS words hold more than the latents that were decoded from them")


def _grouped(indexes: NDArray[np.uint8], tables: Tables) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The order in which symbols are coded, and where in it the group of each scale index stops.

    Returns:
        positions [n] of the nonzero indexes, by index and then by position, and stops [K], stops[0] = 0.

    """
    tables.check_indexes(indexes)
    coded = np.flatnonzero(indexes != 0)  # most latents are not coded at low rates, so sort the others alone
    order = coded[np.argsort(indexes[coded], kind="stable")]
    counts = np.bincount(indexes[coded], minlength=tables.count)
    return order, np.cumsum(counts)


def _escape_bits(values: NDArray[np.int32]) -> NDArray[np.int32]:
    """Exp-Golomb codes of order 0, in the order of decoding: n zeros, then value + 1 in n + 1 bits."""
    bits: list[int] = []
    for value in values.tolist():
        zeros = (value + 1).bit_length() - 1
        bits += [0] * zeros
        bits += [value + 1 >> shift & 1 for shift in range(zeros, -1, -1)]
    return np.array(bits, np.int32)
