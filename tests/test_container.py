import subprocess
import sys
import tracemalloc
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aecodec.errors import (
    AecError,
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
from aecodec.file import container
from aecodec.file.container import LOSSLESS, NEURAL, Container, Header, Part, Tile

# A writer that shares nothing with container.py and can break every rule


def leb(value, size=1):
    """LEB128 in at least `size` bytes."""
    out = []
    while value > 127 or len(out) < size - 1:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def crc(data):
    return data + crc32(data).to_bytes(4, "little")


def section(tag, payload):
    return crc(bytes([tag]) + leb(len(payload)) + payload)


def header(**changes):
    """The header of a picture of 600 x 300 in six tiles of 256, field by field, with some fields changed."""
    fields = {
        "magic": b"\x8eAEC\r\n",
        "version": b"\x01",
        "flags": b"\x00",
        "entropy_id": b"entropy!",
        "synthesis_id": b"synt",
        "width": leb(600),
        "height": leb(300),
        "channels": b"\x03",
        "latent_height": leb(19),
        "latent_width": leb(38),
        "latent_channels": leb(320),
        "level": b"\x80",
        "tile_size": leb(256),
        "sections": leb(6),
    }
    assert changes.keys() <= fields.keys()
    return crc(b"".join((fields | changes).values()))


WORDS = section(0x81, b"\x00CRC4words...")
PIXELS = section(0x81, b"\x01CRC4a PNG stream")
NO_MODEL = {
    "entropy_id": bytes(8),
    "synthesis_id": bytes(4),
    "latent_height": b"\x00",
    "latent_width": b"\x00",
    "latent_channels": b"\x00",
    "level": b"\x00",
}


def file(*metadata, tiles=(WORDS,) * 6, alpha=(), index=None, **changes):
    """A file of those sections; `index` and header fields come out of them unless they are given."""
    changes.setdefault("sections", leb(len(tiles) + len(alpha) + len(metadata)))
    index = crc(b"".join(leb(len(part)) for part in (*tiles, *alpha))) if index is None else index
    return b"".join([header(**changes), index, *tiles, *alpha, *metadata])


FULL = file(
    section(3, b"profile"),
    section(4, b"MM\0*"),
    section(5, b"<x/>"),
    section(6, leb(300_000) + leb(72_000)),
    section(0x41, b"from the future"),
    tiles=(WORDS, PIXELS, WORDS, WORDS, WORDS, section(0x81, b"\x00CRC4")),
    alpha=tuple(section(0x82, b"png %d" % number) for number in range(6)),
    flags=b"\x01",
)
START = len(header())  # of the index


# Reading and writing


def test_every_field_is_read():
    found = container.read(FULL)
    assert found == Container(
        header=Header(True, b"entropy!", b"synt", 600, 300, 3, 19, 38, 320, 128, 256),
        tiles=(
            Tile(NEURAL, int.from_bytes(b"CRC4", "little"), b"words..."),
            Tile(LOSSLESS, int.from_bytes(b"CRC4", "little"), b"a PNG stream"),
            *[Tile(NEURAL, int.from_bytes(b"CRC4", "little"), b"words...")] * 3,
            Tile(NEURAL, int.from_bytes(b"CRC4", "little"), b""),
        ),
        alpha=tuple(b"png %d" % number for number in range(6)),
        icc=b"profile",
        exif=b"MM\0*",
        xmp=b"<x/>",
        resolution=(300_000, 72_000),
    )
    assert found.header.sections == 17
    assert found.header.has_model


def test_written_bytes_are_those_of_the_independent_writer():
    known = FULL[: -len(section(0x41, b"from the future"))]
    known = header(flags=b"\x01", sections=leb(16)) + known[START:]
    assert container.write(container.read(FULL)) == known


@st.composite
def containers(draw):
    """Any valid container of up to 20 tiles."""
    tile_size = draw(st.sampled_from([256, 320, 1024, 65536]))
    rows, columns = draw(st.tuples(st.integers(1, 5), st.integers(1, 4)))
    height, width = (tile_size * (n - 1) + draw(st.integers(1, tile_size)) for n in (rows, columns))
    model = draw(st.booleans())
    head = Header(
        alpha=draw(st.booleans()),
        entropy_id=draw(st.binary(min_size=8, max_size=8).filter(any)) if model else bytes(8),
        synthesis_id=draw(st.binary(min_size=4, max_size=4)) if model else bytes(4),
        width=width,
        height=height,
        channels=draw(st.sampled_from([1, 3])),
        latent_height=draw(st.integers(1, height)) if model else 0,
        latent_width=draw(st.integers(1, width)) if model else 0,
        latent_channels=draw(st.integers(1, 2**32 - 1)) if model else 0,
        level=draw(st.integers(0, 255)) if model else 0,
        tile_size=tile_size,
    )
    neural = st.builds(
        Tile, st.just(NEURAL), st.integers(0, 2**32 - 1), st.binary(max_size=8).map(lambda words: 4 * words)
    )
    lossless = st.builds(Tile, st.just(LOSSLESS), st.integers(0, 2**32 - 1), st.binary(max_size=300))
    others = rows * columns - 1
    tiles = draw(st.lists(neural | lossless if model else lossless, min_size=others, max_size=others))
    tiles.insert(draw(st.integers(0, others)), draw(neural if model else lossless))
    block = st.binary(min_size=1, max_size=300)
    count = rows * columns if head.alpha else 0
    number = st.integers(0, 2**32 - 1)
    return Container(
        header=head,
        tiles=tuple(tiles),
        alpha=tuple(draw(st.lists(block, min_size=count, max_size=count))),
        icc=draw(st.none() | block),
        exif=draw(st.none() | block),
        xmp=draw(st.none() | block),
        resolution=draw(st.none() | st.tuples(number, number)),
    )


@settings(max_examples=100, deadline=None)
@given(containers())
def test_what_is_written_is_read_back_whole_and_in_parts(wanted):
    data = container.write(wanted)
    assert all(container.read(kind(data)) == wanted for kind in (bytes, bytearray, memoryview))
    assert container.read_header(data)[0] == wanted.header
    index = container.read_index(data)
    assert tuple(container.read_tile(data, n, index) for n in range(len(wanted.tiles))) == wanted.tiles
    assert tuple(container.read_alpha(data, n, index) for n in range(len(wanted.alpha))) == wanted.alpha
    parts = container.layout(data)
    assert parts[0].offset == 0
    assert all(part.offset + part.length == following.offset for part, following in pairwise(parts))
    assert parts[-1].offset + parts[-1].length == len(data)
    assert len(parts) == 2 + container.read(data).header.sections


def test_layout_names_every_part():
    names = [part.name for part in container.layout(FULL)]
    tiles = [f"tile {n}" for n in range(6)] + [f"alpha tile {n}" for n in range(6)]
    assert names == ["header", "index", *tiles, "icc", "exif", "xmp", "resolution", "unknown 0x41"]
    assert container.layout(FULL)[:3] == [
        Part("header", 0, START),
        Part("index", START, 16),
        Part("tile 0", START + 16, len(WORDS)),
    ]


def test_unknown_ancillary_sections_are_skipped():
    with_unknown = file(section(0, b"?"), section(3, b"profile"), section(0x7F, b"?"))
    assert container.read(with_unknown) == container.read(file(section(3, b"profile")))


def test_a_file_of_lossless_tiles_needs_no_model():
    found = container.read(file(tiles=(PIXELS,) * 6, **NO_MODEL))
    assert not found.header.has_model
    assert container.write(found) == file(tiles=(PIXELS,) * 6, **NO_MODEL)


def test_numbers_at_the_ends_of_their_ranges_are_read():
    number = leb(2**32 - 1)
    big = leb(2**31 - 1)
    data = file(
        section(6, number + leb(0)),
        tiles=(WORDS,),
        width=big,
        height=big,
        latent_height=big,
        latent_width=leb(1),
        latent_channels=number,
        level=b"\xff",
        tile_size=leb(65536),
    )
    found, _ = container.read_header(data)
    assert (found.width, found.latent_height, found.latent_channels) == (2**31 - 1, 2**31 - 1, 2**32 - 1)
    assert container.read(file(section(6, number + leb(0)))).resolution == (2**32 - 1, 0)


@pytest.mark.parametrize(
    ("width", "height", "tile_size", "grid"),
    [(1, 1, 256, (1, 1)), (256, 257, 256, (2, 1)), (768, 512, 1024, (1, 1)), (6000, 4000, 1024, (4, 6))],
)
def test_tile_grid_covers_the_picture(width, height, tile_size, grid):
    assert container.tile_grid(width, height, tile_size) == grid


# Overhead


def photo(width, height, words, tile_size=1024):
    rows, columns = container.tile_grid(width, height, tile_size)
    latents = -(-height // 16), -(-width // 16), 320
    header = Header(False, b"entropy!", b"synt", width, height, 3, *latents, 128, tile_size)
    return Container(header, (Tile(NEURAL, 0, bytes(words)),) * (rows * columns))


@pytest.mark.parametrize("words", [0, 40_000, 2**21 - 16])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (768, 512), (1024, 1024)])
def test_overhead_of_one_tile_is_at_most_64_bytes(width, height, words):
    assert len(container.write(photo(width, height, words))) - words <= 64


