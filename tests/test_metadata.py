"""Metadata on its way: what the source says, readable by another program."""

import io
import struct

import numpy as np
import picture_files as made
import pytest
from PIL import Image, ImageCms

from aecodec import errors
from aecodec.picture import metadata, pictures
from aecodec.picture.pictures import Picture

PREFIX = b"Exif\0\0"
COLOUR = Image.fromarray(made.pixels())


def grey_profile() -> bytes:
    """The head of a profile for grey: nobody here looks further."""
    return made.ICC[:16] + b"GRAY" + made.ICC[20:]


def exif(*, thumbnail: bool = False, **tags) -> bytes:
    """A block with the directories of a camera: Exif, Interoperability, GPS; and a thumbnail if asked for."""
    block = Image.Exif()
    block[made.ARTIST] = "A. Painter"
    for tag, value in tags.items():
        block[int(tag.removeprefix("tag_"))] = value
    block.get_ifd(made.EXIF_IFD)[made.INTEROPERABILITY] = {1: "R98", 2: b"0100"}
    block.get_ifd(made.GPS_IFD)[1] = "N"
    data = block.tobytes().removeprefix(PREFIX)
    if thumbnail:  # behind the block, linked from its first directory
        count = struct.unpack_from(">H", data, 8)[0]
        link = 10 + 12 * count
        data = data[:link] + struct.pack(">I", len(data)) + data[link + 4 :]
        data += struct.pack(">HHHIHHI", 1, 259, 3, 1, 6, 0, 0)
    return data


def reload(picture: Picture, format: str) -> Picture:
    file = io.BytesIO()
    pictures.save(picture, file, format)
    return pictures.load(file.getvalue())


# EXIF


@pytest.mark.parametrize("format", ["PNG", "WEBP", "AVIF", "JPEG"])
@pytest.mark.parametrize("times", [1, 2])
def test_exif_is_stored_without_what_begins_it_in_a_jpeg(format, times):
    block = exif()
    if format == "PNG":  # by hand: Pillow takes one prefix away
        data = made.with_chunks(made.saved(COLOUR), made.chunk(b"eXIf", times * PREFIX + block))
    elif format == "JPEG":
        data = made.with_segments(made.saved(COLOUR, "JPEG"), made.segment(0xE1, times * PREFIX + block))
    else:
        data = made.saved(COLOUR, format, exif=times * PREFIX + block)
    picture = pictures.load(data)
    assert picture.exif == block
    file = io.BytesIO()
    pictures.save(picture, file, "JPEG")
    assert file.getvalue().count(PREFIX) == 1 and PREFIX + block in file.getvalue()


def test_the_directory_of_interoperability_arrives_in_a_tiff():
    picture = Picture(made.pixels(), exif=exif())
    for format in ("TIFF", "JPEG", "PNG"):
        block = Image.Exif()
        block.load(reload(picture, format).exif)
        assert block.get_ifd(made.INTEROPERABILITY)[1] == "R98", format
        assert block.get_ifd(made.GPS_IFD)[1] == "N"
    with Image.open(_file(picture, "TIFF")) as image:
        assert image.getexif().get_ifd(made.INTEROPERABILITY)[1] == "R98"


def _file(picture: Picture, format: str) -> io.BytesIO:
    file = io.BytesIO()
    pictures.save(picture, file, format)
    file.seek(0)
    return file


def test_a_pointer_that_leads_nowhere_is_not_passed_on():
    block = bytearray(exif())
    at = block.index(struct.pack(">H", made.INTEROPERABILITY))
    struct.pack_into(">I", block, at + 8, 2**20)
    with pytest.warns(UserWarning, match="Corrupt EXIF"):
        file = _file(Picture(made.pixels(), exif=bytes(block)), "TIFF")
    with Image.open(file) as image:
        assert made.INTEROPERABILITY not in image.getexif().get_ifd(made.EXIF_IFD)


