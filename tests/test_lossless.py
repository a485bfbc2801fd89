"""Lossless and packed tiles, alpha tiles, and the choice between them and the model."""

import re
import zlib
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import samples
import stress
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from make_vectors import reference_decoder

from aecodec import errors
from aecodec.codec import Codec
from aecodec.file import container
from aecodec.picture.pictures import Picture
from aecodec.tiles import alpha, lossless
from aecodec.tiles.drawing import draw_alpha
from aecodec.tiles.grid import Box


@pytest.fixture(scope="module")
def codec() -> Codec:
    """With the released model, by default and not by name: so it chooses."""
    return Codec(device="cpu")


def picture_of(pixels: np.ndarray) -> Picture:
    """Of samples [H, W, 1 to 4]."""
    if pixels.shape[2] in (1, 3):
        return Picture(pixels)
    return Picture(pixels[:, :, :-1].copy(), alpha=pixels[:, :, -1].copy())


@st.composite
def pictures(draw: st.DrawFn) -> np.ndarray:
    """Samples uint8 [h, w, 1 to 4] of few colours or many."""
    height, width, count = draw(st.integers(1, 40)), draw(st.integers(1, 40)), draw(st.integers(1, 4))
    if draw(st.booleans()):
        return draw(arrays.arrays(np.uint8, (height, width, count)))
    colours = draw(arrays.arrays(np.uint8, (draw(st.integers(1, 256)), count)))
    return colours[samples.spread(height, width, len(colours))]


# Round trips


@settings(max_examples=80, deadline=None)
@given(pictures())
def test_packed_pixels_come_back_to_the_bit_in_both_decoders(pixels):
    body = lossless.pack(pixels)
    height, width, count = pixels.shape
    assert np.array_equal(lossless.unpack(body, height, width, count, "tile 0"), pixels)
    assert np.array_equal(reference_decoder.unpack(body, height, width, count), pixels)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 16, 17, 256, 257])
def test_every_size_of_palette_comes_back(count):
    numbers = np.random.default_rng(1).permutation(1023).reshape(31, 33) % count
    pixels = np.stack([7 * numbers, 255 - numbers, numbers, numbers // 256], axis=2).astype(np.uint8)
    assert len(np.unique(pixels.reshape(-1, 4), axis=0)) == count
    body = lossless.pack(pixels)
    assert (body[0], body[1] if body[0] else None) == ((1, count - 1) if count <= 256 else (0, None))
    assert np.array_equal(lossless.unpack(body, 31, 33, 4, "tile 0"), pixels)


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, max_side=300)), st.booleans())
def test_alpha_comes_back_to_the_bit(plane, is_flat):
    plane = np.full_like(plane, plane[0, 0]) if is_flat else plane
    picture = Picture(np.zeros((*plane.shape, 1), np.uint8), alpha=plane)
    tiles = tuple(alpha.encode_tiles(picture, 256))
    header = replace(samples.lossless(picture.pixels).header, alpha=True)
    file = container.Container(header, samples.lossless(picture.pixels).tiles, tiles)
    data, whole = container.write(file), Box(0, 0, *plane.shape)
    assert np.array_equal(draw_alpha(header, partial(container.read_alpha, data), whole), plane)
    assert not is_flat or set(map(len, tiles)) == {1}


@settings(max_examples=40, deadline=None)
@given(pixels=pictures())
def test_alpha_comes_back_from_the_codec_and_all_else_where_it_is_lossless(codec, pixels):
    picture = picture_of(pixels)
    data = codec.compress(picture, 90)
    decoded = codec.decompress(data)
    assert (decoded.alpha is None) == (picture.alpha is None)
    assert decoded.alpha is None or np.array_equal(decoded.alpha, picture.alpha)
    if not container.read_header(data)[0].has_model:
        assert np.array_equal(decoded.samples, pixels)
        second = reference_decoder.decode(data, b"no weights needed")
        assert np.array_equal(second.pixels, picture.pixels)
        assert second.alpha is None or np.array_equal(second.alpha, picture.alpha)


