"""Damaged files: what is intact comes out, and what is not is named. Intact files pass `verify`."""

import re
from dataclasses import replace
from zlib import crc32

import numpy as np
import pytest
from broken_files import refuse_files
from samples import TINY, load_model, neural_file, photo

from aecodec import Codec, errors
from aecodec.errors import AecError
from aecodec.file import container
from aecodec.file.container import Tile
from aecodec.networks.photo.architecture import STRIDE
from aecodec.networks.photo.transform import synthesis_halo
from aecodec.picture.pictures import Picture
from aecodec.tiles import drawing, lossless, neural, salvage
from aecodec.tiles.grid import tile_boxes

WIDTH, HEIGHT, SIZE = 300, 530, 256  # 3 rows of 2 tiles
CODER = Codec(TINY, "cpu")
BOXES = tile_boxes(WIDTH, HEIGHT, SIZE)


@pytest.fixture(scope="module")
def data():
    file = neural_file(load_model(), photo(WIDTH, HEIGHT), 60, SIZE)
    beside = {"icc": bytes(60), "exif": b"II*\0" + bytes(40), "xmp": b"<x/>", "resolution": (72000, 72000)}
    return container.write(replace(file, **beside))


@pytest.fixture(scope="module")
def pixels(data):
    return CODER.decompress(data).pixels


def flipped(data: bytes, at: int, bits: int = 0x10) -> bytes:
    return data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]


def part_at(data: bytes, at: int) -> str:
    return next(part.name for part in container.layout(data) if at < part.offset + part.length)


def lost_tiles(damaged: tuple[str, ...]) -> set[int]:
    found = (re.match(r"tile (\d+) \(row (\d), column (\d)\) at byte \d+: ", line) for line in damaged)
    numbers = {int(match[1]): (int(match[2]), int(match[3])) for match in found if match}
    assert all(divmod(number, 2) == place for number, place in numbers.items())
    return set(numbers)


def check(salvaged: salvage.Salvaged, pixels: np.ndarray, lost: set[int]) -> None:
    """Lost tiles are grey, the others exact but for the halo around the lost ones."""
    touched = np.zeros(pixels.shape[:2], bool)
    for number in lost:
        box = BOXES[number]
        assert (salvaged.picture.pixels[box.slices] == drawing.GREY).all()
        touched[box.widened(STRIDE * synthesis_halo(load_model().architecture), HEIGHT, WIDTH).slices] = True
    assert np.array_equal(salvaged.picture.pixels[~touched], pixels[~touched])


def test_an_intact_file_is_not_damaged(data, pixels):
    salvaged = CODER.salvage(data)
    assert salvaged.damaged == ()
    check(salvaged, pixels, set())
    assert salvaged.picture.icc == bytes(60) and salvaged.picture.resolution == (72000, 72000)
    CODER.verify(data)


def test_a_changed_byte_anywhere_costs_no_more_than_its_part(data, pixels):
    """Every k-th byte; the header is all that cannot be got round."""
    for at in range(0, len(data), 131):
        changed, name = flipped(data, at), part_at(data, at)
        with pytest.raises(AecError):
            CODER.verify(changed)
        if name == "header":
            with pytest.raises(errors.FormatError):
                CODER.salvage(changed)
            continue
        salvaged = CODER.salvage(changed)
        lost = {int(name.split()[1])} if name.startswith("tile") else set()
        assert lost_tiles(salvaged.damaged) == lost, at
        check(salvaged, pixels, lost)
        assert len(salvaged.damaged) >= 1
        whole = {name: getattr(salvaged.picture, name) is not None for name in ("icc", "exif", "xmp")}
        assert all(there or name == kind for kind, there in whole.items()), at


def test_every_byte_of_the_index_can_be_got_round(data, pixels):
    index = container.read_index(data)
    for at in range(index.start, index.tiles[0]):  # the top bit: one number of the index more, or one less
        salvaged = CODER.salvage(flipped(data, at, (0x80, 0x01)[at % 2]))
        assert len(salvaged.damaged) == 1 and salvaged.damaged[0].startswith("index")
        check(salvaged, pixels, set())


def test_a_damaged_index_and_a_damaged_tile_at_once(data, pixels):
    index = container.read_index(data)
    both = flipped(flipped(data, index.start), index.tiles[5] + 40)
    salvaged = CODER.salvage(both)
    assert lost_tiles(salvaged.damaged) == {5}
    check(salvaged, pixels, {5})
    with pytest.raises(errors.Damaged, match="index"):  # nothing says where the tiles lie
        CODER.salvage(flipped(flipped(data, index.start), index.tiles[0] + 40))


def test_several_damaged_tiles_are_all_named(data, pixels):
    index, changed = container.read_index(data), data
    for number in (0, 3, 5):
        changed = flipped(changed, index.tiles[number] + 30)
    salvaged = CODER.salvage(changed)
    assert lost_tiles(salvaged.damaged) == {0, 3, 5}
    assert salvaged.damaged[1] == (
        f"tile 3 (row 1, column 1) at byte {index.tiles[3]}: its bytes are damaged"
    )
    check(salvaged, pixels, {0, 3, 5})


