"""Bytes <-> Container: the .aec file as FORMAT.md defines it, without a look at pixels, latents or weights.

    Container --write--> bytes: header | index | tiles | alpha tiles | metadata --read--> Container
                                       piecemeal: read_header, read_index, read_tile, read_alpha

Whatever the bytes, reading raises nothing but FormatError, in time and memory that follow their number.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from aecodec.errors import (
    BadArgument,
    Damaged,
    FormatError,
    NotAec,
    ReservedBits,
    TrailingBytes,
    Truncated,
    UnknownSection,
    UnsupportedVersion,
)
from aecodec.file.fields import AGAIN, CRC_BYTES, MAX_NUMBER, Cursor, leb, u32, with_crc

MAGIC = b"\x8eAEC\r\n"  # no text starts with 0x8E; a transfer that converts line endings breaks the CR LF
VERSION = 1
FLAG_ALPHA, FLAG_ALPHA_IN_TILES = 0x01, 0x04  # the other six bits are reserved

MAX_SIDE = 2**31 - 1  # pixels
MIN_TILE_SIZE, MAX_TILE_SIZE, TILE_SIZE_STEP = 256, 65536, 64  # pixels
TILE_SIZE = 1024  # that encoders write: large enough that halos cost little, small enough for memory
MAX_LEVEL = 255
MAX_METADATA_SECTIONS = 128  # a tag without the critical bit has seven bits and comes at most once
MIN_SECTION_BYTES = 7  # tag, length, one byte of payload, CRC-32
ENTROPY_ID_BYTES, SYNTHESIS_ID_BYTES = 8, 4
WORD_BYTES = 4

CRITICAL = 0x80  # the bit of a tag that says: stop if you do not know me
TAG_TILE, TAG_ALPHA, TAG_FLAT_ALPHA = 0x81, 0x82, 0x83
TAG_ICC, TAG_EXIF, TAG_XMP, TAG_RESOLUTION = 0x03, 0x04, 0x05, 0x06
METADATA_NAMES = {TAG_ICC: "icc", TAG_EXIF: "exif", TAG_XMP: "xmp", TAG_RESOLUTION: "resolution"}

NEURAL, LOSSLESS, PACKED = 0, 1, 3  # kinds of tiles

Bytes = bytes | bytearray | memoryview

_UPDATE = "update aecodec to read the file"


@dataclass(frozen=True, slots=True)
class Header:
    """What is known before the first tile. Sides are in pixels, latent sides in latents; ids are raw bytes.

    A file of lossless tiles alone has no model: its ids, latent sides, latent channels and level are zero.
    `alpha`: the picture has alpha, in alpha tiles or, with `alpha_in_tiles`, in its tiles, which are packed.
    `sections` counts all sections of the file that the header was read from; `write` counts anew.
    """

    alpha: bool
    entropy_id: bytes
    synthesis_id: bytes
    width: int
    height: int
    channels: int
    latent_height: int
    latent_width: int
    latent_channels: int
    level: int
    tile_size: int
    sections: int = field(default=0, compare=False)
    alpha_in_tiles: bool = False

    @property
    def has_model(self) -> bool:
        """Whether there is a tile that needs weights to be decoded."""
        return any(self.entropy_id)


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: its kind, the CRC-32 of what it decodes to, and its words (NEURAL), PNG or packed pixels."""

    kind: int
    latents_crc: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Container:
    """All of a file. `tiles` and `alpha` (none without alpha tiles) are in raster order.

    An alpha tile is a PNG stream, or one byte: the alpha of all its pixels.
    `exif` is the raw TIFF block; `resolution` is horizontal and vertical, in thousandths of pixels per inch.
    """

    header: Header
    tiles: tuple[Tile, ...]
    alpha: tuple[bytes, ...] = ()
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    resolution: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Index:
    """A header, and where tiles lie: tile n fills bytes tiles[n] to tiles[n + 1] of the file, alpha alike."""

    header: Header
    start: int
    tiles: tuple[int, ...]
    alpha: tuple[int, ...]


class Part(NamedTuple):
    """A stretch of a file: "header", "index", "tile 0", "alpha tile 0", "icc", "unknown 0x41" and so on."""

    name: str
    offset: int
    length: int