def test_overhead_that_format_md_promises_is_kept():
    for side in (128, 768, 1024, 4096, 16384, 60_000):
        data = container.write(photo(side, side, 40_000, tile_size=65536 if side > 1024 else 1024))
        assert 57 <= len(data) - 40_000 <= 61 + (side > 1024)  # a tile size over 16383 takes a byte more


@pytest.mark.parametrize("words", [40_000, 2**21 - 16])
def test_overhead_of_further_tiles_is_at_most_16_bytes(words):
    one = len(container.write(photo(1024, 1024, words))) - words
    for columns in (2, 5):
        data = container.write(photo(1024 * columns, 1024, words))
        assert len(data) - columns * words - one <= 16 * (columns - 1) + 2  # 2: a longer width, twice


# Damage


@pytest.mark.parametrize("data", [FULL, file(), file(tiles=(PIXELS,) * 6, **NO_MODEL)])
def test_a_file_cut_anywhere_is_truncated(data):
    for length in range(len(data)):
        for reader in (container.read, container.layout):
            with pytest.raises(Truncated):
                reader(data[:length])


def test_any_changed_byte_is_refused():
    for position in range(len(FULL)):
        for change in (1, 2, 4, 8, 16, 32, 64, 128, 255):
            data = bytearray(FULL)
            data[position] ^= change
            with pytest.raises(FormatError):
                container.read(data)


