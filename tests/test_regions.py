"""Parts of a picture: the crop of the whole, from no more tiles than they need."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from samples import TINY, load_model, neural_file, photo

import aecodec
from aecodec import Codec, errors
from aecodec.file import container
from aecodec.networks.photo.architecture import STRIDE
from aecodec.networks.photo.transform import synthesis_halo
from aecodec.tiles import neural
from aecodec.tiles.grid import tile_boxes

WIDTH, HEIGHT, SIZE = 700, 530, 256  # 3 x 3 tiles
CODER = Codec(TINY, "cpu")


@pytest.fixture(scope="module")
def data():
    return container.write(neural_file(load_model(), photo(WIDTH, HEIGHT), 80, SIZE))


@pytest.fixture(scope="module")
def pixels(data):
    return CODER.decode(data, "numpy")


def differs(part: np.ndarray, pixels: np.ndarray, region: tuple[int, int, int, int]) -> int:
    left, top, width, height = region
    crop = pixels[top : top + height, left : left + width]
    assert part.shape == crop.shape
    return int(np.abs(part.astype(int) - crop).max())


@st.composite
def regions(draw):
    left, top = draw(st.integers(0, WIDTH - 1)), draw(st.integers(0, HEIGHT - 1))
    return left, top, draw(st.integers(1, WIDTH - left)), draw(st.integers(1, HEIGHT - top))


@given(region=regions())
@settings(max_examples=40, deadline=None)
def test_a_region_is_the_crop_of_the_whole_within_one_level(data, pixels, region):
    assert differs(CODER.decode(data, "numpy", region=region), pixels, region) <= 1


@pytest.mark.parametrize(
    "region",
    [(0, 0, WIDTH, HEIGHT), (256, 256, 256, 256), (512, 0, 188, 256), (255, 255, 2, 2), (699, 529, 1, 1)],
    ids=str,
)
def test_corners_whole_tiles_and_single_pixels(data, pixels, region):
    assert differs(CODER.decode(data, "numpy", region=region), pixels, region) <= 1


def test_a_region_of_a_grey_picture(pixels):
    data = container.write(neural_file(load_model(), photo(300, 280, grey=True), 80, SIZE))
    whole = CODER.decode(data, "numpy")
    assert differs(CODER.decode(data, "numpy", region=(200, 7, 90, 270)), whole, (200, 7, 90, 270)) <= 1


def tiles_read(monkeypatch, data, region) -> list[int]:
    numbers, read = [], container.read_tile

    def counted(data, number, index=None):
        numbers.append(number)
        return read(data, number, index)

    monkeypatch.setattr(container, "read_tile", counted)
    CODER.decode(data, region=region)
    return sorted(numbers)


def test_only_the_tiles_that_the_region_sees_are_decoded(data, monkeypatch):
    halo = STRIDE * synthesis_halo(load_model().architecture)
    assert tiles_read(monkeypatch, data, (300, 300, 20, 20)) == [4]
    assert tiles_read(monkeypatch, data, (0, 256 - halo - STRIDE, 1, STRIDE)) == [0]
    assert tiles_read(monkeypatch, data, (0, 256 - halo - STRIDE + 1, 1, STRIDE)) == [0, 3]
    assert tiles_read(monkeypatch, data, (250, 250, 20, 1)) == [0, 1, 3, 4]
    assert tiles_read(monkeypatch, data, (0, 0, WIDTH, 1)) == [0, 1, 2]


def test_what_is_drawn_follows_the_region(data, monkeypatch):
    """Not even the tile that it lies in is drawn whole."""
    sizes, synthesise = [], neural.synthesise

    def measured(model, header, window, frame, part):
        sizes.append(window.shape[1:])
        return synthesise(model, header, window, frame, part)

    monkeypatch.setattr(neural, "synthesise", measured)
    CODER.decode(data, region=(300, 300, 20, 20))
    halo = synthesis_halo(load_model().architecture)
    assert sizes == [(2 + 2 * halo, 2 + 2 * halo)]


def test_damage_elsewhere_is_not_looked_at_and_in_the_region_it_is(data):
    start, stop = container.read_index(data).tiles[8:10]
    damaged = bytearray(data)
    damaged[(start + stop) // 2] ^= 1
    with pytest.raises(errors.Damaged):
        CODER.decode(damaged)
    CODER.decode(damaged, region=(0, 0, 300, 300))
    with pytest.raises(errors.Damaged, match="tile 8"):
        CODER.decode(damaged, region=(600, 500, 50, 20))


def test_a_picture_that_is_too_large_can_be_read_in_parts(data):
    small = Codec(TINY, "cpu", max_pixels=10_000)
    with pytest.raises(errors.TooLarge):
        small.decode(data)
    assert small.decode(data, region=(300, 200, 100, 100)).size == (100, 100)
    with pytest.raises(errors.TooLarge, match="101 x 100"):
        small.decode(data, region=(300, 200, 101, 100))


def test_metadata_comes_with_a_region_and_the_orientation_is_applied_after_it(photo):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "PNG", exif=exif, dpi=(72, 72))
    data = CODER.encode(file.getvalue())
    region = (10, 20, 30, 16)
    stored = CODER.decompress(data, region=region)
    assert stored.pixels.shape == (16, 30, 3) and stored.exif and stored.resolution
    assert CODER.decode(data, region=region).size == (30, 16)
    array = CODER.decode(data, "numpy", region=region)
    assert np.array_equal(array, np.rot90(stored.pixels, -1))


def test_the_function_of_the_package_takes_a_region_and_a_path(data, tmp_path):
    (tmp_path / "picture.aec").write_bytes(data)
    image = aecodec.decode(tmp_path / "picture.aec", device="cpu", model=TINY, region=(5, 6, 70, 80))
    assert image.size == (70, 80)


@pytest.mark.parametrize(
    "region",
    [(0, 0, 701, 1), (0, 0, 1, 531), (-1, 0, 5, 5), (0, -1, 5, 5), (699, 0, 2, 1), (0, 0, 0, 5), (0, 0, 5, 0)]
    + [(700, 0, 1, 1), (0, 0, -3, 4)],
    ids=str,
)
def test_a_region_outside_or_empty_is_refused_with_the_size_of_the_picture(data, region):
    with pytest.raises(errors.BadArgument, match="700 x 530"):
        CODER.decode(data, region=region)


@pytest.mark.parametrize(
    "region", [(0, 0, 5), (0, 0, 5, 5, 5), (0, 0, 5.0, 5), "0,0,5,5", 5, (0, 0, None, 5)]
)
def test_what_is_no_region_is_refused(data, region):
    with pytest.raises(errors.BadArgument, match="x, y, width, height"):
        CODER.decode(data, region=region)


def test_every_tile_alone_is_exactly_what_it_is_in_the_whole(data, pixels):
    for box in tile_boxes(WIDTH, HEIGHT, SIZE):
        region = (box.left, box.top, box.width, box.height)
        assert differs(CODER.decode(data, "numpy", region=region), pixels, region) == 0