def test_a_file_that_is_cut_short_anywhere(data, pixels):
    index = container.read_index(data)
    for stop in range(index.tiles[1], len(data), 331):
        salvaged = CODER.salvage(data[:stop])
        lost = {number for number in range(6) if index.tiles[number + 1] > stop}
        assert lost_tiles(salvaged.damaged) == lost
        check(salvaged, pixels, lost)
        assert any("ends" in line for line in salvaged.damaged)
    for stop in (0, 5, index.start, index.tiles[0] - 1, index.tiles[0], index.tiles[1] - 1):
        with pytest.raises(errors.Truncated):
            CODER.salvage(data[:stop])


def test_where_no_tile_is_intact_that_is_the_error(data):
    index, changed = container.read_index(data), data
    for start in index.tiles[:-1]:
        changed = flipped(changed, start + 20)
    with pytest.raises(errors.Damaged, match="nothing of the picture is intact: copy or download"):
        CODER.salvage(changed)


def test_bytes_after_the_end_are_named(data, pixels):
    salvaged = CODER.salvage(data + b"more")
    assert len(salvaged.damaged) == 1 and "4 bytes follow" in salvaged.damaged[0]
    check(salvaged, pixels, set())


def test_a_tile_of_other_latents_is_lost(data, pixels):
    file = container.read(data)
    tiles = list(file.tiles)
    tiles[3] = replace(tiles[3], latents_crc=tiles[3].latents_crc ^ 1)
    changed = container.write(replace(file, tiles=tuple(tiles)))
    salvaged = CODER.salvage(changed)
    assert lost_tiles(salvaged.damaged) == {3} and "other latents" in salvaged.damaged[0]
    check(salvaged, pixels, {3})
    with pytest.raises(errors.LatentsMismatch, match="tile 3"):
        CODER.verify(changed)


def test_metadata_after_a_damaged_section_is_kept(data):
    """The length of a section is enough to find the next one."""
    offsets = {part.name: part.offset for part in container.layout(data)}
    salvaged = CODER.salvage(flipped(data, offsets["icc"] + 10))
    assert salvaged.picture.icc is None
    assert salvaged.picture.exif == b"II*\0" + bytes(40) and salvaged.picture.resolution == (72000, 72000)
    assert len(salvaged.damaged) == 1 and salvaged.damaged[0].startswith("metadata section 0: CRC-32")


@pytest.fixture
def unbound(monkeypatch):
    """A codec that nobody named a model for."""
    monkeypatch.setenv("AECODEC_MODELS", str(TINY.parent))
    return Codec(device="cpu")


def test_verify_draws_nothing_and_refuses_what_decompress_refuses(data, unbound, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(neural, "synthesise", None)
        unbound.verify(data)
    for broken in refuse_files(load_model()).values():
        with pytest.raises(AecError) as caught:
            unbound.verify(broken)
        with pytest.raises(type(caught.value)):
            unbound.decompress(broken)


def test_no_broken_file_makes_salvage_crash_or_passes_for_intact(unbound):
    for name, broken in refuse_files(load_model()).items():
        try:
            assert unbound.salvage(broken).damaged, name
        except AecError as fault:
            assert str(fault)


def test_a_picture_that_is_too_large_is_refused(data):
    small = Codec(TINY, "cpu", max_pixels=1000)
    for work in (small.salvage, small.verify):
        with pytest.raises(errors.TooLarge):
            work(data)


@pytest.fixture(scope="module")
def transparent():
    """A picture with alpha, the first two tiles flat in it."""
    pixels = photo(WIDTH, HEIGHT)
    return Picture(pixels, alpha=np.where(np.arange(HEIGHT)[:, None] < SIZE, 7, pixels[:, :, 0]))


def test_lost_alpha_tiles_are_opaque(transparent):
    data = CODER.compress(transparent)
    at = {part.name: part.offset for part in container.layout(data)}["alpha tile 0"]
    salvaged = CODER.salvage(flipped(data, at + 2))
    assert len(salvaged.damaged) == 1 and (salvaged.picture.alpha == drawing.OPAQUE).all()


def test_lost_tiles_that_hold_alpha_are_grey_and_opaque(transparent):
    file = lossless.packed(transparent, neural_file(load_model(), transparent.pixels, 60, SIZE))
    samples = [transparent.samples[box.slices] for box in BOXES]
    tiles = [Tile(container.PACKED, crc32(each.tobytes()), lossless.pack(each)) for each in samples]
    header = replace(file.header, alpha=True, tile_size=SIZE)
    data = container.write(replace(file, header=header, tiles=tuple(tiles)))
    salvaged = CODER.salvage(flipped(data, container.read_index(data).tiles[1] + 30)).picture.samples
    assert (salvaged[BOXES[1].slices] == [drawing.GREY] * 3 + [drawing.OPAQUE]).all()
    assert np.array_equal(salvaged[:, :SIZE], transparent.samples[:, :SIZE])


def test_a_count_of_sections_that_cannot_be_costs_nothing(data):
    """Two lies with right checksums: so many sections, and where the first of them lie."""
    index = container.read_index(data)
    start = container._header(index.header, 2**32 - 1)
    salvaged = CODER.salvage(start + data[index.start :])
    assert 1 <= len(salvaged.damaged) <= 2 * container.MAX_METADATA_SECTIONS