def test_a_changed_byte_raises_only_format_errors_in_every_reader():
    for position in range(len(FULL)):
        data = bytearray(FULL)
        data[position] ^= 0xFF
        for reader in (container.layout, container.read_header, container.read_index):
            survives(reader, data)
        for number in range(6):
            survives(lambda data, number=number: container.read_tile(data, number), data)
            survives(lambda data, number=number: container.read_alpha(data, number), data)


def survives(reader, data):
    try:
        reader(data)
    except FormatError as error:
        assert_helpful(error)


def assert_helpful(error):
    """One sentence, without a line break, that says what to do after its last colon."""
    text = str(error)
    assert "\n" not in text
    assert ": " in text
    assert any(verb in text.rpartition(": ")[2] for verb in ("copy", "update", "name", "remove")), text


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(0, len(FULL)))
def test_any_bytes_at_all_raise_only_format_errors(noise, keep):
    for data in (noise, FULL[:keep] + noise):
        survives(container.read, data)
        survives(container.layout, data)


@pytest.mark.parametrize("more", [b"\0", b"\0" * 7, b"more", FULL])
def test_bytes_after_the_end_are_refused(more):
    for reader in (container.read, container.layout):
        with pytest.raises(TrailingBytes, match=f"{len(more)} bytes follow the .* at byte {len(FULL)}"):
            reader(FULL + more)


