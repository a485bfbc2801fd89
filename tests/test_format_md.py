"""FORMAT.md is executed: its example, its table of tags and the errors that it names."""

import re
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np
import rans_reference as reference

from aecodec import errors
from aecodec.coding.rans import Decoder, Encoder
from aecodec.coding.tables import Tables
from aecodec.file import container
from aecodec.file.container import NEURAL, Container, Header, Tile

TEXT = (Path(__file__).parent.parent / "FORMAT.md").read_text()
EXAMPLE = TEXT.partition("## An example")[2].partition("## ")[0]


def rows(heading, text=EXAMPLE):
    """The cells of the markdown table whose head starts with `heading`."""
    body = text[text.index(f"| {heading} |") :].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines()[2:]]


def block(heading):
    """The lines of the indented block whose first line starts with `heading`, without that line."""
    body = EXAMPLE[EXAMPLE.index(f"    {heading}") :].partition("\n\n")[0]
    return [line.strip() for line in body.splitlines()[1:]]


def integers(cell):
    return [int(number, 0) for number in cell.split()]


class Field(NamedTuple):
    """A line of the dump."""

    offset: int
    data: bytes
    name: str
    value: str | None = None


FIELDS = [
    Field(int(offset), bytes.fromhex(data), *rest)
    for offset, data, *rest in (re.split("  +", line) for line in block("offset"))
]
DATA = b"".join(field.data for field in FIELDS)
TABLES = [[], *(integers(row[2]) for row in rows("table"))]
POPS = {name: (integers(indexes), integers(symbols)) for name, indexes, symbols in rows("pop")}
TRACE = [re.split("  +", line) for line in block("state before")]
WORDS = [int(field.value, 16) for field in FIELDS if field.name == "word"]


def value(name):
    """The numbers that the dump gives for a field, in the order of the file."""
    return [int(field.value, 0) for field in FIELDS if field.name == name]


def constriction_tables():
    radius = [int(row[1]) for row in rows("table")]
    return Tables(np.array(radius), np.array(sum(TABLES, [])))


def test_dump_has_no_gaps():
    assert [field.offset for field in FIELDS] == [0, *accumulate(len(field.data) for field in FIELDS[:-1])]
    assert f"The whole file, {len(DATA)} bytes" in EXAMPLE


def test_dump_says_what_its_bytes_say():
    for offset, data, name, text in FIELDS:
        if name in ("magic", "entropy id", "synthesis id"):
            assert text is None
        elif name in ("checksum", "latents checksum", "word"):
            assert text == f"0x{int.from_bytes(data, 'little'):08X}", offset
        else:
            assert int(text, 0) == number(data), offset


def number(data):
    """A byte, or an LEB128 number of several."""
    return data[0] if len(data) == 1 else sum((byte & 127) << 7 * n for n, byte in enumerate(data))


def expected():
    """The container of the dump, put together from the text of its fields."""
    ids = {field.name: field.data for field in FIELDS if field.name.endswith(" id")}
    names = (
        "width",
        "height",
        "channels",
        "latent height",
        "latent width",
        "latent channels",
        "level",
        "tile size",
    )
    numbers = [value(name)[0] for name in names]
    header = Header(bool(value("flags")[0]), ids["entropy id"], ids["synthesis id"], *numbers)
    words = b"".join(word.to_bytes(4, "little") for word in WORDS)
    tile = Tile(NEURAL, value("latents checksum")[0], words)
    return Container(header, (tile,), resolution=(value("horizontal")[0], value("vertical")[0]))


def test_dump_is_read_and_written():
    assert container.read(DATA) == expected()
    assert container.write(expected()) == DATA
    assert container.read(DATA).header.sections == value("sections")[0]


def test_dump_has_the_checksums_of_its_parts():
    parts = container.layout(DATA)
    assert [crc32(DATA[p.offset : p.offset + p.length - 4]) for p in parts] == value("checksum")
    assert [p.name for p in parts] == ["header", "index", "tile 0", "resolution"]
    assert parts[2].length == value("length of tile 0")[0]


def test_words_of_the_example_decode_as_the_page_says():
    decoder = reference.Decoder(WORDS)
    for indexes, symbols in POPS.values():
        assert decoder.pop(indexes, TABLES) == symbols
    assert decoder.finished()
    names = {str(table): str(k) for k, table in enumerate(TABLES)} | {str([2**23, 2**23]): "bit"}
    found = [
        [f"{before:016X}", names[str(table)], str(entry), f"{after:016X}"]
        for before, table, entry, after in decoder.trace
    ]
    assert found == [line[:4] for line in TRACE]


def test_symbols_that_the_steps_name_are_those_of_the_pops():
    named = [
        int(remark.split()[-1])
        for _, _, _, _, *remarks in TRACE
        for remark in remarks
        if remark[-1].isdigit()
    ]
    coded = [
        symbol
        for indexes, symbols in POPS.values()
        for index, symbol in zip(indexes, symbols, strict=True)
        if index
    ]
    assert sorted(named) == sorted(coded)


def test_example_is_what_constriction_makes_of_it():
    tables, encoder = constriction_tables(), Encoder()
    for indexes, symbols in reversed(POPS.values()):
        encoder.push(np.array(symbols, np.int32), np.array(indexes, np.uint8), tables)
    assert encoder.words() == container.read(DATA).tiles[0].payload
    decoder = Decoder(encoder.words())
    for indexes, symbols in POPS.values():
        assert decoder.pop(np.array(indexes, np.uint8), tables).tolist() == symbols
    decoder.finish()


def test_latents_checksum_of_the_example_is_that_of_its_latents():
    z, y = POPS["z"][1], POPS["y"][1]
    assert (
        crc32(np.array([*z, *(16 * symbol for symbol in y)], "<i4").tobytes()) == value("latents checksum")[0]
    )


def test_tags_are_those_of_the_container():
    tags = {int(tag, 16): name for tag, name, _ in rows("tag | section", TEXT)}
    assert tags == {
        container.TAG_TILE: "tile",
        container.TAG_ALPHA: "alpha tile",
        container.TAG_FLAT_ALPHA: "flat alpha tile",
        container.TAG_ICC: "ICC profile",
        container.TAG_EXIF: "EXIF",
        container.TAG_XMP: "XMP",
        container.TAG_RESOLUTION: "resolution",
    }


def test_faults_have_the_errors_of_the_package():
    names = re.findall(r"\*\*(\w+)\*\*", " ".join(error for _, error in rows("fault", TEXT)))
    assert all(issubclass(getattr(errors, name), errors.AecError) for name in names)
    assert {error.__name__ for error in errors.FormatError.__subclasses__()} < set(names)


def test_checksum_of_the_page_is_that_of_zlib():
    assert f"0x{crc32(b'123456789'):08X}" in TEXT