def tile_grid(width: int, height: int, tile_size: int) -> tuple[int, int]:
    """Rows and columns of tiles that cover a picture of width x height pixels."""
    return -(-height // tile_size), -(-width // tile_size)


# Writing


def write(container: Container) -> bytes:
    """The file of a container, read back before it is handed out.

    Raises:
        BadArgument: the container holds something that the format cannot say.

    """
    try:
        data = _file(container)
        same = read(data) == container
    except (FormatError, ValueError, OverflowError) as error:
        raise BadArgument(f"this container is no valid file: {error}") from error
    if not same:
        raise BadArgument("this container is no valid file: it would be read back as another one")
    return data


def _file(container: Container) -> bytes:
    tiles = [_section(TAG_TILE, bytes([t.kind]), u32(t.latents_crc), t.payload) for t in container.tiles]
    alpha = [_section(TAG_FLAT_ALPHA if len(a) == 1 else TAG_ALPHA, a) for a in container.alpha]
    metadata = [_section(tag, payload) for tag, payload in _metadata_payloads(container)]
    index = with_crc(*(leb(len(section)) for section in tiles + alpha))
    header = _header(container.header, len(tiles) + len(alpha) + len(metadata))
    return b"".join([header, index, *tiles, *alpha, *metadata])


def _header(header: Header, sections: int) -> bytes:
    flags = FLAG_ALPHA_IN_TILES if header.alpha_in_tiles else FLAG_ALPHA if header.alpha else 0
    return with_crc(
        MAGIC,
        bytes([VERSION, flags]),
        header.entropy_id,
        header.synthesis_id,
        leb(header.width),
        leb(header.height),
        bytes([header.channels]),
        leb(header.latent_height),
        leb(header.latent_width),
        leb(header.latent_channels),
        bytes([header.level]),
        leb(header.tile_size),
        leb(sections),
    )


def _metadata_payloads(container: Container) -> Iterator[tuple[int, bytes]]:
    for tag, payload in ((TAG_ICC, container.icc), (TAG_EXIF, container.exif), (TAG_XMP, container.xmp)):
        if payload is not None:
            yield tag, payload
    if container.resolution is not None:
        yield TAG_RESOLUTION, b"".join(map(leb, container.resolution))


def _section(tag: int, *payload: bytes) -> bytes:
    return with_crc(bytes([tag]), leb(sum(map(len, payload))), *payload)


# Reading


def read(data: Bytes) -> Container:
    """All of a file, every byte of it checked. Unknown ancillary sections are skipped.

    Raises:
        FormatError: anything at all is wrong with the bytes.

    """
    index = _read_index(data, whole=True)
    tiles = tuple(read_tile(data, number, index) for number in range(len(index.tiles) - 1))
    alpha = tuple(read_alpha(data, number, index) for number in range(len(index.alpha) - 1))
    metadata = read_metadata(data, index)
    _check_kinds(index.header, tiles)
    return Container(index.header, tiles, alpha, **metadata)


def layout(data: Bytes) -> list[Part]:
    """Where header, index and each section lie, without gaps. The insides of tiles are not looked at.

    Raises:
        FormatError: the header, the index, a metadata section or the length of the file is wrong.

    """
    index = _read_index(data, whole=True)
    parts = [Part("header", 0, index.start), Part("index", index.start, index.tiles[0] - index.start)]
    for name, offsets in (("tile", index.tiles), ("alpha tile", index.alpha)):
        for number, (start, stop) in enumerate(pairwise(offsets)):
            parts.append(Part(f"{name} {number}", start, stop - start))
    for section in _metadata(data, index):
        name = METADATA_NAMES.get(section.tag, f"unknown 0x{section.tag:02X}")
        parts.append(Part(name, section.start, section.stop - section.start))
    return parts


def read_header(data: Bytes) -> tuple[Header, int]:
    """The header alone, checked, and the offset of the first byte after it. Costs the same for any picture.

    Raises:
        FormatError: the header is wrong or cut short.

    """
    cursor = Cursor(_view(data), "header")
    _check_magic(cursor)
    version = cursor.byte("version")
    if version != VERSION:
        raise UnsupportedVersion(f"the file is of format version {version}, not {VERSION}: {_UPDATE}")
    flags = cursor.byte("flags")
    header = Header(
        alpha=bool(flags & (FLAG_ALPHA | FLAG_ALPHA_IN_TILES)),
        alpha_in_tiles=bool(flags & FLAG_ALPHA_IN_TILES),
        entropy_id=bytes(cursor.take(ENTROPY_ID_BYTES, "entropy id")),
        synthesis_id=bytes(cursor.take(SYNTHESIS_ID_BYTES, "synthesis id")),
        width=cursor.number("width"),
        height=cursor.number("height"),
        channels=cursor.byte("channels"),
        latent_height=cursor.number("latent height"),
        latent_width=cursor.number("latent width"),
        latent_channels=cursor.number("latent channels"),
        level=cursor.byte("level"),
        tile_size=cursor.number("tile size"),
        sections=cursor.number("number of sections"),
    )
    cursor.check_crc(0)
    if flags & ~(FLAG_ALPHA | FLAG_ALPHA_IN_TILES):
        known = f"0x{FLAG_ALPHA:02X} and 0x{FLAG_ALPHA_IN_TILES:02X}"
        raise ReservedBits(f"the flags are 0x{flags:02X}, known are {known} alone: {_UPDATE}")
    if flags == FLAG_ALPHA | FLAG_ALPHA_IN_TILES:
        raise cursor.damaged("flags", "put alpha into tiles and into alpha tiles, but must choose")
    _check_ranges(header, cursor)
    return header, cursor.at


def check_beginning(head: bytes) -> None:
    """Raise what `read_header` does, unless it is that more bytes are needed."""
    with suppress(Truncated):
        read_header(head)


def read_index(data: Bytes) -> Index:
    """Header and index alone, so that `read_tile` can fetch any tile; the sections may be damaged or missing.

    Raises:
        FormatError: the header or the index is wrong or cut short.

    """
    return _read_index(data, whole=False)


def read_tile(data: Bytes, number: int, index: Index | None = None) -> Tile:
    """Tile `number` in raster order, whatever has become of the other sections.

    Hand in what `read_index` gave for the same data when you read many tiles.

    Raises:
        FormatError: the header, the index or this tile is wrong or cut short.
        BadArgument: there is no such tile.

    """
    index = index or read_index(data)
    name = f"tile {number}"
    cursor = _inside(data, name, _indexed_section(data, name, (TAG_TILE,), number, index.tiles))
    kind = cursor.byte("kind")
    latents_crc = cursor.u32("latents CRC-32")
    payload = bytes(cursor.take(cursor.stop - cursor.at, "words"))
    if kind not in (NEURAL, LOSSLESS, PACKED):
        raise UnknownSection(f"{name} is of kind {kind}, which this version does not know: {_UPDATE}")
    if kind != PACKED and index.header.alpha_in_tiles:
        raise cursor.damaged("kind", f"is {kind}, but the header says that tiles hold alpha: they are packed")
    if kind == NEURAL and not index.header.has_model:
        raise cursor.damaged("kind", "is 0, neural, but the header names no model")
    if kind == NEURAL and len(payload) % WORD_BYTES:
        raise cursor.damaged("words", f"take {len(payload)} bytes, but must take a multiple of {WORD_BYTES}")
    return Tile(kind, latents_crc, payload)


def read_alpha(data: Bytes, number: int, index: Index | None = None) -> bytes:
    """Alpha tile `number`, a PNG stream or one byte; arguments and errors as for `read_tile`."""
    index = index or read_index(data)
    name = f"alpha tile {number}"
    section = _indexed_section(data, name, (TAG_ALPHA, TAG_FLAT_ALPHA), number, index.alpha)
    if (section.tag == TAG_FLAT_ALPHA) != (len(section.payload) == 1):
        raise Damaged(f"{name} has {len(section.payload)} bytes under tag 0x{section.tag:02X}: {AGAIN}")
    return bytes(section.payload)


def read_metadata(
    data: Bytes, index: Index | None = None, faults: list[FormatError] | None = None
) -> dict[str, Any]:
    """The fields icc, exif, xmp and resolution of a Container, whatever has become of the tiles.

    `faults` takes what is wrong with the metadata and the end of the file; without it that is raised.

    Raises:
        FormatError: the header, the index, a metadata section or the length of the file is wrong.

    """
    sections = {section.tag: section for section in _metadata(data, index or read_index(data), faults)}
    fields: dict[str, Any] = {
        METADATA_NAMES[tag]: bytes(sections[tag].payload)
        for tag in (TAG_ICC, TAG_EXIF, TAG_XMP)
        if tag in sections
    }
    if TAG_RESOLUTION in sections:
        with _noted(faults):
            fields["resolution"] = _resolution(data, sections[TAG_RESOLUTION])
    return fields


# Reading, the steps


class _Section(NamedTuple):
    """A section whose CRC-32 is right, from byte `start` to `stop` of the file."""

    tag: int
    payload: memoryview
    start: int
    stop: int


def _view(data: Bytes) -> memoryview:
    return memoryview(data).cast("B")


def _check_magic(cursor: Cursor) -> None:
    start = bytes(cursor.view[: len(MAGIC) + 1])
    if not start:
        raise Truncated(f"the file is empty: {AGAIN}")
    if start.startswith((b"\x8eAEC\n", b"\x8eAEC\r\r\n")):
        raise NotAec("the line endings of the file were converted on its way: copy it again in binary mode")
    if not start.startswith(MAGIC[: len(start)]):
        raise NotAec("the file is no .aec file, its first bytes are not those of one: name another file")
    cursor.take(len(MAGIC), "magic")


def _check_ranges(header: Header, cursor: Cursor) -> None:
    """Refuse values that no header may have; the cursor knows where they were read."""
    model = int(header.has_model)
    for name, value, least, most in (
        ("width", header.width, 1, MAX_SIDE),
        ("height", header.height, 1, MAX_SIDE),
        ("latent height", header.latent_height, model, model * header.height),
        ("latent width", header.latent_width, model, model * header.width),
        ("latent channels", header.latent_channels, model, model * MAX_NUMBER),
        ("level", header.level, 0, model * MAX_LEVEL),
        ("tile size", header.tile_size, MIN_TILE_SIZE, MAX_TILE_SIZE),
    ):
        if not least <= value <= most:
            allowed = f"from {least} to {most}" if most else "0 in a file without a model"
            raise cursor.damaged(name, f"is {value}, but must be {allowed}")
    if header.channels not in (1, 3):
        raise cursor.damaged("channels", f"is {header.channels}, but must be 1 or 3")
    if header.tile_size % TILE_SIZE_STEP:
        raise cursor.damaged("tile size", f"is {header.tile_size}, but must be in steps of {TILE_SIZE_STEP}")
    if any(header.synthesis_id) and not model:
        raise cursor.damaged("synthesis id", f"is {header.synthesis_id.hex()}, but the entropy id is 0")


def counts(header: Header) -> tuple[int, int]:
    """Number of tiles and of alpha tiles."""
    rows, columns = tile_grid(header.width, header.height, header.tile_size)
    return rows * columns, rows * columns if header.alpha and not header.alpha_in_tiles else 0


def _read_index(data: Bytes, whole: bool) -> Index:
    """The index; with `whole` only if the file has room for all the sections that its header counts."""
    header, start = read_header(data)
    cursor = Cursor(_view(data), "index", start)
    tiles, alpha = counts(header)
    if not tiles + alpha <= header.sections <= tiles + alpha + MAX_METADATA_SECTIONS:
        raise Damaged(
            f"header: number of sections before byte {start - CRC_BYTES} is {header.sections}, but there are "
            f"{tiles} tiles and {alpha} alpha tiles: the file is damaged, {AGAIN}"
        )
    least = MIN_SECTION_BYTES * header.sections if whole else 0
    cursor.require(tiles + alpha + CRC_BYTES + least, "what the header announces")
    lengths = [cursor.number("length of a section") for _ in range(tiles + alpha)]
    cursor.check_crc(start)
    offsets = tuple(accumulate(lengths, initial=cursor.at))
    return Index(header, start, offsets[: tiles + 1], offsets[tiles:])


def _read_section(cursor: Cursor) -> _Section:
    start = cursor.at
    tag = cursor.byte("tag")
    payload = cursor.take(cursor.number("length"), "payload")
    cursor.check_crc(start)
    if not payload:
        raise cursor.damaged("payload", "is empty, but must have a byte or more")
    return _Section(tag, payload, start, cursor.at)


def _indexed_section(
    data: Bytes, name: str, tags: tuple[int, ...], number: int, offsets: tuple[int, ...]
) -> _Section:
    """Section `number` of those that the index puts at `offsets`; its tag must be one of `tags`."""
    if not 0 <= number < len(offsets) - 1:
        raise BadArgument(f"there is no {name}: the file has {len(offsets) - 1}, counted from 0")
    start, stop = offsets[number : number + 2]
    cursor = Cursor(_view(data), name, start, stop)
    cursor.require(stop - start, "section")
    section = _read_section(cursor)
    if section.stop != stop:
        reason = f"makes a section of {section.stop - start} bytes, but the index says {stop - start}"
        raise cursor.damaged("length", reason)
    if section.tag not in tags:
        raise _unexpected(cursor, section.tag)
    return section


def _metadata(data: Bytes, index: Index, faults: list[FormatError] | None = None) -> Iterator[_Section]:
    """The metadata sections, unknown ancillary ones included; after the last one the file must end."""
    view = _view(data)
    at, last_tag = index.alpha[-1], -1
    with _noted(faults):
        Cursor(view, "file").require(at, "what the index announces")
    extra = index.header.sections - sum(counts(index.header))
    for number in range(min(extra, MAX_METADATA_SECTIONS)):  # salvage comes with counts that cannot be
        cursor = Cursor(view, f"metadata section {number}", at)
        with _noted(faults):
            section = _metadata_section(cursor, last_tag)
            last_tag = section.tag
            yield section
        at = cursor.at
    with _noted(faults):
        if at < len(view):
            raise TrailingBytes(
                f"{len(view) - at} bytes follow the end of the file at byte {at}: remove them"
            )


def _metadata_section(cursor: Cursor, last_tag: int) -> _Section:
    section = _read_section(cursor)
    if section.tag & CRITICAL:
        raise _unexpected(cursor, section.tag)
    if section.tag <= last_tag:
        raise cursor.damaged("tag", f"is 0x{section.tag:02X} after 0x{last_tag:02X}, but tags must rise")
    return section


@contextmanager
def _noted(faults: list[FormatError] | None) -> Iterator[None]:
    """Put an error into the list, if there is one, and go on."""
    try:
        yield
    except FormatError as fault:
        if faults is None:
            raise
        faults.append(fault)


def _unexpected(cursor: Cursor, tag: int) -> FormatError:
    """The error for an intact section whose tag may not stand where it stands."""
    if tag & CRITICAL and tag not in (TAG_TILE, TAG_ALPHA, TAG_FLAT_ALPHA):
        what = f"has the critical tag 0x{tag:02X}, which this version does not know"
        return UnknownSection(f"{cursor.section} at byte {cursor.offsets['tag']} {what}: {_UPDATE}")
    return cursor.damaged("tag", f"is 0x{tag:02X}, which may not stand here")


def _inside(data: Bytes, name: str, section: _Section) -> Cursor:
    """A cursor over the payload of a section."""
    stop = section.stop - CRC_BYTES
    return Cursor(_view(data), name, stop - len(section.payload), stop)


def _resolution(data: Bytes, section: _Section) -> tuple[int, int]:
    cursor = _inside(data, "resolution", section)
    resolution = cursor.number("horizontal"), cursor.number("vertical")
    if cursor.at != cursor.stop:
        raise cursor.damaged("vertical", f"ends at byte {cursor.at}, but must end at byte {cursor.stop}")
    return resolution


def _check_kinds(header: Header, tiles: Sequence[Tile]) -> None:
    """Refuse a model that no tile needs."""
    if header.has_model and all(tile.kind != NEURAL for tile in tiles):
        fault = f"entropy id at byte {len(MAGIC) + 2} is {header.entropy_id.hex()}"
        raise Damaged(
            f"header: {fault}, but must be 0 where all tiles are lossless: the file is damaged, {AGAIN}"
        )
