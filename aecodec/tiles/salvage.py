"""What is intact of a damaged file.

Tiles are decoded one by one; grey takes the place of those that are damaged, and the tiles around them see
latents of 0 there. A damaged index is made anew from the sections, as long as the first tile is intact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from aecodec.errors import AecError, Damaged, FormatError, LatentsMismatch, Truncated, UnknownSection
from aecodec.file import container
from aecodec.file.container import Bytes, Header, Index
from aecodec.file.fields import AGAIN, CRC_BYTES, MAX_LEB_BYTES, Cursor
from aecodec.networks.model import Model
from aecodec.picture.pictures import Picture, of_samples
from aecodec.tiles.drawing import Lost, draw_alpha, draw_tiles
from aecodec.tiles.grid import region_box

_REASONS: dict[type[AecError], str] = {
    Truncated: "the file ends before it does",
    Damaged: "its bytes are damaged",
    UnknownSection: "it is of a kind that this version does not know",
    LatentsMismatch: "its bytes are intact but decode to other latents on this machine",
}


@dataclass(frozen=True, slots=True, eq=False)
class Salvaged:
    """A picture, and a sentence or name for each part of its file that is damaged; none if all is intact."""

    picture: Picture
    damaged: tuple[str, ...]


def salvage(model: Model | None, data: Bytes) -> Salvaged:
    """Decode what is intact of a file whose header is. Raises FormatError, LatentsMismatch if no tile is."""
    header, start = container.read_header(data)
    damaged: list[str] = []
    try:
        index = container.read_index(data)
    except FormatError as fault:
        damaged.append(str(fault))
        index = _found_index(data, header, start, fault)
    whole = region_box(None, header.width, header.height)
    lost: Lost = {}
    samples = draw_tiles(model, header, partial(container.read_tile, data, index=index), whole, lost)
    if len(lost) == len(index.tiles) - 1:
        if isinstance(lost[0], Damaged | Truncated):
            raise type(lost[0])(f"nothing of the picture is intact: {AGAIN}") from lost[0]
        raise lost[0]
    hidden: Lost = {}
    alpha = draw_alpha(header, partial(container.read_alpha, data, index=index), whole, hidden)
    damaged += _described("tile", lost, index.tiles, header)
    damaged += _described("alpha tile", hidden, index.alpha, header)
    faults: list[FormatError] = []
    metadata = container.read_metadata(data, index, faults)
    damaged += map(str, faults)
    if not damaged:
        try:
            container.read(data)  # what is wrong with no part alone, as a model that no tile needs
        except FormatError as fault:
            damaged.append(str(fault))
    return Salvaged(of_samples(samples, header.channels, alpha, metadata), tuple(damaged))


def _described(name: str, lost: Lost, offsets: Sequence[int], header: Header) -> list[str]:
    """Which tiles are lost, and why."""
    columns = container.tile_grid(header.width, header.height, header.tile_size)[1]
    lines = []
    for number, reason in sorted(lost.items()):
        row, column = divmod(number, columns)
        place = f"{name} {number} (row {row}, column {column}) at byte {offsets[number]}"
        lines.append(f"{place}: {_REASONS[type(reason)]}")
    return lines


def _found_index(data: Bytes, header: Header, start: int, fault: FormatError) -> Index:
    """The index as the sections tell it: each says its length itself. Raises `fault` without a first tile."""
    tiles, alpha = container.counts(header)
    if len(data) - start < tiles + alpha:
        raise fault
    least, most = (start + size * (tiles + alpha) + CRC_BYTES for size in (1, MAX_LEB_BYTES))
    first = next((at for at in range(least, min(most, len(data)) + 1) if _is_tile(data, at)), None)
    if first is None:
        raise fault
    offsets = [first]
    for _ in range(tiles + alpha):
        offsets.append(_section_end(data, offsets[-1]))
    return Index(header, start, tuple(offsets[: tiles + 1]), tuple(offsets[tiles:]))


def _is_tile(data: Bytes, at: int) -> bool:
    """Whether an intact tile starts at a byte."""
    if data[at : at + 1] != bytes([container.TAG_TILE]):
        return False
    end = _section_end(data, at)
    cursor = Cursor(memoryview(data)[:end], "tile", at)
    try:
        cursor.take(end - at - CRC_BYTES, "section")
        cursor.check_crc(at)
    except FormatError:
        return False
    return True


def _section_end(data: Bytes, at: int) -> int:
    """Where the section that starts at a byte ends as it says, or the end of the data if that is nearer."""
    cursor = Cursor(memoryview(data), "section", at)
    try:
        cursor.byte("tag")
        cursor.take(cursor.number("length") + CRC_BYTES, "payload")
    except FormatError:
        return len(data)
    return cursor.at