def test_the_tags_of_a_bigtiff_become_plain_exif():
    picture = pictures.load(made.tiff(made.pixels(12), {made.ARTIST: "A. Painter"}, big=True))
    assert picture.exif[:4] in (b"MM\0*", b"II*\0")
    block = Image.Exif()
    block.load(picture.exif)
    assert block[made.ARTIST] == "A. Painter"


def test_a_thumbnail_that_goes_lost_is_named():
    picture = Picture(made.pixels(), exif=exif(thumbnail=True))
    for format in ("TIFF", "AVIF"):
        assert pictures.save(picture, io.BytesIO(), format) == ("the thumbnail in EXIF",)
    for format in ("JPEG", "PNG", "WEBP"):
        assert reload(picture, format).exif == picture.exif
        assert pictures.save(picture, io.BytesIO(), format) == ()


# Resolution


def jpeg(unit: int | None, across: int = 1, down: int = 1, block: bytes | None = None) -> bytes:
    data = made.without_jfif(made.saved(COLOUR, "JPEG"))
    jfif = b"JFIF\0\1\1" + struct.pack(">BHHBB", unit or 0, across, down, 0, 0)
    parts = [made.segment(0xE0, jfif)] if unit is not None else []
    parts += [made.segment(0xE1, PREFIX + block)] if block else []
    return data[:2] + b"".join(parts) + data[2:]


INCHES = {"tag_282": 300.0, "tag_283": 150.0, "tag_296": 2}


@pytest.mark.parametrize(
    ("data", "resolution"),
    [
        (jpeg(None), None),
        (jpeg(0), None),
        (jpeg(0, block=exif()), None),  # Pillow makes 72 of it
        (jpeg(None, block=b"garbage"), None),
        (jpeg(1, 300, 150), (300_000, 150_000)),
        (jpeg(2, 100, 50), (254_000, 127_000)),
        (jpeg(1, 0, 0, exif(**INCHES)), (300_000, 150_000)),
        (jpeg(None, block=exif(**INCHES)), (300_000, 150_000)),  # Pillow takes the first for both
        (jpeg(0, block=exif(**INCHES | {"tag_296": 3})), (762_000, 381_000)),
        (jpeg(0, block=exif(**INCHES | {"tag_296": 1})), None),
        (jpeg(1, 96, 96, exif(**INCHES)), (96_000, 96_000)),
    ],
)
def test_the_resolution_of_a_jpeg_is_what_it_says(data, resolution):
    assert pictures.load(data).resolution == resolution
    with Image.open(io.BytesIO(data)) as image:
        assert pictures.load(image).resolution == resolution
        assert pictures.load(image).resolution == resolution  # now that it is loaded


def test_pixels_that_are_not_square_are_named_in_a_jpeg():
    assert pictures.load(jpeg(0, 4, 3)).left_out == ("the shape of its pixels",)
    assert pictures.load(jpeg(0, 4, 3, exif(**INCHES))).left_out == ()  # which the resolution says


@pytest.mark.parametrize("resolution", [(100, 100), (2**31, 2**31)])
def test_a_resolution_that_a_jpeg_cannot_say_is_named(resolution):
    picture = Picture(made.pixels(), resolution=resolution)
    assert pictures.save(picture, io.BytesIO(), "JPEG") == ("the resolution",)
    assert reload(picture, "JPEG").resolution is None
    for format in ("PNG", "TIFF"):
        assert np.allclose(reload(picture, format).resolution, resolution, rtol=0.2)


# What a user has changed in an opened image


def test_what_was_changed_in_an_opened_image_goes_before_its_file():
    data = made.saved(COLOUR, "PNG", icc_profile=made.ICC, dpi=(300, 300), exif=PREFIX + exif())
    with Image.open(io.BytesIO(data)) as image:
        del image.info["icc_profile"]
        image.info["dpi"] = (72, 36)
        picture = pictures.load(image)
    assert (picture.icc, picture.resolution, picture.exif) == (None, (72_000, 36_000), exif())


# Profiles