def last(tile):
    """A file with `tile` for the last of its six."""
    return file(tiles=(*[WORDS] * 5, tile))


def lossless(**changes):
    return file(tiles=(PIXELS,) * 6, **NO_MODEL | changes)


REFUSED = {
    # the magic and the version
    "another file": (b"\x89PNG\r\n\x1a\n", NotAec, "no .aec file"),
    "text": (b"hello", NotAec, "no .aec file"),
    "line feeds": (FULL.replace(b"\r\n", b"\n"), NotAec, "line endings"),
    "more returns": (FULL.replace(b"\n", b"\r\n"), NotAec, "line endings"),
    "no bytes": (b"", Truncated, "the file is empty"),
    "version 2": (file(version=b"\x02"), UnsupportedVersion, "version 2"),
    "version 2 of another shape": (b"\x8eAEC\r\n\x02", UnsupportedVersion, "version 2"),
    "version 0": (file(version=b"\x00"), UnsupportedVersion, "version 0"),
    # the header
    "reserved flags": (file(flags=b"\x80"), ReservedBits, "0x80"),
    "reserved flags and alpha": (file(flags=b"\x03"), ReservedBits, "0x03"),
    "header checksum": (header()[:-1] + b"?" + file()[START:], Damaged, "header: CRC-32 at byte 33"),
    "width 0": (file(width=leb(0)), Damaged, "width at byte 20 is 0, but must be from 1 to 2147483647"),
    "width 2^31": (file(width=leb(2**31)), Damaged, "width at byte 20 is 2147483648"),
    "height 0": (file(height=leb(0)), Damaged, "height at byte 22 is 0"),
    "channels 0": (file(channels=b"\0"), Damaged, "channels at byte 24 is 0, but must be 1 or 3"),
    "channels 2": (file(channels=b"\2"), Damaged, "channels at byte 24 is 2"),
    "latent height 0": (file(latent_height=leb(0)), Damaged, "latent height at byte 25 is 0"),
    "latent height over height": (file(latent_height=leb(301)), Damaged, "is 301, but must be from 1 to 300"),
    "latent width over width": (file(latent_width=leb(601)), Damaged, "is 601, but must be from 1 to 600"),
    "latent channels 0": (file(latent_channels=leb(0)), Damaged, "latent channels at byte 27 is 0"),
    "tile size 192": (file(tile_size=leb(192)), Damaged, "is 192, but must be from 256 to 65536"),
    "tile size 65600": (file(tile_size=leb(65600)), Damaged, "is 65600, but must be from 256 to 65536"),
    "tile size 257": (file(tile_size=leb(257)), Damaged, "is 257, but must be in steps of 64"),
    "number too long": (file(width=leb(600, size=3)), Damaged, "width at byte 20 takes 3 bytes for 600"),
    "zero too long": (file(width=leb(0, size=2)), Damaged, "width at byte 20 takes 2 bytes for 0"),
    "number over 2^32": (file(width=leb(2**32)), Damaged, "width at byte 20 is over 4294967295"),
    "number of six bytes": (file(width=leb(2**35)), Damaged, "width at byte 20 is over 4294967295"),
    "endless number": (header()[:20] + b"\xff" * 40, Damaged, "width at byte 20 is over 4294967295"),
    "too few sections": (file(sections=leb(5)), Damaged, "is 5, but there are 6 tiles and 0 alpha tiles"),
    "no room for alpha": (file(flags=b"\1"), Damaged, "is 6, but there are 6 tiles and 6 alpha tiles"),
    "too many sections": (file(sections=leb(6 + 129)), Damaged, "is 135, but there are 6 tiles"),
    # models
    "synthesis without model": (
        lossless(synthesis_id=b"synt"),
        Damaged,
        "synthesis id at byte 16 is 73796e74",
    ),
    "latents without model": (
        lossless(latent_width=b"\1"),
        Damaged,
        "latent width at byte 26 is 1, but must be 0 in a file without",
    ),
    "level without model": (lossless(level=b"\1"), Damaged, "level at byte 28 is 1"),
    "neural without model": (
        file(**NO_MODEL),
        Damaged,
        "tile 0: kind at byte 48 is 0, neural, but the header names no",
    ),
    "model without neural": (file(tiles=(PIXELS,) * 6), Damaged, "entropy id at byte 8 is 656e74726f707921"),
    # the index
    "index checksum": (file(index=b"\x14" * 6 + b"CRC4"), Damaged, f"index: CRC-32 at byte {START + 6}"),
    "length too long": (
        file(index=crc(leb(len(WORDS), size=2) * 6)),
        Damaged,
        f"length of a section at byte {START} t",
    ),
    "length off by one": (
        file(index=crc(leb(len(WORDS)) * 5 + leb(len(WORDS) + 1)), tiles=(WORDS,) * 7),
        Damaged,
        "tile 5: length",
    ),
    "length 0": (file(index=crc(bytes(6))), Damaged, "tile 0: tag at byte"),
    "length over the file": (file(index=crc(leb(2**32 - 1) * 6)), Truncated, "tile 0: section at byte"),
    # sections
    "section checksum": (last(WORDS[:-1] + b"\0"), Damaged, "tile 5: CRC-32 at byte"),
    "unknown critical metadata": (file(section(3, b"profile"), section(0x84, b"?")), UnknownSection, "0x84"),
    "unknown critical tile": (last(section(0xFF, b"?")), UnknownSection, "0xFF"),
    "ancillary tile": (last(section(3, b"?")), Damaged, "tile 5: tag at byte"),
    "alpha tile for tile": (last(section(0x82, b"?")), Damaged, "is 0x82, which may not stand"),
    "tile for alpha tile": (file(alpha=(WORDS,) * 6, flags=b"\1"), Damaged, "alpha tile 0: tag at byte"),
    "tile for metadata": (file(WORDS), Damaged, "metadata section 0: tag at byte"),
    "tags fall": (
        file(section(4, b"MM"), section(3, b"p")),
        Damaged,
        "is 0x03 after 0x04, but tags must rise",
    ),
    "tag twice": (file(section(3, b"p"), section(3, b"p")), Damaged, "is 0x03 after 0x03"),
    "empty metadata": (file(section(3, b""), section(4, b"1234567")), Damaged, "payload at byte"),
    "empty alpha tile": (
        file(alpha=(section(0x82, b""),) + (section(0x82, b"png"),) * 5, flags=b"\1"),
        Damaged,
        "alpha tile 0: payload at byte",
    ),
    "long metadata": (
        file(section(3, b"p"), crc(b"\x04" + leb(10**6) + b"MM")),
        Truncated,
        "takes 1000000 bytes",
    ),
    "resolution of one number": (file(section(6, leb(300))), Damaged, "resolution: vertical at byte"),
    "resolution of three numbers": (file(section(6, b"abc")), Damaged, "resolution: vertical at byte"),
    "resolution too long": (file(section(6, leb(1) + leb(1, size=2))), Damaged, "takes 2 bytes for 1"),
    # tiles
    "kind 2": (last(section(0x81, b"\2CRC4")), UnknownSection, "tile 5 is of kind 2"),
    "tile without checksum": (last(section(0x81, b"\0CRC")), Damaged, "latents CRC-32 at byte"),
    "half a word": (last(section(0x81, b"\0CRC4..")), Damaged, "words at byte 149 take 2 bytes"),
}