@pytest.mark.parametrize("size", [(2100, 2050), (5000, 1), (1, 5000)])
def test_large_drawings_are_cut_into_tiles_and_come_back(codec, size):
    rows, columns = np.ogrid[: size[1], : size[0]]
    pixels = ((rows // 50 + columns // 70) % 5 * 60).astype(np.uint8)[:, :, None]
    picture = Picture(pixels, alpha=255 - pixels[:, :, 0])
    data = codec.compress(picture)
    header, _ = container.read_header(data)
    tiles = -(-size[0] // header.tile_size) * -(-size[1] // header.tile_size)
    assert (header.has_model, tiles) == (False, 4 if size[0] == 2100 else 1)
    decoded = codec.decompress(data)
    assert np.array_equal(decoded.pixels, pixels) and np.array_equal(decoded.alpha, picture.alpha)


# The choice


def drawing(mode: str = "RGB") -> Picture:
    colours = {"RGB": ("white", ["black", "red"]), "L": (255, [0, 100])}[mode]
    return picture_of(np.asarray(stress.drawing(mode, *colours)).reshape(160, 160, -1))


def test_a_drawing_is_kept_without_loss_and_needs_no_weights(codec, tmp_path, monkeypatch):
    for picture in (drawing(), drawing("L"), picture_of(np.asarray(stress.icon(48)))):
        data = codec.compress(picture)
        header, _ = container.read_header(data)
        assert not header.has_model and header.alpha == header.alpha_in_tiles == (picture.alpha is not None)
        monkeypatch.setenv("AECODEC_MODELS", str(tmp_path))
        decoded = Codec(device="cpu").decompress(data)
        assert np.array_equal(decoded.samples, picture.samples)


def test_naming_a_model_switches_it_off(tiny_model):
    data = Codec(tiny_model, "cpu").compress(drawing())
    assert container.read_header(data)[0].has_model


@pytest.mark.parametrize("goal", [{"psnr": 40}, {"psnr": 60}, {"bpp": 1.0}, {"target_size": 2000}], ids=str)
def test_a_drawing_without_loss_reaches_every_goal_that_asks_for_more(codec, goal):
    data = codec.compress(drawing(), **goal)
    assert not container.read_header(data)[0].has_model
    photograph = Picture(samples.photo(64, 64))
    if "psnr" in goal:
        with_model = codec.compress(photograph, psnr=35)
        assert container.read_header(with_model)[0].has_model
        with pytest.raises(errors.TargetOutOfReach):
            codec.compress(photograph, psnr=99)


def test_metadata_stays_with_a_drawing(codec):
    picture = replace(drawing(), icc=b"profile", exif=b"MM\0*", xmp=b"<x/>", resolution=(72_000, 1))
    decoded = codec.decompress(codec.compress(picture))
    for field in ("icc", "exif", "xmp", "resolution"):
        assert getattr(decoded, field) == getattr(picture, field)


def test_a_photograph_is_looked_at_and_no_more(codec, monkeypatch):
    """Neither is it made into PNG nor are its colours counted."""
    calls = []
    for name in ("pack", "encode_png"):
        monkeypatch.setattr(lossless, name, lambda *args: calls.append(args))
    for pixels in (samples.photo(531, 379), samples.photo(300, 200, grey=True), samples.photo(64, 64)):
        assert container.read_header(codec.compress(Picture(pixels)))[0].has_model
    assert calls == []
    with pytest.raises(TypeError):
        codec.compress(drawing())  # whereas this is tried
    assert len(calls) == 1


def test_the_smaller_one_wins(codec):
    thumbnail = picture_of(samples.photo(16, 16))
    for picture, has_model in ((drawing(), False), (thumbnail, True)):
        data = codec.compress(picture)
        assert container.read_header(data)[0].has_model == has_model
        with_model = Codec("photo", "cpu").compress(picture)
        file = container.read(with_model)
        assert len(data) == min(len(with_model), len(container.write(lossless.packed(picture, file))))


# Colour under alpha 0


def test_what_is_seen_keeps_its_colour_and_what_is_hidden_gets_that_of_its_neighbours():
    rng = np.random.default_rng(3)
    pixels = np.full((100, 1100, 3), (200, 40, 90), np.uint8)
    plane = np.full((100, 1100), 255, np.uint8)
    plane[20:90, 10:1090] = 0
    pixels[plane == 0] = rng.integers(0, 256, (np.count_nonzero(plane == 0), 3))
    filled = alpha.filled(Picture(pixels, alpha=plane))
    assert np.array_equal(filled, np.broadcast_to(np.uint8((200, 40, 90)), pixels.shape))
    assert not np.array_equal(pixels, filled)  # the caller's are left alone
    opaque = Picture(pixels, alpha=np.maximum(plane, 1))
    assert alpha.filled(opaque) is pixels and alpha.filled(Picture(pixels)) is pixels
    assert not alpha.filled(Picture(pixels, alpha=0 * plane)).any()


def test_hidden_noise_costs_next_to_nothing(codec):
    pixels = samples.photo(300, 300)
    plane = np.zeros((300, 300), np.uint8)
    plane[:, :150] = 255
    noisy = pixels.copy()
    noisy[:, 150:] = np.random.default_rng(1).integers(0, 256, (300, 150, 3))
    sizes = [len(codec.compress(Picture(shown, alpha=plane))) for shown in (pixels, noisy)]
    half = len(codec.compress(Picture(pixels[:, :150].copy(), alpha=plane[:, :150].copy())))
    assert sizes[0] == sizes[1] < 1.35 * half


# Damage


def with_alpha_stream(stream: bytes) -> bytes:
    file = samples.with_alpha(samples.lossless(samples.photo(24, 20)))
    return container.write(replace(file, alpha=(stream,)))


def png_of(width: int, height: int, rows: bytes) -> bytes:
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    parts = [samples.chunk(b"IHDR", size + b"\x08\0\0\0\0"), samples.chunk(b"IDAT", zlib.compress(rows, 9))]
    return b"\x89PNG\r\n\x1a\n" + b"".join([*parts, samples.chunk(b"IEND", b"")])


BOMB = bytes(200_000_000)


@pytest.mark.parametrize("width", [24, 20_000])
def test_a_stream_that_inflates_to_more_than_its_tile_takes_no_memory(codec, width):
    import tracemalloc

    bomb = png_of(width, 20, BOMB)
    packed = samples.packed(samples.photo(24, 20))
    tiles = (replace(packed.tiles[0], payload=kind + zlib.compress(BOMB, 9)) for kind in (b"\0", b"\1\7"))
    files = [with_alpha_stream(bomb), *(container.write(replace(packed, tiles=(tile,))) for tile in tiles)]
    for data in files:
        tracemalloc.start()
        with pytest.raises(errors.Damaged, match=r"^(alpha )?tile 0: its .*: the file is damaged"):
            codec.decode(data)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
        tracemalloc.stop()


def test_a_corrupt_alpha_tile_is_named(codec):
    plane = samples.photo(24, 20, grey=True)
    good = samples.png(plane)
    assert codec.decompress(with_alpha_stream(good)).alpha.tolist() == plane[:, :, 0].tolist()
    for stream in (b"no PNG", good[:-1], good[:60] + b"\xff" + good[61:], samples.png(plane[1:]), b"\x89PNG"):
        with pytest.raises(errors.Damaged, match=r"^alpha tile 0: "):
            codec.decode(with_alpha_stream(stream))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_stands_in_a_stream_is_decoded_or_damaged(data):
    """Never another error, and no more than the tile."""
    pixels = samples.photo(9, 7)
    good = data.draw(
        st.sampled_from([samples.png(pixels), lossless.pack(pixels), lossless.pack(pixels // 64)])
    )
    stream = bytearray(good)
    for _ in range(data.draw(st.integers(0, 3))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    stream = bytes(stream)[: data.draw(st.integers(0, len(stream)))]
    for decode in (lossless.decode_png, lossless.unpack):
        try:
            assert decode(stream, 7, 9, 3, "tile 5").shape == (7, 9, 3)
        except errors.Damaged as error:
            assert re.match("tile 5: ", str(error))


def test_a_file_of_packed_tiles_with_any_changed_byte_is_refused(codec):
    data = container.write(
        samples.packed(np.dstack([samples.photo(5, 4), samples.spread(4, 5, 9)]).astype("u1"))
    )
    assert codec.decompress(data).alpha is not None
    for position in range(len(data)):
        with pytest.raises(errors.FormatError):
            codec.decompress(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])


def test_a_tile_without_loss_is_checked_against_its_checksum():
    file = samples.lossless(samples.photo(24, 20))
    wrong = replace(file, tiles=(replace(file.tiles[0], latents_crc=5),))
    with pytest.raises(errors.LatentsMismatch, match="tile 0"):
        lossless.decode_tile(wrong.header, 0, wrong.tiles[0])