@pytest.mark.parametrize("format", ["WEBP", "AVIF"])
def test_a_profile_for_grey_does_not_go_with_colour(format):
    grey = Picture(made.pixels(channels=1), icc=grey_profile())
    assert pictures.save(grey, io.BytesIO(), format) == ("the ICC profile, which is for grey",)
    assert reload(grey, format).icc is None
    assert reload(Picture(made.pixels(), icc=made.ICC), format).icc == made.ICC
    assert reload(grey, "PNG").icc == grey_profile()


def test_a_profile_for_other_colours_than_the_picture_has_is_named_and_left_out():
    for space, said in ((b"GRAY", "GRAY"), (b"CMYK", "CMYK"), (b"Lab ", "Lab")):
        profile = made.ICC[:16] + space + made.ICC[20:]
        picture = pictures.load(made.saved(COLOUR, "PNG", icc_profile=profile))
        assert picture.icc is None and picture.left_out == (f"an ICC profile for {said}",)


def test_a_grey_picture_stored_as_rgb_with_a_profile_for_grey_is_grey():
    image = COLOUR.convert("L").convert("RGB")
    picture = pictures.load(made.saved(image, "WEBP", lossless=True, icc_profile=grey_profile()))
    assert picture.pixels.shape[2] == 1 and picture.icc == grey_profile()
    assert np.array_equal(picture.pixels[:, :, 0], np.asarray(image)[:, :, 0])


def test_a_wrong_profile_of_a_cmyk_picture_is_named():
    broken = made.ICC[:16] + b"CMYK" + made.ICC[20:300]
    damaged = ("an ICC profile that is damaged",)
    for profile, names in (
        (made.ICC, ("an ICC profile for RGB",)),
        (broken, damaged),
        (b"none", damaged),
        (None, ()),
    ):
        data = made.saved(COLOUR.convert("CMYK"), "JPEG", icc_profile=profile)
        picture = pictures.load(data)
        assert picture.converted == ("CMYK to RGB without a profile",) and picture.left_out == names


# What does not fit


@pytest.mark.parametrize(
    ("format", "field", "size", "name"),
    [
        ("PNG", "icc", 2**20, "the ICC profile"),  # Pillow would call the file damaged
        ("JPEG", "exif", 65_528, "EXIF"),
        ("JPEG", "xmp", 65_505, "XMP"),
        ("JPEG", "icc", 255 * 65519 + 1, "the ICC profile"),
    ],
)
def test_what_is_too_large_for_a_format_is_left_out_by_name(format, field, size, name):
    start = {"icc": made.ICC, "exif": exif(), "xmp": made.XMP}[field]
    fits, large = (start + bytes(length - len(start)) for length in (size - 1, size))
    assert pictures.save(Picture(made.pixels(), **{field: large}), io.BytesIO(), format) == (name,)
    file = _file(Picture(made.pixels(), **{field: fits}), format)
    assert getattr(pictures.load(file.getvalue()), field) == fits
    with Image.open(file) as image:  # by Pillow alone
        image.load()


def test_a_picture_that_leaves_its_exif_behind_stands_upright():
    picture = Picture(made.pixels(), exif=exif(tag_274=6, tag_270="x" * 70_000))
    assert pictures.save(picture, io.BytesIO(), "JPEG") == ("EXIF",)
    assert reload(picture, "JPEG").pixels.shape == (20, 13, 3)


@pytest.mark.parametrize("format", ["TIFF", "AVIF", "PNG", "JPEG", "WEBP"])
def test_exif_that_nobody_can_parse_is_no_hindrance(format):
    picture = Picture(made.pixels(), exif=b"garbage")
    lost = pictures.save(picture, io.BytesIO(), format)
    assert lost == (("EXIF",) if format in ("TIFF", "AVIF") else ())


def test_options_of_a_wrong_type_are_refused():
    with pytest.raises(errors.BadArgument, match="exif=5"):
        metadata.from_options({"exif": 5})


def test_a_profile_says_which_colours_it_is_for():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert metadata._space(srgb) == b"RGB " and metadata._space(b"no profile") is None