@pytest.mark.parametrize(("data", "error", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_each_fault_has_its_own_error(data, error, text):
    with pytest.raises(error) as caught:
        container.read(data)
    assert type(caught.value) is error
    assert text in str(caught.value)
    assert_helpful(caught.value)


def test_the_fuzzer_finds_nothing_in_a_second():
    script = Path(__file__).parent.parent / "benchmarks" / "fuzz_container.py"
    run = subprocess.run(
        [sys.executable, script, "--minutes", "0.02", "--seed", "3"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "inputs, slowest" in run.stdout


# Limits


@pytest.mark.parametrize(
    "changes",
    [
        {"width": leb(2**31 - 1), "height": leb(2**31 - 1), "sections": leb(2**32 - 1)},
        {"width": leb(2**31 - 1), "height": leb(2**31 - 1), "sections": leb(2**30), "tile_size": leb(65536)},
        {"width": leb(2**31 - 1), "sections": leb(2**24)},
        {"sections": leb(6 + 128)},
    ],
)
def test_a_huge_picture_is_refused_before_anything_is_allocated(changes):
    data = header(**changes) + bytes(100)
    tracemalloc.start()
    for reader in (container.read, container.layout):
        with pytest.raises((Truncated, Damaged)):
            reader(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


def test_the_header_of_a_huge_picture_can_be_read():
    head, end = container.read_header(header(width=leb(2**31 - 1), height=leb(2**31 - 1)))
    assert (head.width, head.height, end) == (2**31 - 1, 2**31 - 1, START + 6)


# One tile alone


def test_a_tile_can_be_read_whatever_became_of_the_others():
    index = container.read_index(FULL)
    damaged = bytearray(FULL)
    damaged[index.tiles[1] + 3] ^= 1
    for data in (damaged, FULL[: index.tiles[1]]):
        assert container.read_tile(data, 0) == container.read(FULL).tiles[0]
        with pytest.raises(FormatError, match="tile 1"):
            container.read_tile(data, 1)


@pytest.mark.parametrize("number", [-1, 6, 10**9])
def test_there_are_no_other_tiles(number):
    with pytest.raises(BadArgument, match=f"there is no tile {number}: the file has 6"):
        container.read_tile(FULL, number)
    with pytest.raises(BadArgument, match=f"there is no alpha tile {number}: the file has 0"):
        container.read_alpha(file(), number)


# What cannot be written

GOOD = container.read(FULL)


@pytest.mark.parametrize(
    "bad",
    [
        replace(GOOD, tiles=GOOD.tiles[:-1]),
        replace(GOOD, alpha=()),
        replace(GOOD, alpha=(b"",) * 6),
        replace(GOOD, icc=b""),
        replace(GOOD, exif=b""),
        replace(GOOD, resolution=(-1, 0)),
        replace(GOOD, resolution=(2**32, 0)),
        replace(GOOD, resolution=(1, 2, 3)),
        replace(GOOD, tiles=(Tile(2, 0, b""), *GOOD.tiles[1:])),
        replace(GOOD, tiles=(Tile(300, 0, b""), *GOOD.tiles[1:])),
        replace(GOOD, tiles=(Tile(NEURAL, 2**32, b""), *GOOD.tiles[1:])),
        replace(GOOD, tiles=(Tile(NEURAL, 0, b"?"), *GOOD.tiles[1:])),
        replace(GOOD, tiles=(Tile(LOSSLESS, 0, b"?"),) * 6),
        *(
            replace(GOOD, header=replace(GOOD.header, **change))
            for change in (
                {"alpha": False},
                {"entropy_id": bytes(8)},
                {"entropy_id": b"entropy"},
                {"entropy_id": b"entropy!s", "synthesis_id": b"ynt"},
                {"width": 0},
                {"width": 5000},
                {"width": 2**31},
                {"height": -1},
                {"channels": 4},
                {"channels": 256},
                {"latent_height": 0},
                {"level": 256},
                {"tile_size": 100},
            )
        ),
    ],
)
def test_what_the_format_cannot_say_is_not_written(bad):
    with pytest.raises(BadArgument, match="no valid file"):
        container.write(bad)


def test_the_container_needs_neither_numpy_nor_torch():
    code = (
        "import sys, aecodec.file.container; sys.exit(bool({'numpy', 'torch', 'PIL'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_format_errors_are_aec_errors():
    assert issubclass(FormatError, AecError)
