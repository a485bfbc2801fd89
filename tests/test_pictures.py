import io
import warnings
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, PngImagePlugin

from aecodec import errors
from aecodec.picture import formats, metadata, opening, pictures

PHOTO = Path(__file__).parent.parent / "examples" / "photo.png"
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><note>h\xc3\xb6her</note></x:xmpmeta>'
ORIENTATION, ARTIST, EXIF_IFD, EXPOSURE = 0x0112, 0x013B, 0x8769, 0x829A


def exif_block(orientation: int | None = None) -> bytes:
    exif = Image.Exif()
    exif[ARTIST] = "A. Painter"
    exif.get_ifd(EXIF_IFD)[EXPOSURE] = 0.125
    if orientation is not None:
        exif[ORIENTATION] = orientation
    return exif.tobytes().removeprefix(b"Exif\0\0")


def pixels(height=19, width=31, channels=3) -> np.ndarray:
    """A smooth picture, so that lossy formats come close to it."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [(4 * x + 3 * y + 40 * c) % 200 for c in range(channels)]
    return np.stack(planes, axis=-1).astype(np.uint8)


def picture_file(image: Image.Image, format: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def reload(picture: pictures.Picture, format: str) -> pictures.Picture:
    file = io.BytesIO()
    pictures.save(picture, file, format)
    return pictures.load(file.getvalue())


def full_picture(channels=3) -> pictures.Picture:
    return pictures.Picture(pixels(channels=channels), ICC, exif_block(6), XMP, (300_000, 150_000))


# What load takes


def deep_key_png() -> bytes:
    """Grey of 2 bits, one value of which is transparent: Pillow scales the pixels and not this value."""
    rows = zlib.compress(b"\0\x1b")  # 0 1 2 3
    header = (4).to_bytes(4, "big") + (1).to_bytes(4, "big") + b"\x02\0\0\0\0"
    chunks = (b"IHDR", header), (b"tRNS", b"\0\x01"), (b"IDAT", rows), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def test_an_opened_image_is_the_picture_of_its_file(tmp_path):
    for number, data in enumerate((deep_key_png(), deep_png(), deep_tiff(), deep_jpeg2000(), deep_avif())):
        path = tmp_path / f"{number}.bin"
        path.write_bytes(data)
        expected = pictures.load(path)
        with Image.open(path) as by_name, Image.open(io.BytesIO(data)) as from_memory:
            for image in (by_name, from_memory):
                found = pictures.load(image)
                assert np.array_equal(found.samples, expected.samples), number
                assert found.converted == expected.converted and found.left_out == expected.left_out
                pictures.load(image)  # again: it is loaded, and its file may be closed
    with Image.open(io.BytesIO(deep_png())) as image, pytest.raises(errors.UnsupportedPicture):
        pictures.load(image, strict=True)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_of_source_gives_the_same_pixels(tmp_path, channels):
    expected = pixels(channels=channels)
    array = expected if channels == 3 else expected[:, :, 0]
    image = Image.fromarray(array)
    data = picture_file(image, "PNG")
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    tensor = torch.from_numpy(expected).permute(2, 0, 1)
    sources = [path, str(path), data, bytearray(data), memoryview(data), io.BytesIO(data), image, array]
    for source in [*sources, expected, tensor, torch.nn.Parameter(tensor, requires_grad=False)]:
        loaded = pictures.load(source).pixels
        assert loaded.dtype == np.uint8 and loaded.shape == expected.shape
        assert np.array_equal(loaded, expected)


def test_strided_arrays_are_taken_over_right():
    base = pixels(40, 60)
    for view in (base[::2, ::-3], base.transpose(1, 0, 2), np.asfortranarray(base)):
        loaded = pictures.load(view).pixels
        assert loaded.flags.c_contiguous and np.array_equal(loaded, view)


def test_pixels_of_a_file_may_be_written_to():
    assert pictures.load(PHOTO).pixels.flags.writeable  # torch.from_numpy warns of others


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (np.zeros((4, 4, 3), np.float32), "float32"),
        (np.zeros((4, 4, 5), np.uint8), r"\(4, 4, 5\)"),
        (np.zeros((3, 4, 5, 3), np.uint8), r"\(3, 4, 5, 3\)"),
        (np.zeros((0, 4, 3), np.uint8), "4 x 0"),
        (torch.zeros(3, 4, 4), "float32"),
        (torch.zeros(5, 4, 3, dtype=torch.uint8), r"\(5, 4, 3\)"),
        (torch.zeros(4, 4, dtype=torch.uint8), r"\(4, 4\)"),
        (Image.new("RGB", (0, 5)), "0 x 5"),
        ({"a": 1}, "dict"),
        (None, "NoneType"),
    ],
)
def test_unfit_values_are_refused_by_what_is_wrong_with_them(source, words):
    with pytest.raises(errors.BadArgument, match=words):
        pictures.load(source)


# What load refuses


@pytest.mark.parametrize("format", ["TIFF", None])
def test_floating_point_is_refused_for_nobody_knows_its_white(format):
    image = Image.new("F", (8, 8), 0.5)
    with pytest.raises(errors.UnsupportedPicture, match=r"floating point.*\(mode F\)"):
        pictures.load(picture_file(image, format) if format else image)


def png_chunk(tag: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + tag + body + zlib.crc32(tag + body).to_bytes(4, "big")


def deep_png() -> bytes:
    header = (8).to_bytes(4, "big") * 2 + bytes([16, 2, 0, 0, 0])
    rows = zlib.compress((b"\0" + bytes(8 * 6)) * 8)
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def deep_tiff() -> bytes:
    entries = [(256, 3, 1, 2), (257, 3, 1, 2), (258, 3, 3, 110), (259, 3, 1, 1), (262, 3, 1, 2)]
    entries += [(273, 4, 1, 116), (277, 3, 1, 3), (278, 3, 1, 2)]
    directory = b"".join(
        b"".join(value.to_bytes(size, "little") for value, size in zip(entry, (2, 2, 4, 4), strict=True))
        for entry in entries
    )
    head = b"II*\0\x08\0\0\0" + len(entries).to_bytes(2, "little") + directory + bytes(4)
    return head.ljust(110, b"\0") + b"\x10\0" * 3 + bytes(24)


def deep_jpeg2000() -> bytes:
    data = bytearray(picture_file(Image.new("RGB", (8, 8)), "JPEG2000", no_jp2=True))
    data[42] = 15  # Ssiz: 16 bits, unsigned
    return bytes(data)


def deep_avif() -> bytes:
    data = bytearray(picture_file(Image.new("RGB", (8, 8)), "AVIF"))
    data[data.index(b"av1C") + 6] |= 0x40  # high_bitdepth
    depths = data.index(b"pixi") + 9
    data[depths : depths + 3] = b"\x0a" * 3
    return bytes(data)


def deep_sgi() -> bytes:
    file = bytearray(picture_file(Image.new("RGB", (8, 8)), "SGI"))
    file[3] = 2
    return bytes(file) + bytes(8 * 8 * 3)


@pytest.mark.parametrize(
    ("data", "bits"),
    [
        pytest.param(deep_png(), 16, id="PNG"),
        pytest.param(deep_tiff(), 16, id="TIFF"),
        pytest.param(b"P6 2 2 65535\n" + bytes(24), 16, id="PPM"),
        pytest.param(b"P6 2 2 1023\n" + bytes(24), 10, id="PPM of 10 bits"),
        pytest.param(deep_jpeg2000(), 16, id="JPEG2000"),
        pytest.param(deep_avif(), 10, id="AVIF"),
        pytest.param(deep_sgi(), 16, id="SGI"),
    ],
)
def test_more_than_8_bits_are_said_where_pillow_hides_them(data, bits):
    assert formats.look(opening.open_file(data), data).bits == bits
    try:
        assert pictures.load(data).converted == (f"{bits} bits a channel to 8",)
    except errors.TruncatedImage:  # the files made above have no more than a header
        assert data in (deep_jpeg2000(), deep_avif(), deep_sgi())
    with pytest.raises((errors.UnsupportedPicture, errors.TruncatedImage)):
        pictures.load(data, strict=True)


def test_a_ppm_of_fewer_than_8_bits_is_read():
    picture = pictures.load(b"P6 2 1 15\n" + bytes(range(6)))
    assert picture.pixels.tolist() == [[[0, 17, 34], [51, 68, 85]]] and picture.converted == ()


@pytest.mark.parametrize("format", ["PNG", "GIF", "WEBP", "TIFF", "AVIF"])
def test_several_pictures_in_one_file_are_refused(format):
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    data = picture_file(first, format, save_all=True, append_images=[second])
    with pytest.raises(errors.UnsupportedPicture, match="2 pictures: take one with --frame N"):
        pictures.load(data)
    for frame, colour in enumerate(((255, 0, 0), (0, 0, 255))):
        picture = pictures.load(data, frame=frame)
        assert picture.pixels.shape == (8, 8, 3) and picture.resolution is None and picture.left_out == ()
        assert np.abs(picture.pixels.astype(int) - colour).max() < 4
    for frame in (2, -1, np.int64(2)):
        with pytest.raises(errors.BadArgument, match="the file holds 2 pictures: give 0 to 1"):
            pictures.load(data, frame=frame)
    for frame in (1.5, "1", True):
        with pytest.raises(errors.BadArgument, match=f"frame={frame!r} is no whole number"):
            pictures.load(data, frame=frame)
    assert np.array_equal(pictures.load(data, frame=np.int64(1)).pixels, picture.pixels)


def test_one_picture_has_frame_0_alone():
    data = picture_file(Image.fromarray(pixels()), "PNG")
    for source in (data, Image.fromarray(pixels()), pixels()):
        assert np.array_equal(pictures.load(source, frame=0).pixels, pixels())
        with pytest.raises(errors.BadArgument, match=r"no frame 1.*(1 picture|in an array)"):
            pictures.load(source, frame=1)


def test_a_frame_that_is_cut_off_is_truncated():
    first, second = Image.fromarray(pixels()), Image.fromarray(255 - pixels())
    data = picture_file(first, "TIFF", save_all=True, append_images=[second])
    with pytest.raises(errors.TruncatedImage):
        pictures.load(data[: len(data) - 300], frame=1)


def test_a_photograph_with_previews_behind_it_is_read_and_they_are_named():
    preview = Image.new("RGB", (8, 8))
    data = picture_file(Image.fromarray(pixels()), "MPO", save_all=True, append_images=[preview])
    picture = pictures.load(data)
    assert picture.pixels.shape == (19, 31, 3) and picture.left_out == ("the pictures behind the first one",)


@pytest.mark.parametrize("data", [b"", b"x", b"hello world, this is text", bytes(1000), b"\x8eAEC\r\n" * 9])
def test_other_files_are_no_picture(data):
    with pytest.raises(errors.NotAnImage):
        pictures.load(data)


def test_postscript_is_no_picture_for_it_would_start_ghostscript():
    with pytest.raises(errors.NotAnImage):
        pictures.load(picture_file(Image.new("RGB", (8, 8)), "EPS"))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF", "BMP", "PPM", "JPEG2000"])
def test_a_picture_cut_short_anywhere_is_refused_or_whole(format):
    data = picture_file(Image.fromarray(pixels(40, 40, 1)[:, :, 0]), format)
    whole = pictures.load(data)
    kinds = set()
    warnings.simplefilter("ignore")  # Pillow warns of TIFF directories that end early
    for stop in range(0, len(data), max(1, len(data) // 97)):
        try:
            assert np.array_equal(pictures.load(data[:stop]).pixels, whole.pixels)
        except errors.AecError as error:
            kinds.add(type(error))
    assert errors.TruncatedImage in kinds
    assert kinds <= {errors.TruncatedImage, errors.NotAnImage, errors.UnsupportedPicture}


def test_missing_files_and_folders(tmp_path):
    for path in (tmp_path / "nowhere.png", tmp_path, "a\0b", ""):
        with pytest.raises(errors.InputMissing):
            pictures.load(path)


# Limits


def bomb() -> bytes:
    header = (100_000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"\x78\x9c") + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def test_too_large_is_said_before_anything_is_decoded():
    with pytest.raises(errors.TooLarge, match=r"100000 x 100000 = 10000000000 pixels.*2684354|100.0 GB"):
        pictures.load(bomb())
    for source in (pixels(), Image.fromarray(pixels()), torch.zeros(3, 19, 31, dtype=torch.uint8)):
        assert pictures.load(source, max_pixels=19 * 31).pixels.shape == (19, 31, 3)
        with pytest.raises(errors.TooLarge, match="31 x 19 = 589"):
            pictures.load(source, max_pixels=19 * 31 - 1)


def test_our_limit_stands_for_the_one_of_pillow(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for format in ("PNG", "JPEG", "BMP", "PPM"):
            assert pictures.load(picture_file(Image.fromarray(pixels()), format)).pixels.shape == (19, 31, 3)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_a_plugin_that_has_its_own_limit_is_quoted(monkeypatch):
    def refuse(file, name):
        raise Image.DecompressionBombError("too many pixels")

    monkeypatch.setitem(Image.OPEN, "PNG", (refuse, Image.OPEN["PNG"][1]))
    with pytest.raises(errors.TooLarge, match="Pillow refuses to read this PNG picture: too many pixels"):
        pictures.load(PHOTO)


# Metadata


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("channels", [1, 3])
def test_metadata_survives_a_file_of_each_format(format, channels):
    before = full_picture(channels)
    if format == "TIFF":  # Pillow turns a TIFF upright when it reads it
        before = replace(before, exif=exif_block())
    if format == "WEBP":  # has no grey
        before = replace(before, pixels=np.repeat(before.pixels[:, :, :1], 3, axis=2))
    after = reload(before, format)
    assert after.icc == before.icc
    assert after.xmp == before.xmp
    exif = Image.Exif()
    exif.load(after.exif)
    assert not after.exif.startswith(b"Exif")
    assert exif[ARTIST] == "A. Painter" and exif.get(ORIENTATION) == (None if format == "TIFF" else 6)
    assert float(exif.get_ifd(EXIF_IFD)[EXPOSURE]) == 0.125
    if "resolution" not in metadata._HOLDS[format]:
        assert after.resolution is None
    else:
        assert np.allclose(after.resolution, before.resolution, rtol=1e-3)
    assert after.left_out == ()
    difference = np.abs(after.pixels.astype(int) - before.pixels)
    assert difference.max() <= (0 if format in ("PNG", "TIFF", "WEBP") else 16)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_exif_and_xmp_come_back_byte_for_byte(format):
    before = full_picture()
    after = reload(before, format)
    assert (after.exif, after.xmp) == (before.exif, before.xmp)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF", "BMP", "PPM"])
def test_a_picture_without_metadata_gets_none(format):
    after = reload(pictures.Picture(pixels()), format)
    assert (after.icc, after.exif, after.xmp, after.left_out) == (None, None, None, ())


def test_a_tiff_hands_over_its_tags_but_not_its_layout():
    data = picture_file(Image.fromarray(pixels()), "TIFF", tiffinfo={ARTIST: "A. Painter"}, dpi=(300, 300))
    picture = pictures.load(data)
    tags = Image.Exif()
    tags.load(picture.exif)
    assert dict(tags) == {ARTIST: "A. Painter"}
    assert picture.resolution == (300_000, 300_000)
    assert reload(picture, "TIFF").exif == picture.exif


def test_layout_tags_in_exif_do_not_break_a_tiff():
    exif = Image.Exif()
    exif[ARTIST], exif[262], exif[278], exif[259] = "A. Painter", 0, 5, 7
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    after = reload(pictures.Picture(pixels(channels=1), exif=block), "TIFF")
    assert np.array_equal(after.pixels, pixels(channels=1))


def test_exif_in_the_old_text_chunk_of_a_png_is_kept():
    chunks = PngImagePlugin.PngInfo()
    block = b"Exif\0\0" + exif_block(3)
    chunks.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{block.hex()}\n", zip=True)
    picture = pictures.load(picture_file(Image.fromarray(pixels()), "PNG", pnginfo=chunks))
    exif = Image.Exif()
    exif.load(picture.exif)
    assert exif[ARTIST] == "A. Painter" and exif[ORIENTATION] == 3 and picture.left_out == ()


def test_what_has_no_place_is_named():
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Title", "a title")
    chunks.add(b"gAMA", (100_000).to_bytes(4, "big"))
    image = Image.fromarray(pixels())
    assert pictures.load(picture_file(image, "PNG", pnginfo=chunks)).left_out == (
        "a gamma value",
        "the text 'Title'",
    )
    assert pictures.load(picture_file(image, "JPEG", comment=b"hello")).left_out == ("a comment",)


@pytest.mark.parametrize("key", ["icc_profile", "exif", "xmp", "dpi", "aspect", "comment", "gamma"])
def test_text_chunks_with_treacherous_names_do_no_harm(key):
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text(key, "not what it seems")
    picture = pictures.load(picture_file(Image.fromarray(pixels()), "PNG", pnginfo=chunks))
    assert (picture.icc, picture.xmp, picture.resolution) == (None, None, None)
    assert f"the text {key!r}" in picture.left_out


@pytest.mark.parametrize(
    ("dpi", "expected"),
    [
        ((72, 72), (72_000, 72_000)),
        ((72.009, 1.5), (72_009, 1_500)),
        ((0, 72), None),
        ((float("nan"), 72), None),
        ((float("inf"), 72), None),
        ((1e9, 1e9), None),
        ((72,), None),
        ("72", None),
        (("a", "b"), None),
    ],
)
def test_resolutions_become_thousandths_or_nothing(dpi, expected):
    image = Image.fromarray(pixels())
    image.info["dpi"] = dpi
    assert pictures.load(image).resolution == expected


# What save does


def test_to_pil_gives_mode_and_metadata():
    image = pictures.to_pil(full_picture(channels=1))
    assert (image.mode, image.size) == ("L", (31, 19))
    block = b"Exif\0\0" + exif_block(6)  # as Pillow's own plugins have it
    assert image.info == {"icc_profile": ICC, "exif": block, "xmp": XMP, "dpi": (300.0, 150.0)}
    assert image.getexif()[ORIENTATION] == 6
    plain = pictures.to_pil(pictures.Picture(pixels()))
    assert (plain.mode, plain.info) == ("RGB", {})
    again = pictures.load(image)
    assert (again.icc, again.exif, again.xmp) == (ICC, exif_block(6), XMP)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_where_exif_has_no_place_the_picture_stands_upright(orientation):
    base = pixels()
    expected = np.asarray(pictures.upright(pictures.Picture(base, exif=exif_block(orientation))).pixels)
    after = reload(pictures.Picture(base, exif=exif_block(orientation)), "BMP")
    assert np.array_equal(after.pixels, expected)
    assert after.pixels.shape[:2] == ((19, 31) if orientation < 5 else (31, 19))
    assert np.array_equal(reload(pictures.Picture(base, exif=exif_block(orientation)), "PNG").pixels, base)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_resolution_turns_with_the_picture(orientation):
    square = pictures.Picture(pixels(20, 20), exif=exif_block(orientation), resolution=(100_000, 200_000))
    turned = (200_000, 100_000) if orientation > 4 else (100_000, 200_000)
    assert pictures.upright(square).resolution == turned


def test_upright_takes_the_orientation_out_and_leaves_the_rest():
    turned = pictures.upright(full_picture())
    exif = Image.Exif()
    exif.load(turned.exif)
    assert ORIENTATION not in exif and exif[ARTIST] == "A. Painter"
    assert turned.icc == ICC and turned.pixels.shape == (31, 19, 3)


def test_upright_leaves_alone_what_it_cannot_read():
    picture = pictures.Picture(pixels(), exif=b"garbage")
    assert np.array_equal(pictures.upright(picture).pixels, picture.pixels)


@pytest.mark.parametrize(
    ("format", "lost"),
    [
        ("PNG", ()),
        ("WEBP", ("the resolution",)),
        ("BMP", ("the ICC profile", "EXIF", "XMP")),
        ("PPM", ("the ICC profile", "EXIF", "XMP", "the resolution")),
    ],
)
def test_save_names_what_the_format_cannot_hold(format, lost):
    assert pictures.save(full_picture(), io.BytesIO(), format) == lost


def test_formats_that_cannot_hold_the_picture_say_so():
    with pytest.raises(errors.OutputUnwritable, match="XBM"):
        pictures.save(pictures.Picture(pixels()), io.BytesIO(), "XBM")
    clear = pictures.Picture(pixels(), alpha=np.full((19, 31), 9, np.uint8))
    for format in ("JPEG", "BMP", "PPM", "GIF"):
        with pytest.raises(errors.OutputUnwritable, match=f"{format} has no place for alpha: choose PNG"):
            pictures.save(clear, io.BytesIO(), format)


def test_faults_of_the_file_system_pass_through(tmp_path):
    with pytest.raises(FileNotFoundError):
        pictures.save(pictures.Picture(pixels()), tmp_path / "nowhere" / "photo.png", "PNG")


def test_formats_by_ending():
    assert [pictures.format_of(name) for name in ("a.png", "b.JPG", "c.d.tif", "e.avif", "f.jp2")] == [
        "PNG",
        "JPEG",
        "TIFF",
        "AVIF",
        "JPEG2000",
    ]
    for name in ("photo", "photo.xyz", "photo.psd", "photo.eps", ".png"):
        with pytest.raises(errors.OutputUnwritable, match="choose a name like"):
            pictures.format_of(name)


def test_the_example_is_a_photograph_without_surprises():
    picture = pictures.load(PHOTO)
    assert picture.pixels.shape == (379, 531, 3) and picture.left_out == ()
    assert PHOTO.stat().st_size < 400_000
